"""What the methods of the emulator's EventBridge may change."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from moto.core.utils import unix_time

from holdfast.worlds.aws.adapter import Elsewhere, Group, Touch
from holdfast.worlds.aws.services.events.records import minute_of

STRAY: Group = ("tags",)
_ACCOUNT = re.compile(r"[0-9]{12}", re.ASCII)


def archived_groups(backend: Any, archive: str) -> list[Group]:
    """The groups of an archive's events."""
    found = backend.archives.get(archive)
    minutes = dict.fromkeys(minute_of(event["ingestion-time"]) for event in found.events) if found else ()
    return [("archived", archive, minute) for minute in minutes]


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _bus_named(backend: Any, name: object) -> str:
    """That which a name or an ARN means."""
    return (_text(name) or "default").split(f"{backend.account_id}:event-bus/")[-1]


def _rule_group(name: object, event_bus_arn: object) -> Group:
    bus = "default" if event_bus_arn is None else _text(event_bus_arn).split("/")[-1]
    return "rule", bus, _text(name)


def _nothing(*_: Any, **__: Any) -> list[Group]:
    return []


def _rule(backend: Any, name: object, event_bus_arn: object = None, *_: Any, **__: Any) -> list[Group]:
    return [_rule_group(name, event_bus_arn)]


def _rule_put(
    backend: Any, name: object, description: object = None, event_bus_arn: object = None, *_: Any, **__: Any
) -> list[Group]:
    return [_rule_group(name, event_bus_arn), STRAY]


def _bus(backend: Any, event_bus_name: object, *_: Any, **__: Any) -> list[Group]:
    return [("bus", _bus_named(backend, event_bus_name))]


def _bus_made(backend: Any, name: object, *_: Any, **__: Any) -> list[Group]:
    return [("bus", _text(name)), STRAY]


def _bus_deleted(backend: Any, name: object, *_: Any, **__: Any) -> list[Group]:
    """The tags of its rules stay behind."""
    bus = backend.event_buses.get(_text(name))
    rules = bus.rules if bus else ()
    return [("bus", _text(name)), *(("rule", _text(name), rule) for rule in rules), STRAY]


def _tagged(backend: Any, arn: object, *_: Any, **__: Any) -> list[Group]:
    """The emulator looks at the last part of the ARN alone: all that it may mean."""
    name = _text(arn).split("/")[-1]
    return [("bus", name), *(("rule", bus, name) for bus in backend.event_buses)]


def _archiving(backend: Any, *_: Any, **__: Any) -> list[Group]:
    """What is put now is ingested in this minute, or the next."""
    minutes = [minute_of(unix_time() + ahead) for ahead in (0, 60)]
    return [("archived", archive, minute) for archive in backend.archives for minute in minutes]


def _archive_deleted(backend: Any, name: object, *_: Any, **__: Any) -> list[Group]:
    return [("archive", _text(name)), *archived_groups(backend, _text(name))]


def _source_offered(backend: Any, name: object, account_id: object, *_: Any, **__: Any) -> list[Group | Elsewhere]:
    """The other account has it at once."""
    account, offered = _text(account_id), ("source", _text(name))
    touched: list[Group | Elsewhere] = [("partner-source", _text(name)), offered]
    if account != backend.account_id and _ACCOUNT.fullmatch(account):
        touched.append(Elsewhere(account, backend.region_name, offered))
    return touched


def _named(kind: str) -> Touch:
    def touch(backend: Any, name: object, *_: Any, **__: Any) -> list[Group]:
        return [(kind, _text(name))]

    return touch


TOUCHES: Mapping[str, Touch] = {
    **dict.fromkeys(("delete_rule", "disable_rule", "enable_rule", "put_targets", "remove_targets"), _rule),
    "put_rule": _rule_put,
    **dict.fromkeys(("put_permission", "remove_permission"), _bus),
    "create_event_bus": _bus_made,
    "delete_event_bus": _bus_deleted,
    **dict.fromkeys(("tag_resource", "untag_resource"), _tagged),
    "put_events": _archiving,
    **dict.fromkeys(("create_archive", "update_archive"), _named("archive")),
    "delete_archive": _archive_deleted,
    **dict.fromkeys(("start_replay", "cancel_replay"), _named("replay")),
    **dict.fromkeys(("create_connection", "update_connection", "delete_connection"), _named("connection")),
    **dict.fromkeys(
        ("create_api_destination", "update_api_destination", "delete_api_destination"), _named("api-destination")
    ),
    **dict.fromkeys(("create_partner_event_source", "delete_partner_event_source"), _source_offered),
    **dict.fromkeys(("put_partner_events", "test_event_pattern", "owns_arn"), _nothing),
}
"""Deliveries are not among them: they are calls of the backends that they go to."""
