"""PostgreSQL as a store: the same units of work on a few connections, each with a thread of its own.

A connection may be cut, or the server killed, at any instant, the commit included. A unit that had not been
committed is run again. A unit whose commit was not answered is *resolved*: its transaction also wrote a key of
its own, and the next attempt starts by writing that key again. The unique index makes it wait for whatever
became of the first transaction, and tells whether it was committed.
"""

from __future__ import annotations

import contextlib
import logging
import random
import re
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

import msgspec
import psycopg
from psycopg import errors as pg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict
from psycopg.types.string import TextLoader

from holdfast.clock import Clock
from holdfast.errors import (
    HoldfastError,
    ReadOnlyUnit,
    StoreClosed,
    StoreDamaged,
    StoreFull,
    StoreUnreachable,
    StoreUrlInvalid,
)
from holdfast.ids import new_id
from holdfast.store.database import Probe
from holdfast.store.keys import claim_key
from holdfast.store.queries import Query, compile_postgres
from holdfast.store.transaction import NONE, Params, Row, Signer, Transaction
from holdfast.store.units import Executor, Unit

log = logging.getLogger("holdfast.store")

CONNECTIONS = 4
READERS = 2
PATIENCE_SECONDS = 60.0
OPENING_SECONDS = 5.0
"""A server that has not answered yet is waited for no longer: it may be the wrong one."""
IDLE_IN_TRANSACTION_SECONDS = 4
_CUT = (psycopg.OperationalError, psycopg.InterfaceError, pg.IdleInTransactionSessionTimeout)
_AGAIN = (pg.SerializationFailure, pg.DeadlockDetected, pg.LockNotAvailable)
_ONE_VIEW = psycopg.IsolationLevel.REPEATABLE_READ
_FULL = (pg.DiskFull,)
_DAMAGED = (pg.DataCorrupted, pg.IndexCorrupted)
_MISSING = (pg.UndefinedTable, pg.UndefinedColumn)
_NO_SERVER = ("08", "53", "57P")
"""Classes of SQLSTATE that say that the server, not the statement, is at fault."""
_REFUSED = re.compile(
    r"authentication failed|no password supplied|role .* does not exist|database .* does not exist"
    r"|no pg_hba\.conf entry|not permitted to log in|permission denied for database"
)
"""What will be the same a moment later. Of a connection that was not made the driver has no SQLSTATE, only the text; in
another language than English it is waited for, as if the server were away."""
_LOCK = """
WITH r AS (@rows(name text))
SELECT pg_advisory_xact_lock(hashtext('holdfast'), place)
FROM (SELECT DISTINCT hashtext(current_schema() || name) AS place FROM r ORDER BY 1) AS places
"""
"""In the order of what is locked, not of the names: two names may share a place."""
_TAKE_HOLD = "SELECT pg_try_advisory_lock(hashtextextended(%s, 0))"
_STAY_IDLE = "SELECT set_config(name, '0', FALSE) FROM pg_settings WHERE name = 'idle_session_timeout'"
"""Servers before version 14 have no such limit."""
_json = msgspec.json.Encoder()


