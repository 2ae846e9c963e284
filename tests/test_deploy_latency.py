"""A deploy is live for new starts in every process as soon as it is committed (PK-1)."""

from __future__ import annotations

import statistics
from pathlib import Path

import pytest

from benchmarks.engine_common import percentile_99
from benchmarks.packages_live import STARTERS, measure
from tests.fleet import report

BRIEF_DEPLOYS, DEPLOYS = 5, 200
LIMIT_MS = 250.0


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_no_start_after_a_deploy_is_pinned_to_an_earlier_version(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    live = measure(request.getfixturevalue(f"{kind}_url"), tmp_path, BRIEF_DEPLOYS)
    assert live.stale == 0
    assert len(live.milliseconds) == BRIEF_DEPLOYS * STARTERS
    assert live.starts >= STARTERS


@pytest.mark.prove
@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_a_deploy_is_live_within_250_ms(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    live = measure(request.getfixturevalue(f"{kind}_url"), tmp_path, DEPLOYS)
    p99 = percentile_99(live.milliseconds)
    report(
        test="deploy latency", kind=kind, deploys=DEPLOYS, processes=STARTERS, starts=live.starts, stale=live.stale,
        p50_ms=round(statistics.median(live.milliseconds), 1), p99_ms=round(p99, 1),
        worst_ms=round(max(live.milliseconds), 1),
    )  # fmt: skip
    assert live.stale == 0
    assert p99 <= LIMIT_MS
