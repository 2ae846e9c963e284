"""What is laid upon the emulator while any world is open: its backends tell what is called, and long polls wait outside
the gate."""

from __future__ import annotations

import inspect
import re
import threading
from collections.abc import Iterable
from typing import Any, Protocol

from moto.core.responses import BaseResponse
from moto.sqs.models import Queue

from holdfast.worlds.aws.adapter import READS, Adapter, Touch

_ACCOUNT = re.compile(r"(?:Credential=|AWS )([0-9]{12})[/:]")
_QUERY_ACCOUNT = re.compile(r"([0-9]{12})(?:/|$)")


class Listener(Protocol):
    """The world that is at work."""

    account_id: str

    def note(self, service: str, backend: Any, touch: Touch | None, args: Any, kwargs: Any) -> None:
        """A method of a backend is about to be called."""
        ...

    def note_all(self) -> None:
        """Any service may be changed, without its backend being called."""
        ...

    def appear(self) -> None:
        """Have the emulator work on this world again."""
        ...

    def pause(self, queue: Any, seconds: float) -> None:
        """A long poll has found nothing, and waits."""
        ...


at_work: Listener | None = None
"""Inside the gate, the world on whose behalf the emulator is called; ``None`` where somebody uses it by itself."""
_laid: list[tuple[Any, str, Any]] = []
_count = 0
_lock = threading.Lock()


def lay(adapters: Iterable[Adapter[Any]]) -> None:
    """Lay the instruments upon the emulator, if they are not there."""
    global _count
    with _lock:
        _count += 1
        if _count > 1:
            return
        for adapter in adapters:
            _watch(adapter)
        _put(Queue, "wait_for_messages", _waiting(Queue.wait_for_messages))
        _put(BaseResponse, "call_action", _told(BaseResponse.call_action))
        _put(BaseResponse, "get_current_account", _account_told(BaseResponse.get_current_account))


def lift() -> None:
    """Take them off with the last world."""
    global _count
    with _lock:
        _count -= 1
        if _count:
            return
        for owner, name, original in reversed(_laid):
            setattr(owner, name, original)
        _laid.clear()


def _put(owner: Any, name: str, replacement: Any) -> None:
    _laid.append((owner, name, getattr(owner, name)))
    setattr(owner, name, replacement)


def _watch(adapter: Adapter[Any]) -> None:
    backend = adapter.backends.backend
    for name, method in inspect.getmembers(backend, inspect.isfunction):
        touch = adapter.touches.get(name)
        if touch is not None or not name.startswith(READS):
            _put(backend, name, _noted(adapter.service_name, method, touch))


def _noted(service: str, method: Any, touch: Touch | None) -> Any:
    def noted(self: Any, *args: Any, **kwargs: Any) -> Any:
        if at_work is not None:
            at_work.note(service, self, touch, args, kwargs)
        return method(self, *args, **kwargs)

    noted.__wrapped__ = method  # type: ignore[attr-defined]
    return noted


def _told(original: Any) -> Any:
    def call_action(self: Any) -> Any:
        """CloudFormation changes what it finds in other services without asking their backends."""
        if at_work is not None and self.service_name == "cloudformation":
            at_work.note_all()
        return original(self)

    return call_action


def _waiting(original: Any) -> Any:
    def wait_for_messages(self: Any, timeout: float) -> None:
        if at_work is None:
            original(self, timeout)
        else:
            at_work.pause(self, timeout)

    return wait_for_messages


def _account_told(original: Any) -> Any:
    def get_current_account(self: Any) -> str:
        """The account that the credentials name (WO-11): by a key of 12 digits, or one that IAM has given out."""
        if at_work is None:
            return str(original(self))
        return _named_account(self) or _known_account(self) or at_work.account_id

    return get_current_account


def _named_account(response: Any) -> str | None:
    told = response.headers.get("Authorization")
    found = _ACCOUNT.search(told) if told else None
    if found is None:
        query = response.querystring.get("X-Amz-Credential") or response.querystring.get("AWSAccessKeyId")
        found = _QUERY_ACCOUNT.match(query[0]) if query else None
    return found.group(1) if found else response.headers.get("x-moto-account-id")


def _known_account(response: Any) -> str | None:
    from moto.iam.models import iam_backends

    key = response.get_access_key()
    places = ((account, backend) for account, backends in list(iam_backends.items()) for backend in backends.values())
    return next((account for account, backend in places if key in backend.access_keys), None)