class PostgresBackend:
    """A PostgreSQL database, in a schema of its own.

    Args:
        url: ``postgresql://…``; ``?schema=name`` puts the tenant into that schema (default ``holdfast``).
        patience: seconds during which an unreachable server is waited for; :data:`OPENING_SECONDS` at most, until it
            has answered once.
        create: whether a missing schema is made.
    """

    group = 1
    local = False
    path: Path | None = None

    def __init__(self, url: str, *, patience: float = PATIENCE_SECONDS, create: bool = True) -> None:
        try:
            parts = urlsplit(url)
            options = dict(parse_qsl(parts.query, keep_blank_values=True))
            self.schema = options.pop("schema", "holdfast")
            self._conninfo = f"postgresql://{parts.netloc}{parts.path}?{urlencode(options, quote_via=quote)}"
            for port in str(conninfo_to_dict(self._conninfo).get("port") or 0).split(","):  # one a host
                int(port)
        except (ValueError, psycopg.ProgrammingError) as error:
            raise StoreUrlInvalid(f"The store URL is malformed: {str(error).strip()}.") from error
        if not self.schema or len(self.schema.encode()) > 63 or "\0" in self.schema:
            raise StoreUrlInvalid(f"{self.schema!r} is not a schema name.")
        self.answered = False
        self._patience = patience
        self._create = create
        self.channel = f"holdfast:{self.schema}".encode()[:63].decode(errors="ignore")
        shown = parts.netloc.rpartition("@")
        user = shown[0].partition(":")[0]
        self.url = f"postgresql://{user}{shown[1]}{shown[2]}{parts.path}?schema={self.schema}"

    @property
    def patience(self) -> float:
        """Seconds for which the server is waited for now."""
        return self._patience if self.answered else min(self._patience, OPENING_SECONDS)

    def writers(self, clock: Clock, signer: Signer | None, probe: Probe) -> list[Callable[[], Executor]]:
        return [lambda: PostgresExecutor(self, clock, probe, signer=signer) for _ in range(CONNECTIONS)]

    def readers(self, clock: Clock) -> list[Callable[[], Executor]]:
        return [lambda: PostgresExecutor(self, clock, lambda point: None, reading=True) for _ in range(READERS)]

    def connect(self, *, reading: bool = False) -> psycopg.Connection[Any]:
        """A connection with the store's settings; raises the driver's errors.

        Args:
            reading: its transactions see one view each, and must not write.
        """
        connection = psycopg.connect(
            self._conninfo, autocommit=True, connect_timeout=5, application_name="holdfast", client_encoding="utf8"
        )
        connection.isolation_level = _ONE_VIEW if reading else None
        connection.read_only = reading or None
        connection.adapters.register_loader("uuid", TextLoader)
        path = sql.Identifier(self.schema)
        connection.execute(
            sql.SQL("SET search_path = {}; SET idle_in_transaction_session_timeout = {}; SET TIME ZONE 'UTC'").format(
                path, sql.Literal(f"{IDLE_IN_TRANSACTION_SECONDS}s")
            )
        )
        self.answered = True
        return connection

    def ensure_schema(self, connection: psycopg.Connection[Any]) -> None:
        """Create the schema if it is missing; asking first needs no right to create."""
        if (
            not self._create
            or connection.execute("SELECT 1 FROM pg_namespace WHERE nspname = %s", [self.schema]).fetchone()
        ):
            return
        with contextlib.suppress(pg.UniqueViolation, pg.DuplicateSchema):
            connection.execute(sql.SQL("CREATE SCHEMA IF NOT EXISTS {}").format(sql.Identifier(self.schema)))

    def watch(self, changed: Callable[[], None]) -> Callable[[], None]:
        ended = threading.Event()
        thread = threading.Thread(target=self._watch, args=(changed, ended), name="holdfast-watch", daemon=True)
        thread.start()

        return ended.set

    def _watch(self, changed: Callable[[], None], ended: threading.Event) -> None:
        while not ended.is_set():
            try:
                with self.connect() as connection:
                    connection.execute(sql.SQL("LISTEN {}").format(sql.Identifier(self.channel)))
                    changed()  # what was announced while nobody listened
                    while not ended.is_set():
                        for _ in connection.notifies(timeout=0.25, stop_after=1):
                            changed()
            except psycopg.Error as error:
                log.debug("the listening connection was lost: %s", error)
                ended.wait(0.25)

    def announce(self, tx: Transaction) -> None:
        tx.execute("SELECT pg_notify(:channel, '')", {"channel": self.channel})

    def turn_holder(self) -> int | None:
        return None

    def hold(self, name: str, *, fleeting: bool = False) -> Callable[[], None] | None:
        """A session's lock, on a connection of its own."""
        with contextlib.ExitStack() as unless_held:
            try:
                connection = unless_held.enter_context(contextlib.closing(self.connect()))
                connection.execute(_STAY_IDLE)
                taken = connection.execute(_TAKE_HOLD, [f"holdfast hold {self.schema} {name}"]).fetchone() == (True,)
            except psycopg.Error as error:
                raise translate(error) from error
            if not taken:
                return None
            unless_held.pop_all()
        return lambda: _end_hold(connection)


def _end_hold(connection: psycopg.Connection[Any]) -> None:
    """The server notices that a session was closed some time later; what is unlocked is free at once."""
    with contextlib.suppress(psycopg.Error):  # cut, or released before
        connection.execute("SELECT pg_advisory_unlock_all()")
    connection.close()


class PostgresTransaction:
    """A :class:`Transaction` on a PostgreSQL connection."""

    def __init__(
        self, connection: psycopg.Connection[Any], clock: Clock, actor: str, signer: Signer | None = None
    ) -> None:
        self.clock = clock
        self.signer = signer
        self.actor = actor
        self.open = True
        self.doomed: Exception | None = None
        self._connection = connection

    def fetch(self, query: Query | str, params: Params = NONE, *, rows: Sequence[Row] | None = None) -> list[Row]:
        cursor = self._execute(query, params, rows)
        return cursor.fetchall() if cursor and cursor.description else []

    def fetch_one(self, query: Query | str, params: Params = NONE) -> Row | None:
        cursor = self._execute(query, params, None)
        return cursor.fetchone() if cursor and cursor.description else None

    def execute(self, query: Query | str, params: Params = NONE, *, rows: Sequence[Row] | None = None) -> int:
        cursor = self._execute(query, params, rows)
        return cursor.rowcount if cursor else 0

    def doom(self, error: Exception) -> None:
        self.doomed = self.doomed or error

    def lock(self, *names: str) -> None:
        self.execute(_LOCK, rows=[(name,) for name in names])

    def _execute(self, query: Query | str, params: Params, rows: Sequence[Row] | None) -> psycopg.Cursor[Any] | None:
        if not self.open:
            raise StoreClosed("This transaction has ended.", remedy="Use it only inside its unit of work.")
        text = query if isinstance(query, str) else query.postgres
        if not text or (rows is not None and not rows):
            return None
        compiled = compile_postgres(text)
        if rows is not None:
            names = compiled.columns
            encoded = _json.encode([dict(zip(names, row, strict=True)) for row in rows])
            params = {**params, "rows": encoded.decode()}
        try:
            return self._connection.execute(compiled.text, params)
        except _MISSING as error:
            if isinstance(query, str):  # a caller's own; a named query is of this code, as its tables are
                raise
            raise StoreDamaged(f"A part of the store is missing: {error.diag.message_primary}.") from error


