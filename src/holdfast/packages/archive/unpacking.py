"""The files of an archive, in a directory of their own."""

from __future__ import annotations

import fcntl
import os
import shutil
import stat
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from holdfast.packages.archive.errors import UnpackFailed
from holdfast.packages.archive.layout import check_names
from holdfast.packages.archive.reading import Archive

_FRESH, _STALE, _TURN = ".new", ".old", ".lock"


def unpack(archive: Archive, directory: Path) -> None:
    """Make ``directory`` hold exactly the files of ``archive``, the manifest aside: ``source/``, ``wheels/``,
    ``pylock.toml``.

    What is there already is compared byte for byte, and replaced where anything differs. The tree is built beside
    (``.NAME.new``) and renamed, so whoever looks at ``directory`` sees all of it or nothing, also when this process is
    killed. Several processes may do so at once. Run code from it without writing bytecode into it.

    Raises:
        UnpackFailed: it cannot be written there.
    """
    check_names(archive.files)
    try:
        if not _is_done(directory, archive.files):
            directory.parent.mkdir(parents=True, exist_ok=True)
            with _turn(directory):
                _clear(directory)
                if not _holds(directory, archive.files):
                    _replace(directory, archive.files)
    except OSError as error:
        raise UnpackFailed(f"The package cannot be unpacked in {directory}: {error.strerror or error}.") from error


def _is_done(directory: Path, files: Mapping[str, bytes]) -> bool:
    left = any(os.path.lexists(_beside(directory, ending)) for ending in (_FRESH, _STALE))
    return not left and _holds(directory, files)


def _clear(directory: Path) -> None:
    """Only whoever has the turn comes here: what lies beside was left by one that was killed."""
    for ending in (_FRESH, _STALE):
        _remove(_beside(directory, ending))


def _replace(directory: Path, files: Mapping[str, bytes]) -> None:
    try:
        _write(_beside(directory, _FRESH), files)
        with suppress(FileNotFoundError):
            directory.rename(_beside(directory, _STALE))
        _beside(directory, _FRESH).rename(directory)
    finally:
        _clear(directory)


def _write(root: Path, files: Mapping[str, bytes]) -> None:
    """Not synced: what a crash of the machine leaves of it is compared before it is used."""
    root.mkdir()
    for folder in sorted(_folders(files)):
        (root / folder).mkdir()
    for name, body in files.items():
        (root / name).write_bytes(body)


def _holds(root: Path, files: Mapping[str, bytes]) -> bool:
    """Whether there are these files in ``root``, and nothing else. No link is followed, be it ``root`` itself."""
    if root.is_symlink() or not root.is_dir():
        return False
    folders, missing, pending = _folders(files), set(files), [""]
    while pending:
        above = pending.pop()
        with os.scandir(root / above) as entries:
            for entry in entries:
                name = above + entry.name
                if name in folders and entry.is_dir(follow_symlinks=False):
                    pending.append(f"{name}/")
                elif name in files and _is(entry, files[name]):
                    missing.remove(name)
                else:
                    return False
    return not missing


def _is(entry: os.DirEntry[str], body: bytes) -> bool:
    found = entry.stat(follow_symlinks=False)
    return stat.S_ISREG(found.st_mode) and found.st_size == len(body) and Path(entry.path).read_bytes() == body


def _folders(names: Iterable[str]) -> set[str]:
    """All folders above files of these names."""
    found: set[str] = set()
    for name in names:
        while (name := name.rpartition("/")[0]) and name not in found:
            found.add(name)
    return found


@contextmanager
def _turn(directory: Path) -> Iterator[None]:
    """One process, and one thread of it, at a time; the system ends a turn with its process."""
    descriptor = os.open(_beside(directory, _TURN), os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _beside(directory: Path, ending: str) -> Path:
    return directory.with_name(f".{directory.name}{ending}")


def _remove(path: Path) -> None:
    if path.is_symlink() or path.is_file():
        path.unlink()
    elif path.exists():
        shutil.rmtree(path)
