"""A service of the mock AWS as a world's service: seen, put back, merged and watched."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import Any, Protocol

import msgspec

from holdfast.store import Transaction
from holdfast.worlds.aws.adapter import Adapter, Group
from holdfast.worlds.aws.bodies import StoredBodies
from holdfast.worlds.aws.errors import WrongRegion
from holdfast.worlds.aws.resource import MOST_NESTED, Resource, too_deep
from holdfast.worlds.aws.scopes import GLOBAL, check_aws_scope
from holdfast.worlds.aws.tracking import Tracker
from holdfast.worlds.base import Plan, ResourceService
from holdfast.worlds.errors import InvalidView, MissingBlob
from holdfast.worlds.merging import MergeReport, Policy
from holdfast.worlds.model import Change, Delta, Scope, StateView, apply_delta, diff, path_of


class Host(Protocol):
    """The world that the service is of."""

    tracker: Tracker
    bodies: StoredBodies

    @property
    def at_work(self) -> AbstractContextManager[None]:
        """Inside the gate, with this world's state in the emulator; what was changed is told at the end."""
        ...

    def committed(self) -> None:
        """Wait until all that was changed is journalled; outside the gate."""
        ...

    def changed(self, service: str, scope: Scope, delta: Delta[Resource]) -> None:
        """Take note of a change that was no client's."""
        ...

    def check_rightful(self, tx: Transaction) -> None:
        """Raises:
        WorldTakenOver: another process has the world.
        """
        ...


