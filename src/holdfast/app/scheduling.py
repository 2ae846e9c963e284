"""Schedules: having flows start by themselves."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from holdfast.app.face import Face
from holdfast.flows.schedules import CatchUp, Definition, Overlap, Schedule, manager
from holdfast.flows.schedules.errors import InvalidInterval
from holdfast.flows.schedules.model import choose
from holdfast.flows.workflows import Workflow
from holdfast.pages import Page


class Scheduling(Face):
    """The verbs of schedules."""

    def schedule(
        self,
        name: str,
        workflow: Workflow[..., Any],
        /,
        *args: Any,
        cron: str | None = None,
        every: timedelta | float | None = None,
        zone: str = "UTC",
        overlap: Overlap | str = Overlap.SKIP,
        catch_up: CatchUp | str = CatchUp.ONE,
        queue: str | None = None,
        tags: Mapping[str, str] | None = None,
        actor: str = "user",
        **kwargs: Any,
    ) -> Schedule:
        """Have flows of ``workflow`` start by themselves. The same again changes nothing; anything else under that name
        changes the schedule, see :func:`holdfast.flows.schedules.manager.create`.

        Args:
            name: of the schedule, unique in the store.
            args, kwargs: the workflow's arguments; those that are called like an option go by position.
            cron: minute, hour, day of month, month, day of week; with six fields the seconds come first.
            every: instead of ``cron``, seconds or timedelta from now on.
            zone: IANA name of the time zone that ``cron`` is meant in.
            overlap: ``skip``, ``buffer_one``, ``cancel_previous`` or ``allow``, while the last flow has not ended.
            catch_up: ``all``, ``one`` or ``none`` of what was missed while no worker was there.
            queue: the queue its flows wait in.
            tags: of its flows, besides ``schedule``.

        Raises:
            MalformedCron, UnknownZone, InvalidInterval, InvalidSchedule: it makes no sense; nothing was written.
            InvalidArguments, NotSerialisable, PayloadTooLarge: the arguments do not fit the workflow.
            InvalidId, InvalidInput: nor does the queue or a tag.
            QueueNotFound: there is no such queue.
            NestedUnit: called inside a unit of work.
            StoreError: it could not be written.
        """
        if self._registry.get(workflow.name) is not workflow:
            self._registry.add(workflow)
        encoded, _ = workflow.signature.encode(args, kwargs, self._options.max_payload_bytes)
        definition = Definition(
            name=name,
            workflow_type=workflow.name,
            args=encoded,
            cron=cron,
            every=None if every is None else _span(every),
            zone=zone,
            overlap=choose(Overlap, overlap, "overlap policy"),
            catch_up=choose(CatchUp, catch_up, "catch-up policy"),
            queue=queue,
            tags=tags or {},
        )
        return self._act(lambda tx: manager.create(tx, definition), actor)

    def schedules(self, *, limit: int | None = None, after: str | None = None) -> Page[Schedule]:
        """All schedules by name.

        Raises:
            ValueError: a negative limit or a malformed cursor.
        """
        return self.store.read(lambda tx: manager.list_schedules(tx, limit=limit, after=after))

    def unschedule(self, name: str, *, actor: str = "user") -> Schedule:
        """Remove a schedule; see :func:`holdfast.flows.schedules.manager.remove`."""
        return self._act(lambda tx: manager.remove(tx, name), actor)

    def pause_schedule(self, name: str, *, actor: str = "user") -> Schedule:
        """Hold a schedule; see :func:`holdfast.flows.schedules.manager.pause`."""
        return self._act(lambda tx: manager.pause(tx, name), actor)

    def resume_schedule(self, name: str, *, actor: str = "user") -> Schedule:
        """Let a schedule go on; see :func:`holdfast.flows.schedules.manager.resume`."""
        return self._act(lambda tx: manager.resume(tx, name), actor)

    def trigger_schedule(self, name: str, *, actor: str = "user") -> UUID | None:
        """Run a schedule now, once; see :func:`holdfast.flows.schedules.manager.trigger`."""
        return self._act(lambda tx: manager.trigger(tx, name), actor)

    def upcoming(self, name: str, count: int = 5) -> list[datetime]:
        """When a schedule occurs next, in UTC; see :func:`holdfast.flows.schedules.manager.upcoming`."""
        return self.store.read(lambda tx: manager.upcoming(tx, name, count))


def _span(every: timedelta | float) -> timedelta:
    """Raises:
    InvalidInterval: no span at all.
    """
    try:
        return every if isinstance(every, timedelta) else timedelta(seconds=every)
    except (TypeError, ValueError, OverflowError):
        raise InvalidInterval(every) from None
