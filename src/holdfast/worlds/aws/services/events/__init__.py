"""EventBridge: buses, rules with their targets, archives with their events, replays, connections, API destinations."""

from __future__ import annotations

from holdfast.worlds.aws.services.events.adapter import EventsAdapter
from holdfast.worlds.aws.services.events.records import (
    ApiDestination,
    Archive,
    ArchivedEvent,
    Connection,
    EventBus,
    EventSource,
    PartnerEventSource,
    Permission,
    Replay,
    Rule,
    Target,
)

__all__ = [
    "ApiDestination",
    "Archive",
    "ArchivedEvent",
    "Connection",
    "EventBus",
    "EventSource",
    "EventsAdapter",
    "PartnerEventSource",
    "Permission",
    "Replay",
    "Rule",
    "Target",
]
