"""An attached world as the store has it: seen without opening it, also while another process serves clients from it."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Any, get_args

import msgspec

from holdfast.store import Store
from holdfast.worlds.aws.adapter import Adapter
from holdfast.worlds.aws.bodies import StoredBodies
from holdfast.worlds.aws.errors import WorldAttached
from holdfast.worlds.aws.resource import Resource
from holdfast.worlds.aws.scopes import GLOBAL, check_aws_scope
from holdfast.worlds.aws.services import ADAPTERS
from holdfast.worlds.aws.sql import Place, SqlAws
from holdfast.worlds.base import Plan, ResourceService
from holdfast.worlds.errors import InvalidView, MissingBlob
from holdfast.worlds.model import Delta, Scope, StateView, path_of
from holdfast.worlds.world import World

Part = tuple[str, Scope]
Records = dict[Part, dict[str, Resource]]


def read_records(adapters: Mapping[str, Adapter[Any]], rows: Iterable[tuple[Place, str]]) -> Records:
    """The records that a store has of a world, by service and scope.

    Raises:
        InvalidView: one is of another form; names it.
    """
    decoders: dict[str, msgspec.json.Decoder[Resource]] = {}
    for name, adapter in adapters.items():
        (kind,) = get_args(adapter.view_type)
        decoders[name] = msgspec.json.Decoder(kind)
    found: Records = {}
    for place, text in rows:
        records = found.setdefault((place.service, Scope(place.account_id, place.region)), {})
        try:
            records[place.name] = decoders[place.service].decode(text)
        except (msgspec.DecodeError, KeyError) as error:
            raise InvalidView(place.service, path_of(place.name), str(error)) from error
    return found


def stored_world(store: Store, name: str) -> World:
    """The world of that name for those who only look: its checkpoints can be taken and compared; restores and merges
    are :class:`~holdfast.worlds.aws.errors.WorldAttached`, as they need the world itself."""
    state = StoredState(store, name)
    bodies = StoredBodies(store)
    services = [StoredService(adapter(bodies), state) for adapter in ADAPTERS]
    return World(store, name, services, state.scopes())


class _Cut(threading.local):
    """What a thread saw when it entered the block of a :class:`StoredState`."""

    depth = 0
    seen: Records


class StoredState(AbstractContextManager[None]):
    """What the store has of a world; within its block, of one moment for the thread that is in it.

    Args:
        store: the world's.
        name: of the world.
    """

    def __init__(self, store: Store, name: str) -> None:
        self.name = name
        self._store = store
        self._adapters = {adapter.service_name: adapter(StoredBodies(store)) for adapter in ADAPTERS}
        self._cut = _Cut()

    def scopes(self) -> set[Scope]:
        """Those in which there is anything, and each account's ``global`` region."""
        found = {scope for _, scope in self.records()}
        return found | {Scope(scope.account_id, GLOBAL) for scope in found}

    def records(self) -> Records:
        """All there is."""
        return self._cut.seen if self._cut.depth else self._read()

    def holder(self) -> str:
        """Who attached the world last."""
        found = self._store.read(lambda tx: SqlAws(tx).get(self.name))
        return found.holder if found else "nobody"

    def _read(self) -> Records:
        def rows(tx: Any) -> list[tuple[Place, str]]:
            found = SqlAws(tx).get(self.name)
            return SqlAws(tx).resources(found.num) if found else []

        return read_records(self._adapters, self._store.read(rows))

    def __enter__(self) -> None:
        if not self._cut.depth:
            self._cut.seen = self._read()
        self._cut.depth += 1

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._cut.depth -= 1
        if not self._cut.depth:
            del self._cut.seen


class StoredService(ResourceService[Resource]):
    """One service of a mock AWS, as the store has it.

    Args:
        adapter: of the service.
        state: of the world.
    """

    def __init__(self, adapter: Adapter[Any], state: StoredState) -> None:
        super().__init__()
        self._adapter = adapter
        self._state = state
        self.service_name = adapter.service_name
        self.version = adapter.version
        self.view_type = adapter.view_type
        self.not_captured = adapter.not_captured

    @property
    def cut(self) -> AbstractContextManager[None]:
        """Within it all services of the world are seen as of one moment."""
        return self._state

    def bodies_of(self, view: StateView[Resource]) -> set[str]:
        """Digests of the bodies that ``view`` names."""
        return {digest for record in view.resources.values() for digest in self._adapter.digests(record)}

    def covers(self, scope: Scope) -> bool:
        """Whether the service has anything there, ever."""
        return self._adapter.is_global == (scope.region == GLOBAL)

    def _scope(self, account_id: str, region: str) -> Scope:
        return check_aws_scope(account_id, region)

    def _read(self, scope: Scope) -> dict[str, Resource]:
        return dict(self._state.records().get((self.service_name, scope), {}))

    def _check(self, view: StateView[Resource]) -> None:
        for found in self._adapter.check(view.resources):
            raise InvalidView(self.service_name, f"{path_of(found.resource)}.{found.field}", found.fault)
        if lost := self._adapter.bodies.missing(self.bodies_of(view)):
            raise MissingBlob(lost)

    def _change(self, scope: Scope, plan: Plan[Resource]) -> Delta[Resource]:
        raise WorldAttached(self._state.name, self._state.holder())
