"""What a set of routes must be before anybody sees it (PL-14). Pure: no I/O."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, groupby, islice
from operator import itemgetter
from typing import Any

import msgspec

from holdfast.gateway.errors import AmbiguousRoutes, DuplicateRoute, InvalidRoute
from holdfast.gateway.model import MAX_ROUTES, MAX_SET_BYTES, Route, route_order
from holdfast.gateway.overlap import conditions_overlap, fixed_head
from holdfast.text import is_storable


def validate(routes: Iterable[Route]) -> tuple[Route, ...]:
    """The routes in the order in which they are tried, every rule checked.

    Two routes that overlap at equal priority are ambiguous when they differ in target; with one target it does not
    matter to the request which of them takes it, and the first id does.

    Raises:
        InvalidRoute: a malformed field, more than 1,000 routes, or more than 2 MiB of JSON.
        DuplicateRoute: an id twice.
        AmbiguousRoutes: a tie that only the ids would decide (PL-14).
    """
    checked = sorted(map(_checked, listed(routes)), key=route_order)
    seen: set[str] = set()
    for route in checked:
        if route.id in seen:
            raise DuplicateRoute(route.id)
        seen.add(route.id)
    if (size := len(msgspec.json.encode(checked))) > MAX_SET_BYTES:
        raise InvalidRoute(f"A set takes at most {MAX_SET_BYTES:,} bytes as JSON, this one {size:,}.")
    for priority, tied in groupby(checked, key=lambda route: route.priority):
        for first, second in _rivals(list(tied)):
            if first.target != second.target and conditions_overlap(first.when, second.when):
                raise AmbiguousRoutes(min(first.id, second.id), max(first.id, second.id), priority)
    return tuple(checked)


def listed(routes: Iterable[Route]) -> list[Route]:
    """The routes as a list, in the order in which they are written; no rule but their number is checked.

    Raises:
        InvalidRoute: not iterable, or more than 1,000.
    """
    try:
        found = list(routes)
    except TypeError:
        raise InvalidRoute(f"A set of routes is a list of Route, not {type(routes).__name__}.") from None
    if len(found) > MAX_ROUTES:
        raise InvalidRoute(f"A set has at most {MAX_ROUTES:,} routes, this one {len(found):,}.")
    return found


def read_routes(text: str | bytes) -> tuple[Route, ...]:
    """:func:`validate` of a JSON list of routes.

    Raises:
        InvalidRoute, DuplicateRoute, AmbiguousRoutes: as there; the message has the path of what is wrong.
    """
    try:
        found = msgspec.json.decode(text, type=list[Route])
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise InvalidRoute(f"The routes cannot be read: {error}.") from error
    return validate(found)


def _checked(route: Any) -> Route:
    """The route, each field of the type and size that its annotation says; a constructor does not look."""
    if not isinstance(route, Route):
        raise InvalidRoute(f"A route is a Route, not {type(route).__name__}.")
    try:
        found = msgspec.convert(msgspec.to_builtins(route), Route)
    except (msgspec.ValidationError, TypeError, ValueError, RecursionError) as error:
        raise InvalidRoute(f"The route {route.id!r} is malformed: {error}.") from error
    for text in _texts(found):
        if not is_storable(text):
            raise InvalidRoute(f"The route {route.id!r} holds {text!r}: NUL and lone surrogates cannot be stored.")
    return found


def _texts(route: Route) -> Iterator[str]:
    yield from (route.id, route.when.model, route.when.key_id or "", route.target.provider, route.target.model)
    yield from chain.from_iterable(route.when.tags.items())


def _rivals(tied: Sequence[Route]) -> Iterator[tuple[Route, Route]]:
    """Pairs that may overlap: of two texts with which models begin, one begins the other. In order, those that a text
    begins follow it."""
    heads = sorted(((fixed_head(route.when.model), route) for route in tied), key=itemgetter(0))
    for place, (head, route) in enumerate(heads, 1):
        for longer, other in islice(heads, place, None):
            if not longer.startswith(head):
                break
            yield route, other
