"""Claimers of one queue at the same moment, and everybody else who writes there."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from holdfast.flows.errors import FlowExists
from holdfast.flows.queues import Queue, QueueInUse, QueueNotFound
from holdfast.flows.queues.claiming import claim
from holdfast.flows.queues.manager import declare, remove
from holdfast.flows.requests import StartOptions, make_start
from holdfast.flows.starts import insert_flows
from holdfast.store import Store, Transaction, open_store
from tests.queue_kit import WORKFLOW, add_worker
from tests.threads import aside

CLAIMERS = 4
FLOWS = 120


@pytest.fixture(params=["sqlite", "postgres"])
def stores(request: pytest.FixtureRequest) -> Iterator[list[Store]]:
    """One store, opened by each claimer."""
    url: str = request.getfixturevalue(f"{request.param}_url")
    opened = [open_store(url) for _ in range(CLAIMERS)]
    yield opened
    for store in opened:
        store.close()


def start(tx: Transaction, count: int, **options: object) -> list[object]:
    starts = [
        make_start(WORKFLOW, "{}", 0, StartOptions(queue="q", queue_key=f"k{n % 5}", **options))  # type: ignore[arg-type]
        for n in range(count)
    ]
    return list(insert_flows(tx, starts).outcomes)


def test_claimers_at_once_never_exceed_a_limit(stores: list[Store]) -> None:
    limits = {"concurrency": 7, "per_worker": 3, "per_key": 2}
    stores[0].run(lambda tx: declare(tx, [Queue("q", **limits)]))
    stores[0].run(lambda tx: start(tx, FLOWS))
    excess: list[object] = []
    ended: Counter[int] = Counter()
    lock = threading.Lock()

    def look(tx: Transaction) -> None:
        rows = tx.fetch("SELECT epoch, queue_key FROM flows WHERE epoch IS NOT NULL")
        by_worker, by_key = Counter(row[0] for row in rows), Counter(row[1] for row in rows)
        if len(rows) > 7 or max(by_worker.values(), default=0) > 3 or max(by_key.values(), default=0) > 2:
            excess.append(rows)

    def work(store: Store) -> None:
        epoch = store.run(add_worker)
        deadline = time.monotonic() + 60
        while sum(ended.values()) < FLOWS and time.monotonic() < deadline:
            nums = [row[0] for row in store.run(lambda tx: claim(tx, epoch, [WORKFLOW], 4))]
            store.read(look)
            for num in nums:
                store.run(
                    lambda tx, num=num: tx.execute(
                        "UPDATE flows SET status = 'finished', epoch = NULL WHERE num = :num", {"num": num}
                    )
                )
            with lock:
                ended.update(nums)

    with ThreadPoolExecutor(CLAIMERS) as pool:
        list(pool.map(work, stores))
    assert excess == []
    assert len(ended) == FLOWS
    assert set(ended.values()) == {1}


def test_a_queue_that_another_claimer_has_is_left_out(new_postgres_url: Callable[[], str]) -> None:
    with open_store(new_postgres_url()) as store:
        store.run(lambda tx: declare(tx, [Queue("q", concurrency=2), Queue("p")]))
        store.run(lambda tx: start(tx, 3))
        store.run(lambda tx: insert_flows(tx, [make_start(WORKFLOW, "{}", 0, StartOptions(queue="p"))]))
        first, second = store.run(add_worker), store.run(add_worker)

        def meanwhile(tx: Transaction) -> tuple[int, int]:
            tx.fetch("SELECT 1 FROM queues WHERE name = 'q' FOR NO KEY UPDATE")
            other = aside(lambda: len(store.run(lambda tx: claim(tx, second, [WORKFLOW], 9))))
            begun = aside(lambda: len(store.run(lambda tx: start(tx, 1))))  # starting is not held up
            return other, begun

        assert store.run(meanwhile) == (1, 1)
        assert len(store.run(lambda tx: claim(tx, first, [WORKFLOW], 9))) == 2


def test_a_queue_is_not_removed_under_a_start(new_postgres_url: Callable[[], str]) -> None:
    with open_store(new_postgres_url()) as store:
        store.run(lambda tx: declare(tx, [Queue("q")]))
        with ThreadPoolExecutor(1) as pool:

            def begin(tx: Transaction) -> object:
                start(tx, 1)
                waiting = pool.submit(lambda: store.run(lambda tx: remove(tx, "q")))
                time.sleep(0.3)
                assert not waiting.done()
                return waiting

            waiting = store.run(begin)
            with pytest.raises(QueueInUse):
                waiting.result()  # type: ignore[attr-defined]


def test_a_start_waits_for_a_removal(new_postgres_url: Callable[[], str]) -> None:
    with open_store(new_postgres_url()) as store:
        store.run(lambda tx: declare(tx, [Queue("q")]))
        with ThreadPoolExecutor(1) as pool:

            def begin(tx: Transaction) -> object:
                remove(tx, "q")
                waiting = pool.submit(lambda: store.run(lambda tx: start(tx, 1)))
                time.sleep(0.3)
                assert not waiting.done()
                return waiting

            (outcome,) = store.run(begin).result()  # type: ignore[attr-defined]
            assert isinstance(outcome, QueueNotFound)


def test_a_flow_in_the_way_that_ends_meanwhile_is_in_nobodys_way(new_postgres_url: Callable[[], str]) -> None:
    """The insertion meets a live flow of that key, and the look-up after it finds that it has ended."""
    with open_store(new_postgres_url()) as store:
        store.run(lambda tx: declare(tx, [Queue("q")]))
        (first,) = store.run(lambda tx: start(tx, 1, dedupe="d"))

        class Late:
            """Ends the flow before the look-up."""

            def __init__(self, tx: Transaction) -> None:
                self._tx = tx

            def __getattr__(self, name: str) -> object:
                return getattr(self._tx, name)

            def fetch(self, query: object, *args: object, **kwargs: object) -> object:
                if getattr(query, "name", "") == "standing":
                    aside(lambda: store.run(lambda tx: tx.execute("UPDATE flows SET status = 'finished'")))
                return self._tx.fetch(query, *args, **kwargs)  # type: ignore[arg-type]

        (second,) = store.run(lambda tx: start(Late(tx), 1, dedupe="d"))  # type: ignore[arg-type]
        assert isinstance(second, str)
        assert second != first
        assert not isinstance(second, FlowExists)
