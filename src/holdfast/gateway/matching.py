"""Which route takes a request: the one matching function of live gateway and replay (PL-14). Pure: no I/O."""

from __future__ import annotations

import fnmatch
import re
from collections import defaultdict
from collections.abc import Callable, Iterable
from functools import partial
from operator import eq

from holdfast.gateway.model import Conditions, Route, RoutingRequest, route_order

_WILD = re.compile(r"[*?]")
_STARS = re.compile(r"\*+")


def match(routes: Iterable[Route], request: RoutingRequest) -> Route | None:
    """The route that takes ``request``: of those that fit, the highest priority, then the first id; ``None``: none."""
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
        for fits, key_id, tags, route in self._rules:
            if (
                (key_id is None or key_id == request.key_id)
                and fits(request.model)
                and all(request.tags.get(name) == value for name, value in tags)
            ):
                return route
        return None


def is_wild(pattern: str) -> bool:
    """Whether the pattern can match more than its own text."""
    return bool(_WILD.search(pattern))


def model_test(pattern: str) -> Callable[[str], object]:
    """What tells whether a model's name matches ``pattern``, in time linear in the name for each ``*``."""
    if is_wild(pattern):
        return re.compile(fnmatch.translate(pattern.replace("[", "[[]"))).match
    return partial(eq, pattern)


def conditions_overlap(left: Conditions, right: Conditions) -> bool:
    """Whether some request meets both; exact."""
    return (
        (left.key_id is None or right.key_id is None or left.key_id == right.key_id)
        and all(right.tags.get(name, value) == value for name, value in left.tags.items())
        and patterns_overlap(left.model, right.model)
    )


def patterns_overlap(left: str, right: str) -> bool:
    """Whether some text matches both patterns; exact.

    ``right`` is an automaton whose states are the places between its characters, one bit each; ``left`` is run
    through it, with all states that it can be in at once.
    """
    if not _heads_agree(left, right):
        return False
    right = _STARS.sub("*", right)
    end = 1 << len(right)
    leads_on: dict[str, int] = defaultdict(int)  # the states from which a character goes on to the next
    for place, symbol in enumerate(right):
        leads_on[symbol] |= 1 << place
    stars, any_one = leads_on["*"], leads_on["?"]
    states = _past_stars(1, stars)
    for symbol in _STARS.sub("*", left):
        if symbol == "*":
            states = 2 * end - (states & -states)  # any of the rest of right may pass: all places from the first on
            continue
        takes = end - 1 & ~stars if symbol == "?" else leads_on[symbol] | any_one
        states = _past_stars((states & takes) << 1 | states & stars, stars)
        if not states:
            return False
    return bool(states & end)


def _heads_agree(left: str, right: str) -> bool:
    """Whether the texts before the first wildcards allow a match of both; settles nearly every pair."""
    left, right = _head(left), _head(right)
    return left.startswith(right) or right.startswith(left)


def _head(pattern: str) -> str:
    return _WILD.split(pattern, maxsplit=1)[0]


def _past_stars(states: int, stars: int) -> int:
    """A star may stand for nothing; no two follow each other."""
    return states | (states & stars) << 1
