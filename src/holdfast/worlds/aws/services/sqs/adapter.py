"""SQS: the emulator's queues and messages into records, and back."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, ClassVar

from moto.sqs import models
from msgspec import UNSET

from holdfast.worlds.aws.adapter import Adapter, Bodies, Fault, Group, Part
from holdfast.worlds.aws.services.given import NOT_WRITTEN, is_lossless, is_object
from holdfast.worlds.aws.services.sqs.reading import MESSAGE, QUEUE, RESERVED, Reader, queues_of
from holdfast.worlds.aws.services.sqs.records import Deletion, Message, Queue, SqsRecord
from holdfast.worlds.aws.shapes import as_it_was, backend_coverage, is_json_object
from holdfast.worlds.model import StateView

_BACKEND = backend_coverage(models.SQSBackend, held=("queues",))


def _queue(backend: Any, queue_name: str, *_: Any, **__: Any) -> Iterator[Group]:
    yield "queue", queue_name


def _whole_queue(backend: Any, queue_name: str, *_: Any, **__: Any) -> Iterator[Group]:
    yield "queue", queue_name
    yield "deletions", queue_name


def _queue_and_dead_letters(backend: Any, queue_name: str, *_: Any, **__: Any) -> Iterator[Group]:
    """A receipt may move messages to the dead letters."""
    yield "queue", queue_name
    found = backend.queues.get(queue_name)
    if found is not None and found.dead_letter_queue is not None:
        yield "queue", found.dead_letter_queue.name


def _queue_and_sources(backend: Any, queue_name: str, *_: Any, **__: Any) -> Iterator[Group]:
    """The dead letters of those that name it are lost."""
    yield from _whole_queue(backend, queue_name)
    for name, queue in backend.queues.items():
        if queue.dead_letter_queue is not None and queue.dead_letter_queue.name == queue_name:
            yield "queue", name


class SqsAdapter(Adapter[SqsRecord]):
    """Queues: each a group with its messages, and another of what was deleted from it."""

    service_name = "sqs"
    view_type = StateView[SqsRecord]
    coverage = (QUEUE.coverage, MESSAGE.coverage, _BACKEND)
    touches: ClassVar = {
        **dict.fromkeys(
            (
                "send_message",
                "send_message_batch",
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
        **dict.fromkeys(("delete_message", "delete_message_batch"), _whole_queue),
        "delete_queue": _queue_and_sources,
        "create_queue": lambda backend, name, *_, **__: _whole_queue(backend, name),
        "add_permission": lambda backend, region_name, queue_name, *_, **__: [("queue", queue_name)],
        "receive_message": _queue_and_dead_letters,
        "is_message_valid_based_on_retention_period": lambda *_, **__: (),
    }

    def __init__(self, bodies: Bodies) -> None:
        super().__init__(bodies)
        self._reader = Reader()

    @property
    def backends(self) -> Any:
        return models.sqs_backends

    def groups(self, backend: Any, region: str | None = None) -> Iterable[Group]:
        return [(kind, name) for name in backend.queues for kind in ("queue", "deletions")]

    def read(self, backend: Any, group: Group) -> Part[SqsRecord] | None:
        queue = backend.queues.get(group[1])
        if queue is None:
            return None
        read = self._reader.queue if group[0] == "queue" else self._reader.deletions
        return Part(backend.region_name, read(backend, queue))

    def group_of(self, name: str) -> Group:
        kind, queue = name.split("/")[:2]
        return "deletions" if kind == "deletion" else "queue", queue

    def install(self, backend: Any, region: str, resources: Mapping[str, SqsRecord]) -> None:
        backend.queues = queues_of(resources, backend)

    def check(self, resources: Mapping[str, SqsRecord]) -> Iterator[Fault]:
        for name, record in resources.items():
            yield from _faults(name, record, resources)


def _faults(name: str, record: SqsRecord, resources: Mapping[str, SqsRecord]) -> Iterator[Fault]:
    if isinstance(record, Queue):
        yield from _faults_of_queue(name, record, resources)
        return
    known = record.id if isinstance(record, Message) else record.handle or ""
    field = "id" if isinstance(record, Message) else "handle"
    kind, _, rest = name.partition("/")
    queue, _, ident = rest.partition("/")
    if kind != ("deletion" if isinstance(record, Deletion) else "message") or ident != known:
        yield Fault(name, field, f"it is that of {known!r}")
    elif f"queue/{queue}" not in resources:
        yield Fault(name, field, f"there is no queue {queue!r}")
    if isinstance(record, Message):
        for field, attributes in (("message", record.message_attributes), ("system", record.system_attributes)):
            if not _are_attributes(attributes):
                yield Fault(name, f"{field}_attributes", "they are no attributes of a message")


def _are_attributes(found: Any) -> bool:
    return is_object(found) and all(map(_is_attribute, as_it_was(found).values()))


def _is_attribute(found: Any) -> bool:
    return (
        isinstance(found, dict)
        and isinstance(found.get("DataType"), str)
        and isinstance(found.get("StringValue"), str | None)
        and isinstance(found.get("BinaryValue"), bytes | str | None)
    )


def _faults_of_queue(name: str, record: Queue, resources: Mapping[str, SqsRecord]) -> Iterator[Fault]:
    dead = record.dead_letter_queue
    if name != f"queue/{record.name}":
        yield Fault(name, "name", f"it is that of {record.name!r}")
    elif dead is not None and f"queue/{dead}" not in resources:
        yield Fault(name, "dead_letter_queue", f"there is no queue {dead!r}")
    for field, text in (("policy", record.policy), ("redrive_policy", record.redrive_policy)):
        if text is not None and not is_json_object(text):
            yield Fault(name, field, "it is no JSON text of an object")
    for field in ("sqs_managed_sse_enabled", "redrive_allow_policy", "others"):
        value = getattr(record, field)
        if value is not UNSET and not (is_object if field == "others" else is_lossless)(value):
            yield Fault(name, field, NOT_WRITTEN)
    if taken := RESERVED & record.others.keys():
        yield Fault(name, "others", f"{sorted(taken)} are no attributes of others")
