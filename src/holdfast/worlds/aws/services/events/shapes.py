"""The emulator's classes of EventBridge, and the records that hold their objects' state."""

from __future__ import annotations

from moto.events import models

from holdfast.worlds.aws.services.events.records import (
    ApiDestination,
    Archive,
    Connection,
    EventBus,
    EventSource,
    PartnerEventSource,
    Permission,
    Replay,
    Rule,
)
from holdfast.worlds.aws.shapes import SAME, Coverage, Shape, Way, backend_coverage
from holdfast.worlds.aws.tagging import TAGGING

_PATTERN = Way(models.EventPattern.dump, models.EventPattern.load)
_STATE = Way(lambda state: state.value, models.ReplayState)

BUS = Shape(
    models.EventBus,
    EventBus,
    names={"tags_at_creation": "tags"},
    extra=("tags",),
    rebuilt=("account_id", "region", "_statements", "rules"),
)
PERMISSION = Shape(models.EventBusPolicyStatement, Permission, extra=("bus",))
RULE = Shape(
    models.Rule,
    Rule,
    ways={"event_pattern": _PATTERN},
    extra=("tags",),
    rebuilt=("account_id", "region_name", "targets"),
)
ARCHIVE = Shape(models.Archive, Archive, ways={"event_pattern": _PATTERN}, rebuilt=("region", "events", "rule"))
REPLAY = Shape(models.Replay, Replay, ways={"state": _STATE}, rebuilt=("account_id", "region"))
CONNECTION = Shape(models.Connection, Connection, ways={"uuid": SAME}, rebuilt=("region",))
DESTINATION = Shape(models.Destination, ApiDestination, ways={"uuid": SAME}, rebuilt=("region",))
PARTNER_SOURCE = Shape(models.PartnerEventSource, PartnerEventSource)
SOURCE = Shape(models.PartnerEventSource, EventSource)

COVERAGE = (
    BUS.coverage,
    PERMISSION.coverage,
    RULE.coverage,
    ARCHIVE.coverage,
    REPLAY.coverage,
    CONNECTION.coverage,
    DESTINATION.coverage,
    PARTNER_SOURCE.coverage,
    Coverage(models.EventPattern, held=frozenset({"_raw_pattern"}), rebuilt=frozenset({"_pattern"})),
    TAGGING,
    backend_coverage(
        models.EventsBackend,
        held=(
            "event_buses",
            "event_sources",
            "archives",
            "replays",
            "tagger",
            "connections",
            "destinations",
            "partner_event_sources",
        ),
        rebuilt=("next_tokens", "approved_parent_event_bus_names"),  # nothing uses them
    ),
)
