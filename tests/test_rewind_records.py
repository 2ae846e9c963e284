"""A flow's history goes back: rewind, fork and retry, within one transaction (FL-15, FL-16)."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any
from uuid import UUID, uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from holdfast.clock import to_datetime
from holdfast.errors import HoldfastError, InvalidId
from holdfast.flows import FlowStatus, SqlFlowStore
from holdfast.flows.engine.port import Wait
from holdfast.flows.errors import FlowExists, FlowNotFound, InvalidPatch, RevisionMismatch
from holdfast.flows.inbox.model import Address, Message
from holdfast.flows.inbox.sql import register, send, standing
from holdfast.flows.rewinding.errors import FlowRunning, NoSuchStep, NothingToRetry, PlaceTaken, RewindBeyondEnd
from holdfast.flows.rewinding.manager import fork, locate, retry, rewind, undo
from holdfast.store import Store, Transaction, load_queries, open_store
from holdfast.store.blobs import get_blob, put_blob, release_blob
from holdfast.testing.clock import VirtualClock
from holdfast.testing.crash import Operation, explore_operation
from tests.durable import KILLED_ON
from tests.rewind_kit import FLOW, OTHER, events, finish, kept, new_flow, present, record, steps

STEP_FAILED = "holdfast.flows.errors.StepFailed"


@pytest.fixture
def store(store_url: str) -> Iterator[Store]:
    with open_store(store_url, clock=VirtualClock()) as opened:
        yield opened


def sample(tx: Transaction, count: int = 6, **fields: Any) -> int:
    num = new_flow(tx, **fields)
    steps(tx, count)
    return num


def run_ids(count: int) -> list[str]:
    return [f"work#{n}@1" for n in range(1, count + 1)]


# -- rewind -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("target", "stays"), [(0, 0), (1, 1), (4, 4), (6, 6), ("work#3", 3), ("work#3@1", 3), ("work#6", 6)]
)
def test_what_is_behind_the_place_is_undone_and_kept(store: Store, target: int | str, stays: int) -> None:
    store.run(sample)
    before = store.read(present)
    after = store.run(lambda tx: rewind(tx, FLOW, target, note="again"), actor="ann")
    assert store.read(kept) == run_ids(stays)
    assert (after.status, after.attempt, after.revision) == (FlowStatus.RUNNING, 2, before.revision + 1)
    assert after.due_at == to_datetime(store.clock.micros())
    everything = store.read(lambda tx: SqlFlowStore(tx).list_steps(FLOW)).items
    assert [step.run_id for step in everything] == run_ids(6)
    assert [step.superseded_by for step in everything] == [None] * stays + [2] * (6 - stays)
    ((kind, told),) = store.read(events)
    assert kind == "rewound"
    assert told == {
        "from_attempt": 1,
        "to_attempt": 2,
        "position": stays,
        "last": f"work#{stays}@1" if stays else None,
        "superseded": 6 - stays,
        "patch": None,
        "note": "again",
        "by": "ann",
    }


@pytest.mark.parametrize("status", ["finished", "failed", "cancelled"])
def test_an_ended_flow_goes_on(store: Store, status: str) -> None:
    def prepare(tx: Transaction) -> None:
        sample(tx)
        tx.execute("UPDATE flows SET cancel_requested = TRUE, crashes = 3, result = '1', paused = TRUE")
        finish(tx, status=status, error={"kind": "x"})

    store.run(prepare)
    flow = store.run(lambda tx: rewind(tx, FLOW, 2))
    assert (flow.status, flow.result, flow.error, flow.finished_at) == (FlowStatus.RUNNING, None, None, None)
    assert (flow.cancel_requested, flow.paused, flow.crashes, flow.attempt) == (False, False, 0, 2)
    assert flow.due_at is not None


def test_several_times_in_a_row(store: Store) -> None:
    store.run(sample)
    store.run(lambda tx: rewind(tx, FLOW, 4))
    store.run(lambda tx: steps(tx, 2, first=5, attempt=2))
    assert store.read(kept) == [*run_ids(4), "work#5@2", "work#6@2"]
    store.run(lambda tx: rewind(tx, FLOW, "work#5"))
    store.run(lambda tx: rewind(tx, FLOW, "work#5@2"))
    assert store.read(kept) == [*run_ids(4), "work#5@2"]
    with pytest.raises(NoSuchStep):
        store.run(lambda tx: rewind(tx, FLOW, "work#6@2"))
    assert store.read(present).attempt == 4


def test_a_request_to_cancel_behind_the_place_is_undone_and_one_before_it_stays(store: Store) -> None:
    def prepare(tx: Transaction) -> None:
        sample(tx, 3)
        record(tx, "cancel#1@1")
        record(tx, "tidy#1@1")
        tx.execute("UPDATE flows SET cancel_requested = TRUE")
        finish(tx, status="cancelled")

    store.run(prepare)
    assert store.run(lambda tx: rewind(tx, FLOW, 4)).cancel_requested, "FL-13: it is sticky"
    assert not store.run(lambda tx: rewind(tx, FLOW, 3)).cancel_requested


def test_records_of_others_are_left_alone(store: Store) -> None:
    def prepare(tx: Transaction) -> None:
        sample(tx, 2)
        record(tx, "seen", runtime="mirrored")
        new_flow(tx, OTHER)
        steps(tx, 3, OTHER)

    store.run(prepare)
    store.run(lambda tx: rewind(tx, FLOW, 0))
    assert store.read(lambda tx: kept(tx, OTHER)) == run_ids(3)
    rows = store.read(lambda tx: SqlFlowStore(tx).list_steps(FLOW)).items
    assert [step.superseded_by for step in rows] == [2, 2, None]


# -- patches ----------------------------------------------------------------------------------------------------------


def test_a_patch_is_recorded_at_the_place(store: Store) -> None:
    store.run(lambda tx: sample(tx, state={"a": 1, "b": {"c": 2}}))
    flow = store.run(lambda tx: rewind(tx, FLOW, 2, patch={"a": None, "b": {"d": 3}}))
    assert flow.state == {"b": {"c": 2, "d": 3}}
    assert store.read(kept) == [*run_ids(2), "patch#2@2"]
    (row,) = [s for s in store.read(lambda tx: SqlFlowStore(tx).list_steps(FLOW)).items if s.task == "patch"]
    assert (row.result, str(row.status), row.epoch) == ('{"a":null,"b":{"d":3}}', "succeeded", None)
    store.run(lambda tx: rewind(tx, FLOW, "patch#2", patch={"e": 1}))
    assert store.read(kept) == [*run_ids(2), "patch#2@2", "patch#3@3"]
    store.run(lambda tx: rewind(tx, FLOW, 2))
    assert store.read(kept) == run_ids(2)


@pytest.mark.parametrize("patch", [[], "note", 3, True, [1]])
def test_a_patch_that_is_no_object_is_refused(store: Store, patch: Any) -> None:
    store.run(lambda tx: sample(tx, state={"a": 1}))
    for verb in (rewind, fork):
        with pytest.raises(InvalidPatch):
            store.run(lambda tx, verb=verb: verb(tx, FLOW, 2, patch=patch))  # type: ignore[misc]
    assert store.read(present).state == {"a": 1}
    assert store.read(kept) == run_ids(6)


# -- what hangs on undone records -------------------------------------------------------------------------------------


def mail(tx: Transaction, key: str, payload: str = "1") -> None:
    send(tx, Message(Address("event", "go", "c"), key, payload, 10**12))


def test_events_that_undone_waits_had_taken_are_given_back(store: Store) -> None:
    def prepare(tx: Transaction) -> int:
        num = sample(tx, 1)
        mail(tx, "a")
        mail(tx, "b")
        (answer,) = register(tx, [Wait(num, "event:go#1@1", "event", "go", "c")])
        assert answer.at is not None
        record(tx, "event:go#1@1", result=1)
        tx.execute("DELETE FROM waits")
        register(tx, [Wait(num, "event:go#2@1", "event", "go", "c")])  # answered, and not recorded yet
        register(tx, [Wait(num, "event:go#3@1", "event", "go", "c")])  # open
        return num

    num = store.run(prepare)
    store.run(lambda tx: rewind(tx, FLOW, 1))
    assert store.read(lambda tx: standing(tx, [num])) == []
    assert store.read(lambda tx: tx.fetch("SELECT count(*) FROM inbox WHERE flow IS NULL")) == [(2,)]
    (again,) = store.run(lambda tx: register(tx, [Wait(num, "event:go#1@2", "event", "go", "c")]))
    assert again.at is not None, "the event waits for whoever waits for it again"


def test_events_of_kept_waits_stay_taken(store: Store) -> None:
    def prepare(tx: Transaction) -> None:
        num = sample(tx, 1)
        mail(tx, "a")
        register(tx, [Wait(num, "event:go#1@1", "event", "go", "c")])
        record(tx, "event:go#1@1", result=1)
        tx.execute("DELETE FROM waits")
        record(tx, "work#2@1")

    store.run(prepare)
    store.run(lambda tx: rewind(tx, FLOW, "event:go#1"))
    assert store.read(lambda tx: tx.fetch("SELECT count(*) FROM inbox WHERE flow IS NULL")) == [(0,)]


def child(tx: Transaction, number: int, status: FlowStatus = FlowStatus.CREATED) -> UUID:
    made = uuid4()
    new_flow(tx, made, status)
    tx.execute(
        "UPDATE flows SET parent = (SELECT num FROM flows WHERE id = :parent), parent_close = 'cancel' WHERE id = :id",
        {"id": str(made), "parent": str(FLOW)},
    )
    record(tx, f"start:sample#{number}@1", result=str(made))
    return made


def test_children_of_undone_starts_are_cancelled(store: Store) -> None:
    def prepare(tx: Transaction) -> list[UUID]:
        new_flow(tx)
        made = [child(tx, number) for number in range(1, 4)]
        finish(tx, made[1])
        gone = child(tx, 4)
        tx.execute("DELETE FROM flows WHERE id = :id", {"id": str(gone)})
        return made

    before, ended, undone = store.run(prepare)
    store.run(lambda tx: rewind(tx, FLOW, 1))
    found = [store.read(lambda tx, one=one: present(tx, one)).status for one in (before, ended, undone)]  # type: ignore[misc]
    assert found == [FlowStatus.CREATED, FlowStatus.FINISHED, FlowStatus.CANCELLED]


def test_children_that_were_cancelled_with_their_parent_go_on_with_it(store: Store) -> None:
    def prepare(tx: Transaction) -> list[UUID]:
        new_flow(tx)
        made = [child(tx, number, FlowStatus.RUNNING) for number in range(1, 4)]
        for one, status in zip(made, ("cancelled", "failed", "finished"), strict=True):
            finish(tx, one, status)
        finish(tx, status="failed")
        return made

    made = store.run(prepare)
    store.run(lambda tx: rewind(tx, FLOW, 3))
    found = [str(store.read(lambda tx, one=one: present(tx, one)).status) for one in made]  # type: ignore[misc]
    assert found == ["running", "failed", "finished"]
    store.run(lambda tx: finish(tx, status="failed"))
    store.run(lambda tx: retry(tx, FLOW))
    found = [str(store.read(lambda tx, one=one: present(tx, one)).status) for one in made]  # type: ignore[misc]
    assert found == ["running", "running", "finished"]


def test_progress_of_running_steps_is_forgotten(store: Store) -> None:
    def prepare(tx: Transaction) -> None:
        num = sample(tx)
        tx.execute(
            "INSERT INTO step_progress (flow, run_id, done, at) VALUES (:flow, 'work#7@1', 0.5, 1)", {"flow": num}
        )

    store.run(prepare)
    store.run(lambda tx: rewind(tx, FLOW, 6))
    assert store.read(lambda tx: tx.fetch("SELECT * FROM step_progress")) == []


# -- fork -------------------------------------------------------------------------------------------------------------


def columns(tx: Transaction, flow_id: UUID) -> list[Any]:
    return tx.fetch(
        "SELECT workflow_type, args, args_digest, seed, started_at, package_hash, tags, queue, priority "
        "FROM flows WHERE id = :id",
        {"id": str(flow_id)},
    )


def test_a_fork_has_copies_of_what_is_before_the_place(store: Store) -> None:
    def prepare(tx: Transaction) -> None:
        num = sample(tx, key="mine", owner_session_key="ann", state={"a": 1})
        tx.execute(
            "UPDATE flows SET started_at = 7, package_hash = 'h', tags = '{\"x\":\"y\"}', dedupe = 'd', queue = 'q'"
        )
        tx.execute("INSERT INTO flow_tags (name, value, created_at, flow) VALUES ('x', 'y', 1, :flow)", {"flow": num})
        rewind(tx, FLOW, 5)
        record(tx, "work#6@2", error={"kind": "k"})

    store.run(prepare)
    source = store.read(lambda tx: (present(tx), kept(tx)))
    made = store.run(lambda tx: fork(tx, FLOW, 4, id=OTHER, patch={"b": 2}), actor="ann")
    assert made.id == OTHER
    assert (made.status, made.owner_session_key, made.key, made.state) == ("running", "ann", None, {"a": 1, "b": 2})
    assert made.due_at is not None
    assert made.attempt == 3, "no run id comes twice"
    assert store.read(lambda tx: kept(tx, OTHER)) == [*run_ids(4), "patch#3@3"]
    assert store.read(lambda tx: columns(tx, OTHER)) == store.read(lambda tx: columns(tx, FLOW))
    assert store.read(lambda tx: tx.fetch("SELECT count(*) FROM flow_tags")) == [(2,)]
    assert store.read(lambda tx: (present(tx), kept(tx))) == source
    assert [store.read(lambda tx, f=f: events(tx, f))[-1][0] for f in (FLOW, OTHER)] == ["forked", "forked"]  # type: ignore[misc]
    assert store.read(lambda tx: events(tx, OTHER))[-1][1]["from"] == str(FLOW)
    store.run(lambda tx: (rewind(tx, OTHER, 0), steps(tx, 6, OTHER, attempt=4)))


def test_a_running_flow_can_be_forked(store: Store) -> None:
    store.run(lambda tx: (sample(tx), tx.execute("UPDATE flows SET epoch = 1, due_at = NULL")))
    made = store.run(lambda tx: fork(tx, FLOW, 6))
    assert (made.epoch, store.read(present).epoch) == (None, 1)


def test_a_fork_holds_the_large_results(store: Store) -> None:
    def prepare(tx: Transaction) -> str:
        num = sample(tx, 3)
        digest = put_blob(tx, b"large", holder=f"flow:{num}")
        tx.execute("UPDATE steps SET blob = :digest, result = NULL WHERE run_id = 'work#2@1'", {"digest": digest})
        return digest

    digest = store.run(prepare)
    store.run(lambda tx: fork(tx, FLOW, 2))
    num = store.read(lambda tx: tx.fetch("SELECT min(num) FROM flows"))[0][0]
    store.run(lambda tx: release_blob(tx, digest, f"flow:{num}"))
    assert store.read(lambda tx: get_blob(tx, digest)) == b"large"


def test_a_fork_of_an_id_or_key_that_is_taken(store: Store) -> None:
    store.run(lambda tx: (sample(tx), new_flow(tx, OTHER, key="taken")))
    both = {"id": FLOW, "key": "taken"}
    told = {str(OTHER): {"id": OTHER}, "'taken' belongs to the flow " + str(OTHER): {"key": "taken"}, str(FLOW): both}
    for named, wrong in told.items():
        with pytest.raises(FlowExists, match=named):
            store.run(lambda tx, wrong=wrong: fork(tx, FLOW, 2, **wrong))  # type: ignore[misc, arg-type]
    for wrong in ({"id": "no id"}, {"key": ""}):
        with pytest.raises(InvalidId):
            store.run(lambda tx, wrong=wrong: fork(tx, FLOW, 2, **wrong))  # type: ignore[misc, arg-type]


# -- retry ------------------------------------------------------------------------------------------------------------


def failing(tx: Transaction, kind: str) -> None:
    sample(tx, 3)
    record(tx, "charge#1@1", error={"kind": "builtins.ValueError", "detail": "no"})
    record(tx, "undo#1@1")
    finish(tx, status="failed", error={"kind": kind})


@pytest.mark.parametrize(("kind", "stays"), [(STEP_FAILED, 3), ("builtins.ValueError", 3), ("builtins.KeyError", 5)])
def test_a_failed_flow_tries_again_what_failed_it(store: Store, kind: str, stays: int) -> None:
    store.run(lambda tx: failing(tx, kind))
    flow = store.run(lambda tx: retry(tx, FLOW))
    assert store.read(kept) == [*run_ids(3), "charge#1@1", "undo#1@1"][:stays]
    assert (flow.status, flow.attempt, flow.error) == (FlowStatus.RUNNING, 2, None)
    assert store.read(events)[-1][0] == "retried"


WAIT_TIMED_OUT = "holdfast.flows.errors.WaitTimedOut"


@pytest.mark.parametrize(
    ("kind", "failed", "stays"),
    [
        (WAIT_TIMED_OUT, False, 4),
        ("builtins.TimeoutError", False, 4),
        ("builtins.TimeoutError", True, 6),
        ("builtins.KeyError", False, 6),
    ],
)
def test_a_flow_that_timed_out_waits_again(store: Store, kind: str, failed: bool, stays: int) -> None:
    """The last timer is undone with what came after it, or the last failure where that came later."""

    def prepare(tx: Transaction) -> None:
        sample(tx, 2)
        record(tx, "sleep#1@1")
        record(tx, "work#3@1")
        record(tx, "sleep#2@1")
        record(tx, "tidy#1@1")
        if failed:
            record(tx, "charge#1@1", error={"kind": kind})
        finish(tx, status="failed", error={"kind": kind})

    store.run(prepare)
    store.run(lambda tx: retry(tx, FLOW))
    before = ["work#1@1", "work#2@1", "sleep#1@1", "work#3@1", "sleep#2@1", "tidy#1@1"][:stays]
    assert store.read(kept) == [*before, *(["patch#2@2"] if stays == 4 else [])]


def test_a_cancelled_flow_goes_on_as_if_nobody_had_asked(store: Store) -> None:
    def prepare(tx: Transaction) -> None:
        sample(tx, 3)
        record(tx, "cancel#1@1")
        record(tx, "tidy#1@1")
        finish(tx, status="cancelled")

    store.run(prepare)
    assert not store.run(lambda tx: retry(tx, FLOW)).cancel_requested
    assert store.read(kept) == run_ids(3)


@pytest.mark.parametrize("status", ["created", "running", "waiting", "finished"])
def test_nothing_to_retry(store: Store, status: str) -> None:
    store.run(lambda tx: (sample(tx), tx.execute("UPDATE flows SET status = :s", {"s": status})))
    with pytest.raises(NothingToRetry):
        store.run(lambda tx: retry(tx, FLOW))


# -- bad input --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("target", "error"),
    [
        (7, RewindBeyondEnd),
        (10**30, RewindBeyondEnd),
        (-1, NoSuchStep),
        (True, NoSuchStep),
        (1.0, NoSuchStep),
        (None, NoSuchStep),
        ("", NoSuchStep),
        ("work", NoSuchStep),
        ("work#7", NoSuchStep),
        ("work#1@2", NoSuchStep),
        ("wave 1", NoSuchStep),
        ("\0#1", NoSuchStep),
    ],
)
def test_places_that_are_not_there(store: Store, target: Any, error: type[HoldfastError]) -> None:
    store.run(sample)
    for verb in (rewind, fork):
        with pytest.raises(error) as caught:
            store.run(lambda tx, verb=verb: verb(tx, FLOW, target))  # type: ignore[misc]
        assert "6" in str(caught.value), "it names how many there are"
    assert (store.read(kept), store.read(events), store.read(present).attempt) == (run_ids(6), [], 1)


def test_a_flow_that_a_worker_holds(store: Store) -> None:
    store.run(lambda tx: (sample(tx), tx.execute("UPDATE flows SET epoch = 4, due_at = NULL")))
    with pytest.raises(FlowRunning) as caught:
        store.run(lambda tx: rewind(tx, FLOW, 2))
    assert caught.value.epoch == 4


def test_a_flow_that_was_claimed_meanwhile(store: Store) -> None:
    store.run(sample)

    def claimed_between(tx: Transaction) -> None:
        cut = locate(tx, FLOW, 2)
        tx.execute("UPDATE flows SET epoch = 4, revision = revision + 1")
        undo(tx, cut)

    def parked_between(tx: Transaction) -> None:
        cut = locate(tx, FLOW, 2)
        tx.execute("UPDATE flows SET revision = revision + 2")
        undo(tx, cut)

    for work, error in ((claimed_between, FlowRunning), (parked_between, RevisionMismatch)):
        with pytest.raises(error):
            store.run(work)
    assert store.read(kept) == run_ids(6)


def test_no_flow(store: Store) -> None:
    for verb in (lambda tx: rewind(tx, FLOW, 0), lambda tx: fork(tx, FLOW, 0), lambda tx: retry(tx, FLOW)):
        with pytest.raises(FlowNotFound):
            store.run(verb)


def test_a_place_in_a_queue_that_another_flow_has_taken(store: Store) -> None:
    def prepare(tx: Transaction) -> None:
        sample(tx)
        tx.execute("UPDATE flows SET queue = 'q', dedupe = 'd'")
        finish(tx, status="failed")
        new_flow(tx, OTHER)
        tx.execute("UPDATE flows SET queue = 'q', dedupe = 'd' WHERE id = :id", {"id": str(OTHER)})

    store.run(prepare)
    for verb in (lambda tx: rewind(tx, FLOW, 1), lambda tx: retry(tx, FLOW)):
        with pytest.raises(PlaceTaken) as caught:
            store.run(verb)
        assert caught.value.holder == str(OTHER)
    store.run(lambda tx: fork(tx, FLOW, 1))
    store.run(lambda tx: finish(tx, OTHER))
    store.run(lambda tx: rewind(tx, FLOW, 1))


# -- against a model --------------------------------------------------------------------------------------------------

Moves = st.lists(
    st.one_of(
        st.tuples(st.just("work"), st.integers(1, 4)),
        st.tuples(
            st.just("rewind"), st.integers(0, 12), st.none() | st.dictionaries(st.sampled_from("ab"), st.integers())
        ),
        st.tuples(st.just("fork"), st.integers(0, 12)),
    ),
    max_size=8,
)


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(Moves)
def test_histories_are_those_of_a_plain_list(moves: list[Any]) -> None:
    with open_store("sqlite://", clock=VirtualClock()) as store:
        store.run(new_flow)
        flow_id, history, state, attempt = FLOW, list[str](), dict[str, int](), 1
        for move, *given_ in moves:
            match move, given_:
                case "work", [count]:
                    first = 1 + sum(name.startswith("work") for name in history)
                    store.run(lambda tx, *a: steps(tx, count, flow_id, first=first, attempt=attempt))  # noqa: B023
                    history += [f"work#{n}@{attempt}" for n in range(first, first + count)]
                case "rewind", [place, patch] if place <= len(history):
                    store.run(lambda tx, *a: rewind(tx, flow_id, place, patch=patch))  # noqa: B023
                    attempt += 1
                    history = history[:place] + ([f"patch#{attempt}@{attempt}"] if patch is not None else [])
                    state = state | (patch or {})
                case "fork", [place] if place <= len(history):
                    flow_id = store.run(lambda tx, *a: fork(tx, flow_id, place)).id  # noqa: B023
                    attempt += 1
                    history = history[:place]
            assert store.read(lambda tx: kept(tx, flow_id)) == history  # noqa: B023
            assert store.read(lambda tx: present(tx, flow_id)).state == state  # noqa: B023
            assert store.read(lambda tx: present(tx, flow_id)).attempt == attempt  # noqa: B023


# -- crashes, plans, speed --------------------------------------------------------------------------------------------


def prepare(tx: Transaction) -> None:
    num = sample(tx, 3, state={"a": 1})
    mail(tx, "a")
    register(tx, [Wait(num, "event:go#1@1", "event", "go", "c")])
    record(tx, "event:go#1@1", result=1)
    tx.execute("DELETE FROM waits")
    made = UUID(int=OTHER.int + 1)
    new_flow(tx, made, FlowStatus.CREATED)
    record(tx, "start:sample#1@1", result=str(made))
    record(tx, "charge#1@1", error={"kind": "k"})
    finish(tx, status="failed", error={"kind": STEP_FAILED})


def observe(tx: Transaction) -> Any:
    flows = SqlFlowStore(tx).list_all().items
    return (
        flows,
        [[(s.run_id, s.superseded_by) for s in SqlFlowStore(tx).list_steps(flow.id).items] for flow in flows],
        [[(kind, told) for kind, told in events(tx, flow.id)] for flow in flows],
        tx.fetch("SELECT flow, run_id FROM inbox"),
    )


OPERATIONS = {
    "rewind": Operation(prepare, lambda tx: present(tx).attempt > 1 or rewind(tx, FLOW, 2, patch={"b": 1}), observe),
    "fork": Operation(prepare, lambda tx: fork(tx, FLOW, 4, id=OTHER, patch={"b": 1}), observe, (FlowExists,)),
    "retry": Operation(prepare, lambda tx: retry(tx, FLOW), observe, (NothingToRetry,)),
}


@pytest.mark.parametrize("new_store_url", KILLED_ON, indirect=True)
@pytest.mark.parametrize("name", OPERATIONS)
def test_killed_anywhere(name: str, new_store_url: Callable[[], str]) -> None:
    visits = list(explore_operation(OPERATIONS[name], new_store_url))
    assert {visit.where for visit in visits} == {"statement", "before commit", "after commit"}
    assert not [visit for visit in visits if visit.faults]


LOOK_UPS: dict[str, dict[str, Any]] = {
    "flow_num": {"id": "x"},
    "dedupe_holder": {"queue": "q", "dedupe": "d"},
    "key_holder": {"workflow_type": "w", "key": "k"},
    "kept": {"flow": 1},
    "last_failed": {"flow": 1},
    "last_timer": {"flow": 1},
    "first_cancel": {"flow": 1},
    "supersede": {"flow": 1, "cut": 1, "attempt": 2},
    "triggers_after": {"flow": 1, "cut": 1},
    "superseded_children": {"flow": 1, "attempt": 2},
    "kept_children": {"flow": 1},
    "kept_failures": {"flow": 1},
    "ended_children": {"flow": 1, "failed": True},
    "forget_progress": {"flow": 1},
    "copy_tags": {"flow": 1, "fork": 2, "now": 0},
    "copy_records": {"flow": 1, "fork": 2, "cut": 3},
    "hold_results": {"flow": 1, "holder": "x"},
}


@pytest.mark.parametrize("query", LOOK_UPS)
def test_everything_is_found_by_the_flow(sqlite_url: str, query: str) -> None:
    with open_store(sqlite_url) as store:
        text = "EXPLAIN QUERY PLAN " + load_queries("holdfast.flows.rewinding")[query].sqlite
        plan = [row[3] for row in store.read(lambda tx: tx.fetch(text, LOOK_UPS[query]))]
    assert plan
    assert not [line for line in plan if line.startswith("SCAN") or "rowid>" in line], plan


def test_ten_thousand_steps_in_under_a_tenth_of_a_second(sqlite_url: str) -> None:
    with open_store(sqlite_url) as store:
        num = store.run(new_flow)
        rows = [(num, f"work#{n}@1", n) for n in range(1, 10_001)]
        store.run(
            lambda tx: tx.execute(
                "WITH r AS (@rows(flow bigint, run_id text, at bigint)) "
                "INSERT INTO steps (flow, run_id, runtime, task, status, attempt, digest, result, created_at, "
                "updated_at) "
                "SELECT flow, run_id, 'managed', 'work', 'succeeded', 1, 0, '1', at, at FROM r",
                rows=rows,
            )
        )
        taken = []
        for place in (9_000, 5_000):
            began = time.perf_counter()
            store.run(lambda tx, place=place: rewind(tx, FLOW, place))  # type: ignore[misc]
            taken.append(time.perf_counter() - began)
        assert len(store.read(kept)) == 5_000
    assert min(taken) < 0.1, taken
