"""The emulator's state of one world, apart from that of every other in the process."""

from __future__ import annotations

from collections.abc import Container
from typing import Any

from moto.core.base_backend import BackendDict
from moto.s3.models import FakeKey, FakeMultipart, s3_backends

_used: list[Any] = BackendDict._instances  # type: ignore[misc]
"""The emulator's list of what is in use; it is never replaced."""
_FILES: tuple[Any, ...] = (FakeKey, FakeMultipart)
"""Of these the emulator keeps lists, and closes the files of all that are in them when it is reset."""
_present: Universe | None = None


class Universe:
    """What all of the emulator's services hold, in one world. The emulator keeps it in variables of the process: a
    universe is put there while its world is at work, and what was there is kept for whoever it belongs to.

    To be used inside the gate alone.
    """

    def __init__(self) -> None:
        self._backends: list[tuple[BackendDict[Any], dict[str, Any]]] = []
        self._buckets: dict[str, tuple[str, str]] = {}
        self._files: list[list[Any]] = [[] for _ in _FILES]

    def appear(self) -> None:
        """Be what the emulator works on."""
        global _present
        if _present is self:
            return
        (_present or _outside)._keep()
        self._put()
        _present = self

    def vanish(self) -> None:
        """Leave the emulator to whoever had it before the first world."""
        global _present
        if _present is self:
            self._keep()
            _outside._put()
            _present = None

    def forget(self, kept: Container[str]) -> None:
        """Empty the emulator's services, but for those of these names. To be called while this is present."""
        for backends in [one for one in _used if one.service_name not in kept]:
            backends.clear()
            _used.remove(backends)

    def end(self) -> None:
        """Be no more: what it had in files is closed. Who is at work with another one stays so."""
        before = _present
        self.appear()
        for _, _, backend in s3_backends.iter_backends():
            backend.reset()
        for backends in _used:
            backends.clear()
        self.vanish()
        if before is not None and before is not self:
            before.appear()

    def _keep(self) -> None:
        self._backends = [(backends, dict(backends)) for backends in _used]
        self._buckets = s3_backends.bucket_accounts
        self._files = [model.instances_tracked for model in _FILES]
        for backends, _ in self._backends:
            backends.clear()

    def _put(self) -> None:
        for backends, content in self._backends:
            dict.update(backends, content)
        _used[:] = [backends for backends, _ in self._backends]
        s3_backends.bucket_accounts = self._buckets
        for model, tracked in zip(_FILES, self._files, strict=True):
            model.instances_tracked = tracked


_outside = Universe()
"""What was there before any world was: tests of others that use the emulator by itself."""
