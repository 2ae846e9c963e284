"""A project on disk, as ``[tool.holdfast.package]`` of its ``pyproject.toml`` describes it, and what of it goes into an
archive. The same files give the same content on any machine: nothing of times, owners, modes or the order of folders.
"""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import msgspec
from packaging.pylock import PackageWheel

from holdfast.packages.archive.errors import InvalidLock, InvalidProject, ModuleNotInSource, ProjectNotFound
from holdfast.packages.archive.layout import LOCK, SOURCE, check_files
from holdfast.packages.archive.locks import local_wheels, parse_lock
from holdfast.packages.archive.manifest import is_dotted, is_name, is_package_name
from holdfast.packages.archive.sources import collect_source, read_bounded

TABLE: Final = "tool.holdfast.package"
_FILE = "pyproject.toml"
_PLACE = re.compile(r"(?P<problem>.*) - at `\$(?P<key>.*)`", re.DOTALL)
_NOT_IMPORTED = frozenset({"__init__", "__main__", "conftest", "setup"})


@dataclass(frozen=True, slots=True)
class Project:
    """What a package is built of.

    Attributes:
        name: of the package.
        label: free text that names the version for people.
        modules: to import; sorted.
        files: by their names in an archive: ``source/…``, ``wheels/….whl``, ``pylock.toml``.
        source: the directory that the source files are from.
        lock: SHA-256 of ``pylock.toml`` in hex, ``None`` where there is none.
    """

    name: str
    label: str | None
    modules: tuple[str, ...]
    files: Mapping[str, bytes] = field(repr=False)
    source: Path
    lock: str | None