class AwsService(ResourceService[Resource]):
    """One service of a mock AWS.

    Accounts have 12 digits, regions are those of AWS; what is global there is in the region ``global``.

    Args:
        adapter: of the service.
        host: the world.
    """

    def __init__(self, adapter: Adapter[Any], host: Host) -> None:
        super().__init__()
        self.adapter = adapter
        self._host = host
        self._gate = host.at_work  # type: ignore[assignment]
        self.service_name = adapter.service_name
        self.version = adapter.version
        self.view_type = adapter.view_type
        self.not_captured = adapter.not_captured

    def snapshot(self, account_id: str, region: str) -> StateView[Resource]:
        """See :meth:`~holdfast.worlds.service.StatefulService.snapshot`. The bodies that the view names are stored."""
        with self._host.at_work:
            view = super().snapshot(account_id, region)
            bodies = self._host.bodies.staged(self._digests(view.resources))
        self._host.bodies.keep(bodies)
        return view

    def nothing(self) -> StateView[Resource]:
        """The view in which there is nothing."""
        return self._view({})

    def bodies_of(self, view: StateView[Resource]) -> set[str]:
        """Digests of the bodies that ``view`` names."""
        return set(self._digests(view.resources))

    def covers(self, scope: Scope) -> bool:
        """Whether the service has anything there, ever: what is global is in the region ``global`` alone."""
        return self.adapter.is_global == (scope.region == GLOBAL)

    def check_together(self, views: Mapping[Scope, StateView[Any]]) -> None:
        """See that views can be restored to their scopes together: no two have a name that one alone may have, and no
        scope beside them has one (WO-11).

        Raises:
            InvalidView: they cannot; names the path.
        """
        claimed: dict[str, Scope] = {}
        for scope, view in views.items():
            for name, resource in self.adapter.claims(view.resources).items():
                other = claimed.setdefault(name, scope)
                if other != scope:
                    fault = f"{name!r} is in {other.account_id}/{other.region} as well"
                    raise InvalidView(self.service_name, path_of(resource), fault)
        with self._host.at_work:
            yielded = {name for scope in views for name in self.adapter.claims(self._read(scope))}
            for scope, view in views.items():
                names = self.adapter.claims(view.resources)
                staked = {resource for name, resource in names.items() if name not in yielded}
                self._refuse_obstacle(scope, {resource: view.resources[resource] for resource in staked})

    def make_way(self, views: Mapping[Scope, StateView[Any]]) -> None:
        """Remove from each scope what another one of ``views`` is to have in its place. May be done again."""
        wanted = {name for view in views.values() for name in self.adapter.claims(view.resources)}
        for scope, view in views.items():
            moved = wanted - self.adapter.claims(view.resources).keys()
            self._mutate(scope, lambda present, moved=moved: diff(present, self.adapter.without(present, moved)))  # type: ignore[misc]

    @property
    def cut(self) -> AbstractContextManager[None]:
        """Within it nothing changes: several services' views taken there are of one moment."""
        return self._host.at_work

    @property
    def rightful(self) -> Callable[[Transaction], None]:
        """Asked by who records in the store what becomes of the world: another process may have it by now."""
        return self._host.check_rightful

    def tell(self, scope: Scope, delta: Delta[Resource]) -> None:
        """Add what clients have changed; called inside the gate, :meth:`publish` follows outside."""
        self._add_revision(scope, self._revision(scope).number + 1, delta)

    def publish(self) -> None:
        """Let listeners hear what was told."""
        self._tell()

    def adopt(self, scope: Scope, records: Mapping[str, Resource]) -> None:
        """Make records from the store the state of a scope, when the world is opened; nobody is told.

        Raises:
            InvalidView, MissingBlob: they cannot be.
        """
        self._refuse_faults(records)
        self._install(scope, dict(sorted(records.items(), key=_rank)))

    def _settled(self) -> None:
        self._host.committed()

    def _scope(self, account_id: str, region: str) -> Scope:
        return check_aws_scope(account_id, region)

    def _read(self, scope: Scope) -> dict[str, Resource]:
        return self._host.tracker.records(self.service_name, scope) if self.covers(scope) else {}

    def _change(self, scope: Scope, plan: Plan[Resource]) -> Delta[Resource]:
        present = self._read(scope)
        changes = plan(present)
        if not changes:
            return changes
        if not self.covers(scope):
            raise WrongRegion(self.service_name, scope.region, is_global=self.adapter.is_global)
        apply_delta(present, changes)
        self._install(scope, dict(sorted(present.items(), key=_rank)))
        self._host.changed(self.service_name, scope, changes)
        return tuple(change for change in changes if change.before != change.after)

    def _replacement(self, present: Mapping[str, Resource], target: Mapping[str, Resource]) -> Delta[Resource]:
        """The differences, and what is to stand elsewhere in the order of lists, which is nobody's news."""
        delta = diff(present, target)
        changed = {change.resource for change in delta}
        moved = (name for name in target if name not in changed and present[name].rank != target[name].rank)
        return (*delta, *(Change(name, present[name], target[name]) for name in moved))

    def _install(self, scope: Scope, records: Mapping[str, Resource]) -> None:
        self._refuse_obstacle(scope, records)
        with self._host.bodies.loaded(self._digests(records)):
            backend = self.adapter.backends[scope.account_id][self.adapter.place(scope.region)]
            self.adapter.install(backend, scope.region, records)
        self._host.tracker.adopt(self.service_name, scope, records)

    def _refuse_obstacle(self, scope: Scope, records: Mapping[str, Resource]) -> None:
        taken = self.adapter.obstacle(*scope, records)
        if taken is not None:
            raise InvalidView(self.service_name, f"{path_of(taken.resource)}.{taken.field}", taken.fault)

    def _check(self, view: StateView[Resource]) -> None:
        for name, record in view.resources.items():
            if field := too_deep(record):
                raise InvalidView(self.service_name, f"{path_of(name)}.{field}", f"it is {MOST_NESTED} containers deep")
        self._refuse_faults(view.resources)
        if lost := self._host.bodies.missing(self._digests(view.resources)):
            raise MissingBlob(lost)

    def _refuse_faults(self, records: Mapping[str, Resource]) -> None:
        for found in self.adapter.check(records):
            raise InvalidView(self.service_name, f"{path_of(found.resource)}.{found.field}", found.fault)

    def _digests(self, records: Mapping[str, Resource]) -> list[str]:
        return [digest for record in records.values() for digest in self.adapter.digests(record)]

    def _merged(
        self, present: Mapping[str, Resource], view: Mapping[str, Resource], policy: Policy, *, dry_run: bool
    ) -> MergeReport[Resource]:
        report = super()._merged(present, self._ranked(present, view), policy, dry_run=dry_run)
        merged = dict(present)
        apply_delta(merged, report.delta)
        self._refuse_faults(merged)  # what each of them may name, both together may not have
        return report

    def _ranked(self, present: Mapping[str, Resource], view: Mapping[str, Resource]) -> dict[str, Resource]:
        """``view`` as it is to stand beside what is there: what reads answer by default stays what it was (WO-3), older
        states go behind. Else the two lists that a merge makes one of are mixed as their ranks have it."""
        groups: dict[Group, dict[str, Resource]] = {}
        for name, record in present.items():
            groups.setdefault(self.adapter.group_of(name), {})[name] = record
        lowest: dict[Group, int] = {}
        found = dict(view)
        for name, record in sorted(view.items(), key=_rank, reverse=True):
            group = self.adapter.group_of(name)
            if name in present or group not in groups:
                continue
            found[name] = self.adapter.beside(groups[group], record)
            if group[0] in self.adapter.merged_below:
                rank = lowest.get(group, min(one.rank for one in groups[group].values())) - 1
                lowest[group] = rank
                found[name] = msgspec.structs.replace(found[name], rank=rank)
        return found


def _rank(item: tuple[str, Resource]) -> tuple[int, str]:
    return item[1].rank, item[0]
