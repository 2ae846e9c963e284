"""The transaction: what a unit of work is given."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Protocol

from holdfast.clock import Clock
from holdfast.store.queries import Query

Params = Mapping[str, Any]
Row = tuple[Any, ...]
NONE: Params = MappingProxyType({})


class Signer(Protocol):
    """Signs what must not be forged: rows of the audit chain, and its checkpoints.

    Attributes:
        key_id: names the key to whoever verifies.
    """

    @property
    def key_id(self) -> str: ...

    def sign(self, message: bytes) -> bytes:
        """The signature of ``message``. Called inside the transaction; from any thread."""
        ...


class Transaction(Protocol):
    """One open transaction, valid only while the unit of work that was given it runs.

    Statements are named queries or SQL text with ``:name`` parameters; the text is the same on both databases
    unless you use what only one of them has. With ``rows`` a statement that starts with ``@rows(…)`` handles a
    whole set at once (see :mod:`holdfast.store.queries`).

    Attributes:
        actor: on whose behalf this unit runs.
        clock: where to read the time.
        signer: what signs here; ``None`` where nothing is signed.
    """

    actor: str
    clock: Clock
    signer: Signer | None

    def fetch(self, query: Query | str, params: Params = NONE, *, rows: Sequence[Row] | None = None) -> list[Row]:
        """All rows of the answer."""
        ...

    def fetch_one(self, query: Query | str, params: Params = NONE) -> Row | None:
        """The first row of the answer, or ``None``."""
        ...

    def execute(self, query: Query | str, params: Params = NONE, *, rows: Sequence[Row] | None = None) -> int:
        """Run for its effect; the number of rows it touched."""
        ...

    def doom(self, error: Exception) -> None:
        """Have the unit fail with ``error`` even if its code goes on: what was written so far must not be committed
        without what could not be."""
        ...

    def lock(self, *names: str) -> None:
        """Hold the locks ``names`` until the transaction ends; they are taken in one order by everybody. SQLite has one
        writer at a time anyway."""
        ...
