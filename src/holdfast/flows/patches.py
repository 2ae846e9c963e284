"""JSON merge patches (RFC 7396) of a flow's state (FL-15)."""

from __future__ import annotations

from typing import Any

from holdfast.flows.errors import InvalidPatch


def merge_patch(state: dict[str, Any], patch: Any) -> dict[str, Any]:
    """``state`` with ``patch`` merged in; neither is changed.

    Raises:
        InvalidPatch: the patch is no object: it would wipe the state.
    """
    if not isinstance(patch, dict):
        raise InvalidPatch(f"A state cannot be patched with a {type(patch).__name__}.")
    return _merged(state, patch)


def _merged(target: Any, patch: dict[str, Any]) -> dict[str, Any]:
    """The algorithm of RFC 7396, section 2."""
    merged = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            merged.pop(name, None)
        else:
            merged[name] = _merged(merged.get(name), value) if isinstance(value, dict) else value
    return merged
