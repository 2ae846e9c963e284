"""Gateway routes: which model a request goes to. Pure: no I/O."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Annotated, Any, TypeAlias

import msgspec
import rfc8785
from msgspec import Meta

MAX_ROUTES = 1000
"""Routes of a set."""
MAX_SET_BYTES = 2 * 1024 * 1024
"""Of a set's JSON, so that it fits into a plan: as what is proposed, and as what was live before."""
MAX_PRIORITY = 1_000_000

Name: TypeAlias = Annotated[str, Meta(min_length=1, max_length=200)]
Text: TypeAlias = Annotated[str, Meta(max_length=200)]
Priority: TypeAlias = Annotated[int, Meta(ge=-MAX_PRIORITY, le=MAX_PRIORITY)]


class Conditions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a request must be for a route to take it: all of these at once.

    Attributes:
        model: pattern of the model asked for: ``*`` is any text, ``?`` any one character, all else itself.
        key_id: the API key it came with; ``None``: any.
        tags: tags it must carry, with exactly these values; it may carry others.
    """

    model: Name = "*"
    key_id: Name | None = None
    tags: Annotated[dict[Name, Text], Meta(max_length=32)] = {}


class Target(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where a route sends its requests."""

    provider: Name
    model: Name


class Route(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One gateway route.

    Attributes:
        id: unique within its set.
        priority: the highest that fits wins, then the first id (PL-14); -1,000,000 to 1,000,000.
        when: which requests it takes.
        target: where they go.
    """

    id: Name
    priority: Priority = 0
    when: Conditions = Conditions()
    target: Target


ProposedRoute: TypeAlias = Route
"""A route as a plan proposes it: the same record, so that what goes live is what was reviewed (PL-7)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RoutingRequest:
    """What of a request decides on its route.

    Attributes:
        model: the model it asks for.
        key_id: the API key it came with, if any.
        tags: its tags.
    """

    model: str
    key_id: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteSet:
    """The routing table at one revision.

    Attributes:
        revision: counts the changes of the table; it never goes back, whatever the routes are (PL-8).
        routes: in the order in which they are tried (PL-14).
        digest: :func:`routes_digest` of them.
    """

    revision: int
    routes: tuple[Route, ...]
    digest: str


def route_order(route: Route) -> tuple[int, str]:
    """The key by which routes are tried: priority descending, then id, by code points (PL-14)."""
    return -route.priority, route.id


def canonical_routes(routes: Iterable[Route]) -> list[dict[str, Any]]:
    """The JSON form of a *set*: by id, every field spelt out, whatever order it was written in.

    A field that a later version adds is to be left out here while it has its default, so that the digests of plans
    reviewed before still hold.
    """
    found: list[dict[str, Any]] = msgspec.to_builtins(sorted(routes, key=lambda route: route.id))
    return found


def routes_digest(routes: Iterable[Route]) -> str:
    """SHA-256 in hex of the set's canonical JSON (RFC 8785)."""
    return sha256(rfc8785.dumps(canonical_routes(routes))).hexdigest()
