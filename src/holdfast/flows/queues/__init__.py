"""Queues: named, with limits that all workers agree on."""

from __future__ import annotations

from holdfast.flows.queues.errors import InvalidQueue, QueueInUse, QueueNotFound
from holdfast.flows.queues.model import Queue, QueueStanding, Rate

__all__ = ["InvalidQueue", "Queue", "QueueInUse", "QueueNotFound", "QueueStanding", "Rate"]
