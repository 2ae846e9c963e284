"""What can go wrong with a schedule, each with its remedy."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from holdfast.errors import Conflict, InvalidInput, NotFound


class InvalidSchedule(InvalidInput):
    """A schedule that makes no sense. Nothing was written."""

    code = "invalid_schedule"
    remedy = "Give it a name, a workflow, and either cron= or every=."


class MalformedCron(InvalidSchedule):
    """A line that cron does not understand, or that never comes true.

    Attributes:
        line: as it was given.
    """

    code = "malformed_cron"
    remedy = "Write minute, hour, day of month, month and day of week, such as '30 2 * * MON-FRI'."

    def __init__(self, line: object, fault: str) -> None:
        super().__init__(f"The cron line {line!r:.200} cannot be used: {fault}.")
        self.line = line


class UnknownZone(InvalidSchedule):
    """A time zone that this machine does not know.

    Attributes:
        zone: its name, as it was given.
        close: names that are like it.
    """

    code = "unknown_zone"

    def __init__(self, zone: object, close: Sequence[str]) -> None:
        meant = f"Did you mean {' or '.join(close)}? " if close else ""
        super().__init__(
            f"There is no time zone {zone!r:.200}.",
            remedy=f"{meant}Use a name of the IANA database, such as Europe/Berlin.",
        )
        self.zone = zone
        self.close = tuple(close)


class InvalidInterval(InvalidSchedule):
    """An interval that cannot be kept."""

    code = "invalid_interval"
    remedy = "Use from one second to a hundred years: a timedelta or seconds; on the command line 90s, 15m, 6h or 1d."

    def __init__(self, every: object) -> None:
        super().__init__(f"A schedule cannot run every {every!r:.200}.")


class ScheduleNotFound(NotFound):
    """There is no schedule of that name.

    Attributes:
        name: what was asked for.
    """

    code = "schedule_not_found"
    remedy = "Check the name with `holdfast schedule ls`; it may be in another store."

    def __init__(self, name: str) -> None:
        super().__init__(f"There is no schedule {name!r:.200}.")
        self.name = name


class PreviousRunning(Conflict):
    """The schedule skips what would overlap, and the flow it started last has not ended.

    Attributes:
        name: the schedule's.
        flow_id: the flow that has not ended.
    """

    code = "previous_running"
    remedy = "Wait until that flow has ended, cancel it, or give the schedule another overlap policy."

    def __init__(self, name: str, flow_id: UUID | None) -> None:
        super().__init__(f"The schedule {name!r} runs already: its flow {flow_id} has not ended.")
        self.name = name
        self.flow_id = flow_id
