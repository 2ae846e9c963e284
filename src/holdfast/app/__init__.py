"""``Holdfast``: the face for Python code."""

from __future__ import annotations

from holdfast.app.handle import Handle
from holdfast.app.holdfast import DEFAULT_URL, Holdfast

__all__ = ["DEFAULT_URL", "Handle", "Holdfast"]
