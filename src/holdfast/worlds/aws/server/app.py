"""All that the server of a world answers."""

from __future__ import annotations

from typing import Any

from holdfast.worlds.aws.answering import fault
from holdfast.worlds.aws.server.bodies import Environ
from holdfast.worlds.aws.server.changes import Changes
from holdfast.worlds.aws.server.dispatching import AwsEndpoints, answered
from holdfast.worlds.aws.server.state import PREFIX, StateEndpoints
from holdfast.worlds.aws.world import AwsWorld

_EMULATORS_OWN = "/moto-api"


class WorldApp:
    """The WSGI application of a world: its state under ``/_world``, AWS everywhere else.

    Args:
        world: whose server it is.
        changes: of the world.
        token: that requests for the state must bear, if any.
    """

    def __init__(self, world: AwsWorld, changes: Changes, token: str | None = None) -> None:
        self._aws = AwsEndpoints(world)
        self._state = StateEndpoints(world, changes, token)

    def __call__(self, environ: Environ, start_response: Any) -> Any:
        path = environ.get("PATH_INFO", "")
        if path == PREFIX or path.startswith(f"{PREFIX}/"):
            return self._state(environ, start_response)
        if path.startswith(_EMULATORS_OWN):
            told = f"This is a world, whose state is under {PREFIX}: POST {PREFIX}/reset empties it."
            return answered(fault(404, "NotFound", told, as_json=True), start_response)
        return self._aws(environ, start_response)
