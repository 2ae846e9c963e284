"""What workflows and steps may be called, and the names that the engine keeps to itself."""

from __future__ import annotations

from holdfast.errors import InvalidInput

MAX_NAME = 200
SLEEP, CANCEL, PATCH = RESERVED = ("sleep", "cancel", "patch")
EVENT, SIGNAL, APPROVAL, START, CHILD, WORLD, CHECKPOINT = PREFIXES = (
    "event:", "signal:", "approval:", "start:", "child:", "world:", "checkpoint:",
)  # fmt: skip
"""Names under which the engine itself records, and what they begin with."""


def check_name(name: str) -> str:
    """Raises:
    InvalidInput: ``name`` cannot be the name of a workflow or step.
    """
    if not name or len(name) > MAX_NAME or not name.isprintable() or "#" in name or "@" in name or is_engines(name):
        raise InvalidInput(
            f"{name!r} cannot be a name.",
            remedy=f"Use 1 to {MAX_NAME} printable characters without # and @, none of {', '.join(RESERVED)}, and "
            f"nothing that begins with {', '.join(PREFIXES)}.",
        )
    return name


def is_engines(task: str) -> bool:
    """Whether a record of that task is the engine's own, and no step's."""
    return task in RESERVED or task.startswith(PREFIXES)
