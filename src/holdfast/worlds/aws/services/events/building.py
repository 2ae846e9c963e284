"""EventBridge's records into the emulator's objects."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from typing import Any, TypeVar

from moto.events import models

from holdfast.worlds.aws.resource import Resource
from holdfast.worlds.aws.services.events import shapes
from holdfast.worlds.aws.services.events.records import (
    ApiDestination,
    Archive,
    ArchivedEvent,
    Connection,
    EventBus,
    EventSource,
    EventsRecord,
    PartnerEventSource,
    Permission,
    Replay,
    Rule,
    Target,
)
from holdfast.worlds.aws.shapes import LOSSLESS
from holdfast.worlds.aws.tagging import StrayTags

R = TypeVar("R", bound=Resource)
_Bus: Any = models.EventBus


def installed(backend: Any, records: Iterable[EventsRecord]) -> None:
    """Make these, in the order given, the whole state of a backend; the default bus is always there."""
    given = list(records)
    tags: dict[str, dict[str, Any]] = {record.arn: dict(record.tags) for record in _of(given, StrayTags)}
    buses = _buses(backend, given, tags)
    archives = _archives(backend, given, buses)
    partners, sources = _sources(given)
    place = {"account_id": backend.account_id, "region": backend.region_name}
    region = {"region": backend.region_name}
    replays = {one.name: shapes.REPLAY.build(one, **place) for one in _of(given, Replay)}
    connections = {one.name: shapes.CONNECTION.build(one, **region) for one in _of(given, Connection)}
    destinations = {one.name: shapes.DESTINATION.build(one, **region) for one in _of(given, ApiDestination)}

    backend.event_buses, backend.archives, backend.replays = buses, archives, replays
    backend.connections, backend.destinations = connections, destinations
    backend.partner_event_sources, backend.event_sources = partners, sources
    backend.tagger.tags = tags


def _of(records: Iterable[EventsRecord], kind: type[R]) -> list[R]:
    return [record for record in records if type(record) is kind]


def _buses(backend: Any, records: list[EventsRecord], tags: dict[str, dict[str, Any]]) -> dict[str, Any]:
    place = {"account_id": backend.account_id, "region": backend.region_name}
    buses: dict[str, Any] = {}
    for bus in _of(records, EventBus):
        made = buses[bus.name] = shapes.BUS.build(bus, **place, _statements={}, rules=OrderedDict())
        if bus.tags is not None:
            tags[made.arn] = dict(bus.tags)
    if "default" not in buses:
        buses = {"default": _Bus(backend.account_id, backend.region_name, "default"), **buses}
    for permission in _of(records, Permission):
        buses[permission.bus]._statements[permission.sid] = shapes.PERMISSION.build(permission)
    for rule in _of(records, Rule):
        made = shapes.RULE.build(rule, account_id=backend.account_id, region_name=backend.region_name, targets=[])
        buses[rule.event_bus_name].rules[rule.name] = made
        if rule.tags is not None:
            tags[made.arn] = dict(rule.tags)
    for target in _of(records, Target):
        buses[target.bus].rules[target.rule].targets.append(LOSSLESS.back(target.settings))
    return buses


def _archives(backend: Any, records: list[EventsRecord], buses: dict[str, Any]) -> dict[str, Any]:
    archives: dict[str, Any] = {}
    for archive in _of(records, Archive):
        bus = buses.get(archive.event_bus_name)
        rule = bus.rules.get(f"Events-Archive-{archive.name}") if bus else None
        archives[archive.name] = shapes.ARCHIVE.build(archive, region=backend.region_name, events=[], rule=rule)
    for event in _of(records, ArchivedEvent):
        # one by one, as they came: the emulator tells the memory that a list takes as the archive's size
        archives[event.archive].events.append(LOSSLESS.back(event.event))
    return archives


def _sources(records: list[EventsRecord]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Of partners and of their customers: one object where both are one account."""
    partners = {one.name: shapes.PARTNER_SOURCE.build(one) for one in _of(records, PartnerEventSource)}
    sources: dict[str, Any] = {}
    for one in _of(records, EventSource):
        made, partner = shapes.SOURCE.build(one), partners.get(one.name)
        sources[one.name] = partner if partner is not None and vars(partner) == vars(made) else made
    return partners, sources
