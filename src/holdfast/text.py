"""Texts that both databases can hold."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from holdfast.errors import InvalidInput

M = TypeVar("M", bound=Mapping[str, Any])


def is_storable(text: str) -> bool:
    """Whether both databases can hold ``text``: PostgreSQL takes no NUL, and lone surrogates have no UTF-8."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return "\0" not in text


def check_text(text: str, what: str) -> None:
    """Raises:
    InvalidInput: not every database can hold ``text``.
    """
    if not is_storable(text):
        raise InvalidInput(
            f"The {what} {text!r} cannot be stored.", remedy="Leave out NUL characters and lone surrogates."
        )


def check_texts(columns: M) -> M:
    """``columns`` themselves, each text among them checked.

    Raises:
        InvalidInput: as :func:`check_text`.
    """
    for name, value in columns.items():
        if isinstance(value, str):
            check_text(value, name)
    return columns
