"""Records of gateway plans and their state machine. Pure: no I/O.

``projected`` → ``applied`` → ``reverted``; ``failed`` is a plan whose replay failed, and stays so.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from hashlib import sha256
from typing import Any
from uuid import UUID

import rfc8785

from holdfast.gateway import ProposedRoute, Route, validate
from holdfast.gateway.model import canonical_routes
from holdfast.gateway.validation import listed
from holdfast.ids import new_id, parse_id
from holdfast.plans.errors import InvalidPlan


class PlanStatus(StrEnum):
    """Where a plan is in its life."""

    PROJECTED = "projected"
    APPLIED = "applied"
    REVERTED = "reverted"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanResult:
    """What is reviewed.

    Attributes:
        proposed_routes: the whole set that would be live; a plan of none changes nothing (PL-4).
        projection: what the replay says of them, a JSON object.
    """

    proposed_routes: list[ProposedRoute] = field(default_factory=list)
    projection: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanRun:
    """A reviewed proposal to change the live routes.

    Attributes:
        id: its UUID.
        base_revision: the revision of the routing table that it was made for (PL-7).
        digest: :func:`plan_digest` of what is reviewed.
        result: what is reviewed.
        error: why its replay failed, a JSON object, once failed.
        applied_revision: the revision at which it left the table, once applied.
        inverse: the set that was live before it, once applied; empty means that none was (PL-9).
    """

    id: UUID
    status: PlanStatus = PlanStatus.PROJECTED
    base_revision: int
    digest: str
    result: PlanResult
    error: dict[str, Any] | None = None
    created_at: datetime
    applied_at: datetime | None = None
    applied_revision: int | None = None
    inverse: list[Route] | None = None
    reverted_at: datetime | None = None


def plan_digest(base_revision: int, result: PlanResult) -> str:
    """SHA-256 in hex of the canonical JSON (RFC 8785) of all that is reviewed: the set of routes, the projection and
    the revision they were made for. The order in which the routes were written does not count.

    Raises:
        InvalidPlan: the projection is no JSON object, or has no canonical form.
    """
    if not isinstance(result.projection, dict):
        raise InvalidPlan(f"A projection is a JSON object, not {type(result.projection).__name__}.")
    reviewed: dict[str, Any] = {
        "base_revision": base_revision,
        "projection": result.projection,
        "routes": canonical_routes(result.proposed_routes),
    }
    try:
        return sha256(rfc8785.dumps(reviewed)).hexdigest()
    except (rfc8785.CanonicalizationError, UnicodeError, RecursionError) as error:
        raise InvalidPlan(f"The projection has no canonical JSON: {error}.") from error


def check_base(base_revision: object) -> None:
    """Raises:
    InvalidPlan: no routing table has that revision.
    """
    if type(base_revision) is not int or base_revision < 0:
        remedy = "Revisions count from 0; leave it out for the table as it is now."
        raise InvalidPlan(f"{base_revision!r} is no revision of the routing table.", remedy=remedy)


def new_plan(
    base_revision: int,
    routes: Iterable[ProposedRoute],
    *,
    created_at: datetime,
    projection: dict[str, Any] | None = None,
    id: UUID | None = None,
) -> PlanRun:
    """A projected plan, under its digest.

    Raises:
        InvalidPlan: as :func:`plan_digest`, or no table has that revision.
        InvalidRoute, DuplicateRoute, AmbiguousRoutes: no set of routes to apply (PL-14).
        InvalidId: ``id`` is no UUID.
    """
    check_base(base_revision)
    proposed = listed(routes)
    validate(proposed)
    result = PlanResult(proposed_routes=proposed, projection={} if projection is None else projection)
    return PlanRun(
        id=new_id() if id is None else parse_id(id),
        base_revision=base_revision,
        digest=plan_digest(base_revision, result),
        result=result,
        created_at=created_at,
    )
