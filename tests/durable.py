"""On which databases operations are killed at every point."""

from __future__ import annotations

import pytest

KILLED_ON = ["sqlite", pytest.param("postgres", marks=pytest.mark.prove)]
"""On PostgreSQL a schema is made for each point, which takes minutes: by ``make prove``."""
