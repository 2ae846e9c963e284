"""What can go wrong with messages and approvals, each with its remedy."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from holdfast.errors import Conflict, InvalidInput, NotFound


class InvalidMessage(InvalidInput):
    """A message that cannot be sent. Nothing was written."""

    code = "invalid_message"


class MessageNotFound(NotFound):
    """No message of that id lies in the inbox, or no longer."""

    code = "message_not_found"
    remedy = "See `holdfast event ls` and `holdfast signal ls FLOW`: it may have expired or been removed."

    def __init__(self, message_id: UUID, what: str) -> None:
        super().__init__(f"No {what} {message_id} lies in the inbox.")
        self.message_id = message_id


class MessageTaken(Conflict):
    """The message was delivered.

    Attributes:
        flow_id: the flow that has it.
    """

    code = "message_taken"

    def __init__(self, message_id: UUID, flow_id: UUID) -> None:
        remedy = f"To undo what followed from it, `holdfast flow rewind {flow_id}` to before it; it is kept again then."
        super().__init__(f"The flow {flow_id} has taken the message {message_id}.", remedy=remedy)
        self.message_id = message_id
        self.flow_id = flow_id


class ApprovalNotFound(NotFound):
    """Nothing of that id waits for approval, or has just been answered."""

    code = "approval_not_found"
    remedy = "See `holdfast approval ls`: the flow may have its answer already, or no longer wait for one."

    def __init__(self, approval_id: UUID) -> None:
        super().__init__(f"No flow waits for the approval {approval_id}.")
        self.approval_id = approval_id


class ApprovalExpired(Conflict):
    """The approval takes no answer any more.

    Attributes:
        expired_at: since when.
    """

    code = "approval_expired"
    remedy = "Nothing to do: the flow goes on as its workflow says it does without an answer."

    def __init__(self, approval_id: UUID, expired_at: datetime) -> None:
        super().__init__(f"The approval {approval_id} expired at {expired_at:%Y-%m-%d %H:%M:%S}Z.")
        self.approval_id = approval_id
        self.expired_at = expired_at


class ApprovalAnswered(Conflict):
    """Somebody has answered the approval, and differently; or the flow has its answer and went on.

    Attributes:
        by: who.
        approved: what they said.
        at: when.
    """

    code = "approval_answered"
    remedy = "An answer stands; to undo what followed from it, rewind the flow to before it asked."

    def __init__(self, approval_id: UUID, by: str, *, approved: bool, at: datetime) -> None:
        said = "approved" if approved else "rejected"
        super().__init__(f"The approval {approval_id} was {said} by {by} already, at {at:%Y-%m-%d %H:%M:%S}Z.")
        self.approval_id = approval_id
        self.by = by
        self.approved = approved
        self.at = at


class ApprovalOver(Conflict):
    """The flow asked for it once, and does not any more."""

    code = "approval_over"
    remedy = "See `holdfast approval ls` for what is asked for now, `holdfast flow show` for what became of the flow."

    def __init__(self, approval_id: UUID) -> None:
        told = f"The approval {approval_id} is over: it expired, or its flow ended, was rewound or no longer waits."
        super().__init__(told)
        self.approval_id = approval_id


class NotAnApprover(Conflict):
    """Somebody answered who may not.

    Attributes:
        by: who.
        approvers: who may.
    """

    code = "not_an_approver"

    def __init__(self, approval_id: UUID, by: str, approvers: Sequence[str]) -> None:
        told = f"The approval {approval_id} is not {by}'s to answer."
        super().__init__(told, remedy=f"One of these may answer: {', '.join(approvers)}.")
        self.approval_id = approval_id
        self.by = by
        self.approvers = tuple(approvers)


class DigestMismatch(Conflict):
    """What is to be approved is not what was looked at.

    Attributes:
        expected: the digest that was given.
        actual: that of what is to be approved.
    """

    code = "approval_digest_mismatch"
    remedy = "Look at what is to be approved (`holdfast approval show`), and give its digest."

    def __init__(self, approval_id: UUID, expected: str, actual: str) -> None:
        super().__init__(f"What the approval {approval_id} is about has the digest {actual}, not {expected:.80}.")
        self.approval_id = approval_id
        self.expected = expected
        self.actual = actual
