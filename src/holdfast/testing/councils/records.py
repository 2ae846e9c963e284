"""Checks of the run's record: CO-1, CO-2, CO-3, CO-4, CO-5."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta, timezone
from functools import partial
from typing import Any
from uuid import uuid4

from holdfast.councils import CouncilRun, HitlMode, RunStatus
from holdfast.councils.errors import RunExists, RunHeld, RunNotFound
from holdfast.errors import IllegalTransition, InvalidInput
from holdfast.ids import new_id
from holdfast.pages import Page
from holdfast.testing.conformance import expect, expect_equal, expect_json, expect_raises
from holdfast.testing.councils.leases import CouncilPorts
from holdfast.testing.councils.samples import (
    TERMINAL,
    Call,
    Councils,
    Thrown,
    add_run,
    appending,
    begin_lease,
    caught,
    create,
    diamond,
    full_graph,
    get,
    graph,
    live,
    log,
    make_run,
    mark,
    move,
    moving,
    node,
    planning,
    present,
    rewinding,
    suite,
)
from holdfast.testing.flows.samples import LONG_AGO, ODD_VALUES, deep

_THREADS = 4
_NAIVE = datetime(2024, 1, 1)
_TOO_EARLY = datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=14)))
"""In UTC there is no such year."""
_MOVES = {
    "running": {"awaiting_approval", "interrupted", "completed", "failed", "cancelled"},
    "awaiting_approval": {"running", "failed", "cancelled"},
    "interrupted": {"running", "failed", "cancelled"},
}
"""The contract's table, written down a second time: the suite trusts no code that it tests."""
_ODD_TEXTS = (
    "",
    " ",
    "é",
    "e\u0301",
    "😀",
    "'; --",
    "%s :a ::b @rows(a b)",
    "\\",
    "a\nb\r\n",
    "\0",
    "\ud800",
    "x" * 9000,
)


@suite.check
def created_run_reads_back_whole(units: Councils) -> None:
    """CO-1: a run that was created is there, field by field, in whatever status and mode, planned or not."""
    epoch = begin_lease(units)
    for number, status in enumerate(RunStatus):
        for mode in HitlMode:
            run = make_run(
                goal=f"{status} {mode}",
                graph=full_graph({"n": number}) if number % 2 else None,
                status=status,
                hitl_mode=mode,
                epoch=epoch if status is RunStatus.RUNNING else None,
                created_at=LONG_AGO + timedelta(microseconds=number),
                updated_at=LONG_AGO + timedelta(microseconds=number + 1),
            )
            create(units, run)
            expect_equal(present(units, run.id), run, "the created run")
            expect_equal(log(units, run.id), [], "the events of a run that was only created")


@suite.check
def id_is_taken_once(units: Councils) -> None:
    """CO-1: creating an id that is taken is RunExists; nothing is written, and the unit can go on."""
    for status in (RunStatus.RUNNING, *TERMINAL):
        first, bystander = add_run(units, goal="first", graph=diamond(), status=status), make_run()
        second = make_run(id=first.id, goal="second", hitl_mode=HitlMode.TOOL)
        units.run(partial(_create_again, second, bystander))
        expect_equal(present(units, first.id), first, "the run that was there first")
        expect_equal(present(units, bystander.id), bystander, "a run created after the refusal")


@suite.check
def odd_texts_read_back_or_are_refused(units: Councils) -> None:
    """CO-1: goals and a plan's texts read back exactly; what a database cannot hold is refused as InvalidInput,
    nothing written."""
    for text in _ODD_TEXTS:
        run = make_run(goal=text, graph=graph(node(text or "a", task=text, agent=text, tools=(text,))))
        try:
            create(units, run)
        except InvalidInput:
            expect("\0" in text or "\ud800" in text, f"{text!r} is refused")
            expect_equal(get(units, run.id), None, "a run that was refused")
        else:
            expect_equal(present(units, run.id), run, "the run of odd texts")


@suite.check
def what_is_no_run_is_refused(units: Councils) -> None:
    """CO-1: a field of another type is refused as InvalidInput, and spoils no list: nothing is written."""
    wrong: list[dict[str, Any]] = [{"goal": None}, {"goal": 7}, {"id": "x"}, {"status": "done"}, {"hitl_mode": "all"}]
    wrong += [{"epoch": epoch} for epoch in ("x", -1, 2**70)]
    wrong += [{name: _NAIVE} for name in ("created_at", "updated_at")]
    wrong += [{"created_at": _TOO_EARLY}]
    for fields in wrong:
        units.run(caught(InvalidInput, f"a run of {fields}", _creating(make_run(**fields))))
    expect_equal(units.run(lambda ports: ports.councils.list_runs()), Page([], None), "the list of runs")


