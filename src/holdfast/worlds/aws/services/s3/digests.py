"""The bodies of the emulator's objects, by digest."""

from __future__ import annotations

from hashlib import md5
from typing import Any
from weakref import WeakKeyDictionary

from holdfast.worlds.aws.adapter import Bodies


class Digests:
    """The digests of what the emulator's objects hold, each computed once."""

    def __init__(self, bodies: Bodies) -> None:
        self._bodies = bodies
        self._known: WeakKeyDictionary[Any, tuple[int, str | None, str]] = WeakKeyDictionary()

    def of(self, found: Any) -> str | None:
        """That of an object's or a part's bytes, which are kept; ``None`` when the emulator has closed them."""
        if found._value_buffer.closed:
            return None
        known = self._known.get(found)
        if known is not None and known[:2] == (found.contentsize, found._etag):
            return known[2]
        body = _bytes_of(found)
        if found._etag is None:  # the emulator does this when it is asked for it: a listing would
            found._etag = md5(body, usedforsecurity=False).hexdigest()
        digest = self._bodies.put(body)
        self.know(found, digest)
        return digest

    def know(self, found: Any, digest: str) -> None:
        """Take note that an object has this body."""
        self._known[found] = found.contentsize, found._etag, digest


def _bytes_of(found: Any) -> bytes:
    buffer = found._value_buffer
    with found.lock:
        place = buffer.tell()
        buffer.seek(0)
        body: bytes = buffer.read()
        buffer.seek(place)
    return body
