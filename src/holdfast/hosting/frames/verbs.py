"""The verbs of the protocol: what each is given and what it answers. They are those of the engine's port, those of the
lease, and those of a transactional step."""

from __future__ import annotations

from typing import Any, NamedTuple

from holdfast.flows.engine.port import (
    Answer,
    Attention,
    Batch,
    Claimed,
    Ending,
    Outlook,
    Progress,
    Record,
    Wait,
)
from holdfast.hosting.frames.shapes import Shape

PROTOCOL = 1
"""Raised only when a process of an earlier number could not go on as it is; both sides know all up to their own."""
Scalar = Any
"""A text, a number, a truth value, bytes, or nothing; checked where it is used."""


class Welcome(NamedTuple):
    """What a process is told first.

    Attributes:
        protocol: the highest that the supervisor knows.
        source: directory of the package's code, put first on the module path.
        modules: to be imported.
        serve: take flows; otherwise only say what there is.
        concurrency, threads, max_payload_bytes, park_after, drain: see
            :class:`~holdfast.flows.engine.options.WorkerOptions`.
    """

    protocol: int
    source: str
    modules: list[str]
    serve: bool
    concurrency: int
    threads: int
    max_payload_bytes: int
    park_after: float
    drain: float


class Hello(NamedTuple):
    """What the process says of itself.

    Attributes:
        protocol: the one it speaks, at most the supervisor's.
        holdfast: its version of Holdfast.
        python: its version of Python, ``3.11.4``.
        contents: JSON of what the package's modules define, as a manifest has it.
        problem: why its modules cannot be used, if so.
    """

    protocol: int
    holdfast: str
    python: str
    contents: str
    problem: str | None = None


class Held(NamedTuple):
    """A lease: ``epoch``, which may be believed in until ``until``, in seconds of the machine's monotonic clock."""

    epoch: int
    until: float


class Opened(NamedTuple):
    """A transactional step may begin: ``session`` is open; or it was recorded before."""

    session: int
    recorded: Record | None


class Statement(NamedTuple):
    """A statement of a transactional step.

    Attributes:
        how: ``fetch`` or ``execute``.
        rows: of a set-based statement.
    """

    session: int
    how: str
    text: str
    params: dict[str, Scalar]
    rows: list[list[Scalar]] | None = None


class Verb:
    """A question with its answer.

    Args:
        result: type of the answer.
        args: types of the arguments.
    """

    def __init__(self, result: Any, *args: Any) -> None:
        self.args = Shape(tuple.__class_getitem__(args))
        self.result = Shape(result)


VERBS: dict[str, Verb] = {
    "hello": Verb(None, Hello),
    "acquire": Verb(Held),
    "give_up": Verb(None),
    "outlook": Verb(Outlook, int, list[str]),
    "claim": Verb(list[Claimed], int, list[str], int, bool),
    "history": Verb(list[Record], list[int]),
    "attend": Verb(tuple[list[Attention], list[Answer]], int),
    "standing": Verb(list[Answer], int),
    "append": Verb(dict[int, Record], int, Batch),
    "wait": Verb(list[Answer], int, list[Wait]),
    "give_back": Verb(None, int, list[int], list[tuple[int, str]]),
    "finish": Verb(dict[int, str], int, list[Ending]),
    "park": Verb(None, int, list[tuple[int, int | None]]),
    "publish": Verb(None, int, list[tuple[int, str]]),
    "report": Verb(None, int, list[Progress]),
    "halt": Verb(str, int, int, str),
    "open": Verb(Opened, int, int, str),
    "statement": Verb(list[list[Scalar]], Statement),
    "lock": Verb(None, int, list[str]),
    "seal": Verb(Record, int, Record),
    "abort": Verb(None, int),
}
"""What a process may ask its supervisor."""

EPOCHAL = frozenset(VERBS) - {
    "hello",
    "acquire",
    "give_up",
    "history",
    "standing",
    "statement",
    "lock",
    "seal",
    "abort",
}
"""Those whose first argument is the epoch under which they are asked."""

TELLS: dict[str, Shape] = {
    "welcome": Shape(tuple[Welcome]),
    "wake": Shape(tuple[()]),
    "held": Shape(tuple[Held]),
    "fenced": Shape(tuple[int]),
    "drain": Shape(tuple[()]),
    "ping": Shape(tuple[int]),
    "pong": Shape(tuple[int]),
}
"""What they tell each other."""
