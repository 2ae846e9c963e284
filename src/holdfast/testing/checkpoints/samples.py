"""The suite of worlds, and what its checks have in common."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar
from uuid import UUID

from holdfast.audit import SqlAuditLog
from holdfast.testing.checkpoints.services import services_of
from holdfast.testing.checkpoints.subject import HOME, WorldSubject
from holdfast.testing.conformance import Suite, expect, expect_equal, expect_raises
from holdfast.testing.shapes import Shape
from holdfast.worlds import Checkpoint, Scope, StateView, World
from holdfast.worlds.checkpoints import SqlCheckpoints
from holdfast.worlds.keyvalue.model import record_of

E = TypeVar("E", bound=BaseException)
State = tuple[dict[str, object], ...]

suite: Suite[WorldSubject] = Suite(
    "World",
    Shape("Yield WorldSubject(store, make), where make makes worlds as World is made.", ("store", "make", "world")),
)
ELSEWHERE = Scope("111122223333", "eu-west-1")
AWAY = Scope("444455556666", "us-east-1")
SCOPES = (HOME, ELSEWHERE, AWAY)
RUN = UUID("01890000-0000-7000-8000-00000000000a")
OTHER_RUN = UUID("01890000-0000-7000-8000-00000000000b")


def values(number: int) -> dict[str, object]:
    """What both services hold in the state ``number``; none in state 0."""
    return {"number": number, f"only {number}": True, "same": "always"} if number else {}


def put(subject: WorldSubject, number: int, scope: Scope = HOME) -> None:
    """Bring both services to the state ``number``, as a client does."""
    for service in services_of(subject.store):
        records = {key: record_of(key, value) for key, value in values(number).items()}
        service.restore(*scope, StateView(service=service.service_name, version=service.version, resources=records))


def state(subject: WorldSubject, scope: Scope = HOME) -> State:
    """What each service holds, whatever is pending."""
    return tuple(
        {item.key: item.value for item in service.items(*scope).items} for service in services_of(subject.store)
    )


def expect_state(subject: WorldSubject, number: int, what: str, scope: Scope = HOME) -> None:
    """Both services are in the state ``number``.

    Raises:
        Violation: they are not.
    """
    expect_equal(state(subject, scope), (values(number),) * 2, what)


def held(world: World, checkpoint: Checkpoint | UUID | str) -> dict[tuple[str, Scope], dict[str, object]]:
    """What a checkpoint holds: the values of each service and scope."""
    return {
        part: {key: record.value for key, record in view.resources.items()}
        for part, view in world.views(checkpoint).items()
    }


def both(number: int, scope: Scope = HOME) -> dict[tuple[str, Scope], dict[str, object]]:
    """What a checkpoint of one scope holds, taken in the state ``number``."""
    return {(name, scope): values(number) for name in ("alpha", "beta")}


def two_checkpoints(subject: WorldSubject) -> World:
    """The state 1, kept as ``first``; the state 2, as ``second``, which is the present."""
    world = subject.world()
    for number, name in enumerate(("first", "second"), 1):
        put(subject, number)
        world.checkpoint(name)
    return world


def everything(subject: WorldSubject) -> object:
    """The states of all scopes, their owners, all checkpoints, and the audit chain: to see that nothing was done."""
    return (
        [state(subject, scope) for scope in SCOPES],
        *subject.store.read(
            lambda tx: (
                SqlCheckpoints(tx).scopes("site"),
                SqlCheckpoints(tx).list().items,
                [row.act for row in SqlAuditLog(tx).list().items],
            )
        ),
    )


def expect_refused(subject: WorldSubject, kind: type[E], what: str, act: Callable[[], object]) -> E:
    """The error that ``act`` must raise, and that leaves all as it was, after a restart too."""
    before = everything(subject)
    error = expect_raises(kind, what, act)
    expect_equal(everything(subject), before, f"all there is after {what}")
    subject.world()
    expect_equal(everything(subject), before, f"all there is after {what}, and a restart")
    return error


def found(checkpoint: Checkpoint | None) -> str | None:
    """The name of what was found."""
    return checkpoint.name if checkpoint else None


def expect_whole(subject: WorldSubject, numbers: tuple[int, ...], what: str) -> None:
    """Both services are in one of these states, and in the same.

    Raises:
        Violation: they are not.
    """
    now = state(subject)
    expect(now in [(values(number),) * 2 for number in numbers], f"{what}: found {now!r}")
