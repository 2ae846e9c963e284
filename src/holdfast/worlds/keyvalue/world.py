"""The key-value world: a service whose state is in the store."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from holdfast import codec
from holdfast.errors import InvalidInput, NotSerialisable
from holdfast.pages import Page
from holdfast.store import Store, Transaction
from holdfast.worlds.base import Plan, ResourceService, changes
from holdfast.worlds.errors import InvalidView
from holdfast.worlds.keyvalue.errors import ValueChanged, ValueNotFound, ValueUnfit
from holdfast.worlds.keyvalue.model import ABSENT, Absent, Item, Value, check_key, record_of, text_of
from holdfast.worlds.keyvalue.sql import HISTORY, SqlValues
from holdfast.worlds.model import Change, Delta, Scope, StateView, check_name, check_scope, path_of

_NONE = object()


class KeyValueWorld(ResourceService[Value]):
    """JSON values by key, per account and region, in the store: durable and seen by all processes on return.

    Values are kept to the byte (``1``, ``1.0`` and ``True`` differ), except for the order of an object's keys.

    Any number of processes may change a scope. An event's view is that of its revision all the same: the store keeps
    what the latest revisions replaced. Only where others make over ``history`` changes between two looks of this
    process at the scope, views of its events from before that are ``RevisionGone``. Listeners are told of others'
    changes, as one delta, before this process's next event; ``notify_state_changed`` looks now.

    Do not call it inside a unit of work on the same store, which would wait for itself; use
    :class:`~holdfast.worlds.keyvalue.SqlValues` there.

    Args:
        store: open; stays the caller's.
        name: of the world, which others open by the same name.
        types: declared types of keys, as annotations that the codec knows; other keys take any value.
        history: how many of a scope's latest revisions the store can undo.
    """

    service_name = "keyvalue"
    version = 1
    view_type = StateView[Value]

    def __init__(
        self, store: Store, name: str = "default", *, types: Mapping[str, Any] | None = None, history: int = HISTORY
    ) -> None:
        super().__init__()
        self.name = check_name(name, "a world")
        self._store = store
        self._history = history
        self._types = {check_key(key): kind for key, kind in (types or {}).items()}

    def get(self, account_id: str, region: str, key: str, default: Any = _NONE) -> Any:
        """The value under ``key``, as its declared type.

        Raises:
            InvalidKey, InvalidScope: names that cannot be.
            ValueNotFound: there is none, and no ``default``.
        """
        scope, key = check_scope(account_id, region), check_key(key)
        record = self._store.read(lambda tx: self._values(tx, scope).get(key))
        if record is not None:
            return self._typed(key, record)
        if default is _NONE:
            raise ValueNotFound(key)
        return default

    def keys(
        self, account_id: str, region: str, prefix: str = "", *, limit: int | None = None, after: str | None = None
    ) -> Page[str]:
        """The keys that begin with ``prefix``, in the order of their code points; the cursor is a key.

        Raises:
            ValueError: a negative limit.
        """
        scope = check_scope(account_id, region)
        return self._store.read(lambda tx: self._values(tx, scope).keys(prefix, limit=limit, after=after))

    def items(
        self, account_id: str, region: str, prefix: str = "", *, limit: int | None = None, after: str | None = None
    ) -> Page[Item]:
        """As :meth:`keys`, with their values as plain JSON types."""
        scope = check_scope(account_id, region)
        return self._store.read(lambda tx: self._values(tx, scope).items(prefix, limit=limit, after=after))

    def put(self, account_id: str, region: str, key: str, value: Any) -> None:
        """Set the value under ``key``.

        Args:
            value: anything that the codec knows; it is copied.

        Raises:
            InvalidKey, InvalidScope: names that cannot be.
            ValueUnfit: it does not fit the declared type of the key.
            NotSerialisable, PayloadTooLarge: it cannot be stored.
        """
        self.put_many(account_id, region, {key: value})

    def put_many(self, account_id: str, region: str, values: Mapping[str, Any]) -> None:
        """Set several values, all or none; raises as :meth:`put`."""
        scope = check_scope(account_id, region)
        records = {check_key(key): self._record(key, value) for key, value in values.items()}
        self._mutate(scope, lambda present: changes(*(Change(k, present.get(k), new) for k, new in records.items())))

    def delete(self, account_id: str, region: str, key: str) -> bool:
        """Remove the value under ``key``; whether there was one.

        Raises:
            InvalidKey, InvalidScope: names that cannot be.
        """
        scope, key = check_scope(account_id, region), check_key(key)
        return bool(self._mutate(scope, lambda present: changes(Change(key, present.get(key), None))))

    def compare_and_set(
        self, account_id: str, region: str, key: str, *, expected: Any | Absent, value: Any | Absent
    ) -> None:
        """Put ``value`` in the place of the value ``expected``; ``ABSENT`` stands for none, either way.

        Raises:
            ValueChanged: there is another value; nothing was changed.
            InvalidKey, InvalidScope, ValueUnfit, NotSerialisable, PayloadTooLarge: as :meth:`put`.
        """
        scope, key = check_scope(account_id, region), check_key(key)
        old = None if expected is ABSENT else record_of(key, expected)
        new = None if value is ABSENT else self._record(key, value)

        def plan(present: Mapping[str, Value]) -> Delta[Value]:
            found = present.get(key)
            if found != old:
                raise ValueChanged(key, expected, ABSENT if found is None else found.value)
            return changes(Change(key, found, new))

        self._mutate(scope, plan)

    def _read(self, scope: Scope) -> dict[str, Value]:
        known = self._known(scope)
        state = self._store.read(lambda tx: self._values(tx, scope).state(known))
        self._catch_up(scope, state.revision, state.missed)
        return state.values

    def _change(self, scope: Scope, plan: Plan[Value]) -> Delta[Value]:
        known = self._known(scope)
        changed = self._store.run(lambda tx: self._values(tx, scope).change(plan, known))
        self._catch_up(scope, changed.revision, changed.missed)
        return changed.delta

    def _check(self, view: StateView[Value]) -> None:
        for key, record in view.resources.items():
            try:
                self._fit(check_key(key), text_of(record))
            except InvalidInput as error:
                raise InvalidView(self.service_name, path_of(key), error.message.rstrip(".")) from error

    def _values(self, tx: Transaction, scope: Scope) -> SqlValues:
        return SqlValues(tx, self.name, scope, history=self._history)

    def _record(self, key: str, value: Any) -> Value:
        record = record_of(key, value)
        self._fit(key, text_of(record))
        return record

    def _typed(self, key: str, record: Value) -> Any:
        return self._fit(key, text_of(record)) if key in self._types else record.value

    def _fit(self, key: str, text: str) -> Any:
        """The JSON ``text`` as the declared type of ``key``.

        Raises:
            ValueUnfit: it does not fit.
        """
        if key not in self._types:
            return None
        try:
            return codec.decode(text, self._types[key])
        except NotSerialisable as error:
            raise ValueUnfit(key, str(error.__cause__)) from error
