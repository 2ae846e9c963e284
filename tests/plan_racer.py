"""What the proofs of plans run in processes of their own: racers that apply plans, a watcher of the live routes, and
operations to be killed."""

from __future__ import annotations

import json
import select
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any
from uuid import UUID

from holdfast.audit import SqlAuditLog
from holdfast.gateway import Conditions, Route, RouteSet, SqlRoutingTable, Target
from holdfast.plans import SqlPlanStore, apply_plan, propose_plan, revert_plan
from holdfast.plans.errors import ApplyError
from holdfast.store import Store, Transaction, open_store
from holdfast.testing.crash.units import Operation

ROOT = Path(__file__).parent.parent
SIZE = 5
"""Routes of each plan's set."""


def labelled(label: str) -> list[Route]:
    """A set that bears ``label`` on each of its routes, by id and by target."""
    return [
        Route(id=f"{label}/{n}", when=Conditions(model=f"model-{n}"), target=Target(provider="p", model=label))
        for n in range(SIZE)
    ]


def fault_of(live: RouteSet) -> str | None:
    """What is wrong with live routes that must be one plan's whole set, or none at all before the first."""
    labels = {route.target.model for route in live.routes} | {route.id.partition("/")[0] for route in live.routes}
    if (len(labels), len(live.routes)) == ((1, SIZE) if live.revision else (0, 0)):
        return None
    return f"revision {live.revision} had {[route.id for route in live.routes]}"


# -- processes ------------------------------------------------------------------------------------------------


class Partner:
    """A process that does what it is told on a line of its own, and answers with one.

    Args:
        role: ``racer`` or ``watcher``.
        url: the store.
    """

    def __init__(self, role: str, url: str) -> None:
        command = [sys.executable, "-m", "tests.plan_racer", role, url]
        self._process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self.hear() == "ready"

    def tell(self, line: str) -> None:
        assert self._process.stdin
        self._process.stdin.write(f"{line}\n")
        self._process.stdin.flush()

    def hear(self) -> Any:
        """Its next answer."""
        assert self._process.stdout
        line = self._process.stdout.readline()
        assert line, f"the process ended with {self._process.wait()}"
        return json.loads(line)

    def __enter__(self) -> Partner:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.communicate()


def say(answer: object) -> None:
    print(json.dumps(answer), flush=True)


def race(store: Store) -> None:
    """Apply each plan that a line names."""
    for line in sys.stdin:
        plan_id = UUID(line.strip())
        try:
            done = store.run(lambda tx, plan_id=plan_id: apply_plan(tx, plan_id), actor="racer")
        except ApplyError as error:
            say(error.code)
        else:
            say("repeated" if done.repeated else "applied")


def watch(store: Store) -> None:
    """Look at the live routes until a line comes; then tell how often, how many revisions, and what was wrong."""
    looks, revisions, faults, last = 0, set(), [], 0
    while not select.select([sys.stdin], [], [], 0.0005)[0]:
        found = store.read(lambda tx: SqlRoutingTable(tx).current())
        looks += 1
        revisions.add(found.revision)
        if fault := fault_of(found):
            faults.append(fault)
        if found.revision < last:
            faults.append(f"revision {found.revision} came after {last}")
        last = found.revision
    say({"looks": looks, "revisions": len(revisions), "faults": faults[:10]})


# -- operations to be killed ----------------------------------------------------------------------------------

PLAN = UUID("01890000-0000-7000-8000-000000000002")


def prepare(tx: Transaction) -> None:
    """Something live, and a plan to replace it."""
    SqlRoutingTable(tx).replace_routes(labelled("old"))
    propose_plan(tx, labelled("new"), id=PLAN)


def prepare_applied(tx: Transaction) -> None:
    prepare(tx)
    apply_plan(tx, PLAN)


def observe(tx: Transaction) -> Any:
    return SqlPlanStore(tx).get(PLAN), SqlRoutingTable(tx).current(), SqlAuditLog(tx).list().items


APPLY = Operation(prepare, lambda tx: apply_plan(tx, PLAN), observe)
REVERT = Operation(prepare_applied, lambda tx: revert_plan(tx, PLAN), observe)


def main(role: str, url: str) -> None:
    roles: dict[str, Callable[[Store], None]] = {"racer": race, "watcher": watch}
    with open_store(url) as store:
        store.read(lambda tx: SqlRoutingTable(tx).current())
        say("ready")
        roles[role](store)


if __name__ == "__main__":
    main(*sys.argv[1:])
