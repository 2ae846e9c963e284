"""What a page of a list costs when the list is long.

``python -m benchmarks.listing [--json] [--quick]``. ``ours`` is the time of a page where the list has a million rows,
``bare`` that where it has ten thousand, in the same run. Pages are taken from the beginning and from the middle.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import Any
from uuid import UUID

from benchmarks.command import Bench, run_cases
from benchmarks.measure import note
from benchmarks.report import Figures
from holdfast.councils import RunStatus, SqlCouncilRepository
from holdfast.flows import FlowStatus, SqlFlowStore
from holdfast.pages import Page
from holdfast.store import Row, Store, Transaction, open_store

LARGE, SMALL = 1_000_000, 10_000
PAGE = 25
LIMIT = 3.0
TURNS = 200
OWNERS = 10
CHUNK = 20_000
BEGAN = 1_700_000_000_000_000
ONE = UUID(int=1, version=4)

FLOWS = """WITH r AS (@rows(id uuid, owner text, status text, at bigint))
INSERT INTO flows (id, workflow_type, owner_session_key, goal, state, status, attempt, revision, created_at, updated_at,
    seed, args, args_digest) SELECT id, 'bench', owner, '', '{}', status, 1, 1, at, at, 0, '{}', 0 FROM r"""
EVENTS = """WITH r AS (@rows(id uuid, at bigint))
INSERT INTO flow_events (flow, id, kind, payload, at)
SELECT (SELECT num FROM flows ORDER BY num LIMIT 1), id, 'said', '"hello"', at FROM r"""
RUNS = """WITH r AS (@rows(id uuid, status text, at bigint))
INSERT INTO council_runs (id, goal, graph, status, hitl_mode, created_at, updated_at)
SELECT id, 'bench', '{"nodes": []}', status, 'none', at, at FROM r"""
RUN_EVENTS = """WITH r AS (@rows(seq bigint, at bigint))
INSERT INTO council_events (run, seq, kind, payload, at)
SELECT (SELECT num FROM council_runs ORDER BY num LIMIT 1), seq, 'said', '"hello"', at FROM r"""

Listing = Callable[[Transaction, str | None], Page[Any]]


@dataclass(frozen=True)
class List:
    """A list and what fills it.

    Attributes:
        fills: statements with the rows for a list of the given length.
        page: takes a page.
    """

    fills: Sequence[tuple[str, Callable[[int], Iterable[Row]]]]
    page: Listing


def _flows(length: int) -> Iterator[Row]:
    statuses = ("finished",) * 8 + ("failed", "waiting")
    for n in range(length):
        yield str(UUID(int=n + 1, version=4)), f"owner {n % OWNERS}", statuses[n % 10], BEGAN + n * 1000


def _ids(length: int) -> Iterator[Row]:
    return ((str(UUID(int=n + 1, version=4)), BEGAN + n * 1000) for n in range(length))


def _runs(length: int) -> Iterator[Row]:
    for n in range(length):
        yield str(UUID(int=n + 1, version=4)), "completed" if n % 5 else "failed", BEGAN + n * 1000


def _numbered(length: int) -> Iterator[Row]:
    return ((n + 1, BEGAN + n * 1000) for n in range(length))


LISTS = {
    "flows": List([(FLOWS, _flows)], lambda tx, after: SqlFlowStore(tx).list_all(limit=PAGE, after=after)),
    "flows-by-owner": List(
        [(FLOWS, _flows)], lambda tx, after: SqlFlowStore(tx).list_by_owner("owner 7", limit=PAGE, after=after)
    ),
    "flows-by-status": List(
        [(FLOWS, _flows)],
        lambda tx, after: SqlFlowStore(tx).list_by_status(FlowStatus.FINISHED, limit=PAGE, after=after),
    ),
    "flow-events": List(
        [(FLOWS, lambda length: _flows(1)), (EVENTS, _ids)],
        lambda tx, after: SqlFlowStore(tx).list_events(ONE, limit=PAGE, after=after),
    ),
    "runs": List([(RUNS, _runs)], lambda tx, after: SqlCouncilRepository(tx).list_runs(limit=PAGE, after=after)),
    "runs-by-status": List(
        [(RUNS, _runs)],
        lambda tx, after: SqlCouncilRepository(tx).list_runs(RunStatus.FAILED, limit=PAGE, after=after),
    ),
    "run-events": List(
        [(RUNS, lambda length: _runs(1)), (RUN_EVENTS, _numbered)],
        lambda tx, after: SqlCouncilRepository(tx).list_events(ONE, limit=PAGE, after=after),
    ),
}


@dataclass(frozen=True)
class PageCost:
    """Microseconds of a page of one list, in one database."""

    list: str
    backend: str

    @property
    def name(self) -> str:
        return f"{self.list}-{self.backend}"

    def run(self, bench: Bench) -> Figures:
        listed = LISTS[self.list]
        large, small = bench.size(LARGE), bench.size(SMALL)
        with (
            bench.workspace.store(self.backend) as wide,
            bench.workspace.store(self.backend) as narrow,
            open_store(wide.url) as many,
            open_store(narrow.url) as few,
        ):
            _fill(many, listed, large)
            _fill(few, listed, small)
            ours, bare = _compare(listed.page, (many, large), (few, small))
        return Figures(
            case=self.name,
            unit="us a page",
            ours=ours,
            bare=bare,
            peers={},
            lower_is_better=True,
            target={"bare": LIMIT},
            durability="reading",
            notes={"bare": f"the same page where the list has {small:,} rows instead of {large:,}"},
            extra={"page": PAGE},
        )


def _fill(store: Store, listed: List, length: int) -> None:
    note(f"    {length:,} rows")
    for statement, rows in listed.fills:
        remaining = iter(rows(length))
        while chunk := list(islice(remaining, CHUNK)):
            store.run(partial(_insert, statement, chunk))
    store.run(lambda tx: tx.execute("ANALYZE"))


def _insert(statement: str, rows: list[Row], tx: Transaction) -> None:
    tx.execute(statement, rows=rows)


def _compare(page: Listing, *lists: tuple[Store, int]) -> list[float]:
    """The median time of a page, in microseconds; the stores take turns."""
    places = [[None, _middle(store, page, length)] for store, length in lists]
    taken: list[list[float]] = [[] for _ in lists]
    for turn in range(TURNS):
        for (store, _), cursors, times in zip(lists, places, taken, strict=True):
            after = cursors[turn % 2]
            began = time.perf_counter()
            found = store.read(lambda tx, after=after: page(tx, after))  # type: ignore[misc]
            times.append((time.perf_counter() - began) * 1e6)
            assert found.items
    return [statistics.median(times) for times in taken]


def _middle(store: Store, page: Listing, length: int) -> str | None:
    """A cursor in the midst of the list."""
    first = store.read(lambda tx: page(tx, None)).next
    assert first is not None, "the list has one page only"
    numbers = [int(part) for part in first.split(".")]
    where = BEGAN + length // 2 * 1000 if len(numbers) == 2 else length // 2
    return ".".join(map(str, [where, *numbers[1:]]))


CASES = [PageCost(name, backend) for backend in ("sqlite", "postgres") for name in LISTS]


if __name__ == "__main__":
    run_cases("What a page of a long list costs.", CASES, sys.argv[1:])
