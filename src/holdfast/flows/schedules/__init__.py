"""Schedules: when flows start by themselves."""

from __future__ import annotations

from holdfast.flows.schedules.model import CatchUp, Definition, Overlap, Schedule
from holdfast.flows.schedules.sql import next_due
from holdfast.flows.schedules.ticking import tick

__all__ = ["CatchUp", "Definition", "Overlap", "Schedule", "next_due", "tick"]
