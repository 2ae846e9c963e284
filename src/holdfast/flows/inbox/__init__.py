"""The inbox: events, signals and approvals on their way to the flows that wait for them (FL-12)."""

from __future__ import annotations
