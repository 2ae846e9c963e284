"""What the methods of the emulator's CloudWatch Logs may change."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextvars import ContextVar
from typing import Any

from moto.logs.models import LogEvent

from holdfast.worlds.aws.adapter import Group, Touch

BLOCK = 32
"""So many consecutive ids are read together: the more they are, the more is read again with each that is put."""
STRAY: Group = ("tags",)
_UNASKED = object()
_put: ContextVar[tuple[str, int]] = ContextVar("_put", default=("", 0))
"""Of the events that were put last: the stream's name, and how many they are."""


def block_of(event_id: int) -> str:
    """The block that an event is in."""
    return str(event_id // BLOCK)


def event_groups(group: Any, stream: str) -> Iterable[Group]:
    """The groups of a stream's events."""
    found = group.streams.get(stream)
    blocks = dict.fromkeys(block_of(event.event_id) for event in found.events) if found else ()
    return [("events", group.name, stream, block) for block in blocks]


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _arriving(group: str, stream: str, count: int) -> list[Group]:
    """What the next events change, in a stream to which they are put."""
    first = LogEvent._event_id
    blocks = range(first // BLOCK, (first + count) // BLOCK + 1)
    return [("stream", group, stream), *(("events", group, stream, str(block)) for block in blocks)]


def _events_put(
    backend: Any, log_group_name: object, log_stream_name: object, log_events: object, *_: Any, **__: Any
) -> list[Group]:
    stream, count = _text(log_stream_name), len(log_events) if isinstance(log_events, list) else 0
    _put.set((stream, count))
    return _arriving(_text(log_group_name), stream, count)


def _delivered(
    backend: Any, log_group_id: object = _UNASKED, log_group_name: object = None, *_: Any, **__: Any
) -> list[Group]:
    """Whoever looks for a log group by its name alone is about to deliver to it what was just put to another that it
    subscribes: to the stream of the same name, and without a call of this backend."""
    return _arriving(_text(log_group_name), *_put.get()) if log_group_id is _UNASKED else []


def _nothing(*_: Any, **__: Any) -> list[Group]:
    return []


def _group(backend: Any, log_group_name: object, *_: Any, **__: Any) -> list[Group]:
    return [("group", _text(log_group_name))]


def _group_made(backend: Any, log_group_name: object, *_: Any, **__: Any) -> list[Group]:
    return [("group", _text(log_group_name)), STRAY]


def _group_ensured(backend: Any, log_group_name: object, *_: Any, **__: Any) -> list[Group]:
    return [] if _text(log_group_name) in backend.groups else _group_made(backend, log_group_name)


def _group_deleted(backend: Any, log_group_name: object, *_: Any, **__: Any) -> list[Group]:
    """Its tags stay behind."""
    name = _text(log_group_name)
    found = backend.groups.get(name)
    streams = [group for stream in (found.streams if found else ()) for group in _whole_stream(found, stream)]
    return [("group", name), *streams, STRAY]


def _stream(backend: Any, log_group_name: object, log_stream_name: object, *_: Any, **__: Any) -> list[Group]:
    return [("stream", _text(log_group_name), _text(log_stream_name))]


def _stream_deleted(backend: Any, log_group_name: object, log_stream_name: object, *_: Any, **__: Any) -> list[Group]:
    found = backend.groups.get(_text(log_group_name))
    return _whole_stream(found, _text(log_stream_name)) if found else []


def _whole_stream(group: Any, stream: str) -> list[Group]:
    return [("stream", group.name, stream), *event_groups(group, stream)]


def _tagged(backend: Any, arn: object, *_: Any, **__: Any) -> list[Group]:
    """What may have that ARN; else the tags are nobody's."""
    name = _text(arn).partition(":log-group:")[2]
    touched: list[Group] = [("group", name)] if name in backend.groups else [STRAY, ("deliveries",)]
    for kind, attribute in (
        ("delivery-destination", "delivery_destinations"),
        ("delivery-source", "delivery_sources"),
    ):
        touched.extend((kind, one.name) for one in getattr(backend, attribute).values() if one.arn == arn)
    touched.extend(("destination", one.destination_name) for one in backend.destinations.values() if one.arn == arn)
    return touched


def _whole(*groups: str) -> Touch:
    def touch(*_: Any, **__: Any) -> list[Group]:
        return [(group,) for group in groups]

    return touch


def _named(kind: str, *more: Group) -> Touch:
    """Of methods that take the name first."""

    def touch(backend: Any, first: object = None, *_: Any, **named: Any) -> list[Group]:
        name = next((value for key, value in named.items() if key.endswith("name")), first)
        return [(kind, _text(name)), *more]

    return touch


TOUCHES: Mapping[str, Touch] = {
    "put_log_events": _events_put,
    "_find_log_group": _delivered,
    "create_log_group": _group_made,
    "ensure_log_group": _group_ensured,
    "delete_log_group": _group_deleted,
    **dict.fromkeys(("create_log_stream", "ensure_log_stream"), _stream),
    "delete_log_stream": _stream_deleted,
    **dict.fromkeys(
        (
            "put_retention_policy",
            "delete_retention_policy",
            "tag_log_group",
            "untag_log_group",
            "put_subscription_filter",
            "delete_subscription_filter",
        ),
        _group,
    ),
    **dict.fromkeys(("tag_resource", "untag_resource"), _tagged),
    **dict.fromkeys(("put_metric_filter", "delete_metric_filter"), _whole("metric-filters")),
    **dict.fromkeys(("put_resource_policy", "delete_resource_policy"), _named("resource-policy")),
    "start_query": _whole("queries"),
    **dict.fromkeys(("create_export_task", "cancel_export_task"), _whole("export-tasks")),
    **dict.fromkeys(("put_destination", "delete_destination"), _named("destination", STRAY)),
    "put_destination_policy": _named("destination"),
    **dict.fromkeys(("put_delivery_destination", "delete_delivery_destination"), _named("delivery-destination", STRAY)),
    **dict.fromkeys(
        ("put_delivery_destination_policy", "delete_delivery_destination_policy"), _named("delivery-destination")
    ),
    **dict.fromkeys(("put_delivery_source", "delete_delivery_source"), _named("delivery-source", STRAY)),
    **dict.fromkeys(("create_delivery", "delete_delivery"), _whole("deliveries", "tags")),
    **dict.fromkeys(("filter_log_events", "start_live_tail", "owns_arn"), _nothing),
}
