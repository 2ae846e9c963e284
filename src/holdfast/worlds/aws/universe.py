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
        """Be what the emulator works on. Who is interrupted leaves it as it was."""
        before = _present
        if before is not self:
            try:
                _switch(self)
            except BaseException:
                _switch(None if before is _nobody else before)
                raise

    def vanish(self) -> None:
        """Leave the emulator to whoever had it before the first world. Who is interrupted does so all the same."""
        if _present is self or _present is _nobody:
            try:
                _switch(None)
            except BaseException:
                _switch(None)
                raise

    def forget(self, kept: Container[str]) -> None:
        """Empty the emulator's services, but for those of these names. To be called while this is present."""
        for backends in [one for one in _used if one.service_name not in kept]:
            backends.clear()
            _used.remove(backends)

    def end(self) -> None:
        """Be no more: what it had in files is closed. Who is at work with another one stays so."""
        before = None if _present is self or _present is _nobody else _present
        try:
            self._close()
            _switch(before)
        except BaseException:
            _switch(before)
            raise

    def _close(self) -> None:
        self.appear()
        for _, _, backend in s3_backends.iter_backends():
            backend.reset()
        for backends in _used:
            backends.clear()

    def _keep(self) -> None:
        """Note what the emulator works on, which stays as it is."""
        self._backends = [(backends, dict(backends)) for backends in _used]
        self._buckets = s3_backends.bucket_accounts
        self._files = [model.instances_tracked for model in _FILES]

    def _put(self) -> None:
        _used[:] = [backends for backends, _ in self._backends]  # first: whoever clears the emulator goes by it
        for backends, content in self._backends:
            dict.update(backends, content)
        s3_backends.bucket_accounts = self._buckets
        for model, tracked in zip(_FILES, self._files, strict=True):
            model.instances_tracked = tracked


_outside = Universe()
"""What was there before any world was: tests of others that use the emulator by itself."""
_nobody = Universe()
"""Present while the emulator goes from one to another: what it has then is kept already, or not put there yet."""
_present: Universe | None = None
"""Whose the emulator's variables are; ``None``: of whoever uses it by itself."""


def _switch(to: Universe | None) -> None:
    """Where this is interrupted nothing is lost: whoever is to be present next begins with what was kept."""
    global _present
    if _present is to:
        return
    if _present is not _nobody:
        (_present or _outside)._keep()
        _present = _nobody
    for backends in _used:
        backends.clear()
    (to or _outside)._put()
    _present = to
