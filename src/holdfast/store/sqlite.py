"""SQLite as a production store: WAL, ``synchronous=FULL``, one writer thread that commits groups.

The writer takes all units that wait, runs each in a savepoint of its own (about 5 µs), commits once and then
answers all. Several processes may open the file: their writers pass a turnstile (:mod:`.turnstile`). Readers have
their own connections and never wait for a writer.
"""

from __future__ import annotations

import os
import re
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

from holdfast.clock import Clock
from holdfast.errors import (
    HoldfastError,
    ReadOnlyUnit,
    StoreBusy,
    StoreClosed,
    StoreDamaged,
    StoreFull,
    StorePathUnusable,
)
from holdfast.store.database import Probe
from holdfast.store.holds import NamedHolds, take_file
from holdfast.store.queries import MAX_ROOM, Query, compile_sqlite, sqlite_room
from holdfast.store.transaction import NONE, Params, Row, Signer, Transaction
from holdfast.store.turnstile import Turnstile, holder
from holdfast.store.units import MAX_GROUP, Executor, Unit, log

BUSY_SECONDS = 60.0
READERS = 2
CACHE_KIB, READER_CACHE_KIB = 65_536, 8_192
_MISSING = re.compile("no such (table|column)|.* has no column")


class SqliteBackend:
    """A SQLite file, or (``path=None``) a database in memory.

    Args:
        path: the file; created when absent, in a directory that must exist.
        create: whether connecting may make the file, and a WAL database of it.
        synchronous: ``FULL`` makes each commit survive a power cut; ``NORMAL`` only a crash of the process.
    """

    def __init__(self, path: Path | None, *, create: bool = True, synchronous: str = "FULL") -> None:
        self.path = path
        self.local = path is None
        self.url = f"sqlite:///{path}" if path else "sqlite://"
        self.group = MAX_GROUP
        self.watchers: list[Callable[[], None]] = []
        self._create = create
        self._synchronous = synchronous
        self._holds = NamedHolds()

    def writers(self, clock: Clock, signer: Signer | None, probe: Probe) -> list[Callable[[], Executor]]:
        return [lambda: SqliteWriter(self, clock, signer, probe)]

    def readers(self, clock: Clock) -> list[Callable[[], Executor]]:
        return [] if self.local else [lambda: SqliteReader(self, clock) for _ in range(READERS)]

    def connect(self, *, reading: bool = False) -> sqlite3.Connection:
        """A connection with the store's settings. SQLite may make no index for one statement alone: that costs the
        whole table, and every statement here has an index of its own.

        Raises:
            StorePathUnusable: the path cannot be opened, or holds no SQLite database.
            StoreDamaged: it holds a damaged one.
        """
        connection: sqlite3.Connection | None = None
        try:
            connection = sqlite3.connect(
                self.path or ":memory:",
                isolation_level=None,
                check_same_thread=False,
                timeout=BUSY_SECONDS,
                cached_statements=512,
            )
            for pragma in (
                *(["journal_mode = WAL"] if self._create else []),
                f"synchronous = {self._synchronous}",
                "fullfsync = ON",
                f"cache_size = -{READER_CACHE_KIB if reading else CACHE_KIB}",
                "automatic_index = OFF",
                "temp_store = MEMORY",
            ):
                connection.execute(f"PRAGMA {pragma}").fetchall()
        except sqlite3.DatabaseError as error:
            if connection:
                connection.close()
            kind = StoreDamaged if _code(error) == sqlite3.SQLITE_CORRUPT else StorePathUnusable
            raise kind(f"{self.path} cannot be used as a store: {error}.") from error
        return connection

    def watch(self, changed: Callable[[], None]) -> Callable[[], None]:
        self.watchers.append(changed)
        return lambda: self.watchers.remove(changed)

    def announce(self, tx: Transaction) -> None:
        """Nothing to do: watchers see the commit itself."""

    def turn_holder(self) -> int | None:
        return holder(self.path) if self.path else None

    def hold(self, name: str, *, fleeting: bool = False) -> Callable[[], None] | None:
        if self.path is None:
            return self._holds.take(name)
        try:
            return take_file(self.path.with_name(f"{self.path.name}-hold-{name}"), fleeting=fleeting)
        except OSError as error:
            raise StorePathUnusable(f"{self.path} cannot be used as a store: {error.strerror}.") from error


