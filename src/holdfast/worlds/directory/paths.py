"""Paths and link targets, which are hostile until checked. Pure: no I/O."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from holdfast.text import is_storable
from holdfast.worlds.directory.errors import InvalidMode, InvalidPath, LinkEscapes
from holdfast.worlds.directory.records import PERMISSIONS, SLICE_BYTES, Entry, File, Folder, Link
from holdfast.worlds.errors import InvalidView
from holdfast.worlds.model import path_of

RESERVED = ".holdfast"
"""No resource has it as a part of its path: the name of the service's private directory."""
MAX_PART_BYTES = 255
MAX_PATH_BYTES = 4000
MAX_TARGET_BYTES = 4095
_DIGEST = re.compile(r"[0-9a-f]{64}", re.ASCII)


def check_path(path: object) -> str:
    """``path``, which names a resource: POSIX, relative to the root of its account and region.

    Raises:
        InvalidPath: it cannot.
    """
    fault = _path_fault(path)
    if fault or not isinstance(path, str):
        raise InvalidPath(path, fault or "it is not a text")
    return path


def check_target(path: str, target: object) -> str:
    """``target``, which the link ``path`` points at.

    Raises:
        LinkEscapes: it may lead out of the root.
        InvalidPath: it cannot be a target at all.
    """
    if not isinstance(target, str) or not target or not is_storable(target):
        raise InvalidPath(target, "a link's target is a UTF-8 text that is not empty")
    if len(target.encode()) > MAX_TARGET_BYTES:
        raise InvalidPath(target, f"it is over {MAX_TARGET_BYTES} bytes")
    fault = target_fault(path, target)
    if fault:
        raise LinkEscapes(path, target, fault)
    return target


def check_mode(mode: object) -> int:
    """Raises:
    InvalidMode: not permission bits.
    """
    if type(mode) is not int or not 0 <= mode <= PERMISSIONS:
        raise InvalidMode(f"{mode!r} is not a mode.")
    return mode


def target_fault(path: str, target: str) -> str | None:
    """What is wrong with where a link points; ``None`` if it stays within the root whatever other links there are.

    A leading ``..`` goes up from the link's own folder, whose parents are real folders. A ``..`` behind a name may go
    up from wherever a link of that name leads, so that no look at the texts can tell where it ends.
    """
    if target.startswith("/"):
        return "it is absolute"
    parts = [part for part in target.split("/") if part not in ("", ".")]
    up = next((place for place, part in enumerate(parts) if part != ".."), len(parts))
    if up > path.count("/"):
        return "it goes above the root"
    return "it goes up again behind a name" if ".." in parts[up:] else None


def parents(path: str) -> Iterator[str]:
    """The paths of the folders above ``path``, topmost first."""
    place = path.find("/")
    while place >= 0:
        yield path[:place]
        place = path.find("/", place + 1)


def parent(path: str) -> str:
    """The path of the folder that ``path`` is in; empty for the root."""
    return path.rpartition("/")[0]


def below(path: str, names: Iterator[str]) -> list[str]:
    """Those of ``names`` that are ``path`` or below it, in order."""
    prefix = path + "/"
    return sorted(name for name in names if name == path or name.startswith(prefix))


def check_tree(service: str, resources: Mapping[str, Entry]) -> None:
    """Refuse resources that no directory can hold (WO-2).

    Raises:
        InvalidView: naming the path.
    """
    for name, entry in resources.items():
        above, _, part = name.rpartition("/")
        fault = "it is absolute" if name.startswith("/") else _part_fault(part) or _length_fault(name)
        if fault is None and above and not isinstance(resources.get(above), Folder):  # where it is checked as well
            fault = f"{above!r} is not a folder of the view"
        if fault:
            raise InvalidView(service, path_of(name), fault)
        check_entry(service, name, entry)


def check_entry(service: str, name: str, entry: Entry) -> None:
    """Refuse a record whose values are of the right types and wrong all the same.

    Raises:
        InvalidView: naming the path.
    """
    if isinstance(entry, Link):
        try:
            check_target(name, entry.target)
        except (InvalidPath, LinkEscapes) as error:
            raise InvalidView(service, f"{path_of(name)}.target", error.message.rstrip(".")) from error
        return
    if not 0 <= entry.mode <= PERMISSIONS:
        raise InvalidView(service, f"{path_of(name)}.mode", f"{entry.mode} is not a set of permission bits up to 0o777")
    if isinstance(entry, File):
        _check_body(service, name, entry)


def _check_body(service: str, name: str, file: File) -> None:
    if file.size < 0:
        raise InvalidView(service, f"{path_of(name)}.size", "it is negative")
    if not _DIGEST.fullmatch(file.digest):
        raise InvalidView(service, f"{path_of(name)}.digest", "it is not the SHA-256 of a body, in hex")
    wanted = -(-file.size // SLICE_BYTES) if file.size > SLICE_BYTES else 0
    if len(file.slices) != wanted or not all(map(_DIGEST.fullmatch, file.slices)):
        raise InvalidView(service, f"{path_of(name)}.slices", f"a body of {file.size} bytes has {wanted} slices")


def is_reserved(part: str) -> bool:
    """Whether ``part`` is the reserved name, for a file system that ignores case, too."""
    return part.casefold() == RESERVED


def _path_fault(path: object) -> str | None:
    if not isinstance(path, str):
        return "it is not a text"
    if not path:
        return "it is empty"
    if path.startswith("/"):
        return "it is absolute"
    faults = (_part_fault(part) for part in path.split("/"))
    return next(filter(None, faults), None) or _length_fault(path)


def _part_fault(part: str) -> str | None:
    if part in ("", ".", "..") or is_reserved(part):
        return f"a part of it is {part!r}"
    if not is_storable(part):
        return "it holds a NUL character or is not UTF-8"
    if len(part.encode()) > MAX_PART_BYTES:
        return f"a part of it is over {MAX_PART_BYTES} bytes"
    return None


def _length_fault(path: str) -> str | None:
    return f"it is over {MAX_PATH_BYTES} bytes" if len(path.encode(errors="replace")) > MAX_PATH_BYTES else None
