"""A mock AWS over HTTP: the AWS protocols for its clients, and the state of the world under ``/_world`` (WO-11)."""

from __future__ import annotations

from holdfast.worlds.aws.server.errors import AddressUnusable, PortInUse, TokenNeeded
from holdfast.worlds.aws.server.serving import WorldServer

__all__ = ["AddressUnusable", "PortInUse", "TokenNeeded", "WorldServer"]