class SqliteTransaction:
    """A :class:`Transaction` on a SQLite connection."""

    def __init__(self, connection: sqlite3.Connection, clock: Clock, signer: Signer | None = None) -> None:
        self.clock = clock
        self.signer = signer
        self.actor = "system"
        self.open = False
        self.doomed: Exception | None = None
        self._connection = connection

    def fetch(self, query: Query | str, params: Params = NONE, *, rows: Sequence[Row] | None = None) -> list[Row]:
        sql = query if isinstance(query, str) else query.sqlite
        if rows is None:
            return self._execute(query, sql, params).fetchall()
        return [row for chunk in self._chunks(query, sql, params, rows) for row in chunk.fetchall()]

    def fetch_one(self, query: Query | str, params: Params = NONE) -> Row | None:
        found = self.fetch(query, params)
        return found[0] if found else None

    def execute(self, query: Query | str, params: Params = NONE, *, rows: Sequence[Row] | None = None) -> int:
        sql = query if isinstance(query, str) else query.sqlite
        before = self._connection.total_changes  # the driver's rowcount does not know WITH … INSERT
        if rows is None:
            if sql:
                self._execute(query, sql, params)
        else:
            for _ in self._chunks(query, sql, params, rows):
                pass
        return self._connection.total_changes - before

    def doom(self, error: Exception) -> None:
        self.doomed = self.doomed or error

    def lock(self, *names: str) -> None:
        """Nothing to do: the writer's transaction excludes all others."""

    def _chunks(self, query: Query | str, sql: str, params: Params, rows: Sequence[Row]) -> Iterator[sqlite3.Cursor]:
        for start in range(0, len(rows), MAX_ROOM):
            chunk = rows[start : start + MAX_ROOM]
            room = sqlite_room(len(chunk))
            compiled = compile_sqlite(sql, room)
            values = list(chain.from_iterable(chunk))
            values += [None] * ((room - len(chunk)) * len(compiled.columns))
            values.append(len(chunk))
            values += [params[name] for name in compiled.names]
            yield self._execute(query, compiled.text, values)

    def _execute(self, query: Query | str, sql: str, params: Any) -> sqlite3.Cursor:
        """Run ``sql``, which is ``query`` or made of it.

        Raises:
            StoreDamaged: a named query is of this code, and its tables are not there. SQL text is a caller's own.
        """
        if not self.open:
            raise StoreClosed("This transaction has ended.", remedy="Use it only inside its unit of work.")
        try:
            return self._connection.execute(sql, params or ())
        except sqlite3.OperationalError as error:
            if isinstance(query, Query) and _MISSING.match(str(error)):
                raise StoreDamaged(f"A part of the store is missing: {error}.") from error
            raise


class SqliteWriter:
    """The one writer of a process."""

    def __init__(self, backend: SqliteBackend, clock: Clock, signer: Signer | None, probe: Probe) -> None:
        self._backend = backend
        self._clock = clock
        self._signer = signer
        self._probe = probe
        self._turnstile: Turnstile | None = None
        self._connection: sqlite3.Connection | None = None
        self._version = 0
        self._tx: SqliteTransaction

    def execute(self, group: Sequence[Unit]) -> None:
        try:
            self._open_turnstile()
            if self._turnstile:
                self._turnstile.enter()
            try:
                self._commit_all(self._open(), group)
            finally:
                if self._turnstile:
                    self._turnstile.leave()
        except BaseException as error:  # whatever it is, it is the caller's: this thread serves others
            problem = translate(error)
            for unit in group:
                unit.error = problem

    def close(self) -> None:
        if self._connection:
            self._connection.close()
        if self._turnstile:
            self._turnstile.close()

    def tick(self) -> None:
        """``data_version`` moves with each commit of another connection; asking costs two microseconds."""
        if self._connection is None or self._backend.local:
            return
        (version,) = self._connection.execute("PRAGMA data_version").fetchone()
        if version != self._version:
            self._version = version
            for changed in list(self._backend.watchers):
                changed()

    def _open_turnstile(self) -> None:
        path = self._backend.path
        if path is None or self._turnstile:
            return
        try:
            self._turnstile = Turnstile(path)
        except OSError as error:
            raise StorePathUnusable(f"{path} cannot be used as a store: {error.strerror}.") from error

    def _open(self) -> sqlite3.Connection:
        """Opened inside the turn: switching a new file to WAL tolerates nobody beside it."""
        if self._connection is None:
            self._connection = self._backend.connect()
            self._tx = SqliteTransaction(self._connection, self._clock, self._signer)
        return self._connection

    def _commit_all(self, connection: sqlite3.Connection, group: Sequence[Unit]) -> None:
        """Commit as one; where an error took the whole transaction along, commit the units singly."""
        try:
            self._commit(connection, group)
        except sqlite3.Error as error:
            if len(group) == 1:
                raise
            log.warning("a group could not be committed as one (%s); its units are run singly", error)
            for unit in group:
                try:
                    self._commit(connection, [unit])
                except sqlite3.Error as single:
                    unit.error = translate(single)

    def _commit(self, connection: sqlite3.Connection, group: Sequence[Unit]) -> None:
        if len(group) == 1 and group[0].statement:
            return self._autocommit(connection, group[0])
        connection.execute("BEGIN IMMEDIATE")
        try:
            for unit in group:
                self._run(connection, unit)
            self._probe("before commit")
            connection.execute("COMMIT")
            self._probe("after commit")
        finally:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
        return None

    def _autocommit(self, connection: sqlite3.Connection, unit: Unit) -> None:
        """One statement alone: written, committed and synced by one call into SQLite, outside the GIL."""
        tx = self._tx
        tx.actor, tx.open = unit.actor, True
        unit.error = None
        self._probe("before commit")
        try:
            unit.perform(tx)
        except sqlite3.Error:
            raise
        except BaseException as error:
            unit.error = error
        finally:
            tx.open = False
        self._probe("after commit")

    def _run(self, connection: sqlite3.Connection, unit: Unit) -> None:
        """Run one unit in a savepoint; raises only what ended the whole transaction."""
        tx = self._tx
        tx.actor, tx.open, tx.doomed = unit.actor, True, None
        unit.error = None
        connection.execute("SAVEPOINT unit")
        try:
            if unit.reading:
                connection.execute("PRAGMA query_only = ON")
            unit.perform(tx)
            if tx.doomed:
                raise tx.doomed
        except BaseException as error:
            if not connection.in_transaction:
                raise
            connection.execute("ROLLBACK TO unit")
            unit.error = translate(error, reading=unit.reading)
        finally:
            tx.open = False
            if unit.reading:
                connection.execute("PRAGMA query_only = OFF")
        connection.execute("RELEASE unit")


