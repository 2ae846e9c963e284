"""Canonical JSON (RFC 8785) of audit rows: the one writer, and a fast reader for verification.

Verification of a long chain is bound by canonicalisation. A stored detail *is* canonical JSON text, so the bytes that
were hashed can be put together around it; what remains is to make sure that the text is canonical indeed.
"""

from __future__ import annotations

import json
import re
from hashlib import sha256
from json.encoder import encode_basestring as quote  # escapes exactly what RFC 8785 does, and nothing else
from typing import Any

import msgspec
import rfc8785

from holdfast.audit.errors import AuditInvalid
from holdfast.audit.model import StoredRow

MAX_DETAIL_BYTES = 256 * 1024
MAX_DEPTH = 64
MAX_INTEGER = 2**53 - 1
_ODD_NUMBER = re.compile(r"[:,\[]-?(?:\d+[.eE]|\d{17}|9\d{15})")
"""Numbers that RFC 8785 may spell in its own way: fractions, exponents, beyond 2**53."""
_decode = msgspec.json.Decoder().decode
_encode = msgspec.json.Encoder(order="sorted").encode


def canonical_text(detail: Any, act: str) -> str:
    """The canonical JSON of the detail of ``act``.

    Raises:
        AuditInvalid: no JSON object, too deep, too large, or with something in it that has no canonical JSON.
    """
    if not isinstance(detail, dict):
        raise AuditInvalid(f"The detail of {act} is not a JSON object but {type(detail).__name__}.")
    try:
        text = rfc8785.dumps(detail).decode()
    except (ValueError, RecursionError) as error:  # CanonicalizationError, and a lone surrogate in a key
        raise AuditInvalid(f"The detail of {act} has no canonical JSON: {error}.") from error
    if len(text.encode()) > MAX_DETAIL_BYTES:
        raise AuditInvalid(f"The detail of {act} is over {MAX_DETAIL_BYTES:,} bytes.", remedy="Record its digest.")
    if text.count("{") + text.count("[") > MAX_DEPTH and _is_deeper(detail, MAX_DEPTH):
        raise AuditInvalid(f"The detail of {act} is nested over {MAX_DEPTH} deep.")
    return text


def _is_deeper(value: Any, levels: int) -> bool:
    if not isinstance(value, dict | list | tuple):
        return False
    inner = value.values() if isinstance(value, dict) else value
    return levels == 0 or any(_is_deeper(item, levels - 1) for item in inner)


def stored_hash(row: StoredRow, seq: int) -> str | None:
    """The hash of a stored row if its place were ``seq``, in hex; ``None`` where it can have none."""
    parts = hashed_parts(row)
    return sha256(b"%b%d%b" % (parts[0], seq, parts[1])).hexdigest() if parts else None


def hashed_parts(row: StoredRow) -> tuple[bytes, bytes] | None:
    """What is hashed of a stored row, before and behind the digits of its ``seq``.

    The parts tell all columns apart: texts are quoted, and a detail ends where the rest begins, read from the end.
    """
    _, at, actor, act, subject, detail, prev_hash = row[:7]
    if at is None or detail is None or actor is None or act is None or subject is None or prev_hash is None:
        return None
    if not -MAX_INTEGER <= at <= MAX_INTEGER or not is_canonical(detail):
        return None
    try:
        before = f'{{"act":{quote(act)},"actor":{quote(actor)},"at":{at},"detail":{detail},"seq":'
        return bytes.fromhex(prev_hash) + before.encode(), f',"subject":{quote(subject)}}}'.encode()
    except ValueError:  # no hex; a lone surrogate
        return None


def is_canonical(text: str) -> bool:
    """Whether ``text`` is a JSON object in the form of RFC 8785, to the byte."""
    try:
        if text.isascii() and "\\" not in text and not _ODD_NUMBER.search(text):
            plain: bool = text[:1] == "{" and _encode(_decode(text)) == text.encode()
            return plain
        value = json.loads(text, parse_int=_number)
        return isinstance(value, dict) and rfc8785.dumps(value) == text.encode()
    except (ValueError, RecursionError, msgspec.DecodeError):
        return False


def _number(digits: str) -> int | float:
    """As RFC 8785 sees it: a double, whose digits are those of an integer up to 1e21."""
    exact = int(digits) if len(digits) < 32 else float(digits)
    return exact if -MAX_INTEGER <= exact <= MAX_INTEGER else float(digits)
