"""Worlds for tests: two services whose values are in the store."""

from __future__ import annotations

import os
import signal
import sys
from uuid import UUID

from holdfast.store import Store, open_store
from holdfast.worlds import Scope, StateView
from holdfast.worlds.keyvalue import KeyValueWorld
from holdfast.worlds.world import World

HOME = Scope("acme", "north")
ELSEWHERE = Scope("acme", "south")
RUN = UUID("01890000-0000-7000-8000-00000000000a")
OTHER_RUN = UUID("01890000-0000-7000-8000-00000000000b")
NAMES = ("alpha", "beta")
State = dict[str, dict[str, object]]


class Alpha(KeyValueWorld):
    service_name = NAMES[0]


class Beta(KeyValueWorld):
    service_name = NAMES[1]


class Deadly(Beta):
    """Its process dies of the first restore."""

    def restore(self, account_id: str, region: str, view: StateView[object]) -> None:  # type: ignore[override]
        os.kill(os.getpid(), signal.SIGKILL)


def services(store: Store) -> list[KeyValueWorld]:
    return [Alpha(store, "a"), Beta(store, "b")]


def world(store: Store, *, patience: float = 30.0) -> World:
    return World(store, "site", services(store), [HOME], patience=patience)


def put(store: Store, number: int, scope: Scope = HOME) -> None:
    """Bring both services to a state that differs with ``number`` in what is there, too."""
    for service in services(store):
        service.put_many(*scope, {"number": number, f"only {number}": True, "same": "always"})
        for key in service.keys(*scope).items:
            if key.startswith("only") and key != f"only {number}":
                service.delete(*scope, key)


def state(store: Store, scope: Scope = HOME) -> State:
    """What both services hold, whatever is pending."""
    return {
        service.service_name: {item.key: item.value for item in service.items(*scope).items}
        for service in services(store)
    }


def expected(number: int) -> State:
    return {name: {"number": number, f"only {number}": True, "same": "always"} for name in NAMES}


def die_midway(url: str) -> None:
    """Restore ``first``, and be killed between the two services."""
    with open_store(url) as store:
        World(store, "site", [Alpha(store, "a"), Deadly(store, "b")], [HOME]).restore("first", actor="ann")


if __name__ == "__main__":
    die_midway(sys.argv[1])
