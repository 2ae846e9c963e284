"""A plugin for pytest, in the process of the emulator's own tests: has its ``mock_aws`` and its servers' test clients
answered through a world's gate, a new world for each mock.

Environment:
    HOLDFAST_CHECKS: ``tracking``, ``reopening`` or both with a comma: what is looked at after each dispatch, see
        :mod:`emulator_checks`; nothing by default.
    HOLDFAST_FAULTS: the file to which faults are added, one JSON object a line.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from cryptography.hazmat.primitives.asymmetric import rsa
from emulator_checks import Checks
from moto.core import utils
from moto.core.models import MockAWS, botocore_stubber
from moto.kms.utils import RSAPrivateKey

from holdfast.worlds.aws import AwsWorld, answering
from holdfast.worlds.aws.scopes import DEFAULT_ACCOUNT, DEFAULT_REGION


class Current:
    """The world of the present mock.

    Args:
        checks: made around each dispatch.
    """

    account_id = DEFAULT_ACCOUNT

    def __init__(self, checks: Checks) -> None:
        self.checks = checks
        self._world: AwsWorld | None = None
        self._ending = ExitStack()
        self._keeper = AwsWorld(name="keeper")
        """Instruments are laid with the first world, and lifted with the last."""

    def begin(self) -> None:
        """A new world, in the emulator from now on: some tests look into it by themselves."""
        self.end()
        self._world = AwsWorld(name="mock")
        self._ending.callback(self._world.close)
        self._ending.enter_context(self._world.staying())
        with self._world.at_work:
            pass

    def end(self) -> None:
        self._ending.close()
        self._world = None

    def serve(self, action: str, work: Callable[[], Any]) -> Any:
        """Do something for a client, in the world."""
        if self._world is None:
            self.begin()
        served = self._world
        assert served is not None
        served.account_id = os.environ.get("MOTO_ACCOUNT_ID", self.account_id)  # some tests go from one to another so
        return served.serve(lambda: self.checks.around(served, action, work))


def pytest_configure() -> None:
    """Lay the gate around the emulator."""
    current = Current(Checks.wanted(os.environ))
    _route_requests(current)
    _route_servers(current)
    _follow_mocks(current)
    _have_keys()


def _route_requests(current: Current) -> None:
    class Served:
        account_id = current.account_id
        region = DEFAULT_REGION

        def __init__(self, action: str) -> None:
            self.action = action

        def serve(self, work: Callable[[], Any]) -> Any:
            return current.serve(self.action, work)

    def process_request(request: Any) -> Any:
        body = answering.body_of(request)
        return answering.answer(Served(action_of(request.method, request.url, request.headers, body)), request)

    botocore_stubber.process_request = process_request  # type: ignore[method-assign]


def _route_servers(current: Current) -> None:
    """The emulator's Flask applications, that some tests talk to without any mock."""
    original = utils.convert_to_flask_response.__call__

    def answered(self: Any, args: Any = None, **kwargs: Any) -> Any:
        from flask import request

        action = action_of(request.method, request.url, request.headers, request.get_data())
        return current.serve(action, lambda: original(self, args, **kwargs))

    utils.convert_to_flask_response.__call__ = answered  # type: ignore[method-assign]


def _follow_mocks(current: Current) -> None:
    """A mock that begins with nothing begins a world; one that leaves nothing ends it."""
    enable, disable = MockAWS._enable_patching, MockAWS._disable_patching

    def _enable_patching(self: MockAWS, reset: bool = True) -> None:
        if reset:
            self.reset()
            current.begin()
        enable(self, reset=False)

    def _disable_patching(self: MockAWS, remove_data: bool) -> None:
        disable(self, remove_data)
        if remove_data:
            current.end()

    MockAWS._enable_patching = _enable_patching  # type: ignore[method-assign]
    MockAWS._disable_patching = _disable_patching  # type: ignore[method-assign]


def _have_keys() -> None:
    """Some tests have nothing in the place of RSA's keys, to save time; a record holds a key."""
    spare = rsa.generate_private_key(65537, 2048)
    original = RSAPrivateKey.__init__

    def __init__(self: Any, key_size: int) -> None:  # noqa: N807
        original(self, key_size)
        self.private_key = self.private_key or spare

    RSAPrivateKey.__init__ = __init__  # type: ignore[method-assign]


def action_of(method: str, url: str, headers: Any, body: Any) -> str:
    """What a request asks for, without what differs from one to the next."""
    if target := headers.get("X-Amz-Target"):
        return (target.decode() if isinstance(target, bytes) else target).split(".")[-1]
    address = urlsplit(url if isinstance(url, str) else url.decode())
    text = body.decode("utf-8", "replace") if isinstance(body, bytes) else body if isinstance(body, str) else ""
    form = dict(parse_qsl(address.query, keep_blank_values=True))
    if "Action=" in text[:10000]:
        form |= dict(parse_qsl(text))
    if "Action" in form:
        return form["Action"]
    depth = "/".join("…" for part in address.path.split("/") if part)
    hosted = "" if (address.hostname or "").startswith("s3") else "(host) "
    asked = "&".join(sorted(name for name in form if len(name) < 20 and not name.startswith("X-Amz")))
    return f"{method} {hosted}/{depth}{'?' if asked else ''}{asked}"
