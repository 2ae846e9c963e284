"""What the modules of a package define, as its manifest lists it."""

from __future__ import annotations

import importlib
import sys
import traceback
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path
from types import ModuleType
from typing import Any

from holdfast.errors import HoldfastError
from holdfast.flows.queues import Queue, Rate
from holdfast.flows.schedules.model import Definition
from holdfast.flows.steps import Step
from holdfast.flows.workflows import Workflow, module_workflows

Item = dict[str, Any]


def load(source: Path, modules: Sequence[str]) -> dict[str, list[Item]]:
    """Import a package's modules and list what they define, each by name: ``workflows``, ``steps``, ``queues`` and
    ``schedules``.

    Raises:
        HoldfastError: one of its definitions is refused.
        Exception: whatever its modules raise.
    """
    sys.path.insert(0, str(source))
    for name in modules:
        importlib.import_module(name)
    own = [module for module in list(sys.modules.values()) if _is_below(module, source)]
    served = [found for name in module_workflows.names() if (found := module_workflows.get(name))]
    entries = {id(value): f"{module.__name__}:{name}" for module, name, value in _attributes(own)}
    values = {id(value): value for _, _, value in _attributes(own)}.values()
    return {
        "workflows": [_workflow(found, entries) for found in served],
        "steps": _by_name({"name": s.name, "entry": entries[id(s)]} for s in values if isinstance(s, Step)),
        "queues": _by_name(_queue(found) for found in values if isinstance(found, Queue)),
        "schedules": _by_name(_schedule(found) for found in values if isinstance(found, Definition)),
    }


def told(problem: BaseException, source: Path) -> str:
    """Why the modules below ``source`` cannot be used, with the line of theirs."""
    if isinstance(problem, HoldfastError):
        return str(problem)
    frames = [frame for frame in traceback.extract_tb(problem.__traceback__) if "importlib" not in frame.filename]
    own = [frame for frame in frames if Path(frame.filename).is_relative_to(source)]
    last = own[-1] if own else None
    where = f" ({_shown(last.filename, source)}, line {last.lineno})" if last is not None else ""
    return f"{type(problem).__name__}: {problem}{where}"


def _shown(file: str, source: Path) -> str:
    path = Path(file)
    return str(path.relative_to(source)) if path.is_relative_to(source) else file


def _is_below(module: ModuleType, source: Path) -> bool:
    file = getattr(module, "__file__", None)
    return file is not None and Path(file).resolve().is_relative_to(source.resolve())


def _attributes(modules: Iterable[ModuleType]) -> list[tuple[ModuleType, str, Any]]:
    """What the modules name; where a thing is defined comes last, and so wins over where it is imported."""
    found = [(module, name, value) for module in modules for name, value in vars(module).items()]
    return sorted(
        found, key=lambda item: (getattr(_function(item[2]), "__module__", None) == item[0].__name__, item[1])
    )


def _function(value: Any) -> Any:
    return value.fn if isinstance(value, Workflow | Step) else None


def _workflow(found: Workflow[..., Any], entries: dict[int, str]) -> Item:
    entry = entries.get(id(found), f"{found.fn.__module__}:{found.fn.__qualname__}")
    arguments, result = found.signature.schemas()
    return {"name": found.name, "entry": entry, "arguments": arguments, "result": result, "retention": found.retention}


def _queue(found: Queue) -> Item:
    limits = asdict(found)
    if isinstance(found.rate, Rate):
        limits["rate"] = {"count": found.rate.count, "micros": found.rate.micros}
    return limits


def _schedule(found: Definition) -> Item:
    every = None if found.every is None else found.every // timedelta(microseconds=1)
    return asdict(found) | {"every": every, "overlap": str(found.overlap), "catch_up": str(found.catch_up)}


def _by_name(items: Iterable[Item]) -> list[Item]:
    """One of each name: the same thing may be named twice."""
    return sorted({item["name"]: item for item in items}.values(), key=lambda item: str(item["name"]))
