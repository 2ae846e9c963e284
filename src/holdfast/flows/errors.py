"""What can go wrong with a flow, each with its remedy."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from holdfast.errors import Conflict, HoldfastError, InvalidInput, NotFound


class FlowNotFound(NotFound):
    """There is no flow with that id (FL-1)."""

    code = "flow_not_found"
    remedy = "Check the id with `holdfast flow ls`; it may have been pruned, or be in another store."

    def __init__(self, flow_id: UUID) -> None:
        super().__init__(f"There is no flow {flow_id}.")
        self.flow_id = flow_id


class StepNotFound(NotFound):
    """There is no step with that id."""

    code = "step_not_found"
    remedy = "List the flow's steps with `holdfast flow show`."

    def __init__(self, step_id: UUID) -> None:
        super().__init__(f"There is no step {step_id}.")
        self.step_id = step_id


class FlowExists(Conflict):
    """A flow with that id or key was started with another workflow or other arguments (FL-18)."""

    code = "flow_exists"
    remedy = "Use a fresh id or key, or start it with the same arguments to get the flow that exists."


class DuplicateStep(Conflict):
    """The flow already has a step with that run id (FL-6)."""

    code = "duplicate_step"
    remedy = "Give each step of a flow a run id of its own, or look the recorded one up by find_step_by_run_id."

    def __init__(self, flow_id: UUID, run_id: str) -> None:
        super().__init__(f"The flow {flow_id} already has a step {run_id!r}.")
        self.flow_id = flow_id
        self.run_id = run_id


class RevisionMismatch(Conflict):
    """The flow has moved on since it was read (FL-1).

    Attributes:
        expected: the revision the caller had.
        actual: the revision it has now.
    """

    code = "revision_mismatch"
    remedy = "Fetch the flow again, apply the change to what it is now, and retry."

    def __init__(self, flow_id: UUID, expected: int, actual: int) -> None:
        super().__init__(f"The flow {flow_id} is at revision {actual}, not {expected}.")
        self.flow_id = flow_id
        self.expected = expected
        self.actual = actual


class AlreadyTerminal(Conflict):
    """The flow is finished, failed or cancelled, and accepts nothing more (FL-14)."""

    code = "already_terminal"
    remedy = "Start a new flow; a terminal one only accepts retry and rewind."

    def __init__(self, flow_id: UUID, status: str) -> None:
        super().__init__(f"The flow {flow_id} is already {status}.")
        self.flow_id = flow_id
        self.status = status


class LeaseHeld(Conflict):
    """A worker holds the flow's lease: its status is the worker's to change (FL-11)."""

    code = "lease_held"
    remedy = "Ask for it instead: `holdfast flow cancel`, or set paused."

    def __init__(self, flow_id: UUID, epoch: int) -> None:
        super().__init__(f"The flow {flow_id} is leased to the worker epoch {epoch}.")
        self.flow_id = flow_id
        self.epoch = epoch


class LeaseLost(Conflict):
    """This worker's lease was taken over; it cannot write one more row (FL-11)."""

    code = "lease_lost"
    remedy = "Nothing to do: the flow goes on elsewhere and this worker takes up a new epoch by itself."

    def __init__(self, epoch: int) -> None:
        super().__init__(f"The worker epoch {epoch} has been fenced.")
        self.epoch = epoch


class WorkflowExists(InvalidInput):
    """Two different functions want to be the workflow or step of one name."""

    code = "workflow_exists"
    remedy = "Give one of them a name of its own: @workflow(name=…)."


class NotAWorkflow(InvalidInput, TypeError):
    """What was to be started or served is no workflow."""

    code = "not_a_workflow"
    remedy = "Pass an `async def` function with @workflow; a step runs inside one."


class InvalidArguments(InvalidInput, TypeError):
    """Arguments that do not fit the workflow's parameters."""

    code = "invalid_arguments"
    remedy = "Pass what the workflow's signature asks for."


class InvalidTimeout(InvalidInput):
    """A span of time that cannot be waited for."""

    code = "invalid_timeout"
    remedy = "Use a non-negative number of seconds or timedelta of at most a hundred years."


class UseAwait(InvalidInput):
    """A blocking call on the event loop that would have to do the work."""

    code = "use_await"
    remedy = "In a coroutine write `await handle`."


class HaltingError(HoldfastError):
    """Stops one flow without failing it: a change of code or settings mends it and `flow resume` goes on."""


class NonDeterminism(HaltingError):
    """The workflow's code no longer does what its history says it did (FL-19).

    Attributes:
        expected: what the history has.
        found: what the code did instead.
        where: the position in the history.
    """

    code = "non_determinism"
    remedy = "Bring back the code that started the flow, then `holdfast flow resume`, or start it anew under new code."

    def __init__(self, expected: str, found: str, where: str) -> None:
        super().__init__(f"At {where} the history has {expected}, the workflow {found}.")
        self.expected = expected
        self.found = found
        self.where = where


class ForeignAwait(HaltingError):
    """The workflow awaited something that is not durable."""

    code = "foreign_await"
    remedy = (
        "Move it into a step: a workflow itself may await steps, sleep and asyncio's gather, TaskGroup and timeout."
    )


