"""The example's two versions, and building: the same project gives the same bytes, anywhere and at any time."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from holdfast import Holdfast
from holdfast.hosting.building import build
from holdfast.hosting.serving import Hosting
from holdfast.hosting.supervisor import HostingOptions
from holdfast.packages import deploy_archive, rollback
from holdfast.packages.archive import diff
from tests.orders_kit import ORDERS, Version, versions

BUILD = """
import os, sys, time
from pathlib import Path
os.umask(int(sys.argv[3], 8))
from holdfast.hosting.building import build
Path(sys.argv[2]).write_bytes(build(Path(sys.argv[1])))
"""


@pytest.fixture
def hosted(tmp_path: Path) -> Iterator[Holdfast]:
    """A store whose packages are run."""
    options = HostingOptions(cache=tmp_path / "cache")
    with Holdfast(f"sqlite:///{tmp_path}/store.db", worker=False) as hf, Hosting(hf.store, options):
        yield hf


def deploy(hf: Holdfast, version: Version) -> None:
    hf.store.run(lambda tx: deploy_archive(tx, version.archive))


def test_flows_stay_on_the_version_that_they_were_started_on(hosted: Holdfast) -> None:
    first, second = versions()
    deploy(hosted, first)
    early = hosted.start_named("checkout", {"order": 1, "seconds": 0.5})
    deploy(hosted, second)
    late = hosted.start_named("checkout", {"order": 2})
    assert late.result(timeout=30) == second.told(2)
    assert early.result(timeout=30) == first.told(1)
    assert early.flow().package_hash == first.archive.content_hash

    hosted.store.run(lambda tx: rollback(tx, "checkout"))
    assert hosted.start_named("checkout", {"order": 3}).result(timeout=30) == first.told(3)


def test_the_versions_differ_in_their_steps_alone() -> None:
    first, second = (version.archive for version in versions())
    assert [step.name for step in first.manifest.steps] == ["count_shelves", "pack", "pay"]
    assert [step.name for step in second.manifest.steps] == [
        "count_shelves", "pack", "pay", "reserve", "write_to_customer",
    ]  # fmt: skip
    for archive in (first, second):
        assert [workflow.name for workflow in archive.manifest.workflows] == ["checkout", "take_stock"]
        assert [queue.name for queue in archive.manifest.queues] == ["checkouts"]
        assert [schedule.name for schedule in archive.manifest.schedules] == ["stocktaking"]
    assert diff(first, second).compatible


# -- the same bytes ------------------------------------------------------------------------------------------------


def copied(source: Path, target: Path, chance: random.Random, mode: int) -> None:
    """The files of ``source``, made in another order, at other times, with other modes."""
    files = [path for path in source.rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    chance.shuffle(files)
    for path in files:
        copy = target / path.relative_to(source)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, copy)
        copy.chmod(mode)
        moment = chance.randrange(1 << 30)
        os.utime(copy, (moment, moment))


def test_built_twice_elsewhere_and_later_it_is_the_same_bytes(tmp_path: Path) -> None:
    project = tmp_path / "project"
    shutil.copytree(ORDERS / "v2", project, ignore=shutil.ignore_patterns("__pycache__"))
    for number in range(20):
        (project / "src" / "shelves" / f"shelf_{number}").mkdir(parents=True)
        (project / "src" / "shelves" / f"shelf_{number}" / "größe.txt").write_text(f"{number}\n")
    built = []
    for number, (mode, mask, zone, language) in enumerate(
        [(0o644, "022", "UTC", "C"), (0o700, "077", "Asia/Tokyo", "C.UTF-8"), (0o444, "000", "America/Lima", "POSIX")]
    ):
        copy = tmp_path / f"{'deep/' * number}copy {number}"
        copied(project, copy, random.Random(number), mode)
        out = tmp_path / f"{number}.hfpkg"
        environment = os.environ | {"TZ": zone, "LC_ALL": language, "PYTHONHASHSEED": str(number)}
        subprocess.run([sys.executable, "-c", BUILD, copy, out, mask], check=True, env=environment)
        built.append(out.read_bytes())
    assert built[0] == built[1] == built[2]


def test_one_more_byte_is_another_version(tmp_path: Path) -> None:
    project = tmp_path / "project"
    shutil.copytree(ORDERS / "v1", project, ignore=shutil.ignore_patterns("__pycache__"))
    before = build(project)
    with (project / "src" / "orders.py").open("a") as module:
        module.write("\n")
    assert build(project) != before
