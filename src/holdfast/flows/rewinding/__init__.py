"""Flows go back: rewind, fork and retry of a flow's records (FL-16). The worlds go with them one floor above."""

from __future__ import annotations
