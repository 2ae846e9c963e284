"""Packages from Python: the verbs of ``Holdfast``."""

from __future__ import annotations

from holdfast import Holdfast
from tests.package_kit import archive

ACTS = ["deployed", "deployed", "routed", "split", "rolled_back", "retired", "unloaded", "unloaded"]


def test_a_package_from_its_deploy_to_its_end() -> None:
    old, new = archive("old"), archive("new")
    with Holdfast("sqlite://", worker=False) as hf:
        rows = [*hf.deploy(old, actor="ann"), *hf.deploy(new, actor="ann")]
        rows.append(hf.route_package("fulfil", old.content_hash, actor="ann"))
        split = hf.split_package("fulfil", new.content_hash, 12.5, actor="ann")
        assert [version.percent for version in hf.package_versions(workflow_type="fulfil").items] == [12.5, 87.5]
        assert hf.gc_packages(0) == []
        rows += [split, hf.rollback_package("fulfil", actor="ann"), hf.retire_package("fulfil", actor="ann")]
        rows.append(hf.unload_package("fulfil", old.content_hash, actor="ann"))
        assert hf.unload_package("fulfil", old.content_hash) is None
        rows.append(hf.unload_package("fulfil", new.content_hash, forsake_ended=True, actor="ann"))
        assert [row.act.removeprefix("package.") for row in rows] == ACTS
        assert {row.actor for row in rows} == {"ann"}
        assert hf.package_versions().items == []
