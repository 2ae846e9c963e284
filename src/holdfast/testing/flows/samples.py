"""The suite of the flow store, and the records its checks are made of."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar
from uuid import UUID, uuid4

from holdfast.flows import Flow, FlowEvent, FlowStatus, FlowStep, FlowStore
from holdfast.pages import Page
from holdfast.testing.conformance import Suite, expect, expect_raises
from holdfast.testing.shapes import parts_of, units_of
from holdfast.testing.units import UnitRunner

T = TypeVar("T")
E = TypeVar("E", bound=BaseException)
Flows = UnitRunner[FlowStore]
PageOf = Callable[[int | None, str | None], Page[T]]

suite: Suite[Flows] = Suite(
    "FlowStore",
    units_of(
        "Yield StoreUnits(store, make), where make(tx) gives a FlowStore: SqlFlowStore, or yours.", *parts_of(FlowStore)
    ),
)
LONG_AGO = datetime(2024, 5, 1, 12, 30, 15, 123457, tzinfo=UTC)
TERMINAL = (FlowStatus.FINISHED, FlowStatus.FAILED, FlowStatus.CANCELLED)
MALFORMED_CURSORS = ("", "x", "1.", ".1", "1.2.3", "--1.-", "1;DROP TABLE flows", "9" * 40, f"{'9' * 40}.1", "1.5e3")

ODD_VALUES: list[Any] = [
    None,
    [True, 1, 1.0],
    [0.1, 5e-324, 1.7976931348623157e308, 1e22],
    [2**53 + 1, 2**63 - 1, -(2**63), 2**63, 2**64, 10**40],
    "",
    "\0",
    ["a\0b", "\\u0000", "\x1f\x7f\ufeff\u2028\ufffd"],
    ["é", "e\u0301", "ﬁ", "日本語", "😀👩‍👩‍👧", "\U0010ffff"],
    ["'; DROP TABLE flows; --", '"', "%s %(x)s {} :name ::text ? ?1 $1 @rows(a b)", "line\r\nline\n"],
    [],
    {},
    {"": {"": [{}, [[]], ""]}},
    {"b": 1, "a": {"z": None, "y": False}, "é\0": "key"},
    {"null": None, "text": "null"},
    "x" * 100_000,
]
"""JSON values that careless storage bends: each must read back the same, to the byte."""


def deep(levels: int) -> Any:
    """Lists and objects nested ``levels`` deep."""
    value: Any = "bottom"
    for level in range(levels):
        value = [value] if level % 2 else {"in": value}
    return value


def make_flow(**fields: Any) -> Flow:
    """A flow of its own id, created long ago."""
    wanted: dict[str, Any] = {
        "id": uuid4(),
        "workflow_type": "sample",
        "created_at": LONG_AGO,
        "updated_at": fields.get("created_at", LONG_AGO),
    }
    return Flow(**wanted | fields)


def make_step(flow_id: UUID, run_id: str, **fields: Any) -> FlowStep:
    """A step of its own id, created long ago."""
    wanted: dict[str, Any] = {
        "id": uuid4(),
        "flow_id": flow_id,
        "run_id": run_id,
        "task": "task",
        "created_at": LONG_AGO,
        "updated_at": LONG_AGO,
    }
    return FlowStep(**wanted | fields)


def insert(units: Flows, flow: Flow) -> None:
    """Insert in a unit of its own."""
    units.run(lambda store: store.insert(flow))


def update(units: Flows, flow: Flow) -> Flow:
    """Update in a unit of its own."""
    return units.run(lambda store: store.update_with_revision(flow))


def get(units: Flows, flow_id: UUID) -> Flow | None:
    """Get in a unit of its own."""
    return units.run(lambda store: store.get(flow_id))


def get_step(units: Flows, step_id: UUID) -> FlowStep | None:
    """Get a step in a unit of its own."""
    return units.run(lambda store: store.get_step(step_id))


def find_step(units: Flows, flow_id: UUID, run_id: str) -> FlowStep | None:
    """Find a step in a unit of its own."""
    return units.run(lambda store: store.find_step_by_run_id(flow_id, run_id))


def steps_of(units: Flows, flow_id: UUID) -> list[FlowStep]:
    """All steps of a flow, in creation order."""
    return units.run(lambda store: store.list_steps(flow_id)).items


def append(units: Flows, flow_id: UUID, kind: str, payload: Any = None) -> FlowEvent:
    """Append an event in a unit of its own."""
    return units.run(lambda store: store.append_event(flow_id, kind, payload))


def inserting(step: FlowStep) -> Callable[[FlowStore], None]:
    """The unit that inserts ``step``."""
    return lambda store: store.insert_step(step)


def updating(step: FlowStep) -> Callable[[FlowStore], FlowStep]:
    """The unit that updates ``step``."""
    return lambda store: store.update_step(step)


def caught(kind: type[E], what: str, call: Callable[[FlowStore], object]) -> Callable[[FlowStore], E]:
    """A unit that survives the error which ``call`` must raise, so that whatever it had written is committed."""
    return lambda store: expect_raises(kind, what, lambda: call(store))


def add_flow(units: Flows, **fields: Any) -> Flow:
    """Insert a flow; returns it as the store has it."""
    flow = make_flow(**fields)
    insert(units, flow)
    return present(units, flow.id)


def add_step(units: Flows, flow_id: UUID, run_id: str, **fields: Any) -> FlowStep:
    """Insert a step; returns it as the store has it."""
    step = make_step(flow_id, run_id, **fields)
    units.run(inserting(step))
    return present_step(units, step.id)


def present(units: Flows, flow_id: UUID) -> Flow:
    """The flow, which must be there."""
    flow = get(units, flow_id)
    expect(flow is not None, f"the flow {flow_id} is not there")
    assert flow is not None
    return flow


def present_step(units: Flows, step_id: UUID) -> FlowStep:
    """The step, which must be there."""
    step = get_step(units, step_id)
    expect(step is not None, f"the step {step_id} is not there")
    assert step is not None
    return step


def events_of(units: Flows, flow_id: UUID) -> list[FlowEvent]:
    """All events of a flow, newest first."""
    return units.run(lambda store: store.list_events(flow_id)).items


def plain(flow: Flow) -> Flow:
    """``flow`` without what belongs to the engine."""
    return replace(flow, due_at=None, epoch=None, crashes=0)


def store_now(units: Flows) -> datetime:
    """The time by the backend's own clock, which may be a virtual one: that of an event."""
    witness = add_flow(units, owner_session_key="witness")
    return append(units, witness.id, "asked for the time").at


def days_ago(units: Flows, days: float) -> datetime:
    """That many days before the backend's own present."""
    return store_now(units) - timedelta(days=days)


def all_pages(page_of: PageOf[T], limit: int, between: Callable[[], object] = lambda: None) -> list[T]:
    """Everything, fetched ``limit`` at a time; ``between`` is called after each page."""
    items: list[T] = []
    after: str | None = None
    seen: set[str] = set()
    while True:
        page = page_of(limit, after)
        expect(len(page.items) <= limit, f"a page of {limit} holds {len(page.items)} items")
        items += page.items
        if page.next is None:
            return items
        expect(page.next not in seen, f"the cursor {page.next!r} comes round again")
        seen.add(page.next)
        after = page.next
        between()
