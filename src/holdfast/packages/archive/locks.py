"""The lock of a package's dependencies: the standard ``pylock.toml``, and the wheels that it names by path.

In an archive a wheel lies in ``wheels/`` by its file name, wherever the lock found it. Pure.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final

from packaging.markers import Environment
from packaging.pylock import Package, PackageSdist, PackageWheel, Pylock, PylockSelectError, PylockValidationError
from packaging.tags import Tag
from packaging.utils import parse_sdist_filename, parse_wheel_filename

from holdfast.packages.archive.errors import InvalidLock, LockUnsatisfied
from holdfast.packages.archive.layout import LOCK, WHEELS
from holdfast.packages.archive.manifest import Manifest

OWN: Final = "holdfast"
"""What every lock contains: a flow runs on the Holdfast that its package was locked to."""
MAX_LOCK: Final = 4 * 1024 * 1024
"""Bytes of a lock."""
_ENDLESS_KEY = re.compile(
    rb"""(?:(?:(?<![\w-])[\w-]++|"[^"\n]*+"|'[^'\n]*+')[ \t]*+\.[ \t]*+){33}""",
)
"""A key of many parts: the time to read one grows with their square."""


@dataclass(frozen=True, slots=True)
class Requirement:
    """A package that the lock selects for an interpreter.

    Attributes:
        name, version: of the package; the name is normalised.
        wheel: the file in the archive, ``wheels/….whl``; ``None``: it comes from an index.
        url: where it comes from, if the lock says so.
        hashes: hex digests of the file by the algorithm's name; never empty.
    """

    name: str
    version: str
    wheel: str | None
    url: str | None
    hashes: Mapping[str, str]


def parse_lock(text: bytes) -> Pylock:
    """The lock in a ``pylock.toml``.

    Raises:
        InvalidLock: it is none, or cannot be installed from an archive: it has no ``holdfast``, or something that is
            neither a wheel nor a source distribution.
    """
    if len(text) > MAX_LOCK:
        raise InvalidLock(f"{LOCK} has more than {MAX_LOCK:,} bytes.")
    if _ENDLESS_KEY.search(text):
        raise InvalidLock(f"{LOCK} has a key of more than 32 parts.")
    try:
        lock = Pylock.from_dict(_with_wheels(tomllib.loads(text.decode())))
    except (PylockValidationError, ValueError, TypeError, AttributeError, LookupError, RecursionError) as error:
        raise InvalidLock(f"{LOCK} is no lock: {str(error)[:300] or type(error).__name__}.") from error
    if not any(package.name == OWN for package in lock.packages):
        raise InvalidLock(f"{LOCK} does not contain {OWN}, which a package runs on.")
    for package in lock.packages:
        _check_installable(package)
    _wheel_names(lock)
    return lock


def _with_wheels(found: dict[str, Any]) -> dict[str, Any]:
    """Wheels that are given as archives, as installers write those that were named by path or address, as the wheels
    that they are."""
    for package in found.get("packages", ()):
        archive = package.get("archive")
        if "wheels" not in package and archive is not None:
            file = str(archive.get("path") or archive.get("url")).partition("#")[0]
            if file.endswith(".whl"):
                package["wheels"] = [package.pop("archive")]
    return found


def local_wheels(lock: Pylock) -> dict[str, PackageWheel]:
    """The wheels that the lock names by path, by their names in the archive."""
    return _wheel_names(lock)


def check_lock(manifest: Manifest, files: Mapping[str, bytes]) -> None:
    """See that the lock in an archive, its manifest and its wheels belong together.

    Raises:
        InvalidLock: they do not, or it is no lock.
    """
    text = files.get(LOCK)
    if manifest.lock != (None if text is None else sha256(text).hexdigest()):
        raise InvalidLock(f"The manifest does not name the SHA-256 of this {LOCK}.")
    wanted = {} if text is None else local_wheels(parse_lock(text))
    for name in files:
        if name.startswith(WHEELS) and name not in wanted:
            raise InvalidLock(f"{LOCK} does not name {name!r} by path.")
    for name, wheel in wanted.items():
        if name not in files:
            raise InvalidLock(f"{LOCK} names {wheel.path!r} by path, but {name!r} is not in the archive.")
        expected = wheel.hashes.get("sha256")
        if expected is not None and expected.lower() != sha256(files[name]).hexdigest():
            raise InvalidLock(f"{name!r} is not the wheel whose hash is in {LOCK}.")


def requirements(
    lock: Pylock, *, environment: Environment | None = None, tags: Sequence[Tag] | None = None
) -> list[Requirement]:
    """What the lock selects for an interpreter, by name.

    Args:
        lock: from :func:`parse_lock`.
        environment, tags: the interpreter's, as of the library ``packaging``; by default this one's.

    Raises:
        LockUnsatisfied: it selects nothing that fits.
    """
    try:
        found = list(lock.select(environment=environment, tags=tags))
    except (PylockSelectError, ValueError, LookupError, RecursionError) as error:
        raise LockUnsatisfied(f"{LOCK} cannot be installed here: {error}.") from error
    chosen = [_requirement(package, file) for package, file in found if isinstance(file, PackageWheel | PackageSdist)]
    if all(one.name != OWN for one in chosen):
        raise LockUnsatisfied(f"{LOCK} contains {OWN}, but not for this interpreter.")
    return sorted(chosen, key=lambda one: one.name)


def locked_versions(lock: Pylock) -> dict[str, tuple[str, ...]]:
    """The versions of each package in the lock; of several, different environments get different ones."""
    found: dict[str, set[str]] = {}
    for package in lock.packages:
        found.setdefault(package.name, set()).update(_version(package, file) for file in _files(package))
    return {name: tuple(sorted(found[name])) for name in sorted(found)}


def _check_installable(package: Package) -> None:
    if package.is_direct:
        raise InvalidLock(f"{LOCK} names a directory, repository or archive for {package.name!r}, and no wheel.")
    if package.sdist is not None and package.sdist.path is not None:
        raise InvalidLock(f"{LOCK} names a local source distribution of {package.name!r}: name a wheel.")
    for file in _files(package):
        if not file.hashes:
            raise InvalidLock(f"{LOCK} has no hash of {file.filename!r}.")


def _files(package: Package) -> Iterator[PackageWheel | PackageSdist]:
    yield from package.wheels or ()
    if package.sdist is not None:
        yield package.sdist


def _wheel_names(lock: Pylock) -> dict[str, PackageWheel]:
    found: dict[str, PackageWheel] = {}
    for wheel in (wheel for package in lock.packages for wheel in package.wheels or () if wheel.path is not None):
        name = archive_name(wheel)
        if found.setdefault(name, wheel).path != wheel.path:
            raise InvalidLock(f"{LOCK} names two wheels of the name {wheel.filename!r} by path.")
    return found


def archive_name(wheel: PackageWheel) -> str:
    """The name in the archive of a wheel that the lock names by path."""
    return WHEELS + wheel.filename


def _requirement(package: Package, file: PackageWheel | PackageSdist) -> Requirement:
    local = isinstance(file, PackageWheel) and file.path is not None
    return Requirement(
        name=package.name,
        version=_version(package, file),
        wheel=WHEELS + file.filename if local else None,
        url=None if local else file.url,
        hashes=dict(file.hashes),
    )


def _version(package: Package, file: PackageWheel | PackageSdist) -> str:
    if package.version is not None:
        return str(package.version)
    parse = parse_wheel_filename if isinstance(file, PackageWheel) else parse_sdist_filename
    return str(parse(file.filename)[1])
