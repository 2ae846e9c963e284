"""The port of the councils' persistence: the clauses CO-1 to CO-8, and CO-12 where graphs are stored."""

from __future__ import annotations

from typing import Any, Protocol
from uuid import UUID

from holdfast.councils.graph import TaskGraph
from holdfast.councils.model import CouncilRun, CouncilRunEvent, RunStatus
from holdfast.pages import Page

INTERRUPTED = "interrupted"
"""Kind of the event that tells that a run was left behind (CO-7)."""
REWOUND = "rewound"
"""Kind of the event that tells from where to where a run was rewound (CO-8)."""


class CouncilRepositoryPort(Protocol):
    """Council runs and their events, within one transaction.

    State travels in the ``update_*`` calls, never by event alone; the event of a change is appended in the same
    transaction (CO-4). Lists take ``limit`` (``None``: everything) and ``after``; a page costs the page.
    """

    def create_run(self, run: CouncilRun) -> None:
        """Add a run.

        Raises:
            RunExists: its id is taken (CO-1).
            InvalidGraph: its graph breaks a rule, by the error of that rule (CO-12).
            InvalidRun: some field is of another type.
            InvalidInput: some text or output cannot be stored.
        """
        ...

    def update_run_status(self, run_id: UUID, status: RunStatus, *, epoch: int | None = None) -> CouncilRun:
        """Move a run to ``status``; returns it as it is now (CO-2). Staying put changes nothing.

        A run holds a lease only while it is running: entering ``running`` takes it for ``epoch``, leaving gives it up.

        Args:
            run_id: the run.
            status: where it goes.
            epoch: the worker who asks; ``None``: somebody who runs nothing, such as a person who cancels.

        Raises:
            RunNotFound: unknown id.
            InvalidRun: no such status or epoch.
            IllegalTransition: the state machine has no such move; a terminal run accepts none.
            RunHeld: it is running, and not under ``epoch``: of several who would take it up one does, and a worker
                whose lease went to another changes nothing any more.
            LeaseLost: ``epoch`` is over: whoever is dead takes nothing up (CO-7).
            StuckGraph: it was to be completed with work left that nothing can bring about (CO-12).
        """
        ...

    def update_graph(self, run_id: UUID, graph: TaskGraph, *, epoch: int | None = None) -> None:
        """Replace the graph of a run, outputs and all, so that resume needs nothing else (CO-3); also of one that has
        ended, so that nodes which were running then can be recorded as they drain.

        Raises:
            RunNotFound: unknown id.
            RunHeld: ``epoch`` is given, and the run is running under another (CO-7).
            LeaseLost: ``epoch`` is over.
            InvalidGraph: it breaks a rule, by the error of that rule; the stored graph stays (CO-12).
            InvalidInput: some output cannot be stored.
        """
        ...

    def append_event(self, run_id: UUID, kind: str, payload: Any, *, wave_index: int | None = None) -> CouncilRunEvent:
        """Record that something happened; assigns the next ``seq`` of the run, and the time (CO-4, CO-6).

        Raises:
            RunNotFound: unknown id.
            InvalidWave: ``wave_index`` is negative or out of range.
            InvalidEvent: the kind is no text, or empty.
            InvalidInput: kind or payload cannot be stored. No refusal uses up a number.
        """
        ...

    def get_run(self, run_id: UUID) -> CouncilRun | None:
        """The run, or ``None`` (CO-5)."""
        ...

    def list_runs(
        self, status: RunStatus | None = None, *, limit: int | None = None, after: str | None = None
    ) -> Page[CouncilRun]:
        """Runs, of one status or of all, by creation, newest first (CO-5).

        Raises:
            ValueError: a negative limit or a malformed cursor.
        """
        ...

    def list_events(
        self, run_id: UUID, *, limit: int | None = None, after: str | None = None, superseded: bool = False
    ) -> Page[CouncilRunEvent]:
        """The live events of a run in the order of ``seq``; with ``superseded`` the others as well (CO-6).

        The cursor is a ``seq`` in decimals, so that a reader can go on after any event it has seen (CO-15). Whatever
        is appended later has a higher ``seq`` than all that is visible: nothing turns up behind a reader.

        Raises:
            ValueError: a negative limit or a malformed cursor.
        """
        ...

    def mark_interrupted_runs(self) -> int:
        """Mark the ``running`` runs whose lease is over, or which have none, as ``interrupted``, each with an event of
        that kind in the same transaction; returns how many this call marked (CO-7).

        Whoever executes a run therefore holds a lease: without one it counts as left behind.
        """
        ...

    def truncate_events_after_wave(
        self, run_id: UUID, wave_index: int | None, *, epoch: int | None = None
    ) -> CouncilRunEvent:
        """Rewind the log to the end of a wave: live events of later waves are superseded, those of no wave stay, and
        the run is ``running`` again from whatever status, under the lease of ``epoch`` (CO-8).

        Args:
            run_id: the run.
            wave_index: the last wave that is kept; ``None``: before the first.
            epoch: who takes the run up; whoever held it before no longer does.

        Returns:
            The event ``rewound``, itself of wave ``wave_index``: ``{"from", "to", "superseded"}`` are the highest
            wave that the live log had, ``wave_index``, and how many events were superseded.

        Raises:
            RunNotFound: unknown id.
            InvalidWave: no wave has that index.
            LeaseLost: ``epoch`` is over.
        """
        ...

    def prune_superseded_events(self, retain_days: int, *, limit: int | None = None) -> int:
        """Delete up to ``limit`` events that were superseded over ``retain_days`` ago; returns how many. Their numbers
        are not used again (CO-6, CO-8).

        Raises:
            ValueError: a negative number of days or limit.
        """
        ...

    def prune_terminal_runs(self, retain_days: int, *, limit: int | None = None) -> int:
        """Delete up to ``limit`` terminal runs last updated over ``retain_days`` ago, with all their events; returns
        the number of runs.

        Raises:
            ValueError: a negative number of days or limit.
        """
        ...
