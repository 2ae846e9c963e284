"""Mutants that keep the records of runs, and list them, wrongly (CO-1 to CO-5)."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import Any
from uuid import UUID

from holdfast.councils import CouncilRun, CouncilRunEvent, RunStatus, TaskGraph
from holdfast.councils.errors import (
    RunExists,
    RunNotFound,
)
from holdfast.errors import IllegalTransition
from holdfast.pages import Page, check_limit, parse_cursor
from holdfast.testing.councils.mutants.base import Mutant


class CreateReplaces(Mutant):
    """Puts a new run in the place of the one that has its id."""

    breaks = "CO-1"

    def create_run(self, run: CouncilRun) -> None:
        self.tx.execute("DELETE FROM council_runs WHERE id = :id", {"id": str(run.id)})
        super().create_run(run)


class CreateAgrees(Mutant):
    """Takes a second run of an id for a repetition of the first."""

    breaks = "CO-1"

    def create_run(self, run: CouncilRun) -> None:
        with suppress(RunExists):
            super().create_run(run)


class AnyMoveGoes(Mutant):
    """Has no state machine."""

    breaks = "CO-2"

    def update_run_status(self, run_id: UUID, status: RunStatus, *, epoch: int | None = None) -> CouncilRun:
        try:
            return super().update_run_status(run_id, status, epoch=epoch)
        except IllegalTransition:
            self.change(run_id, "status = :status", status=str(status))
            run = self.get_run(run_id)
            assert run is not None
            return run


class ForgetsUnknownRuns(Mutant):
    """Updates no row, and does not notice."""

    breaks = "CO-2"

    def update_graph(self, run_id: UUID, graph: TaskGraph, *, epoch: int | None = None) -> None:
        with suppress(RunNotFound):
            super().update_graph(run_id, graph, epoch=epoch)


class ForgetsOutputs(Mutant):
    """Keeps the plan, and not what became of it."""

    breaks = "CO-3"

    def update_graph(self, run_id: UUID, graph: TaskGraph, *, epoch: int | None = None) -> None:
        super().update_graph(run_id, TaskGraph(tuple(replace(node, output=None) for node in graph.nodes)), epoch=epoch)


class DropsEqualEvents(Mutant):
    """Takes an event like one before for a conflict, and loses it."""

    breaks = "CO-4"

    def append_event(self, run_id: UUID, kind: str, payload: Any, *, wave_index: int | None = None) -> CouncilRunEvent:
        for event in self.list_events(run_id).items:
            if (event.kind, event.payload, event.wave_index) == (kind, payload, wave_index):
                return event
        return super().append_event(run_id, kind, payload, wave_index=wave_index)


class OldestFirst(Mutant):
    """Lists runs the wrong way round."""

    breaks = "CO-5"

    def list_runs(
        self, status: RunStatus | None = None, *, limit: int | None = None, after: str | None = None
    ) -> Page[CouncilRun]:
        page = super().list_runs(status, limit=limit, after=after)
        return Page(page.items[::-1], page.next)


class SkipsTies(Mutant):
    """Goes on after the moment of the last run, past others of that same moment."""

    breaks = "CO-5"

    def list_runs(
        self, status: RunStatus | None = None, *, limit: int | None = None, after: str | None = None
    ) -> Page[CouncilRun]:
        page = super().list_runs(status, limit=limit, after=after)
        return Page(page.items, page.next and f"{page.next.partition('.')[0]}.0")


class PagesByCount(Mutant):
    """Its cursor is a number of rows to skip, so that newcomers shift it."""

    breaks = "CO-5"

    def list_runs(
        self, status: RunStatus | None = None, *, limit: int | None = None, after: str | None = None
    ) -> Page[CouncilRun]:
        check_limit(limit)
        (start,) = parse_cursor(after, 1, 0)
        whole = super().list_runs(status).items
        end = len(whole) if limit is None else start + limit
        return Page(whole[start:end], str(end) if limit and end < len(whole) else None)
