"""FL-12: events sent before, during and after waits, duplicated and reordered, by flows and people that are killed:
each wait gets exactly one, none is lost."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from holdfast import Holdfast, WaitTimedOut, any_of, wait_for_event, workflow
from holdfast.flows import SqlFlowStore
from holdfast.flows.inbox.manager import emit, pending_events
from holdfast.ids import new_id
from holdfast.testing.crash.flows import bury
from holdfast.testing.crash.fuse import Fuse, Killed, rehearse
from holdfast.testing.hush import hushed
from tests.waiting_kit import until

LEASE_SECONDS = 1.0
TOPICS = ("a", "b")


@workflow
async def collects(topic: str, count: int) -> list[int]:
    """Waits for so many events, one after the other."""
    return [await wait_for_event(topic, "here", type=int) for _ in range(count)]


@workflow
async def gathers(topic: str, count: int) -> list[int]:
    """Waits for so many events at once."""
    return list(await asyncio.gather(*(wait_for_event(topic, "here", type=int) for _ in range(count))))


@workflow
async def races(count: int) -> list[int]:
    """Takes whichever topic comes first; the other wait is withdrawn each time, or its event given back."""
    got = []
    for _ in range(count):
        first = await any_of(*(wait_for_event(topic, "here", type=int) for topic in TOPICS))
        got.append(int(first.value))
    return got


@workflow
async def tries(topic: str, count: int) -> list[int]:
    """Gives up at times, and tries again."""
    got: list[int] = []
    while len(got) < count:
        with suppress(WaitTimedOut):
            got.append(await wait_for_event(topic, "here", timeout=0.01, type=int))
    return got


SERVED = [collects, gathers, races, tries]
NAMES = [found.name for found in SERVED]


@dataclass
class Life:
    """What happens between two kills.

    Attributes:
        point: the write point at which everything ends; 0: it closes in good order.
        starts: flows to start: which, with its topic.
        sends: numbers of events to send, some of them again.
    """

    point: int
    starts: list[tuple[str, str]]
    sends: list[int]


@dataclass
class Plan:
    """Several lives, and how many events each flow waits for."""

    lives: list[Life]
    count: int
    park_after: float
    topics: dict[int, str] = field(default_factory=dict)


lives = st.lists(
    st.builds(
        Life,
        point=st.integers(0, 40),
        starts=st.lists(st.tuples(st.sampled_from(NAMES), st.sampled_from(TOPICS)), max_size=2),
        sends=st.lists(st.integers(0, 9), max_size=6),
    ),
    min_size=1,
    max_size=3,
)
plans = st.builds(Plan, lives=lives, count=st.integers(1, 3), park_after=st.sampled_from([0.0, 5.0]))


def topic_of(number: int) -> str:
    return TOPICS[number % len(TOPICS)]


async def live(url: str, plan: Plan, life: Life, ids: dict[str, tuple[str, str]], sent: set[int]) -> None:
    """Start and send, until the end comes."""
    fuse = Fuse(life.point or 1 << 30, rehearse)
    with suppress(Killed):
        async with Holdfast(
            url, workflows=SERVED, lease=LEASE_SECONDS, drain=0.2, park_after=plan.park_after, probe=fuse
        ) as hf:
            with suppress(Killed):
                for name, topic in life.starts:
                    flow_id = str(new_id())
                    ids[flow_id] = (name, topic)  # killed on the way, it is asked for again at the end
                    await start(hf, plan, flow_id, name, topic)
                for number in life.sends:
                    sent.add(number)
                    await asyncio.to_thread(hf.emit, topic_of(number), "here", number, key=str(number))
                await asyncio.sleep(0.02)


async def start(hf: Holdfast, plan: Plan, flow_id: str, name: str, topic: str) -> None:
    served = {found.name: found for found in SERVED}[name]
    args = (plan.count,) if name == "races" else (topic, plan.count)
    await hf.astart(served, *args, id=flow_id)


def play(url: str, plan: Plan) -> None:
    ids: dict[str, tuple[str, str]] = {}
    sent: set[int] = set()
    with hushed():
        for life in plan.lives:
            asyncio.run(live(url, plan, life, ids, sent))
            with Holdfast(url, worker=False) as hf:
                bury(url)
                del hf
    settle(url, plan, ids, sent)


def settle(url: str, plan: Plan, ids: dict[str, tuple[str, str]], sent: set[int]) -> None:
    """Send the rest, and enough for all; then see who got what."""

    async def finish() -> list[list[int]]:
        async with Holdfast(url, workflows=SERVED, lease=LEASE_SECONDS, park_after=plan.park_after) as hf:
            for flow_id, (name, topic) in ids.items():
                await start(hf, plan, flow_id, name, topic)
            enough = 2 * len(ids) * plan.count
            for number in [*sent, *range(100, 100 + enough)]:
                sent.add(number)
                await asyncio.to_thread(hf.emit, topic_of(number), "here", number, key=str(number))
            results = [await asyncio.wait_for(hf.handle(flow_id)._wait(), 30) for flow_id in ids]
            await asyncio.to_thread(until, lambda: not hf.store.read(lambda tx: tx.fetch("SELECT 1 FROM waits")))
            return results

    results = asyncio.run(finish())
    with Holdfast(url, worker=False) as hf:
        left = [event.payload for event in hf.store.read(lambda tx: pending_events(tx, limit=None)).items]
        flows = hf.store.read(lambda tx: SqlFlowStore(tx).list_all()).items
    assert len(flows) == len(ids)
    assert all(len(result) == plan.count for result in results)
    got = Counter(number for result in results for number in result) + Counter(left)
    assert got == Counter(sent)


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(plan=plans)
def test_each_wait_gets_one_and_none_is_lost(plan: Plan) -> None:
    with TemporaryDirectory() as folder:
        play(f"sqlite:///{Path(folder) / 'store.db'}", plan)


@pytest.mark.prove
@pytest.mark.timeout(3000)
@settings(max_examples=1000, deadline=None, suppress_health_check=list(HealthCheck))
@given(plan=plans)
def test_each_wait_gets_one_a_thousand_times(plan: Plan) -> None:
    with TemporaryDirectory() as folder:
        play(f"sqlite:///{Path(folder) / 'store.db'}", plan)


def test_a_transaction_sends_or_does_not(store_url: str) -> None:
    """An event commits with whatever else its transaction did."""
    with Holdfast(store_url, worker=False) as hf:
        with pytest.raises(RuntimeError):
            hf.store.run(lambda tx: (emit(tx, "a", "here", 1), _fail()))
        assert hf.store.read(lambda tx: pending_events(tx, limit=None)).items == []


def _fail() -> None:
    raise RuntimeError("no")