class PostgresExecutor:
    """One thread's connection: runs units until each is committed, refused, or out of patience."""

    def __init__(
        self,
        backend: PostgresBackend,
        clock: Clock,
        probe: Probe,
        *,
        signer: Signer | None = None,
        reading: bool = False,
    ) -> None:
        self._backend = backend
        self._clock = clock
        self._signer = signer
        self._probe = probe
        self._reading = reading
        self._connection: psycopg.Connection[Any] | None = None

    def execute(self, group: Sequence[Unit]) -> None:
        for unit in group:
            try:
                self._persist(unit)
            except BaseException as error:  # whatever it is, it is the caller's: this thread serves others
                unit.error = translate(error, reading=unit.reading)

    def tick(self) -> None:
        """Nothing to look after."""

    def close(self) -> None:
        if self._connection:
            self._connection.close()

    def _persist(self, unit: Unit) -> None:
        """Attempt ``unit`` until it is settled."""
        key = None if unit.idempotent or unit.statement else str(new_id())
        deadline = time.monotonic() + self._backend.patience
        pause = 0.01
        while True:
            try:
                connection = self._open()
                if unit.statement:
                    self._attempt(connection, unit)
                else:
                    with connection.transaction():
                        self._attempt(connection, unit, key)
                        self._probe("before commit")
                self._probe("after commit")
                return
            except _AGAIN as error:
                problem: Exception = error
            except _CUT as error:
                if isinstance(error, _FULL) or not _was_cut(self._connection, error):
                    raise
                if not self._backend.answered and _REFUSED.search(str(error)):
                    raise _refused(self._backend.url, error) from error
                self._drop()
                problem = error
            if time.monotonic() > deadline:
                raise _unreachable(self._backend.url, problem) from problem
            time.sleep(pause * random.uniform(0.5, 1.0))
            pause = min(pause * 2, 1.0)

    def _attempt(self, connection: psycopg.Connection[Any], unit: Unit, key: str | None = None) -> None:
        tx = PostgresTransaction(connection, self._clock, unit.actor, self._signer)
        try:
            if key and not claim_key(tx, key):
                return  # an earlier attempt was committed and only its answer lost: its result stands
            if unit.statement:
                self._probe("before commit")
            unit.perform(tx)
            if tx.doomed:
                raise tx.doomed
        finally:
            tx.open = False

    def _open(self) -> psycopg.Connection[Any]:
        if self._connection is None or self._connection.closed:
            self._connection = self._backend.connect(reading=self._reading)
            self._backend.ensure_schema(self._connection)
        return self._connection

    def _drop(self) -> None:
        if self._connection:
            with contextlib.suppress(Exception):
                self._connection.close()
        self._connection = None


def _unreachable(url: str, problem: Exception) -> StoreUnreachable:
    return StoreUnreachable(f"{url} does not answer: {_told(problem)}.")


def _refused(url: str, problem: Exception) -> StoreUnreachable:
    remedy = "Mend user, password or database in the URL, or have the server let them in; `holdfast doctor` tests it."
    return StoreUnreachable(f"{url} lets nobody in: {_told(problem)}.", remedy=remedy)


def _told(problem: Exception) -> str:
    """What the driver or the server says, on one line; it names host and port."""
    return " ".join(str(problem).split()).rstrip(".")


def _was_cut(connection: psycopg.Connection[Any] | None, error: Exception) -> bool:
    """Whether trying again on a new connection can help; a wrong password will stay wrong."""
    if isinstance(error, pg.InvalidPassword | pg.InvalidAuthorizationSpecification | pg.InvalidCatalogName):
        return False
    return connection is None or connection.closed or connection.broken


def translate(error: BaseException, *, reading: bool = False) -> BaseException:
    """The store's own error for one of the driver's, in a unit that may write or only read; else ``error`` itself."""
    if isinstance(error, pg.ReadOnlySqlTransaction) and reading:
        found: HoldfastError = ReadOnlyUnit("This unit of work was to read only, and it wrote.")
    elif isinstance(error, _DAMAGED):
        found = StoreDamaged(f"The database is damaged: {error}.")
    elif isinstance(error, _FULL):
        found = StoreFull("The database server's disk is full.")
    elif isinstance(error, _CUT) and (error.sqlstate or _NO_SERVER[0]).startswith(_NO_SERVER):
        found = StoreUnreachable(f"The database does not answer: {error}.")
    else:
        return error
    found.__cause__ = error
    return found