class SqliteReader:
    """A reading connection of its own; each unit sees one snapshot."""

    def __init__(self, backend: SqliteBackend, clock: Clock) -> None:
        self._backend = backend
        self._clock = clock
        self._connection: sqlite3.Connection | None = None

    def execute(self, group: Sequence[Unit]) -> None:
        for unit in group:
            try:
                self._read(unit)
            except BaseException as error:
                unit.error = translate(error, reading=True)

    def tick(self) -> None:
        """Nothing to look after."""

    def close(self) -> None:
        if self._connection:
            self._connection.close()

    def _read(self, unit: Unit) -> None:
        if self._connection is None:
            self._connection = self._backend.connect(reading=True)
            self._connection.execute("PRAGMA query_only = ON")
        tx = SqliteTransaction(self._connection, self._clock)
        tx.open = True
        self._connection.execute("BEGIN")
        try:
            unit.perform(tx)
        finally:
            tx.open = False
            self._connection.execute("ROLLBACK")


def sqlite_path(text: str) -> Path:
    """The absolute path of a store, checked.

    Raises:
        StorePathUnusable: it is no path or a directory, or its directory is missing or not writable.
    """
    if "\0" in text:
        raise StorePathUnusable(f"{text!r} holds a NUL character.")
    try:
        path = Path(text).expanduser().absolute()
        return _checked(path.resolve() if path.is_symlink() else path)  # its lock files are beside the file itself
    except (OSError, RuntimeError) as error:  # too long a name; no home of that user; a link to itself
        raise StorePathUnusable(f"{text} cannot be a path: {error}.") from error


def _checked(path: Path) -> Path:
    if path.is_dir():
        raise StorePathUnusable(f"{path} is a directory.")
    if not path.parent.is_dir():
        raise StorePathUnusable(f"The directory {path.parent} does not exist.")
    if not os.access(path if path.exists() else path.parent, os.W_OK):
        raise StorePathUnusable(f"{path} is not writable.")
    return path


def _code(error: sqlite3.Error) -> int:
    """SQLite's own code, without what extends it; 0 for the driver's errors."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF


def translate(error: BaseException, *, reading: bool = False) -> BaseException:
    """The store's own error for one of the driver's, in a unit that may write or only read; else ``error`` itself."""
    if isinstance(error, HoldfastError) or not isinstance(error, sqlite3.Error):
        return error
    code = _code(error)
    if (
        reading and getattr(error, "sqlite_errorcode", 0) == sqlite3.SQLITE_READONLY
    ):  # a file's own fault has an extended code
        found: HoldfastError = ReadOnlyUnit("This unit of work was to read only, and it wrote.")
    elif code == sqlite3.SQLITE_CORRUPT:
        found = StoreDamaged(f"The SQLite file is damaged: {error}.")
    elif code == sqlite3.SQLITE_FULL:
        found = StoreFull("The disk is full.")
    elif code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        found = StoreBusy(f"Another program has held the write lock for {BUSY_SECONDS:g} s.")
    elif code in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_NOTADB):
        found = StorePathUnusable(f"The SQLite file cannot be used: {error}.")
    elif code == sqlite3.SQLITE_IOERR:
        found = StoreFull(f"The disk does not take the write: {error}.")
    else:
        return error
    found.__cause__ = error
    return found
