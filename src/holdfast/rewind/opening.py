"""``open_world``: the durable call that gives a flow its world."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from uuid import UUID

from holdfast.errors import InvalidInput
from holdfast.flows.names import WORLD
from holdfast.flows.steps import committing_step
from holdfast.flows.waiting import before_live, mark_tied, required_flow
from holdfast.rewind.handle import OpenedHere, WorldHandle, remember
from holdfast.rewind.model import Opening, check_world
from holdfast.rewind.places import Aws, ServiceFactory, aws, directory
from holdfast.worlds.model import Scope, to_scope

_UNCALLED: tuple[Any, ...] = (aws, directory)
"""What makes factories, passed where a factory is due: the parentheses were forgotten."""


async def open_world(
    name: str, *services: ServiceFactory | Aws, scopes: Iterable[Scope | tuple[str, str]] | None = None
) -> WorldHandle:
    """Open the world that this flow acts upon: what its steps do there goes back with the flow when that is rewound
    (FL-20). A durable call, to be made by the workflow itself, before the steps that use the world.

    What is there now is kept as the opening checkpoint; ``await world.checkpoint(name)`` keeps more.

    Args:
        name: of the world within the workflow.
        services: factories of its services: ``directory("site")``, or any callable ``(store) -> StatefulService``; or
            ``aws()`` alone, for a mock AWS.
        scopes: the accounts and regions it covers, which no other flow has meanwhile (WO-13). By default one of this
            flow's own, ``("flow", <its id>)``; that of a directory alone, where there is one; those of a mock AWS.

    Raises:
        InvalidInput: a name that cannot be, no services, or called outside a workflow.
        InvalidScope: a scope that cannot be.
        StepFailed: a scope belongs to another run, or the services cannot be captured.
    """
    flow = required_flow("open_world()")
    check_world(name)
    if not services:
        raise InvalidInput(f"The world {name!r} has no services.", remedy="Give at least one: directory('site').")
    if len(services) > 1 and any(isinstance(service, Aws) for service in services):
        raise InvalidInput(f"The world {name!r} is a mock AWS and more.", remedy="Open two worlds, each with its own.")
    for service in services:
        if service in _UNCALLED or not (isinstance(service, Aws) or callable(service)):
            raise InvalidInput(
                f"{service!r:.200} makes no service of a world.", remedy="Pass factories: directory('site'), or aws()."
            )
    wanted = None if scopes is None else sorted({to_scope(scope) for scope in scopes})
    if wanted is not None and not wanted:
        raise InvalidInput(f"The world {name!r} has no scopes.", remedy="Name some, or leave scopes= out.")
    opened = OpenedHere(UUID(flow.id), name, services)
    handle = remember(flow.id, opened)
    before_live(opened.recover)
    mark_tied()
    opened.opening = await committing_step(opened.open, name=WORLD + name, result=Opening)(name, wanted)
    return handle
