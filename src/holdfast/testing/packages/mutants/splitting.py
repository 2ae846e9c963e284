"""Stores and verbs that treat splits wrongly: PK-8, PK-13."""

from __future__ import annotations

from holdfast.audit import AuditRow
from holdfast.packages import PackageRecord, PackageSplitRecord
from holdfast.packages.model import check_version, share_of
from holdfast.testing.packages.mutants.base import Mutant, is_text


class SplitsOnAfterADeploy(Mutant):
    """Leaves the split where a package is put."""

    breaks = "PK-13"

    def put_package(self, record: PackageRecord) -> None:
        split = self.get_package_split(record.workflow_type) if is_text(record.workflow_type) else None
        super().put_package(record)
        if split:
            self.put_package_split(split.workflow_type, split.content_hash, split.share)


class SplitsOnAfterARoute(Mutant):
    """Leaves the split where the route stays."""

    breaks = "PK-13"

    def put_package_route(self, workflow_type: str, content_hash: str) -> None:
        check_version(workflow_type, content_hash)
        split, route = self.get_package_split(workflow_type), self.get_package_route(workflow_type)
        super().put_package_route(workflow_type, content_hash)
        if split and route and route.content_hash == content_hash:
            self.put_package_split(workflow_type, split.content_hash, split.share)


class EndsAllSplits(Mutant):
    """Ends every type's split where one route is put."""

    breaks = "PK-13"

    def put_package_route(self, workflow_type: str, content_hash: str) -> None:
        super().put_package_route(workflow_type, content_hash)
        self.tx.execute("DELETE FROM package_splits")


class KeepsTheFirstSplit(Mutant):
    """Takes a split that is there for the one that is wanted."""

    breaks = "PK-13"

    def put_package_split(self, workflow_type: str, content_hash: str, share: int) -> None:
        check_version(workflow_type, content_hash)
        split = self.get_package_split(workflow_type)
        super().put_package_split(workflow_type, split.content_hash if split else content_hash, share)


class SplitsByWholePercents(Mutant):
    """Cannot tell a half per cent from none."""

    breaks = "PK-13"

    def get_package_split(self, workflow_type: str) -> PackageSplitRecord | None:
        split = super().get_package_split(workflow_type)
        if split is None:
            return None
        whole = split.share // 100 * 100
        return PackageSplitRecord(workflow_type=workflow_type, content_hash=split.content_hash, share=whole)


class RoutesWholly(Mutant):
    """Moves the route along with the split."""

    breaks = "PK-13"

    def put_package_split(self, workflow_type: str, content_hash: str, share: int) -> None:
        super().put_package_split(workflow_type, content_hash, share)
        self.tx.execute(
            "UPDATE package_routes SET content_hash = :hash WHERE workflow_type = :type",
            {"hash": content_hash, "type": workflow_type},
        )


class SplitOutlivesItsRoute(Mutant):
    """Leaves the split of a type that has no route any more."""

    breaks = "PK-13"

    def delete_package_route(self, workflow_type: str) -> None:
        if is_text(workflow_type):
            self.tx.execute("DELETE FROM package_routes WHERE workflow_type = :type", {"type": workflow_type})


class SplitGoesWithItsVersion(Mutant):
    """Ends the split with its version: the flows that it was for are silently served by the route's."""

    breaks = "PK-13"

    def delete_package(self, workflow_type: str, content_hash: str) -> None:
        super().delete_package(workflow_type, content_hash)
        split = self.get_package_split(workflow_type)
        if split and split.content_hash == content_hash:
            self.delete_package_split(workflow_type)


class UnloadsUnderASplit(Mutant):
    """Minds the route alone where a version is unloaded."""

    breaks = "PK-8"

    def unload(self, workflow_type: str, content_hash: str, *, forsake_ended: bool = False) -> AuditRow | None:
        check_version(workflow_type, content_hash)
        split = self.get_package_split(workflow_type)
        if split and split.content_hash == content_hash:
            self.delete_package_split(workflow_type)
        return super().unload(workflow_type, content_hash, forsake_ended=forsake_ended)


class RollsBackPastASplit(Mutant):
    """Takes no notice of the split where it rolls back."""

    breaks = "PK-13"

    def rollback(self, workflow_type: str) -> AuditRow:
        if is_text(workflow_type):
            self.delete_package_split(workflow_type)
        return super().rollback(workflow_type)


class SplitsInSecret(Mutant):
    """Finds a new share of the version that is split off not worth a row."""

    breaks = "PK-13"

    def split(self, workflow_type: str, content_hash: str, percent: float) -> AuditRow | None:
        before = self.get_package_split(workflow_type)
        if percent and before and before.content_hash == content_hash:
            self.put_package_split(workflow_type, content_hash, share_of(percent))
            return self.audit.list(subject=workflow_type, limit=1).items[0]
        return super().split(workflow_type, content_hash, percent)
