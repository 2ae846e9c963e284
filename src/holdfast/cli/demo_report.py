"""What ``holdfast demo`` reports: every number is read from the store or from the effect ledger."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import NamedTuple

from rich.console import RenderableType
from rich.text import Text

from holdfast import codec
from holdfast.cli.demo_workflows import Module
from holdfast.cli.output import fields, table
from holdfast.flows import Flow, FlowStatus, SqlFlowStore, health
from holdfast.store import Store, Transaction
from holdfast.testing.ledger import EffectLedger

TOP = 5


class AtKill(NamedTuple):
    """The store and the ledger right after the worker was killed.

    Attributes:
        recorded: idempotency keys of all recorded steps.
        ledger_lines: how long the ledger was.
        in_flight: effects that had happened and were not recorded.
        statuses: flows by status.
    """

    recorded: frozenset[str]
    ledger_lines: int
    in_flight: int
    statuses: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Ranked:
    """A module and the figure it is ranked by."""

    module: str
    figure: float


@dataclass(frozen=True, slots=True)
class Report:
    """The demo's outcome.

    Attributes:
        unparsable: files that Python itself cannot read or parse; their flows finish all the same.
        unfinished: flows that failed or were halted.
        steps: recorded in the store.
        seconds: from the first flow's start to the last one's end, kill and take-over included.
        slowest: by seconds of processor time.
        largest: by lines.
        steps_in_flight: effects without a record at the kill.
        effects_repeated: effects that happened more than once.
        recorded_steps_run_again: steps that were recorded at the kill and ran again after it.
    """

    directory: str
    store: str
    files: int
    unparsable: int
    unfinished: int
    lines: int
    size: int
    functions: int
    slowest: Sequence[Ranked]
    largest: Sequence[Ranked]
    finished_at_kill: int
    running_at_kill: int
    flows_resumed: int
    steps_in_flight: int
    effects_repeated: int
    recorded_steps_run_again: int
    steps: int
    steps_per_second: float
    seconds: float

    @property
    def holds(self) -> bool:
        """Whether the promise was kept (FL-10)."""
        kept = self.recorded_steps_run_again == 0 and self.effects_repeated <= self.steps_in_flight
        return kept and self.unfinished == 0


def at_kill(store: Store, owner: str, ledger: EffectLedger) -> AtKill:
    """Take stock between the kill and the next worker's start."""
    recorded, statuses = store.read(
        lambda tx: (frozenset(health.owner_records(tx, owner)), health.owner_statuses(tx, owner))
    )
    lines, flows = _lines(ledger), _flows(store, owner)
    ours = {line for line in lines if _flow_of(line) in flows}
    return AtKill(recorded, len(lines), len(ours - recorded), statuses)


def make_report(store: Store, owner: str, ledger: EffectLedger, killed: AtKill, directory: str) -> Report:
    """Read the outcome of ``owner``'s flows, all of which have ended."""

    def look(tx: Transaction) -> tuple[list[Flow], int, int]:
        flows = SqlFlowStore(tx).list_by_owner(owner).items
        return flows, len(health.owner_records(tx, owner)), health.owner_resumed(tx, owner)

    flows, steps, resumed = store.read(look)
    modules = [codec.decode(flow.result, Module) for flow in flows if flow.result is not None]
    seconds = _span(flows)
    ids = {str(flow.id) for flow in flows}
    repeated = sum(count - 1 for key, count in ledger.counts().items() if _flow_of(key) in ids)
    again = sum(line in killed.recorded for line in _lines(ledger)[killed.ledger_lines :])
    return Report(
        directory=directory,
        store=store.url,
        files=len(flows),
        unparsable=sum(module.problem is not None for module in modules),
        unfinished=len(flows) - len(modules),
        lines=sum(module.lines for module in modules),
        size=sum(module.size for module in modules),
        functions=sum(module.functions for module in modules),
        slowest=_top((module.name, round(module.seconds, 4)) for module in modules),
        largest=_top((module.name, module.lines) for module in modules),
        finished_at_kill=killed.statuses.get(FlowStatus.FINISHED, 0),
        running_at_kill=killed.statuses.get(FlowStatus.RUNNING, 0),
        flows_resumed=resumed,
        steps_in_flight=killed.in_flight,
        effects_repeated=repeated,
        recorded_steps_run_again=again,
        steps=steps,
        steps_per_second=round(steps / seconds, 1),
        seconds=round(seconds, 3),
    )


def shown(report: Report) -> Iterator[RenderableType]:
    """The report for people."""
    kept = "no recorded step ran again" if report.recorded_steps_run_again == 0 else "RECORDED STEPS RAN AGAIN"
    yield fields(
        [
            ("files", f"{report.files:,}, {report.unparsable:,} of them unparsable"),
            ("lines", f"{report.lines:,} in {report.functions:,} functions"),
            ("steps", f"{report.steps:,} recorded in {report.seconds:.1f} s: {report.steps_per_second:,.0f} a second"),
            ("at the kill", f"{report.finished_at_kill:,} flows finished, {report.running_at_kill:,} running"),
            ("flows resumed", f"{report.flows_resumed:,}"),
            ("steps in flight", f"{report.steps_in_flight:,} effects at the kill had no record yet"),
            ("effects repeated", f"{report.effects_repeated:,} of at most {report.steps_in_flight:,} allowed"),
            ("ran again", f"{report.recorded_steps_run_again:,}: {kept}"),
            ("unfinished", report.unfinished or None),
        ]
    )
    yield ""
    yield table("module", "seconds", rows=[(r.module, f"{r.figure:.3f}") for r in report.slowest], title="Slowest")
    yield ""
    yield table("module", "lines", rows=[(r.module, f"{r.figure:,.0f}") for r in report.largest], title="Largest")
    yield ""
    if report.holds:
        told = (
            f"✓ Killed with SIGKILL after {report.finished_at_kill:,} of {report.files:,} flows; all of them finished."
        )
        yield Text(told, style="bold green")
    else:
        yield Text("✗ The promise was not kept.", style="bold red")


def _lines(ledger: EffectLedger) -> list[str]:
    return ledger.path.read_text().splitlines()


def _flows(store: Store, owner: str) -> set[str]:
    return {str(flow.id) for flow in store.read(lambda tx: SqlFlowStore(tx).list_by_owner(owner)).items}


def _flow_of(key: str) -> str:
    return key.partition("/")[0]


def _span(flows: Sequence[Flow]) -> float:
    ends = [flow.finished_at or flow.updated_at for flow in flows]
    return max((max(ends) - min(flow.created_at for flow in flows)) / timedelta(seconds=1), 1e-6)


def _top(figures: Iterable[tuple[str, float]]) -> list[Ranked]:
    return [Ranked(name, figure) for name, figure in heapq.nlargest(TOP, figures, key=lambda pair: pair[1])]
