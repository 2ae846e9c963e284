"""The two things that are easily mixed up: a store, and a transaction of it."""

from __future__ import annotations

from holdfast.errors import InvalidInput
from holdfast.store.database import Store
from holdfast.store.transaction import Transaction


class WrongHandle(InvalidInput, TypeError):
    """A store where a transaction is due, or the other way round, or neither. Nothing was done."""

    code = "wrong_handle"
    remedy = "Call it in a unit of work, with the unit's own transaction: store.run(lambda tx: act(tx, …))."


def as_transaction(given: Transaction) -> Transaction:
    """``given`` itself, found to be a transaction.

    Raises:
        WrongHandle: it is something else.
    """
    if not hasattr(given, "fetch"):  # a protocol: whatever speaks SQL is one
        raise WrongHandle(f"A Transaction is due, not {type(given).__name__}.")
    return given


def as_store(given: Store) -> Store:
    """``given`` itself, found to be a store.

    Raises:
        WrongHandle: it is something else.
    """
    if not isinstance(given, Store):
        remedy = "It runs units of work of its own: hand over what open_store gives, outside of any unit."
        raise WrongHandle(f"A Store is due, not {type(given).__name__}.", remedy=remedy)
    return given
