"""What is laid upon the emulator while any world is open: its backends tell what is called, and long polls wait outside
the gate."""

from __future__ import annotations

import inspect
import re
import threading
from collections.abc import Iterable
from typing import Any, Protocol
from urllib.parse import parse_qs

from moto.core.common_models import BaseModel
from moto.core.responses import BaseResponse
from moto.dynamodb.models.table_export import TableExport
from moto.dynamodb.models.table_import import TableImport
from moto.s3.models import FakeKey, S3Backend
from moto.sqs.models import Queue

from holdfast.worlds.aws.adapter import READS, Adapter, Touch

_ACCOUNT = re.compile(r"[0-9]{12}", re.ASCII)
MOST_LISTED = 100
"""So many objects of a kind are on the emulator's own page."""
_KEY = re.compile(r"(?:Credential=|AWS )([^\s/:,]+)[/:]")


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
_looked_at = 0
"""Where in a list of objects with files it was last seen whether one is closed."""
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
        _put(BaseModel, "__new__", staticmethod(_made))
        _put(S3Backend, "delete_bucket", _closing(S3Backend.delete_bucket))
        for work in (TableImport, TableExport):
            _put(work, "start", _at_once(work.start))
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
    _laid.append((owner, name, inspect.getattr_static(owner, name)))
    setattr(owner, name, replacement)


def _watch(adapter: Adapter[Any]) -> None:
    backend = adapter.backends.backend
    for name, method in inspect.getmembers(backend, inspect.isfunction):
        if isinstance(inspect.getattr_static(backend, name), staticmethod):
            continue
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


def _at_once(original: Any) -> Any:
    def start(self: Any) -> None:
        """What would change tables in a thread of its own, outside the gate, is done before the client's answer."""
        if at_work is None:
            original(self)
        else:
            self.run()

    return start


def _told(original: Any) -> Any:
    def call_action(self: Any) -> Any:
        """CloudFormation changes what it finds in other services without asking their backends."""
        if at_work is not None and self.service_name == "cloudformation":
            at_work.note_all()
        return original(self)

    return call_action


def _made(model: type, *args: Any, **kwargs: Any) -> Any:
    """The emulator keeps a list of every object that it ever made, for a page that shows them; a world that serves for
    days is to forget what is gone, but for the last of each kind. What has files is listed until they are closed."""
    made: Any = object.__new__(model)
    listed: list[Any] = model.instances_tracked  # type: ignore[attr-defined]
    listed.append(made)
    if at_work is not None and len(listed) > MOST_LISTED:
        if issubclass(model, FakeKey):
            _forget_closed(listed)
        else:
            del listed[:-MOST_LISTED]
    return made


def _forget_closed(listed: list[Any]) -> None:
    """Two are looked at for each that is made: so no call takes long, and not many more are listed than twice those
    that are there."""
    global _looked_at
    for _ in range(2):
        _looked_at = (_looked_at + 1) % len(listed)
        if getattr(listed[_looked_at], "disposed", False):
            listed[_looked_at] = listed[-1]
            del listed[-1]


def _closing(original: Any) -> Any:
    def delete_bucket(self: Any, bucket_name: str) -> Any:
        """The emulator leaves the files open that uploads under way in the bucket have."""
        gone = original(self, bucket_name)
        if at_work is not None and gone is not None:
            for upload in gone.multiparts.values():
                upload.dispose()
        return gone

    return delete_bucket


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
        key = _access_key(self)
        told = key, self.headers.get("x-moto-account-id", "")
        named = next((one for one in told if _ACCOUNT.fullmatch(one)), None)
        return named or _known_account(key) or at_work.account_id

    return get_current_account


def _access_key(response: Any) -> str:
    """That of the request's signature: in a header, in a presigned URL, or in a form."""
    told = response.headers.get("Authorization")
    if told:
        found = _KEY.search(told)
        return found.group(1) if found else ""
    places = (*response.querystring.items(), *parse_qs(response.parsed_url.query).items())
    values = {name.lower(): value[0] for name, value in places if value}
    return str(values.get("x-amz-credential") or values.get("awsaccesskeyid") or "").partition("/")[0]


def _known_account(key: str) -> str | None:
    from moto.iam.models import iam_backends

    places = ((account, backend) for account, backends in list(iam_backends.items()) for backend in backends.values())
    return next((account for account, backend in places if key in backend.access_keys), None)
