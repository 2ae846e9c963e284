"""Packages: deployed, content-addressed versions of workflow code, and the routes that new flows are started by."""

from __future__ import annotations

from holdfast.packages.catalog import deploy, retire, rollback, route, split, unload
from holdfast.packages.collecting import Collected, collectable, gc
from holdfast.packages.deploying import deploy_archive
from holdfast.packages.files import read_archive, supplied_archives
from holdfast.packages.model import Holder, PackageRecord, PackageRouteRecord, PackageSplitRecord
from holdfast.packages.ports import PackagePorts
from holdfast.packages.reloading import Reloaded, reload
from holdfast.packages.sql import SqlPackageStore
from holdfast.packages.store import PackageStore
from holdfast.packages.troubles import Trouble, TroubleKind
from holdfast.packages.trust import require_signatures, signatures_required, trust_key, trusted, untrust
from holdfast.packages.versions import Version, find_hash, holders, versions

__all__ = [
    "Collected",
    "Holder",
    "PackagePorts",
    "PackageRecord",
    "PackageRouteRecord",
    "PackageSplitRecord",
    "PackageStore",
    "Reloaded",
    "SqlPackageStore",
    "Trouble",
    "TroubleKind",
    "Version",
    "collectable",
    "deploy",
    "deploy_archive",
    "find_hash",
    "gc",
    "holders",
    "read_archive",
    "reload",
    "require_signatures",
    "retire",
    "rollback",
    "route",
    "signatures_required",
    "split",
    "supplied_archives",
    "trust_key",
    "trusted",
    "unload",
    "untrust",
    "versions",
]
