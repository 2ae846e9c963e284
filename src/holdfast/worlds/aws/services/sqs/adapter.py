"""SQS: the emulator's queues and messages into records, and back."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from threading import Condition
from typing import Any, ClassVar

from moto.sqs import models

from holdfast.worlds.aws.adapter import Adapter, Fault, Group, Part
from holdfast.worlds.aws.services.sqs.records import Message, Queue
from holdfast.worlds.aws.shapes import LOSSLESS, Shape, Way, backend_coverage
from holdfast.worlds.model import StateView

_LAMBDA = "Lambda's event source mappings of queues"
_HANDLES = Way(lambda found: sorted(found, key=lambda handle: handle or ""), set)
_QUEUE = Shape(
    models.Queue,
    Queue,
    names={"name": "_name", "arn": "queue_arn", "policy": "_policy_json"},
    ways={"deleted_messages": _HANDLES, "sqs_managed_sse_enabled": LOSSLESS, "redrive_allow_policy": LOSSLESS},
    extra=("dead_letter_queue",),
    rebuilt=("region", "account_id", "_messages", "_pending_messages", "_messages_lock", "dead_letter_queue"),
    left={"lambda_event_source_mappings": _LAMBDA},
)
_MESSAGE = Shape(
    models.Message,
    Message,
    names={"receipt_handles": "_old_receipt_handles"},
    ways={"message_attributes": LOSSLESS, "system_attributes": LOSSLESS},
    extra=("in_flight",),
)
_BACKEND = backend_coverage(models.SQSBackend, held=("queues",))


def _queue(backend: Any, queue_name: str, *_: Any, **__: Any) -> Iterator[Group]:
    yield "queue", queue_name


def _queue_and_dead_letters(backend: Any, queue_name: str, *_: Any, **__: Any) -> Iterator[Group]:
    """A receipt may move messages to the dead letters."""
    yield "queue", queue_name
    found = backend.queues.get(queue_name)
    if found is not None and found.dead_letter_queue is not None:
        yield "queue", found.dead_letter_queue.name


class SqsAdapter(Adapter[Queue | Message]):
    """Queues, each a group with its messages."""

    service_name = "sqs"
    view_type = StateView[Queue | Message]
    coverage = (_QUEUE.coverage, _MESSAGE.coverage, _BACKEND)
    touches: ClassVar = {
        **dict.fromkeys(
            (
                "send_message",
                "send_message_batch",
                "delete_message",
                "delete_message_batch",
                "change_message_visibility",
                "change_message_visibility_batch",
                "purge_queue",
                "set_queue_attributes",
                "tag_queue",
                "untag_queue",
                "remove_permission",
            ),
            _queue,
        ),
        "create_queue": lambda backend, name, *_, **__: [("queue", name)],
        "add_permission": lambda backend, region_name, queue_name, *_, **__: [("queue", queue_name)],
        "receive_message": _queue_and_dead_letters,
        "is_message_valid_based_on_retention_period": lambda *_, **__: (),
    }

    @property
    def backends(self) -> Any:
        return models.sqs_backends

    def groups(self, backend: Any, region: str | None = None) -> Iterable[Group]:
        return [("queue", name) for name in backend.queues]

    def read(self, backend: Any, group: Group) -> Part[Queue | Message] | None:
        queue = backend.queues.get(group[1])
        if queue is None:
            return None
        dead = queue.dead_letter_queue
        found: dict[str, Queue | Message] = {
            f"queue/{queue.name}": _QUEUE.capture(queue, dead_letter_queue=dead.name if dead else None)
        }
        for message in queue._messages:
            in_flight = message in queue._pending_messages
            found[f"message/{queue.name}/{message.id}"] = _MESSAGE.capture(message, in_flight=in_flight)
        return Part(backend.region_name, found)

    def group_of(self, name: str) -> Group:
        return "queue", name.split("/")[1]

    def install(self, backend: Any, region: str, resources: Mapping[str, Queue | Message]) -> None:
        built: dict[str, Any] = {}
        for record in resources.values():
            if isinstance(record, Queue):
                built[record.name] = _built(record, backend)
        for record in resources.values():
            if isinstance(record, Queue) and record.dead_letter_queue is not None:
                built[record.name].dead_letter_queue = built[record.dead_letter_queue]
        for name, record in resources.items():
            if isinstance(record, Message):
                queue, message = built[name.split("/")[1]], _MESSAGE.build(record)
                queue._messages.append(message)
                if record.in_flight:
                    queue._pending_messages.add(message)
        backend.queues = built

    def check(self, resources: Mapping[str, Queue | Message]) -> Iterator[Fault]:
        for name, record in resources.items():
            if isinstance(record, Queue):
                dead = record.dead_letter_queue
                if name != f"queue/{record.name}":
                    yield Fault(name, "name", f"it is that of {record.name!r}")
                elif dead is not None and f"queue/{dead}" not in resources:
                    yield Fault(name, "dead_letter_queue", f"there is no queue {dead!r}")
            else:
                kind, _, rest = name.partition("/")
                queue, _, ident = rest.partition("/")
                if kind != "message" or ident != record.id:
                    yield Fault(name, "id", f"it is that of {record.id!r}")
                elif f"queue/{queue}" not in resources:
                    yield Fault(name, "id", f"there is no queue {queue!r}")


def _built(record: Queue, backend: Any) -> Any:
    return _QUEUE.build(
        record,
        region=backend.region_name,
        account_id=backend.account_id,
        _messages=[],
        _pending_messages=set(),
        _messages_lock=Condition(),
        dead_letter_queue=None,
        lambda_event_source_mappings={},
    )
