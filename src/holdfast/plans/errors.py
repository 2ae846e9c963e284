"""What can go wrong with a gateway plan, each with its remedy."""

from __future__ import annotations

from uuid import UUID

from holdfast.errors import Conflict, HoldfastError, InvalidInput, NotFound, StoreError


class ApplyError(HoldfastError):
    """A plan cannot be applied or reverted. Nothing was written, no audit row either (PL-3)."""

    code = "apply"


class PlanNotFound(ApplyError, NotFound):
    """There is no plan with that id."""

    code = "plan_not_found"
    remedy = "Check the id against the list of plans; it may be in another store."

    def __init__(self, plan_id: UUID) -> None:
        super().__init__(f"There is no plan {plan_id}.")
        self.plan_id = plan_id


class InvalidState(ApplyError, Conflict):
    """The plan's status does not allow it (PL-3).

    Attributes:
        status: what it is.
    """

    code = "invalid_state"
    remedy = "Only a projected plan is applied and only an applied one reverted; propose the routes in a new plan."

    def __init__(self, plan_id: UUID, status: str, why: str = "") -> None:
        super().__init__(f"The plan {plan_id} is {status}{why}.")
        self.plan_id = plan_id
        self.status = status


class StalePlan(ApplyError, Conflict):
    """The routing table is not the one that the plan was made for, or that it left behind (PL-7, PL-9).

    Attributes:
        base: the revision that the plan knows.
        actual: the revision the table has now.
    """

    code = "stale_plan"
    remedy = "Look at what is live now, and propose a new plan against it."

    def __init__(self, plan_id: UUID, base: int, actual: int) -> None:
        super().__init__(f"The plan {plan_id} knows revision {base} of the routing table, which is at {actual}.")
        self.plan_id = plan_id
        self.base = base
        self.actual = actual


class DigestMismatch(ApplyError, Conflict):
    """The plan is not what was reviewed (PL-7).

    Attributes:
        wanted: the digest that was reviewed or recorded.
        found: the digest of what is there.
    """

    code = "digest_mismatch"
    remedy = (
        "Review the plan as it is now, or propose it anew; if nobody changed it on purpose, ask who can write there."
    )

    def __init__(self, plan_id: UUID, what: str, wanted: str, found: str) -> None:
        super().__init__(f"{what} of the plan {plan_id} has the digest {found}, not {wanted}.")
        self.plan_id = plan_id
        self.wanted = wanted
        self.found = found


class PlanExists(Conflict):
    """A plan with that id is there already."""

    code = "plan_exists"
    remedy = "Use a fresh id, or get the plan that has it."

    def __init__(self, plan_id: UUID) -> None:
        super().__init__(f"There is a plan {plan_id} already.")
        self.plan_id = plan_id


class InvalidPlan(InvalidInput):
    """A record that no plan can begin as."""

    code = "invalid_plan"
    remedy = "Make it with new_plan or propose_plan; its projection is a JSON object."


class PlanDamaged(StoreError):
    """A stored plan that does not read back."""

    code = "plan_damaged"
    remedy = "Somebody edited its row, or the disk did: restore it from a backup, or delete it and propose it anew."
