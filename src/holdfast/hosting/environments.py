"""Virtual environments with the locked dependencies of packages, each built once and kept.

An environment is known by a *key* and is whole when ``<key>.json``, moved into place last of all, names its directory.
The directory has its final name from the start, since the scripts in it hold that; a builder that dies leaves one that
nothing names, and the next builder of the key removes it. ``<key>.lock`` is held alone by a builder, and shared by
those that use the environment for as long as they live; ``<key>.log`` has all that was said while it was built.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import re
import secrets
import shutil
import sys
import sysconfig
import threading
from collections.abc import Collection, Mapping, Sequence
from functools import partial
from pathlib import Path

from holdfast.clock import SystemClock
from holdfast.hosting.commands import Commands, tail
from holdfast.hosting.errors import VersionNotLoadable
from holdfast.hosting.file_locks import take_alone, take_shared
from holdfast.hosting.installers import Installer, find_installer
from holdfast.hosting.wheels import check_unpacked, locked_wheels, requirement_line
from holdfast.packages.archive.locks import OWN, Requirement

LAYOUT = 1
"""Part of each key: raised when environments are to be built anew."""
BUILD_SECONDS = 900.0
_POLL_SECONDS = 0.05
_KEY = re.compile("[0-9a-f]{32}")
_NOT_INHERITED = ("PYTHONPATH", "PYTHONHOME", "PYTHONSTARTUP", "VIRTUAL_ENV", "__PYVENV_LAUNCHER__")
_PROBE = "import holdfast.hosting.child"


def environment_key(lock: bytes) -> str:
    """The key of the environment for ``lock`` here: 32 hexadecimal digits.

    The digests of the wheels are part of it, since the lock has them.
    """
    parts = (
        LAYOUT,
        hashlib.sha256(lock).hexdigest(),
        platform.python_implementation(),
        platform.python_version(),
        sysconfig.get_platform(),
        sys.base_prefix,
    )
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:32]


class Environments:
    """The environments below one directory. Processes may share it; calls block, and may come from any threads.

    Args:
        root: made when it is needed, for this user alone.
        installer: in place of the one that :func:`find_installer` finds.
        seconds: how long each command of a build may take, and how long to wait for another builder.
    """

    def __init__(self, root: Path, *, installer: Installer | None = None, seconds: float = BUILD_SECONDS) -> None:
        self._root = root.absolute()
        self._installer = installer
        self._seconds = seconds
        self._clock = SystemClock()
        self._commands = Commands(seconds)
        self._guard = threading.Lock()
        self._uses: dict[str, int] = {}

    def interpreter(self, unpacked: Path, lock: bytes | None) -> Path:
        """The Python that runs a package: this one where it has no lock, or that of an environment with what the lock
        selects, built now if need be. The environment stays until :meth:`remove_unused` or :meth:`close`.

        Args:
            unpacked: where the archive was unpacked; the lock names local wheels by paths below it.
            lock: the bytes of its ``pylock.toml``.

        Raises:
            InvalidLock, LockUnsatisfied: the lock is none, or not for this machine (:func:`locked_wheels`); nothing was
                written.
            VersionNotLoadable: it cannot be installed, or not within the time limit, or :meth:`close` was called.
        """
        if lock is None:
            return Path(sys.executable)
        key = environment_key(lock)
        try:
            return self._used(key) or self._built(key, unpacked, locked_wheels(lock))
        except OSError as error:
            raise VersionNotLoadable(f"The environment {self._at(key, '')} cannot be built: {error}.") from error

    def remove_unused(self, keep: Collection[str]) -> list[str]:
        """Delete every environment, and whatever is left of one, but those of the keys in ``keep`` (see
        :func:`environment_key`) and those that other processes use or build.

        Returns:
            The keys of what was deleted.
        """
        found = {entry.name[:32] for entry in self._root.glob("*") if _KEY.match(entry.name)}
        return [key for key in sorted(found.difference(keep)) if self._removed(key)]

    def close(self) -> None:
        """Stop the builds that are under way and let other processes remove what this one used."""
        self._commands.stop()
        with self._guard:
            for descriptor in self._uses.values():
                os.close(descriptor)
            self._uses.clear()

    # -- using ---------------------------------------------------------------------------------------------------

    def _used(self, key: str) -> Path | None:
        """The environment's Python, which nobody removes any more; ``None`` when it is not whole."""
        with self._guard:
            descriptor = self._uses.pop(key, None)
            if descriptor is None and self._at(key, ".json").exists():
                descriptor = take_shared(self._at(key, ".lock"))
            if descriptor is None:
                return None
            python = self._whole(key)
            if python is None:
                os.close(descriptor)
            else:
                self._uses[key] = descriptor
            return python

    def _whole(self, key: str) -> Path | None:
        try:
            python = Path(self._root, json.loads(self._at(key, ".json").read_bytes())["directory"], "bin", "python")
        except (OSError, ValueError, LookupError, TypeError):
            return None
        return python if os.access(python, os.X_OK) else None

    # -- building ------------------------------------------------------------------------------------------------

    def _built(self, key: str, unpacked: Path, wheels: Sequence[Requirement]) -> Path:
        for wheel in wheels:
            check_unpacked(wheel, unpacked)
        self._root.mkdir(mode=0o700, parents=True, exist_ok=True)
        until = self._clock.monotonic() + self._seconds
        while (python := self._used(key)) is None:
            alone = take_alone(self._at(key, ".lock"))
            if alone is None:
                self._wait(key, until)
                continue
            try:
                if self._whole(key) is None:
                    self._build(key, unpacked, wheels)
            finally:
                os.close(alone)
        return python

    def _wait(self, key: str, until: float) -> None:
        if self._commands.stopped.wait(_POLL_SECONDS):
            raise VersionNotLoadable("The wait for another builder of the environment was stopped.")
        if self._clock.monotonic() > until:
            raise VersionNotLoadable(
                f"Another process has {self._at(key, '.lock')} for longer than {self._seconds:g} s.",
                remedy="Stop or thaw the process that builds this environment; the version is tried again by itself.",
            )

    def _build(self, key: str, unpacked: Path, wheels: Sequence[Requirement]) -> None:
        self._clear(key)
        installer = self._installer or find_installer()
        directory = self._at(key, f"-{secrets.token_hex(4)}")
        try:
            self._fill(directory, self._at(key, ".log"), unpacked, wheels, installer)
            self._publish(key, directory, wheels, installer)
        except BaseException:
            shutil.rmtree(directory, ignore_errors=True)
            raise

    def _fill(
        self, directory: Path, log: Path, unpacked: Path, wheels: Sequence[Requirement], installer: Installer
    ) -> None:
        scratch, requirements, python = directory / "tmp", directory / "requirements.txt", directory / "bin" / "python"
        scratch.mkdir(parents=True)
        requirements.write_text("".join(requirement_line(wheel, unpacked) for wheel in wheels))
        offline = all(wheel.wheel is not None for wheel in wheels)
        run = partial(self._commands.run, directory=directory, log=log, environment=_environment(scratch))
        run("Making a virtual environment", [sys.executable, "-m", "venv", "--without-pip", str(directory)])
        run(f"Installing by {installer.name}", installer.install(python, requirements, offline=offline))
        try:
            run("Importing it", [str(python), "-I", "-c", _PROBE])
        except VersionNotLoadable as error:
            raise _not_hosted(error, tail(log), wheels) from error
        shutil.rmtree(scratch)

    def _publish(self, key: str, directory: Path, wheels: Sequence[Requirement], installer: Installer) -> None:
        record = {
            "directory": directory.name,
            "python": platform.python_version(),
            "installer": installer.name,
            "installed": [{"name": w.name, "version": w.version, "source": w.wheel or w.url} for w in wheels],
        }
        beside = directory / "environment.json"
        beside.write_text(json.dumps(record, indent=1) + "\n")
        os.sync()  # after a power cut the record must not be there without the files
        beside.replace(self._at(key, ".json"))

    # -- removing ------------------------------------------------------------------------------------------------

    def _removed(self, key: str) -> bool:
        with self._guard:
            used = self._uses.pop(key, None)
            if used is not None:
                os.close(used)
        alone = take_alone(self._at(key, ".lock"))
        if alone is None:
            return False
        try:
            self._clear(key)
            self._at(key, ".lock").unlink()
        finally:
            os.close(alone)
        return True

    def _clear(self, key: str) -> None:
        """Remove what there is of the environment, the record first: killed in between, the rest is nobody's."""
        for suffix in (".json", ".log"):
            self._at(key, suffix).unlink(missing_ok=True)
        for directory in self._root.glob(f"{key}-*"):
            shutil.rmtree(directory, ignore_errors=True)  # a dead builder's installer may still be writing there

    def _at(self, key: str, suffix: str) -> Path:
        return self._root / f"{key}{suffix}"


def _environment(scratch: Path) -> Mapping[str, str]:
    inherited = {name: value for name, value in os.environ.items() if name not in _NOT_INHERITED}
    return inherited | {"TMPDIR": str(scratch)}


def _not_hosted(error: VersionNotLoadable, said: str, wheels: Sequence[Requirement]) -> VersionNotLoadable:
    version = next(wheel.version for wheel in wheels if wheel.name == OWN)
    if "No module named 'holdfast.hosting" in said:
        return VersionNotLoadable(
            f"The package's holdfast {version} is too old to be hosted: {said}",
            remedy="Lock a newer holdfast, build the package and deploy it.",
        )
    return VersionNotLoadable(
        f"The package's holdfast {version} cannot be imported. {error.message}",
        remedy="Lock all that holdfast depends on, build the package and deploy it.",
    )