@suite.check
def moves_of_the_table_and_no_others(units: Councils) -> None:
    """CO-2: exactly the moves of the table are made, the others are IllegalTransition and change nothing; a terminal
    run accepts none."""
    for origin in RunStatus:
        for target in RunStatus:
            run = add_run(units, status=origin, graph=diamond())
            if target in _MOVES.get(origin, ()):
                moved = move(units, run.id, target)
                expect_equal(moved.status, target, f"the status that {origin} → {target} returns")
                expect(moved.updated_at > run.updated_at, f"{origin} → {target} moves updated_at")
                expect_equal(present(units, run.id), moved, f"the run after {origin} → {target}")
            elif target is not origin or origin in TERMINAL:
                error = units.run(caught(IllegalTransition, f"{origin} → {target}", moving(run.id, target)))
                expect_equal((error.origin, error.target), (origin, target), "what IllegalTransition names")
                expect_equal(present(units, run.id), run, f"the run after {origin} → {target} was refused")


@suite.check
def status_may_be_its_text(units: Councils) -> None:
    """CO-2: a status is the same whether it comes as a member or as its text; another text is InvalidInput."""
    mine, others = begin_lease(units), begin_lease(units)
    run = add_run(units, status=RunStatus.INTERRUPTED)
    text: Any = "running"
    taken = move(units, run.id, text, mine)
    expect_equal((taken.status, taken.epoch), (RunStatus.RUNNING, mine), "the run that was taken up")
    expect_equal(move(units, run.id, text, mine), taken, "the run that stays put")
    units.run(caught(RunHeld, "a run that is held", moving(run.id, text, others)))
    for wrong in ("Running", "", None, 7):
        units.run(caught(InvalidInput, f"the status {wrong!r}", moving(run.id, wrong)))  # type: ignore[arg-type]
    expect_equal(present(units, run.id), taken, "the run after refusals")


@suite.check
def staying_put_changes_nothing(units: Councils) -> None:
    """CO-2: moving a run that has not ended to where it is returns it, and changes nothing."""
    for status in set(RunStatus) - set(TERMINAL):
        run = add_run(units, status=status)
        expect_equal(move(units, run.id, status), run, f"what {status} → {status} returns")
        expect_equal(present(units, run.id), run, f"the run after {status} → {status}")


@suite.check
def lease_is_held_while_running(units: Councils) -> None:
    """CO-2: entering running takes the lease of that epoch, leaving gives it up, and nobody takes it beside."""
    mine, others = begin_lease(units), begin_lease(units)
    run = add_run(units, epoch=mine)
    for status in (RunStatus.INTERRUPTED, RunStatus.AWAITING_APPROVAL):
        expect_equal(move(units, run.id, status).epoch, None, f"the epoch of a run that is {status}")
        expect_equal(present(units, run.id).epoch, None, f"the stored epoch of a run that is {status}")
        taken = move(units, run.id, RunStatus.RUNNING, mine)
        expect_equal((taken.epoch, present(units, run.id)), (mine, taken), "the epoch that took the run up")
        expect_equal(move(units, run.id, RunStatus.RUNNING, mine), taken, "the run taken again by its own epoch")
        error = units.run(caught(RunHeld, "a run that is held", moving(run.id, RunStatus.RUNNING, others)))
        expect_equal((error.run_id, error.epoch), (run.id, mine), "what RunHeld names")
        expect_equal(present(units, run.id), taken, "the run that somebody else wanted")
    loose = add_run(units)
    units.run(caught(RunHeld, "a run that runs without a lease", moving(loose.id, RunStatus.RUNNING, others)))


@suite.check
def one_of_several_takes_it_up(units: Councils) -> None:
    """CO-2: of several workers that would take an interrupted run up at once exactly one does."""
    run = add_run(units, status=RunStatus.INTERRUPTED)
    epochs = [begin_lease(units) for _ in range(_THREADS)]

    def take(epoch: int) -> int | None:
        try:
            return move(units, run.id, RunStatus.RUNNING, epoch).epoch
        except RunHeld:
            return None

    with ThreadPoolExecutor(_THREADS) as pool:
        took = [epoch for epoch in pool.map(take, epochs) if epoch is not None]
    expect_equal(took, [present(units, run.id).epoch], "the epochs that took the run up")


