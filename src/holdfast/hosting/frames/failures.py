"""Errors in frames: the engine tells a few families of them apart, and so they keep their class on their way."""

from __future__ import annotations

from typing import Any

from holdfast.errors import HoldfastError, StoreError, StoreUnreachable
from holdfast.flows.errors import EngineFault, HistoryDamaged, LeaseLost
from holdfast.hosting.frames.framing import Failure
from holdfast.store.blobs import BlobCorrupt

_FAMILIES: dict[str, type[HoldfastError]] = {
    "history": HistoryDamaged,
    "blob": BlobCorrupt,
    "unreachable": StoreUnreachable,
    "store": StoreError,
}
"""From the narrowest on."""


def described(error: BaseException) -> tuple[Any, ...]:
    """The fields of a failure after its id."""
    if isinstance(error, LeaseLost):
        return "lease", error.code, error.message, error.remedy, error.epoch
    if not isinstance(error, HoldfastError):
        return "fault", EngineFault.code, f"The supervisor failed with {type(error).__name__}: {error}.", ""
    family = next((name for name, kind in _FAMILIES.items() if isinstance(error, kind)), "fault")
    return family, error.code, error.message, error.remedy


def restored(failure: Failure) -> HoldfastError:
    """The error that ``failure`` tells of."""
    if failure.family == "lease":
        return LeaseLost(failure.epoch)
    kind = _FAMILIES.get(failure.family, EngineFault)
    return kind(failure.message, remedy=failure.remedy or None)
