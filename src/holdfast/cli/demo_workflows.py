"""The workflow of ``holdfast demo``: one flow for each Python file, in four steps.

Each step leaves its idempotency key in the effect ledger the moment it begins, so that a step that was cut off half
done counts as an effect, as a half-done charge of a card would. Every effect is fsynced: over the whole standard
library (7,000 effects) that costs one or two seconds of some twenty.
"""

from __future__ import annotations

import ast
import os
import time
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from io import BytesIO
from pathlib import Path

from holdfast import Holdfast, StepFailed, current_step, step, workflow
from holdfast.testing.ledger import EffectLedger

LEDGER_VARIABLE = "HOLDFAST_DEMO_LEDGER"
MAX_FILE_BYTES = 4 * 1024 * 1024
MAX_PAYLOAD_BYTES = 8 * MAX_FILE_BYTES
_DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
_BRANCHES = (ast.If, ast.IfExp, ast.For, ast.AsyncFor, ast.While, ast.ExceptHandler, ast.BoolOp, ast.comprehension)


@dataclass(frozen=True, slots=True)
class Source:
    """A file as it was read."""

    text: str
    size: int


@dataclass(frozen=True, slots=True)
class Function:
    """A function as it was parsed."""

    name: str
    lines: int
    branches: int


@dataclass(frozen=True, slots=True)
class Outline:
    """What parsing tells of a module; ``seconds`` of processor time."""

    nodes: int
    classes: int
    functions: list[Function]
    seconds: float


@dataclass(frozen=True, slots=True)
class Module:
    """A file's measures, the result of its flow.

    Attributes:
        problem: why it could not be read or parsed, if so.
        seconds: processor time of parsing it.
    """

    name: str
    size: int = 0
    lines: int = 0
    nodes: int = 0
    classes: int = 0
    functions: int = 0
    longest: Function | None = None
    busiest: Function | None = None
    seconds: float = 0.0
    problem: str | None = None


@step
def read(path: str) -> Source:
    """The file's text, in the encoding it declares."""
    _leave_effect()
    size = Path(path).stat().st_size
    if size > MAX_FILE_BYTES:
        raise ValueError(f"{size:,} bytes are more than the demo reads")
    data = Path(path).read_bytes()
    encoding, _ = tokenize.detect_encoding(BytesIO(data).readline)
    return Source(data.decode(encoding), len(data))


@step
async def parse(source: Source) -> Outline:
    """Its syntax tree, boiled down.

    On the event loop, for a quarter of a second at most: CPython 3.11's ast module, which formatting a traceback uses
    too, raises SystemError when two threads are in it at once.
    """
    _leave_effect()
    began = time.thread_time()
    tree = ast.parse(source.text)
    branches: dict[int, int] = {}
    functions: list[ast.FunctionDef | ast.AsyncFunctionDef] = []
    nodes = classes = 0
    for node, owner in _walk(tree):
        nodes += 1
        classes += isinstance(node, ast.ClassDef)
        if isinstance(node, _DEFINITIONS):
            functions.append(node)
        elif isinstance(node, _BRANCHES):
            branches[owner] = branches.get(owner, 0) + 1
    found = [_outlined(function, branches.get(id(function), 0)) for function in functions]
    return Outline(nodes, classes, found, time.thread_time() - began)


@step
def measure(name: str, source: Source, outline: Outline) -> Module:
    """The figures of the report."""
    _leave_effect()
    return Module(
        name=name,
        size=source.size,
        lines=len(source.text.splitlines()),
        nodes=outline.nodes,
        classes=outline.classes,
        functions=len(outline.functions),
        longest=max(outline.functions, key=lambda function: function.lines, default=None),
        busiest=max(outline.functions, key=lambda function: function.branches, default=None),
        seconds=outline.seconds,
    )


@step
def record(module: Module) -> str:
    """The effect on the outside world: a line in an fsynced file."""
    return _leave_effect()


@workflow(name="holdfast.demo.examine")
async def examine(root: str, name: str) -> Module:
    """Read, parse and measure one file, and record that; a file that cannot be parsed is recorded as such."""
    module = Module(name)
    try:
        source = await read(str(Path(root, name)))
        module = replace(module, size=source.size, lines=len(source.text.splitlines()))
        outline = await parse(source)
        module = await measure(name, source, outline)
    except StepFailed as error:
        module = replace(module, problem=f"{error.kind.rpartition('.')[2]}: {error.detail}")
    await record(module)
    return module


hf = Holdfast(workflows=[examine], concurrency=16, threads=4, lease=5.0, max_payload_bytes=MAX_PAYLOAD_BYTES)
"""What the demo's worker processes serve. The lease is short, so that the second one soon takes over."""


@cache
def _ledger() -> EffectLedger:
    return EffectLedger(os.environ[LEDGER_VARIABLE])


def _leave_effect() -> str:
    key = current_step().idempotency_key
    _ledger().append(key)
    return key


def _walk(tree: ast.AST) -> Iterator[tuple[ast.AST, int]]:
    """Every node with the ``id`` of the function around it (of the tree itself outside all functions)."""
    pending: list[tuple[ast.AST, int]] = [(tree, id(tree))]
    while pending:
        node, owner = pending.pop()
        yield node, owner
        inside = id(node) if isinstance(node, _DEFINITIONS) else owner
        pending.extend((child, inside) for child in ast.iter_child_nodes(node))


def _outlined(function: ast.FunctionDef | ast.AsyncFunctionDef, branches: int) -> Function:
    return Function(function.name, (function.end_lineno or function.lineno) - function.lineno + 1, branches)