class Restless(HaltingError):
    """The workflow keeps its event loop busy without ever waiting for anything durable."""

    code = "restless"
    remedy = "Look for a loop around `await asyncio.sleep(0)`; wait for a step or a sleep of some length instead."


class HistoryDamaged(HaltingError):
    """What the flow has recorded cannot be read any more."""

    code = "history_damaged"
    remedy = "Restore the database from a backup, then `holdfast flow resume`; or rewind the flow to an earlier step."


class EngineFault(HaltingError):
    """Something is wrong with the engine itself; the flow is held rather than lost."""

    code = "engine_fault"
    remedy = "This is a bug: report it with the log's traceback. `holdfast flow resume` tries again."


class RecordedError(HoldfastError):
    """Something that was recorded as failed.

    Attributes:
        kind: the original exception's qualified name, e.g. ``"builtins.ValueError"``.
        detail: its text.
        trace: its formatted traceback, where it was recorded.
    """

    def __init__(self, subject: str, kind: str, detail: str, trace: str = "") -> None:
        super().__init__(f"{subject} failed with {kind}: {detail}".rstrip(": .") + ".")
        self.subject = subject
        self.kind = kind
        self.detail = detail
        self.trace = trace


class StepFailed(RecordedError):
    """A step failed for good. Raised in the workflow, alike on the first run and on every replay."""

    code = "step_failed"
    remedy = "Catch it in the workflow, or give the step retries; `raises=` lets your own exception types through."


class FlowFailed(RecordedError):
    """The flow ended with an error."""

    code = "flow_failed"
    remedy = "`holdfast flow show` has the traceback."


class FlowHalted(RecordedError):
    """The flow cannot go on with this code or these settings. It is held, not lost (FL-19)."""

    code = "flow_halted"

    def __init__(self, subject: str, kind: str, detail: str, trace: str = "", *, remedy: str | None = None) -> None:
        super().__init__(subject, kind, detail, trace)
        self.remedy = remedy or "Mend the cause, then `holdfast flow resume`."


class FlowCancelled(HoldfastError):
    """The flow was cancelled."""

    code = "flow_cancelled"
    remedy = "`holdfast flow history` says when and by whom."

    def __init__(self, flow_id: UUID) -> None:
        super().__init__(f"The flow {flow_id} was cancelled.")
        self.flow_id = flow_id


class StartRefused(RecordedError):
    """A child could not be started. Raised in the parent, alike on the first run and on every replay."""

    code = "start_refused"
    remedy = "Give the child an id, key and queue of its own, or none."


class ChildCycle(Conflict):
    """A flow would wait for itself: the child's id is its own or that of one of its parents, or children nest without
    end."""

    code = "child_cycle"
    remedy = "Leave the child's id to Holdfast; for a loop without end use continue_as_new()."


class WaitTimedOut(HoldfastError, TimeoutError):
    """What was waited for did not come in time."""

    code = "wait_timed_out"
    remedy = "Catch it in the workflow, or wait for longer."


class InvalidPatch(InvalidInput):
    """A state can be patched with a JSON object only (FL-15)."""

    code = "invalid_patch"
    remedy = "Pass an object: names with values, None to remove one (RFC 7396)."


class ContinueAsNew(BaseException):
    """Passes through a workflow that begins anew.

    Attributes:
        args: JSON of its new arguments.
    """

    def __init__(self, encoded: str) -> None:
        super().__init__(encoded)
        self.encoded = encoded


class BeingCancelled(Conflict):
    """The flow was asked to end, and cancelling always completes (FL-13)."""

    code = "being_cancelled"
    remedy = "Nothing to do: it ends by itself, after its cleanup."

    def __init__(self, flow_id: UUID) -> None:
        super().__init__(f"The flow {flow_id} is being cancelled.")
        self.flow_id = flow_id


class InvalidSearch(InvalidInput):
    """A question about flows that makes no sense."""

    code = "invalid_search"
    remedy = "Use a status that flows have, and a span of time that begins before it ends."


class NoFlowBegins(NotFound):
    """No flow's id begins like that."""

    code = FlowNotFound.code
    remedy = FlowNotFound.remedy

    def __init__(self, beginning: str) -> None:
        super().__init__(f"There is no flow whose id begins with {beginning}.")
        self.beginning = beginning


class AmbiguousId(InvalidInput):
    """Several flows' ids begin like that.

    Attributes:
        candidates: ids of the first of them.
    """

    code = "ambiguous_id"

    def __init__(self, beginning: str, candidates: Sequence[UUID], *, more: bool) -> None:
        told = f"The ids of {'more than ' if more else ''}{len(candidates)} flows begin with {beginning}."
        listed = f"{', '.join(map(str, candidates))}{', …' if more else ''}"
        super().__init__(told, remedy=f"Give more of the one that is meant: {listed}.")
        self.beginning = beginning
        self.candidates = tuple(candidates)


class ResultPending(Conflict):
    """The flow did not end within the time-out."""

    code = "result_pending"
    remedy = "Wait longer, or check with `holdfast doctor` that a worker serves this workflow."
