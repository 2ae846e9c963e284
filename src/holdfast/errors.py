"""The root of the error tree.

Every error Holdfast raises on purpose derives from :class:`HoldfastError` and carries a stable ``code``
(for programs), a message (what happened) and a ``remedy`` (what to do about it). Domains add their own
errors beside their records, below one of the four families here; the faces map families to exit codes
and HTTP statuses.
"""

from __future__ import annotations

from typing import ClassVar


class HoldfastError(Exception):
    """Root of all errors raised on purpose.

    Attributes:
        code: stable, machine-readable, ``snake_case``.
        remedy: one sentence that says what the reader can do now.
    """

    code: ClassVar[str] = "holdfast"
    remedy: str = "Read the message; it names what went wrong."

    def __init__(self, message: str, *, remedy: str | None = None) -> None:
        super().__init__(message)
        if remedy is not None:
            self.remedy = remedy

    def __str__(self) -> str:
        return f"{super().__str__()} {self.remedy}"

    @property
    def message(self) -> str:
        """What happened, without the remedy."""
        return super().__str__()


def reason(error: BaseException) -> str:
    """What ``error`` says, as a sentence and without its remedy: for the message of another error."""
    return error.message if isinstance(error, HoldfastError) else f"{error}."


class InvalidInput(HoldfastError, ValueError):
    """What was handed over cannot be used. Nothing was written."""

    code = "invalid_input"


class NotFound(HoldfastError, LookupError):
    """There is no such record."""

    code = "not_found"


class Conflict(HoldfastError):
    """The request is sound, but the present state does not allow it. Nothing was written."""

    code = "conflict"


class StoreError(HoldfastError):
    """The database could not do its part."""

    code = "store"


class IllegalTransition(Conflict):
    """The state machine has no such move.

    Attributes:
        origin, target: the two statuses.
    """

    code = "illegal_transition"
    remedy = "Look at what it is now; the documentation has the table of transitions."

    def __init__(self, what: str, origin: str, target: str) -> None:
        super().__init__(f"{what} cannot go from {origin} to {target}.")
        self.origin = origin
        self.target = target


class InvalidId(InvalidInput):
    """An id that is empty or not a UUID."""

    code = "invalid_id"
    remedy = "Use a UUID, or its text."


class NotSerialisable(InvalidInput):
    """A value that has no JSON form, or whose JSON form does not read back as its annotation."""

    code = "not_serialisable"
    remedy = (
        "Use JSON types, dataclasses, msgspec structs, pydantic models, datetimes, UUIDs or decimals, "
        "and annotate parameters and results with the same types."
    )


class PayloadTooLarge(InvalidInput):
    """A value whose JSON form is over the size limit."""

    code = "payload_too_large"
    remedy = "Store the body elsewhere (a file, an object store) and pass a reference, or raise max_payload_bytes."


class StoreUnreachable(StoreError):
    """The database does not answer."""

    code = "store_unreachable"
    remedy = "Check that the server runs and the URL is right, then try again; `holdfast doctor` tests it."


class StoreTooNew(StoreError):
    """The database was migrated by a newer Holdfast than this one."""

    code = "store_too_new"
    remedy = "Upgrade this installation: pip install --upgrade holdfast."


class StoreMissing(StoreError, NotFound):
    """There is no store at that URL, and it was to be found, not made."""

    code = "store_not_found"
    remedy = "Name another store by --store or HOLDFAST_URL; a worker or `with Holdfast(url)` makes a new one."


class StoreOutdated(StoreError):
    """The database has an older schema than this code, and was not to be migrated."""

    code = "store_outdated"
    remedy = "Start a worker of this version, which migrates it, or use the Holdfast version that its workers have."


class StorePathUnusable(StoreError):
    """The SQLite file cannot be opened or written."""

    code = "store_path_unusable"
    remedy = "Choose a path in an existing, writable directory on a local disk."


class StoreDamaged(StoreError):
    """The database is a store, but a part of it is missing or cannot be read."""

    code = "store_damaged"
    remedy = "Stop all processes that use it, keep a copy of the database as it is, and restore it from a backup."


class StoreFull(StoreError):
    """The disk (or the database's own limit) is full. The unit was not written."""

    code = "store_full"
    remedy = "Free disk space and try again; flows that were interrupted by it go on by themselves."


class StoreBusy(StoreError):
    """Another program holds the database's write lock and does not let go."""

    code = "store_busy"
    remedy = "`holdfast doctor` names the process that holds the turn; stop or thaw it."


class StoreClosed(StoreError):
    """The store was closed, or never opened."""

    code = "store_closed"
    remedy = "Use it inside `with Holdfast(url) as hf:` (or `async with`)."


class NestedUnit(InvalidInput):
    """A unit of work waits for another one of the same store: it would wait for ever for its own thread, or lock."""

    code = "nested_unit"
    remedy = "You are inside a unit of work: use its transaction, and call functions that take tx."


class ReadOnlyUnit(InvalidInput):
    """A unit of work that was to read only wrote. Nothing was written."""

    code = "read_only_unit"
    remedy = "Use store.run (or arun), which may write, in place of store.read."


class AsyncWork(InvalidInput, TypeError):
    """A unit of work is a coroutine function; it was not run, and nothing was written."""

    code = "async_work"
    remedy = "Write it with def, not async def; a coroutine awaits store.arun(work), and awaits other things around it."


class StoreUrlInvalid(InvalidInput):
    """A store URL of an unknown form."""

    code = "store_url_invalid"
    remedy = "Use sqlite:///path.db, sqlite:// (in memory) or postgresql://user@host/db?schema=name."
