"""Stores that treat routes wrongly: PK-5."""

from __future__ import annotations

from holdfast.packages.errors import PackageNotFound
from holdfast.packages.model import check_version
from holdfast.testing.packages.mutants.base import Mutant


class DemandsTheVersion(Mutant):
    """Refuses a route to what it does not have."""

    breaks = "PK-5"

    def put_package_route(self, workflow_type: str, content_hash: str) -> None:
        check_version(workflow_type, content_hash)
        if not self.has_package(workflow_type, content_hash):
            raise PackageNotFound(workflow_type, content_hash)
        super().put_package_route(workflow_type, content_hash)


class TakesTheRouteAlong(Mutant):
    """Deletes the route that pointed at a deleted package."""

    breaks = "PK-5"

    def delete_package(self, workflow_type: str, content_hash: str) -> None:
        super().delete_package(workflow_type, content_hash)
        route = self.get_package_route(workflow_type)
        if route and route.content_hash == content_hash:
            self.delete_package_route(workflow_type)


class FallsBack(Mutant):
    """Silently serves the newest other version once the routed one is deleted."""

    breaks = "PK-5"

    def delete_package(self, workflow_type: str, content_hash: str) -> None:
        super().delete_package(workflow_type, content_hash)
        route = self.get_package_route(workflow_type)
        others = [record for record in self.list_packages().items if record.workflow_type == workflow_type]
        if others and route and route.content_hash == content_hash:
            self.put_package_route(workflow_type, others[-1].content_hash)


class RetiresWithTheLast(Mutant):
    """Deletes the route of a type with its package where that is the only one."""

    breaks = "PK-5"

    def delete_package(self, workflow_type: str, content_hash: str) -> None:
        super().delete_package(workflow_type, content_hash)
        route = self.get_package_route(workflow_type)
        there = any(record.workflow_type == workflow_type for record in self.list_packages().items)
        if route and route.content_hash == content_hash and not there:
            self.delete_package_route(workflow_type)
