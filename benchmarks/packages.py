"""Packages: steps through a version's own process, refusing to unload, deploys under load.

``python -m benchmarks.packages [--json] [--quick] [--case NAME ...]``. What each figure is compared with is in
its notes.
"""

from __future__ import annotations

import sys

from benchmarks.command import Case, run_cases
from benchmarks.packages_hosted import StepsHosted
from benchmarks.packages_live import DeployLive
from benchmarks.packages_unload import UnloadCheck

CASES: list[Case] = [
    StepsHosted("steps-hosted-sqlite", "sqlite", 4000),
    StepsHosted("steps-hosted-postgres", "postgres", 3000),
    DeployLive("deploy-live-sqlite", "sqlite"),
    DeployLive("deploy-live-postgres", "postgres"),
    UnloadCheck("unload-check-sqlite", "sqlite"),
    UnloadCheck("unload-check-postgres", "postgres"),
]


if __name__ == "__main__":
    run_cases("Packages.", CASES, sys.argv[1:])
