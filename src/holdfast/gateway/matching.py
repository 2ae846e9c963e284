"""Which route takes a request: the one matching function of live gateway and replay (PL-14). Pure: no I/O."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Callable, Iterable
from functools import partial
from operator import eq

from holdfast.gateway.errors import InvalidRequest
from holdfast.gateway.model import Route, RoutingRequest, route_order

_WILD = re.compile(r"[*?]")


def match(routes: Iterable[Route], request: RoutingRequest) -> Route | None:
    """The route that takes ``request``: of those that fit, the highest priority, then the first id; ``None``: none.

    Raises:
        InvalidRequest: ``request`` is no :class:`~holdfast.gateway.model.RoutingRequest`.
    """
    return Router(routes).match(request)


class Router:
    """A set of routes, made ready to match many requests. Immutable: any thread may use it.

    Args:
        routes: in any order; validated or not.
    """

    def __init__(self, routes: Iterable[Route]) -> None:
        self._rules = tuple(
            (model_test(route.when.model), route.when.key_id, tuple(route.when.tags.items()), route)
            for route in sorted(routes, key=route_order)
        )

    def match(self, request: RoutingRequest) -> Route | None:
        """:func:`match`, with the sorting and the patterns prepared."""
        if not isinstance(request, RoutingRequest):
            raise InvalidRequest(f"A request is a RoutingRequest, not {type(request).__name__}.")
        for fits, key_id, tags, route in self._rules:
            if (
                (key_id is None or key_id == request.key_id)
                and fits(request.model)
                and all(request.tags.get(name) == value for name, value in tags)
            ):
                return route
        return None


def model_test(pattern: str) -> Callable[[str], object]:
    """What tells whether a model's name matches ``pattern``, in time linear in the name for each ``*``."""
    if _WILD.search(pattern):
        return re.compile(fnmatch.translate(pattern.replace("[", "[[]"))).match
    return partial(eq, pattern)
