"""The wheels that a lock selects here, as an installer is told of them: these very files, and never a source."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from urllib.parse import urlsplit

from holdfast.hosting.errors import VersionNotLoadable
from holdfast.packages.archive.errors import InvalidLock, LockUnsatisfied
from holdfast.packages.archive.locks import Requirement, parse_lock, requirements

_ALGORITHMS = ("sha256", "sha384", "sha512")
"""The hashes that every installer checks."""
_DIGEST = re.compile("[0-9A-Fa-f]+")
_URL = re.compile(r"https?://[A-Za-z0-9._~:/?@!&'()*+,=%-]+")
"""What is one word in a requirements file: nothing in it is expanded or cut off."""


class NoWheelLocked(LockUnsatisfied):
    """A package is locked to a source, which would have to be built here: that runs its code.

    Attributes:
        package: its name.
    """

    code = "no_wheel_locked"
    remedy = "Build a wheel of it, lock that by its path, build the package and deploy it."

    def __init__(self, package: str) -> None:
        super().__init__(f"The lock has a source distribution of {package!r}, but no wheel that fits this machine.")
        self.package = package


class WheelMismatch(VersionNotLoadable):
    """An unpacked wheel is not the one that the lock names.

    Attributes:
        package: its name.
    """

    code = "wheel_mismatch"
    remedy = "Lock the dependencies again with the wheels as they are now, build the package and deploy it."

    def __init__(self, package: str, wheel: str, problem: str) -> None:
        super().__init__(f"{package!r} is locked to {wheel!r}, {problem}.")
        self.package = package


def locked_wheels(lock: bytes) -> list[Requirement]:
    """What ``lock`` selects here, by name: each by its wheel or its URL.

    Raises:
        InvalidLock: it is none, or names what cannot be fetched and checked.
        LockUnsatisfied: it is for other machines, or does not select holdfast here.
        NoWheelLocked: it selects a source distribution.
    """
    selected = requirements(parse_lock(lock))
    for one in selected:
        _check_source(one)
    return selected


def check_unpacked(wheel: Requirement, unpacked: Path) -> None:
    """That a wheel of the archive is in ``unpacked`` as it was locked.

    Raises:
        WheelMismatch: it is another one, or not there.
    """
    if wheel.wheel is None:
        return
    try:
        content = (unpacked / wheel.wheel).read_bytes()
    except OSError as error:
        raise WheelMismatch(wheel.name, wheel.wheel, f"which is not to be read: {error.strerror}") from error
    for algorithm, digest in _hashes(wheel).items():
        if hashlib.new(algorithm, content).hexdigest() != digest.lower():
            raise WheelMismatch(wheel.name, wheel.wheel, f"which has another {algorithm} than the lock says")


def requirement_line(wheel: Requirement, unpacked: Path) -> str:
    """The line of a requirements file by which any installer takes this very file."""
    at = wheel.url if wheel.wheel is None else (unpacked / wheel.wheel).absolute().as_uri()
    hashes = " ".join(f"--hash={algorithm}:{digest}" for algorithm, digest in _hashes(wheel).items())
    return f"{wheel.name} @ {at} {hashes}\n"


def _hashes(wheel: Requirement) -> dict[str, str]:
    return {algorithm: wheel.hashes[algorithm] for algorithm in _ALGORITHMS if algorithm in wheel.hashes}


def _check_source(wheel: Requirement) -> None:
    hashes = _hashes(wheel).values()
    if not hashes or not all(map(_DIGEST.fullmatch, hashes)):
        raise InvalidLock(f"The lock has no SHA-2 hash of {wheel.name!r}.")
    if wheel.wheel is not None:
        return
    url = wheel.url or ""
    if not _URL.fullmatch(url):
        raise InvalidLock(f"The lock names {url[:200]!r} for {wheel.name!r}, which is no plain http or https URL.")
    if not urlsplit(url).path.endswith(".whl"):
        raise NoWheelLocked(wheel.name)
