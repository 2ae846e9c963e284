"""The manifest of an archive, format 1: what is in the package, so that nobody has to run its code to know.

It is canonical JSON (RFC 8785); the hash of the archive covers it like any other file. Whatever is wrong with one is an
:class:`InvalidManifest` that names the place.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable
from typing import Any, Final, Literal

import msgspec
import rfc8785

from holdfast.packages.archive.errors import InvalidManifest, UnknownFormat
from holdfast.packages.model import MAX_TYPE
from holdfast.text import is_storable

FORMAT: Final = 1
MAX_MANIFEST: Final = 4 * 1024 * 1024
"""Bytes of a manifest."""
MAX_DEPTH: Final = 100
"""Levels of a schema: what can be read must not depend on how deep the reader's stack is already."""
_PACKAGE = re.compile(r"[a-z0-9._-]{1,100}", re.ASCII)
_PYTHON = re.compile(r"3\.(0|[1-9][0-9]{0,2})", re.ASCII)
_HASH = re.compile(r"[0-9a-f]{64}", re.ASCII)
_PLACE = re.compile(r"(?P<problem>.*) - at `(?P<path>\$.*)`", re.DOTALL)
_MAX_SECONDS = 10**12


class WorkflowItem(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A workflow that the package has.

    Attributes:
        name: the workflow type.
        entry: ``module:attribute``.
        arguments: JSON Schema of the JSON object of its arguments.
        result: JSON Schema of its result.
        retention: seconds for which its ended flows are kept; ``None``: it does not say.
    """

    name: str
    entry: str
    arguments: dict[str, Any]
    result: dict[str, Any]
    retention: float | None = None

    def __post_init__(self) -> None:
        _check_name(self.name)
        _check_entry(self.entry)
        for what in ("arguments", "result"):
            if _is_too_deep(getattr(self, what)):
                raise InvalidManifest(f"$.{what}", f"the schema is nested over {MAX_DEPTH} deep")
        if self.retention is not None and not 0 <= self.retention <= _MAX_SECONDS:
            raise InvalidManifest("$.retention", f"{self.retention} is no number of seconds")


class StepItem(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A step that the package has, by name and ``module:attribute``."""

    name: str
    entry: str

    def __post_init__(self) -> None:
        _check_name(self.name)
        _check_entry(self.entry)


class RateItem(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """So many starts in a window of so many microseconds."""

    count: int
    micros: int


class QueueItem(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A queue that the package declares, and its limits; ``None`` is no limit."""

    name: str
    concurrency: int | None = None
    per_worker: int | None = None
    per_key: int | None = None
    rate: RateItem | None = None

    def __post_init__(self) -> None:
        _check_name(self.name)


class ScheduleItem(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A schedule that the package declares; ``args`` is the text of a JSON object, ``every`` is in microseconds."""

    name: str
    workflow_type: str
    args: str = "{}"
    cron: str | None = None
    every: int | None = None
    zone: str = "UTC"
    overlap: str = "skip"
    catch_up: str = "one"
    queue: str | None = None
    tags: dict[str, str] = {}

    def __post_init__(self) -> None:
        _check_name(self.name)
        _check_name(self.workflow_type, "$.workflow_type")


class Manifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a package says of itself. What it lists is sorted by name, however it was given.

    Attributes:
        name: of the package.
        label: free text that names the version for people.
        python: the minor version of Python it was built for, and needs at least: ``"3.11"``.
        modules: what is imported to have all of it defined.
        lock: SHA-256 of its ``pylock.toml``, in hex.

    Raises:
        InvalidManifest: something of it cannot be.
    """

    name: str
    python: str
    modules: tuple[str, ...]
    label: str | None = None
    workflows: tuple[WorkflowItem, ...] = ()
    steps: tuple[StepItem, ...] = ()
    queues: tuple[QueueItem, ...] = ()
    schedules: tuple[ScheduleItem, ...] = ()
    lock: str | None = None
    format: Literal[1] = FORMAT

    def __post_init__(self) -> None:
        if not is_package_name(self.name):
            raise InvalidManifest("$.name", f"{self.name!r:.80} is not 1 to 100 of a-z, 0-9, dot, hyphen, underscore")
        _check_form(self.python, _PYTHON, "$.python", 'use a minor version such as "3.11"')
        if self.label is not None:
            _check_name(self.label, "$.label")
        if self.lock is not None:
            _check_form(self.lock, _HASH, "$.lock", "use the SHA-256 of pylock.toml in lower-case hex")
        _check_modules(self.modules)
        for what in ("workflows", "steps", "queues", "schedules"):
            items = getattr(self, what)
            _check_unique([item.name for item in items], f"$.{what}")
            msgspec.structs.force_setattr(self, what, tuple(sorted(items, key=lambda item: str(item.name))))

    def workflow(self, name: str) -> WorkflowItem | None:
        """The workflow of that type, if the package has it."""
        return next((item for item in self.workflows if item.name == name), None)


class _Format(msgspec.Struct):
    """What is read first: a manifest of a later format may have any form otherwise."""

    format: int


_format = msgspec.json.Decoder(_Format)
_manifest = msgspec.json.Decoder(Manifest)


def this_python() -> str:
    """The minor version of Python of this process, as manifests have it."""
    return f"{sys.version_info.major}.{sys.version_info.minor}"


def parse_manifest(text: bytes) -> Manifest:
    """The manifest in the file ``manifest.json``.

    Raises:
        UnknownFormat: it is of another format.
        InvalidManifest: there is something wrong with it; the error names where.
    """
    if len(text) > MAX_MANIFEST:
        raise InvalidManifest("$", f"it has more than {MAX_MANIFEST:,} bytes")
    try:
        found = _format.decode(text).format
        if found != FORMAT:
            raise UnknownFormat(f"The manifest has the format {found}; this Holdfast knows {FORMAT}.")
        return _manifest.decode(text)
    except UnknownFormat:
        raise
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise _placed(error) from error


def make_manifest(content: dict[str, Any]) -> Manifest:
    """The manifest of this content, JSON types throughout, keyed as the attributes of :class:`Manifest`.

    Raises:
        InvalidManifest: there is something wrong with it; the error names where.
    """
    try:
        return msgspec.convert(content, Manifest)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise _placed(error) from error


def write_manifest(manifest: Manifest) -> bytes:
    """The file ``manifest.json``: every key, in the form of RFC 8785.

    Raises:
        InvalidManifest: a schema in it has no canonical JSON, or all of it is too large.
    """
    try:
        text = rfc8785.dumps(msgspec.to_builtins(manifest))
    except (ValueError, TypeError, RecursionError) as error:
        raise InvalidManifest("$", f"it has no canonical JSON: {error}") from error
    if len(text) > MAX_MANIFEST:
        raise InvalidManifest("$", f"it has more than {MAX_MANIFEST:,} bytes")
    return text


def _placed(error: Exception) -> InvalidManifest:
    """The refusal with the whole path: what checks itself knows only its own part of it."""
    found = _PLACE.fullmatch(str(error))
    path, problem = (found["path"], found["problem"]) if found else ("$", str(error) or type(error).__name__)
    inner = error if isinstance(error, InvalidManifest) else error.__cause__
    if isinstance(inner, InvalidManifest):
        path, problem = (path if found else "$") + inner.path.removeprefix("$"), inner.problem
    return InvalidManifest(path, problem)


def _check_form(value: str, form: re.Pattern[str], path: str, help_: str) -> None:
    if not form.fullmatch(value):
        raise InvalidManifest(path, f"{value!r:.80} cannot be used: {help_}")


def _is_too_deep(schema: Any) -> bool:
    level = [schema]
    for _ in range(MAX_DEPTH):
        level = [inner for value in level for inner in _inner(value)]
    return bool(level)


def _inner(value: Any) -> Iterable[Any]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()


def _check_name(name: str, path: str = "$.name") -> None:
    if not is_name(name):
        raise InvalidManifest(path, f"{name!r:.80} cannot be used: it takes 1 to {MAX_TYPE} printable characters")


def _check_entry(entry: str) -> None:
    module, _, attribute = entry.partition(":")
    if not (is_dotted(module) and is_dotted(attribute)):
        raise InvalidManifest("$.entry", f'{entry!r:.80} is not of the form "module:attribute"')


def _check_modules(modules: tuple[str, ...]) -> None:
    if not modules:
        raise InvalidManifest("$.modules", "no module is named")
    for number, module in enumerate(modules):
        if not is_dotted(module):
            raise InvalidManifest(f"$.modules[{number}]", f"{module!r:.80} is no name of a module")
    _check_unique(modules, "$.modules")


def _check_unique(names: Iterable[str], path: str) -> None:
    seen: set[str] = set()
    for number, name in enumerate(names):
        if name in seen:
            raise InvalidManifest(f"{path}[{number}]", f"the name {name!r:.80} is there twice")
        seen.add(name)


def is_package_name(name: str) -> bool:
    """Whether a package may be called so."""
    return _PACKAGE.fullmatch(name) is not None


def is_name(name: str) -> bool:
    """Whether ``name`` can be a workflow's, step's, queue's or schedule's name, or a label."""
    return 0 < len(name) <= MAX_TYPE and name.isprintable() and is_storable(name)


def is_dotted(name: str) -> bool:
    """Whether ``name`` is identifiers with dots between them."""
    return len(name) <= MAX_TYPE and all(part.isidentifier() for part in name.split("."))
