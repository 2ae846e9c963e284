"""What the world of one directory alone is called."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

_BASENAME = 40


def world_name(directory: Path) -> str:
    """A name that says which directory it is, and that no other directory has."""
    path = directory.resolve()
    base = "".join(ch if ch.isascii() and ch.isalnum() else "-" for ch in path.name).strip("-")[:_BASENAME]
    return f"{base or 'root'}-{sha256(bytes(path)).hexdigest()[:12]}"
