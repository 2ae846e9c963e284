"""The one adapter to the tables of key-value worlds, for both dialects."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import msgspec

from holdfast.pages import Page, page_of, rows_wanted
from holdfast.store import Row, Transaction, load_queries
from holdfast.text import check_text
from holdfast.worlds.base import changes
from holdfast.worlds.keyvalue.model import MAX_KEY_BYTES, Item, Value, text_of, value_of
from holdfast.worlds.model import Change, Delta, Scope

_q = load_queries("holdfast.worlds.keyvalue")
_undo = msgspec.json.Decoder(dict[str, str | None])
_END = "\U0010ffff" * MAX_KEY_BYTES
"""Behind every key."""
_FIRST = "\x01"
"""The first character of a key: NUL is refused."""
HISTORY = 1000
"""How many of a scope's latest revisions the store can undo."""

Plan = Callable[[Mapping[str, Value]], Delta[Value]]


@dataclass(frozen=True, slots=True)
class State:
    """What one transaction saw of a scope.

    Attributes:
        revision: of the scope.
        values: all of them.
        missed: what led here from the revision that the reader knew; ``None`` when that is too long ago.
    """

    revision: int
    values: dict[str, Value]
    missed: Delta[Value] | None


@dataclass(frozen=True, slots=True)
class Changed:
    """What one transaction did to a scope.

    Attributes:
        revision: of the scope, before.
        delta: empty when it changed nothing, and the revision stayed.
        missed: as in :class:`State`, up to ``revision``.
    """

    revision: int
    delta: Delta[Value]
    missed: Delta[Value] | None


class SqlValues:
    """The values of one scope, over a transaction.

    Use it alone to change values in the same transaction as other things; services learn of that as they learn of
    other processes' changes.

    Args:
        tx: open.
        world: name of the world.
        scope: account and region.
        history: how many of the latest revisions can be undone.
    """

    def __init__(self, tx: Transaction, world: str, scope: Scope, *, history: int = HISTORY) -> None:
        self._tx = tx
        self._scope = {"world": world, **scope._asdict()}
        self._history = history

    def get(self, key: str) -> Value | None:
        """The value under ``key``, if there is one."""
        row = self._tx.fetch_one(_q["get_value"], {**self._scope, "key": key})
        return value_of(row[0]) if row else None

    def keys(self, prefix: str = "", *, limit: int | None = None, after: str | None = None) -> Page[str]:
        """The keys that begin with ``prefix``, in the order of their code points; the cursor is a key."""
        return page_of(self._list("list_keys", prefix, limit, after), limit, _key, _key)

    def items(self, prefix: str = "", *, limit: int | None = None, after: str | None = None) -> Page[Item]:
        """As :meth:`keys`, with the values."""
        return page_of(self._list("list_values", prefix, limit, after), limit, _item, _key)

    def state(self, known: int | None = None) -> State:
        """All values, and what changed since the revision ``known``."""
        num, revision = self._tx.fetch_one(_q["get_scope"], self._scope) or (0, 0)
        values = {row[0]: value_of(row[1]) for row in self._list("list_values", "", None, None)}
        return State(revision, values, self._since(num, known, revision, values))

    def change(self, plan: Plan, known: int | None = None) -> Changed:
        """Apply what ``plan`` makes of the present values, under the scope's lock.

        Args:
            plan: gives the delta (:func:`~holdfast.worlds.base.changes`); it may raise, and nothing changes.
            known: as in :meth:`state`.
        """
        num, revision = self._lock()
        present = _Present(self)
        delta = plan(present)
        missed = self._since(num, known, revision, present)
        if delta:
            self._write(num, revision + 1, delta)
        return Changed(revision, delta, missed)

    def _lock(self) -> tuple[int, int]:
        """The scope's row, locked; made if need be."""
        row = self._tx.fetch_one(_q["lock_scope"], self._scope)
        if row is None:
            self._tx.execute(_q["insert_scope"], self._scope)
            (row,) = self._tx.fetch(_q["lock_scope"], self._scope)
        return row[0], row[1]

    def _write(self, num: int, revision: int, delta: Delta[Value]) -> None:
        scope = {"num": num}
        written = [(change.resource, text_of(change.after)) for change in delta if change.after is not None]
        deleted = [(change.resource,) for change in delta if change.after is None]
        before = {change.resource: None if change.before is None else text_of(change.before) for change in delta}
        self._tx.execute(_q["put_values"], scope, rows=written)
        self._tx.execute(_q["delete_values"], scope, rows=deleted)
        undo = {"revision": revision, "before": msgspec.json.encode(before).decode()}
        self._tx.execute(_q["insert_undo"], scope | undo)
        self._tx.execute(_q["prune_undo"], {**scope, "revision": revision - self._history})
        self._tx.execute(_q["count_up"], scope)

    def _since(self, num: int, known: int | None, revision: int, present: Mapping[str, Value]) -> Delta[Value] | None:
        """What leads from the revision ``known`` to the present."""
        if known is None or known == revision:
            return ()
        rows = self._tx.fetch(_q["list_undo"], {"num": num, "revision": known})
        if len(rows) != revision - known:  # pruned; or the store is an older one, put back
            return None
        before: dict[str, str | None] = {}
        for (undo,) in rows:
            before = _undo.decode(undo) | before
        return changes(
            *(Change(key, None if text is None else value_of(text), present.get(key)) for key, text in before.items())
        )

    def _list(self, query: str, prefix: str, limit: int | None, after: str | None) -> list[Row]:
        check_text(prefix, "prefix")
        check_text(after or "", "cursor")
        start = prefix if after is None else max(prefix, after + _FIRST)
        params = {**self._scope, "start": start, "end": _behind(prefix), "limit": rows_wanted(limit)}
        return self._tx.fetch(_q[query], params)


class _Present(Mapping[str, Value]):
    """The present values, each read when it is asked for; all, when somebody goes through them."""

    def __init__(self, values: SqlValues) -> None:
        self._values = values
        self._all: dict[str, Value] | None = None

    def __getitem__(self, key: str) -> Value:
        found = self._values.get(key) if self._all is None else self._all.get(key)
        if found is None:
            raise KeyError(key)
        return found

    def __iter__(self) -> Iterator[str]:
        return iter(self._load())

    def __len__(self) -> int:
        return len(self._load())

    def _load(self) -> dict[str, Value]:
        if self._all is None:
            self._all = self._values.state().values
        return self._all


def _behind(prefix: str) -> str:
    """The first text behind all those that begin with ``prefix``."""
    kept = prefix.rstrip("\U0010ffff")
    if not kept:
        return _END
    following = ord(kept[-1]) + 1
    return kept[:-1] + chr(0xE000 if following == 0xD800 else following)


def _key(row: Row) -> str:
    found: str = row[0]
    return found


def _item(row: Row) -> Item:
    return Item(row[0], value_of(row[1]).value)
