"""Mutants whose routing table is wrong."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from holdfast.gateway import Route, RouteSet, validate
from holdfast.gateway.errors import AmbiguousRoutes
from holdfast.testing.plans.mutants.base import Mutant, Table


class MergesRoutes(Mutant):
    """Keeps what was live and adds to it."""

    breaks = "PL-8"

    class Routing(Table):
        def replace_routes(self, routes: Iterable[Route], *, expected_revision: int | None = None) -> int:
            given = {route.id: route for route in validate(routes)}
            merged = {route.id: route for route in self.current().routes} | given
            return super().replace_routes(merged.values() if given else [], expected_revision=expected_revision)


class CountsChangesAlone(Mutant):
    """Leaves the revision where it is when the same set is put live again."""

    breaks = "PL-8"

    class Routing(Table):
        def replace_routes(self, routes: Iterable[Route], *, expected_revision: int | None = None) -> int:
            before = self.current()
            revision = super().replace_routes(routes, expected_revision=expected_revision)
            if self.current().digest != before.digest:
                return revision
            self.tx.execute("UPDATE routing_head SET revision = :revision", {"revision": before.revision})
            return before.revision


class StartsAnewWhenEmpty(Mutant):
    """Counts revisions from 0 again once there is nothing live."""

    breaks = "PL-8"

    class Routing(Table):
        def replace_routes(self, routes: Iterable[Route], *, expected_revision: int | None = None) -> int:
            revision = super().replace_routes(routes, expected_revision=expected_revision)
            if self.current().routes:
                return revision
            self.tx.execute("UPDATE routing_head SET revision = 0")
            return 0


class IgnoresTheExpectation(Mutant):
    """Replaces whatever is there."""

    breaks = "PL-8"

    class Routing(Table):
        def replace_routes(self, routes: Iterable[Route], *, expected_revision: int | None = None) -> int:
            return super().replace_routes(routes)


class EmptyIsLeftAlone(Mutant):
    """Takes an empty inverse for nothing to do, as PL-4 does for another call."""

    breaks = "PL-9"

    class Routing(Table):
        def replace_routes(self, routes: Iterable[Route], *, expected_revision: int | None = None) -> int:
            given = list(routes)
            if given or expected_revision is None:
                return super().replace_routes(given, expected_revision=expected_revision)
            return self.current().revision


class DropsTheRival(Mutant):
    """Settles an ambiguous tie by leaving the second route out."""

    breaks = "PL-14"

    class Routing(Table):
        def replace_routes(self, routes: Iterable[Route], *, expected_revision: int | None = None) -> int:
            given = list(routes)
            try:
                return super().replace_routes(given, expected_revision=expected_revision)
            except AmbiguousRoutes as error:
                kept = [route for route in given if route.id != error.second]
                return super().replace_routes(kept, expected_revision=expected_revision)


class OrdersById(Mutant):
    """Gives the routes by id alone."""

    breaks = "PL-14"

    class Routing(Table):
        def current(self) -> RouteSet:
            found = super().current()
            return replace(found, routes=tuple(sorted(found.routes, key=lambda route: route.id)))


class OrdersLikeADictionary(Mutant):
    """Compares ids regardless of case."""

    breaks = "PL-14"

    class Routing(Table):
        def current(self) -> RouteSet:
            found = super().current()
            order = sorted(found.routes, key=lambda route: (-route.priority, route.id.lower(), route.id))
            return replace(found, routes=tuple(order))
