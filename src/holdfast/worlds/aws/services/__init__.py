"""The services of the mock AWS, one folder each: its records, and how the emulator's objects become them and back."""

from __future__ import annotations

from typing import Any

from holdfast.worlds.aws.adapter import Adapter
from holdfast.worlds.aws.services.sqs import SqsAdapter

ADAPTERS: tuple[type[Adapter[Any]], ...] = (SqsAdapter,)
"""In the order in which they are restored."""