@suite.check
def unknown_run_is_not_found(units: Councils) -> None:
    """CO-2: to change or extend a run that is not there is RunNotFound, and makes none."""
    for run_id in (uuid4(), new_id()):
        for call in (
            *(moving(run_id, status) for status in RunStatus),
            planning(run_id, diamond()),
            appending(run_id),
            rewinding(run_id, 0),
        ):
            error = units.run(caught(RunNotFound, "a write to an unknown run", call))
            expect_equal(error.run_id, run_id, "the id that RunNotFound names")
        expect_equal(get(units, run_id), None, "the unknown run")
        expect_equal(log(units, run_id), [], "its events")


@suite.check
def graph_is_kept_whole(units: Councils) -> None:
    """CO-3: update_graph replaces the graph, outputs and all, of that run alone, and nothing else of it."""
    for status in RunStatus:
        run, other = add_run(units, status=status), add_run(units, graph=diamond())
        for planned in (diamond(), full_graph(["out"]), diamond(output={"a": 1}), graph(node("z"))):
            units.run(planning(run.id, planned))
            kept = present(units, run.id)
            expect_equal(kept.graph, planned, "the graph after update_graph")
            expect_equal((kept.status, kept.goal, kept.created_at), (status, run.goal, run.created_at), "the rest")
            expect(kept.updated_at > run.updated_at, "update_graph moves updated_at")
        expect_equal(present(units, other.id), other, "another run")
        expect_equal(log(units, run.id), [], "its events: update_graph tells nothing by itself")


@suite.check
def odd_outputs_read_back_exactly(units: Councils) -> None:
    """CO-3: outputs of nodes read back to the byte, however odd; what is no JSON is refused, the graph stays."""
    run = add_run(units)
    for value in [*ODD_VALUES, deep(100)]:
        units.run(planning(run.id, full_graph({"odd": value})))
        kept = present(units, run.id).graph
        assert kept is not None
        expect_json(kept.nodes[0].output, {"odd": value}, "the output")
        expect_json(kept.nodes[1].error, {"kind": "E", "detail": [{"odd": value}]}, "the error")
    units.run(planning(run.id, diamond()))
    for value in (object(), [float("nan")], "\ud800"):
        units.run(caught(InvalidInput, f"the output {value!r}", planning(run.id, diamond(output=value))))
    expect_equal(present(units, run.id).graph, diamond(), "the graph after refusals")


@suite.check
def change_and_event_share_their_transaction(units: Councils) -> None:
    """CO-4: what a unit wrote before it failed is gone: status, graph, events and the run itself."""
    run, other = add_run(units), make_run()

    def work(ports: CouncilPorts) -> None:
        ports.councils.create_run(other)
        ports.councils.update_graph(run.id, diamond())
        ports.councils.update_run_status(run.id, RunStatus.COMPLETED)
        ports.councils.append_event(run.id, "completed", {}, wave_index=2)
        ports.councils.truncate_events_after_wave(run.id, 0)
        ports.councils.mark_interrupted_runs()
        raise Thrown

    expect_raises(Thrown, "a unit that fails", lambda: units.run(work))
    expect_equal(present(units, run.id), run, "the run after the failed unit")
    expect_equal(live(units, run.id), [], "its events after the failed unit")
    expect_equal(get(units, other.id), None, "a run that the failed unit created")


@suite.check
def absent_is_none(units: Councils) -> None:
    """CO-5: get_run returns None for what is absent."""
    add_run(units)
    for absent in (uuid4(), new_id()):
        expect_equal(get(units, absent), None, "get_run")
    expect_equal(mark(units), 1, "the number of runs that were left behind")


def _creating(run: CouncilRun) -> Call:
    return lambda ports: ports.councils.create_run(run)


def _create_again(second: CouncilRun, bystander: CouncilRun, ports: CouncilPorts) -> None:
    error = expect_raises(RunExists, "an id that is taken", lambda: ports.councils.create_run(second))
    expect_equal(error.run_id, second.id, "the id that RunExists names")
    ports.councils.create_run(bystander)
