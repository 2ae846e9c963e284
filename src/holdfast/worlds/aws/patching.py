"""boto3 in this process speaks to a world instead of AWS (WO-11)."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from contextvars import ContextVar, copy_context
from dataclasses import dataclass
from functools import wraps
from typing import Any

import boto3
from botocore.config import Config
from botocore.configprovider import EnvironmentProvider
from botocore.session import Session
from moto import mock_aws
from moto.core.botocore_stubber import BotocoreStubber
from moto.core.config import default_user_config
from moto.core.custom_responses_mock import reset_responses_mock
from moto.core.models import botocore_stubber, responses_mock
from s3transfer.futures import BoundedExecutor  # type: ignore[import-untyped]

from holdfast.worlds.aws.answering import Answer, Asked, Server, answer, refusal
from holdfast.worlds.aws.errors import AmbiguousWorld, WorldClosed


@dataclass
class _Block:
    """One in which boto3 speaks to a world, and the region that the environment told before."""

    world: Server
    region_before: str | None


_chosen: ContextVar[Server | None] = ContextVar("aws_world", default=None)
_entered: list[_Block] = []
_lock = threading.Lock()
_REGION = "AWS_DEFAULT_REGION"
_SECRET = "holdfast"  # noqa: S105 - any will do: the emulator asks for none
_HIDDEN = ("AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_SESSION_TOKEN", "AWS_SECURITY_TOKEN")


def client_of(world: Server, service: str, account: str, region: str, **more: Any) -> Any:
    """A boto3 client of a world, bound to it."""
    session = boto3.Session(aws_access_key_id=account, aws_secret_access_key=_SECRET, region_name=region)
    config = Config(account_id_endpoint_mode="disabled")  # the emulator knows no hosts of single accounts
    more["config"] = _unconfigured(_merged(config, more.get("config")))
    client = session.client(service, **more)
    client.meta.events.unregister("before-send", botocore_stubber)  # every handler is called, not the first alone
    client.meta.events.register("before-send", _Bound(world))
    return client


def _unconfigured(config: Any) -> Any:
    """That of a client which speaks to AWS, whatever the environment and the files of AWS's tools say of endpoints."""
    return _merged(Config(ignore_configured_endpoint_urls=True), config)


def _merged(config: Any, over: Any) -> Any:
    return config if over is None else config.merge(over)


class _Bound(BotocoreStubber):
    """What a client of one world asks, whichever world is chosen."""

    def __init__(self, world: Server) -> None:
        super().__init__()
        self.enabled = True
        self._world = world

    def process_request(self, request: Asked) -> Answer | None:
        return answer(self._world, request)


@contextmanager
def patched(world: Server) -> Iterator[None]:
    """Have boto3 and botocore speak to ``world`` during the block: in this context, in boto3's own threads that work
    for it, and in threads that have no world of their own, as long as no other world is entered."""
    with _lock:
        if not _entered:
            _start()
        block = _Block(world, os.environ.get(_REGION))
        _entered.append(block)
        _put({_REGION: world.region})
    token = _chosen.set(world)
    try:
        yield
    finally:
        with _lock:
            _leave(block)
        with suppress(ValueError):  # it is left in another context, where it was never chosen
            _chosen.reset(token)


def _leave(block: _Block) -> None:
    """Blocks of several threads end in any order: the environment tells the region of the one entered last."""
    at = next(at for at, each in enumerate(_entered) if each is block)
    del _entered[at]
    if at < len(_entered):
        _entered[at].region_before = block.region_before
    else:
        _put({_REGION: block.region_before})
    if not _entered:
        _stop()


_mock = mock_aws(config={"core": {"mock_credentials": False}})
_environment = ExitStack()


def _start() -> None:
    """The key names no account: it is that of whichever world is spoken to."""
    told = {"AWS_ACCESS_KEY_ID": _SECRET, "AWS_SECRET_ACCESS_KEY": _SECRET, "AWS_ACCOUNT_ID_ENDPOINT_MODE": "disabled"}
    hidden = [name for name in os.environ if name in _HIDDEN or name.startswith("AWS_ENDPOINT_URL")]
    with ExitStack() as unless_started:
        unless_started.enter_context(_environment_of({**dict.fromkeys(hidden), **told}))
        for owner, name, replacement in (
            (Session, "create_client", _without_endpoints(Session.create_client)),
            (EnvironmentProvider, "provide", _of_the_world(EnvironmentProvider.provide)),
            (BoundedExecutor, "submit", _carrying(BoundedExecutor.submit)),
        ):
            unless_started.callback(setattr, owner, name, getattr(owner, name))
            setattr(owner, name, replacement)
        unless_started.callback(_configure, default_user_config, default_user_config.copy())
        _mock.start(reset=False)
        botocore_stubber.process_request = _chosen_answer  # type: ignore[method-assign]
        _environment.push(unless_started.pop_all())


def _configure(config: Any, before: Any) -> None:
    """Give the emulator its own settings back: it does not where somebody else has it patched at the same time."""
    config.clear()
    config.update(before)


def _without_endpoints(original: Any) -> Any:
    """No variable of the environment does it: programs that are started within the block would heed that, too."""

    @wraps(original)
    def create_client(self: Any, *args: Any, **more: Any) -> Any:
        return original(self, *args, **more | {"config": _unconfigured(more.get("config"))})

    return create_client


def _of_the_world(original: Any) -> Any:
    """The environment is the process's, but worlds of several threads may be in several regions."""

    @wraps(original)
    def provide(self: Any) -> Any:
        found, world, blocks = original(self), _chosen.get(), list(_entered)
        if world is None or getattr(self, "_name", None) != _REGION:
            return found
        ours = any(each.world is world for each in blocks) and found == blocks[-1].world.region
        return world.region if ours else found

    return provide


def _carrying(original: Any) -> Any:
    @wraps(original)
    def submit(self: Any, task: Any, *args: Any, **more: Any) -> Any:
        return original(self, _Carried(task), *args, **more)

    return submit


class _Carried:
    """A task of boto3's own threads (uploads, downloads), in the context in which it was given to them."""

    def __init__(self, task: Any) -> None:
        self._task = task
        self._context = copy_context()

    def __call__(self, *args: Any) -> Any:
        return self._context.run(self._task, *args)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._task, name)


@contextmanager
def _environment_of(values: Mapping[str, str | None]) -> Iterator[None]:
    """Have these variables during the block; ``None``: not have them. What becomes of others is nobody's business."""
    before = {name: os.environ.get(name) for name in values}
    _put(values)
    try:
        yield
    finally:
        _put(before)


def _put(values: Mapping[str, str | None]) -> None:
    for name, value in values.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value


def _stop() -> None:
    del botocore_stubber.process_request
    _mock.stop(remove_data=False)
    reset_responses_mock(responses_mock)
    _environment.close()


def _chosen_answer(request: Asked) -> Answer | None:
    """That of the world whose block this is or, in a thread that has none of its own, of the only one."""
    world, entered = _chosen.get(), {id(block.world): block.world for block in list(_entered)}
    if world is None and len(entered) == 1:
        (world,) = entered.values()
    if world is not None:
        return answer(world, request)
    none = AmbiguousWorld(len(entered)) if entered else WorldClosed("aws")  # left since botocore asked
    return refusal(none, as_json="x-amz-target" in request.headers)
