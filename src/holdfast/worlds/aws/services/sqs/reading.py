"""The emulator's queues and messages into records; of a long queue, only what has changed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from threading import Condition
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

from moto.sqs import models

from holdfast.worlds.aws.services.sqs.records import Deletion, Message, Queue, SqsRecord
from holdfast.worlds.aws.shapes import LOSSLESS, TEXT, Shape, Way, as_it_was, lossless

_LAMBDA = "Lambda's event source mappings of queues"
_OF_STACKS = frozenset({"cf_resource_type", "logical_resource_id"})
QUEUE = Shape(
    models.Queue,
    Queue,
    names={"name": "_name", "arn": "queue_arn", "policy": "_policy_json"},
    ways={
        "policy": TEXT,
        "redrive_policy": Way(lambda found: found and TEXT.into(found), lambda text: text and TEXT.back(text)),
        "sqs_managed_sse_enabled": LOSSLESS,
        "redrive_allow_policy": LOSSLESS,
    },
    extra=("dead_letter_queue", "dead_letters_lost", "others"),
    rebuilt=(
        "region",
        "account_id",
        "_messages",
        "_pending_messages",
        "_messages_lock",
        "dead_letter_queue",
        "deleted_messages",
    ),
    left={"lambda_event_source_mappings": _LAMBDA},
)
MESSAGE = Shape(
    models.Message,
    Message,
    names={"receipt_handles": "_old_receipt_handles"},
    ways={"message_attributes": LOSSLESS, "system_attributes": LOSSLESS},
    extra=("in_flight",),
)
RESERVED = QUEUE.coverage.held | QUEUE.coverage.rebuilt | QUEUE.coverage.left.keys()
"""Attributes of a queue that cannot be others."""


class _Read(NamedTuple):
    """What a queue was when it was read last.

    Attributes:
        resources: the part that the reader was given, in which it keeps the records that it compared them with: those
            that have not changed are given to it again, the very same.
        messages: of each, all attributes, and its name.
    """

    resources: Mapping[str, SqsRecord]
    messages: dict[Any, tuple[tuple[Any, ...], str]]


class Reader:
    """Reads queues again and again."""

    def __init__(self) -> None:
        self._queues: WeakKeyDictionary[Any, _Read] = WeakKeyDictionary()
        self._deletions: WeakKeyDictionary[Any, dict[str, SqsRecord]] = WeakKeyDictionary()

    def queue(self, backend: Any, queue: Any) -> dict[str, SqsRecord]:
        """A queue's record and its messages'."""
        before = self._queues.get(queue) or _Read({}, {})
        resources: dict[str, SqsRecord] = {f"queue/{queue.name}": _captured(backend, queue)}
        messages: dict[Any, tuple[tuple[Any, ...], str]] = {}
        for message in queue._messages:
            in_flight = message in queue._pending_messages
            # the emulator changes none of its attributes' values in place, but for the list of handles, which grows
            face = (in_flight, len(message._old_receipt_handles), *vars(message).values())
            known = before.messages.get(message)
            if known is not None and known[0] == face and known[1] in before.resources:
                resources[known[1]] = before.resources[known[1]]
                messages[message] = known
            else:
                name = f"message/{queue.name}/{message.id}"
                resources[name] = MESSAGE.capture(message, in_flight=in_flight)
                messages[message] = face, name
        self._queues[queue] = _Read(resources, messages)
        return resources

    def deletions(self, backend: Any, queue: Any) -> dict[str, SqsRecord]:
        """The receipts of what was deleted from a queue."""
        before = self._deletions.get(queue, {})
        names = {f"deletion/{queue.name}/{handle or ''}": handle for handle in queue.deleted_messages}
        found = {name: record for name, record in before.items() if name in names}
        found.update((name, Deletion(handle=names[name])) for name in sorted(names.keys() - found.keys()))
        self._deletions[queue] = found
        return found


def _captured(backend: Any, queue: Any) -> Queue:
    dead = queue.dead_letter_queue
    lost = dead is not None and backend.queues.get(dead.name) is not dead
    others = {name: lossless(value) for name, value in vars(queue).items() if name not in RESERVED | _OF_STACKS}
    name = dead.name if dead is not None and not lost else None
    return QUEUE.capture(queue, dead_letter_queue=name, dead_letters_lost=lost, others=others)


def queues_of(resources: Mapping[str, SqsRecord], backend: Any) -> dict[str, Any]:
    """The emulator's queues, by name, of their records."""
    built = {record.name: _built(record, backend) for record in resources.values() if isinstance(record, Queue)}
    for record in resources.values():
        if isinstance(record, Queue) and record.dead_letter_queue is not None:
            built[record.name].dead_letter_queue = built[record.dead_letter_queue]
        elif isinstance(record, Queue) and record.dead_letters_lost:
            built[record.name].dead_letter_queue = _built(record, backend)
    for name, record in resources.items():
        queue = built[name.split("/")[1]]
        if isinstance(record, Message):
            message = MESSAGE.build(record)
            queue._messages.append(message)
            if record.in_flight:
                queue._pending_messages.add(message)
        elif isinstance(record, Deletion):
            queue.deleted_messages.add(record.handle)
    return built


def _built(record: Queue, backend: Any) -> Any:
    return QUEUE.build(
        record,
        region=backend.region_name,
        account_id=backend.account_id,
        _messages=[],
        _pending_messages=set(),
        _messages_lock=Condition(),
        dead_letter_queue=None,
        deleted_messages=set(),
        lambda_event_source_mappings={},
        **dict(_others(record)),
    )


def _others(record: Queue) -> Iterator[tuple[str, Any]]:
    return ((name, as_it_was(value)) for name, value in record.others.items())
