"""Ids: UUIDv7 made here, any RFC 9562 UUID accepted."""

from __future__ import annotations

from uuid import RFC_4122, UUID
from zlib import crc32

from uuid_utils import uuid4 as _uuid4
from uuid_utils import uuid7 as _uuid7
from uuid_utils.compat import uuid7

from holdfast.errors import InvalidId

_NUM_BITS = 62
_SEED = (1 << _NUM_BITS) - 1


def new_id() -> UUID:
    """A fresh UUIDv7: random, and ascending with time."""
    return uuid7()


def new_id_text() -> str:
    """The text of a :func:`new_id`, at a sixth of the price."""
    return str(_uuid7())


def new_seed() -> int:
    """62 random bits. Those of ``secrets`` cost a call of the kernel, during which others take Python's lock."""
    return _uuid4().int & _SEED


def bucket(id: str) -> int:
    """Where an id falls when ids are split: evenly from 0 to 9,999, the same at any time and place (PK-13)."""
    return crc32(id.encode()) % 10_000


def parse_id(value: UUID | str) -> UUID:
    """The UUID that ``value`` is or spells.

    Raises:
        InvalidId: empty, malformed, nil, or not of the RFC 9562 variant.
    """
    if not isinstance(value, UUID | str):
        raise InvalidId(f"An id is a UUID, not {type(value).__name__}.")
    try:
        parsed = value if isinstance(value, UUID) else UUID(value)
    except ValueError:
        raise InvalidId(f"{value!r} is not an id.") from None
    if parsed.variant != RFC_4122:
        raise InvalidId(f"{value!r} is not an id.")
    return parsed


def row_id(num: int) -> UUID:
    """The UUIDv8 (RFC 9562 section 5.8) that names the row ``num``.

    Rows written on the hot path are keyed by small integers alone (a random key costs more than the whole
    row); this gives them an id of the same type as everybody else's, reversible by :func:`row_num`.
    """
    return UUID(int=(0x8 << 76) | (0b10 << _NUM_BITS) | num)


def row_num(value: UUID) -> int | None:
    """The row that :func:`row_id` named, or ``None`` when ``value`` is not such an id."""
    num = value.int & ((1 << _NUM_BITS) - 1)
    return num if value == row_id(num) else None