class _Table(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    source: str | None = None
    modules: tuple[str, ...] | None = None
    label: str | None = None
    lock: str | None = None
    exclude: tuple[str, ...] = ()


def collect(directory: Path) -> Project:
    """Read the project in ``directory``; none of its code is run.

    Raises:
        ProjectNotFound: there is no ``pyproject.toml``.
        InvalidProject: a key of the table, or a file, that cannot be used; the error names it.
        ModuleNotInSource: a module that is nowhere in the source.
        InvalidLock: the lock cannot be used, or a wheel that it names by path is not there.
        InvalidArchive: the files break a rule of archives (PK-9).
    """
    table = _table(directory)
    _check_table(table)
    source = _source(directory, table)
    lock = _lock(directory, table)
    text = None if lock is None else read_bounded(lock, lock.name)
    wheels = {} if lock is None or text is None else _wheels(lock, text)
    files = collect_source(source, table.exclude, apart={path.resolve() for path in (lock, *wheels.values()) if path})
    modules = _modules(table, files)
    files.update({name: read_bounded(path, str(path)) for name, path in wheels.items()})
    if text is not None:
        files[LOCK] = text
    check_files(files)
    return Project(
        name=table.name,
        label=table.label,
        modules=modules,
        files=files,
        source=source,
        lock=None if text is None else sha256(text).hexdigest(),
    )


def _table(directory: Path) -> _Table:
    path = directory / _FILE
    try:
        found: Any = tomllib.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        raise ProjectNotFound(f"There is no {_FILE} in {directory}.") from None
    except (OSError, ValueError, RecursionError) as error:
        raise InvalidProject(str(path), f"it cannot be read: {error}") from error
    for part in TABLE.split("."):
        found = found.get(part) if isinstance(found, dict) else None
    if not isinstance(found, dict):
        raise InvalidProject(TABLE, f"{path} has no such table", remedy=f'Add [{TABLE}] with name = "…" to it.')
    for key in found.keys() - set(_Table.__struct_fields__):
        near = difflib.get_close_matches(key, _Table.__struct_fields__, 1)
        raise InvalidProject(f"{TABLE}.{key}", f"there is no such key{f'; {near[0]} may be meant' if near else ''}")
    try:
        return msgspec.convert(found, _Table)
    except msgspec.ValidationError as error:
        place = _PLACE.fullmatch(str(error))
        raise InvalidProject(
            TABLE + (place["key"] if place else ""), place["problem"] if place else f"{error}"
        ) from error


def _check_table(table: _Table) -> None:
    if not is_package_name(table.name):
        raise InvalidProject(
            f"{TABLE}.name", f"{table.name!r:.80} is not 1 to 100 of a-z, 0-9, dot, hyphen, underscore"
        )
    if table.label is not None and not is_name(table.label):
        raise InvalidProject(f"{TABLE}.label", f"{table.label!r:.80} is not 1 to 200 printable characters")
    for number, pattern in enumerate(table.exclude):
        if not pattern.strip("/"):
            raise InvalidProject(f"{TABLE}.exclude[{number}]", f"{pattern!r} names nothing")
    for number, module in enumerate(table.modules or ()):
        if not is_dotted(module) or module in (table.modules or ())[:number]:
            raise InvalidProject(f"{TABLE}.modules[{number}]", f"{module!r:.80} is no name of a module, or there twice")


def _source(directory: Path, table: _Table) -> Path:
    if table.source is not None:
        found = _inside(directory, table.source, "source")
        if not found.is_dir():
            raise InvalidProject(f"{TABLE}.source", f"there is no directory {table.source!r}")
        return found
    return directory / "src" if (directory / "src").is_dir() else directory


def _lock(directory: Path, table: _Table) -> Path | None:
    if table.lock is not None:
        found = _inside(directory, table.lock, "lock")
        if not found.is_file():
            raise InvalidProject(f"{TABLE}.lock", f"there is no file {table.lock!r}")
        return found
    return directory / LOCK if (directory / LOCK).is_file() else None


def _inside(directory: Path, name: str, key: str) -> Path:
    """A path of the project, which must not depend on where the project is."""
    if "\0" in name or not (directory / name).resolve().is_relative_to(directory.resolve()):
        raise InvalidProject(f"{TABLE}.{key}", f"{name!r:.300} is not within the project")
    return directory / name


def _wheels(lock: Path, text: bytes) -> dict[str, Path]:
    """Where the wheels are that the lock names by path, by their names in an archive."""
    return {name: _wheel(lock, wheel) for name, wheel in local_wheels(parse_lock(text)).items()}


def _wheel(lock: Path, wheel: PackageWheel) -> Path:
    path = lock.parent / (wheel.path or "")
    if not path.is_file():
        raise InvalidLock(f"{lock} names the wheel {wheel.path!r}, which is not there.")
    return path


def _modules(table: _Table, files: Mapping[str, bytes]) -> tuple[str, ...]:
    if table.modules is None:
        found = _top_modules(files)
        if not found:
            raise InvalidProject(f"{TABLE}.modules", "there is no module at the top of the source")
        return found
    if not table.modules:
        raise InvalidProject(f"{TABLE}.modules", "it is empty")
    for module in table.modules:
        if not _is_there(module, files):
            raise ModuleNotInSource(f"{TABLE}.modules", f"the module {module!r} is nowhere in the source")
    return tuple(sorted(table.modules))


def _top_modules(files: Mapping[str, bytes]) -> tuple[str, ...]:
    """The modules and packages that are imported without a dot."""
    parts = [name.removeprefix(SOURCE).split("/") for name in files]
    modules = {path[0].removesuffix(".py") for path in parts if len(path) == 1 and path[0].endswith(".py")}
    packages = {path[0] for path in parts if path[1:] == ["__init__.py"]}
    return tuple(sorted(name for name in modules | packages if name.isidentifier() and name not in _NOT_IMPORTED))


def _is_there(module: str, files: Mapping[str, bytes]) -> bool:
    """As a module, an extension module, or a folder, with or without an ``__init__``."""
    place = SOURCE + module.replace(".", "/")
    extension = re.compile(re.escape(place) + r"\.[^/]*so")
    return f"{place}.py" in files or any(name.startswith(f"{place}/") or extension.fullmatch(name) for name in files)
