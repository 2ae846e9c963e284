"""Primary keys as parts of names: one text for each key, whichever way its numbers are written."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from decimal import Context, Decimal
from typing import Any
from urllib.parse import quote, unquote

from holdfast.worlds.aws.services.dynamodb.values import base64, unbase64
from holdfast.worlds.aws.shapes import as_it_was, lossless

_unquoted = re.compile(r"[A-Za-z0-9_.~-]*").fullmatch
_whole = re.compile(r"0|[1-9][0-9]{0,99}").fullmatch
_exact = Context(prec=10_000)
_MOST_DIGITS = 100
"""As many a number is written out with; DynamoDB goes to 125."""


def escaped(text: str, safe: str = "") -> str:
    """``text`` as a part of a name, whatever is in it."""
    return text if _unquoted(text) else quote(text, safe=safe, errors="surrogatepass")


def unescaped(text: str) -> str:
    """What :func:`escaped` was given."""
    return unquote(text, errors="surrogatepass") if "%" in text else text


def key_of(item: Any) -> str:
    """The KEY of one of the emulator's items."""
    return key_text(item.hash_key, item.range_key)


def key_text(hash_key: Any, range_key: Any) -> str:
    """The KEY that two of the emulator's values are; the second may be ``None``."""
    first = _part(hash_key.type, hash_key.value)
    return first if range_key is None else f"{first}/{_part(range_key.type, range_key.value)}"


def key_in(attributes: Mapping[str, Mapping[str, Any]], hash_key_attr: str, range_key_attr: str | None) -> str:
    """The KEY that a request's attributes have.

    Raises:
        KeyError, ValueError, ArithmeticError, TypeError, AttributeError, StopIteration: they have none.
    """
    names = (hash_key_attr,) if range_key_attr is None else (hash_key_attr, range_key_attr)
    return "/".join([_part(*next(iter(attributes[name].items()))) for name in names])


def values_in(key: str) -> list[tuple[str, Any]]:
    """The types and values of a KEY.

    Raises:
        ValueError: it is none.
    """
    return [_value(part) for part in key.split("/")]


def _part(kind: str, held: Any) -> str:
    form = type(held)
    if form is str and kind == "S":
        return f"S:{escaped(held)}"
    if form is str and kind == "N":
        return f"N:{held if _whole(held) else escaped(_number(held))}"
    if form is bytes and kind == "B":
        return f"B:{escaped(base64(held))}"
    return f"{escaped(kind)}={escaped(json.dumps(lossless(held), sort_keys=True))}"


def _value(part: str) -> tuple[str, Any]:
    kind, found, text = part.partition(":")
    if found:
        text = unescaped(text)
        return kind, unbase64(text) if kind == "B" else text
    kind, _, text = part.partition("=")
    return unescaped(kind), as_it_was(json.loads(unescaped(text)))


def _number(text: str) -> str:
    """The same text for all numbers that are equal."""
    number = Decimal(text).normalize(_exact)
    if not number:
        return "0"
    return format(number, "f") if abs(number.adjusted()) < _MOST_DIGITS else str(number)
