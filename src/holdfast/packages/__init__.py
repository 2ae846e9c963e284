"""Packages: deployed, content-addressed versions of workflow code, and the routes that new flows are started by."""

from __future__ import annotations

from holdfast.packages.catalog import PackagePorts, deploy, retire, rollback, route, unload
from holdfast.packages.model import PackageRecord, PackageRouteRecord
from holdfast.packages.sql import SqlPackageStore
from holdfast.packages.store import PackageStore

__all__ = [
    "PackagePorts",
    "PackageRecord",
    "PackageRouteRecord",
    "PackageStore",
    "SqlPackageStore",
    "deploy",
    "retire",
    "rollback",
    "route",
    "unload",
]
