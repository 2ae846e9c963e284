"""Key-value worlds with one fault each. The conformance suite must notice every one of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from threading import Event
from typing import Any, ClassVar

from holdfast.errors import HoldfastError
from holdfast.store import Store
from holdfast.worlds import Change, Delta, MergeReport, Scope, StateChange, StateChangeNotifier, StateView, diff
from holdfast.worlds.base import Plan
from holdfast.worlds.keyvalue import KeyValueWorld, Number, Value
from holdfast.worlds.merging import Conflict, Policy
from holdfast.worlds.model import apply_delta
from holdfast.worlds.notifier import Listener

View = StateView[Value]
Report = MergeReport[Value]
Present = Mapping[str, Value]


class Mutant(KeyValueWorld):
    """A world with a fault.

    Attributes:
        breaks: the clause that it violates.
    """

    breaks: ClassVar[str]

    def __init__(self, store: Store) -> None:
        super().__init__(store)


class TornSnapshots(Mutant):
    """Reads the state in two halves, and lets clients write in between."""

    breaks = "WO-1"

    def __init__(self, store: Store) -> None:
        super().__init__(store)
        self._written = Event()

    def _mutate(self, scope: Scope, plan: Plan[Value]) -> Delta[Value]:
        delta = super()._mutate(scope, plan)
        self._written.set()
        return delta

    def snapshot(self, account_id: str, region: str) -> View:
        half = super().snapshot(account_id, region).resources
        self._written.clear()
        self._written.wait(0.01)
        other = super().snapshot(account_id, region).resources
        names = enumerate(sorted(other))
        return self._view({name: half.get(name, other[name]) if n % 2 else other[name] for n, name in names})


class AllNumbersAreDoubles(Mutant):
    """Makes 1.0 of 1 when it reads a view."""

    breaks = "WO-1"

    def decode(self, text: str | bytes) -> View:
        view = super().decode(text)
        whole = {name: Number(record.value) for name, record in view.resources.items() if type(record.value) is int}
        return self._view({**view.resources, **whole})


class SnapshotsOnceAndForAll(Mutant):
    """Remembers the first snapshot of a scope."""

    breaks = "WO-1"

    def __init__(self, store: Store) -> None:
        super().__init__(store)
        self._remembered: dict[Scope, View] = {}

    def snapshot(self, account_id: str, region: str) -> View:
        return self._remembered.setdefault(Scope(account_id, region), super().snapshot(account_id, region))


class RestoreMerges(Mutant):
    """Leaves what the view has not."""

    breaks = "WO-2"

    def restore(self, account_id: str, region: str, view: View) -> None:
        self.merge(account_id, region, view, policy="replace")


class RestoreReachesAllRegions(Mutant):
    """Empties the account's other regions on the way."""

    breaks = "WO-2"

    def restore(self, account_id: str, region: str, view: View) -> None:
        for other in {"us-east-1", "eu-west-1"} - {region}:
            self._mutate(Scope(account_id, other), lambda present: diff(present, {}))
        super().restore(account_id, region, view)


class RestoreEmptiesFirst(Mutant):
    """Makes room, then finds out that the view is refused."""

    breaks = "WO-2"

    def restore(self, account_id: str, region: str, view: View) -> None:
        self._mutate(Scope(account_id, region), lambda present: diff(present, {}))
        super().restore(account_id, region, view)


class RestoreTakesAnything(Mutant):
    """Restores the resources that it can, and leaves out the others."""

    breaks = "WO-2"

    def _accepted(self, view: View) -> View:
        accepted = {}
        for name, record in view.resources.items():
            with suppress(HoldfastError):
                accepted[name] = super()._accepted(self._view({name: record})).resources[name]
        return self._view(accepted)


class MergeReplaces(Mutant):
    """Takes the view's side where nothing was said."""

    breaks = "WO-3"

    def merge(
        self, account_id: str, region: str, view: View, *, policy: Policy = "keep", dry_run: bool = False
    ) -> Report:
        policy = "replace" if policy == "keep" else policy
        return replace(super().merge(account_id, region, view, policy=policy, dry_run=dry_run), policy="keep")


class MergeDrops(Mutant):
    """Removes what the view has not."""

    breaks = "WO-3"

    def _merged(self, present: Present, view: Present, policy: Policy, *, dry_run: bool) -> Report:
        report = super()._merged(present, view, policy, dry_run=dry_run)
        merged = dict(present)
        apply_delta(merged, report.delta)
        return replace(report, delta=diff(present, {name: merged[name] for name in view}))


class MergeNeverFails(Mutant):
    """Takes the policy ``fail`` for ``keep``."""

    breaks = "WO-4"

    def merge(
        self, account_id: str, region: str, view: View, *, policy: Policy = "keep", dry_run: bool = False
    ) -> Report:
        milder: Policy = "keep" if policy == "fail" else policy
        return replace(super().merge(account_id, region, view, policy=milder, dry_run=dry_run), policy=policy)


class FailsHalfWay(Mutant):
    """Adds what is new before it fails."""

    breaks = "WO-4"

    def merge(
        self, account_id: str, region: str, view: View, *, policy: Policy = "keep", dry_run: bool = False
    ) -> Report:
        if policy == "fail" and not dry_run:
            present = self.snapshot(account_id, region).resources
            super().merge(account_id, region, view, policy="keep")
            view = self._view({name: view.resources[name] for name in view.resources if name in present})
        return super().merge(account_id, region, view, policy=policy, dry_run=dry_run)


class DryRunsWrite(Mutant):
    """Does what it should only have reported."""

    breaks = "WO-4"

    def merge(
        self, account_id: str, region: str, view: View, *, policy: Policy = "keep", dry_run: bool = False
    ) -> Report:
        report = super().merge(account_id, region, view, policy=policy, dry_run=dry_run)
        if dry_run and policy != "fail":
            super().merge(account_id, region, view, policy=policy)
        return report


class ReportsOneConflict(Mutant):
    """Stops reporting at the first conflict."""

    breaks = "WO-4"

    def _merged(self, present: Present, view: Present, policy: Policy, *, dry_run: bool) -> Report:
        report = super()._merged(present, view, policy, dry_run=dry_run)
        return replace(report, conflicts=report.conflicts[:1])


class ForgetsTheOldRecord(Mutant):
    """Reports the view's record as that which was replaced."""

    breaks = "WO-4"

    def _merged(self, present: Present, view: Present, policy: Policy, *, dry_run: bool) -> Report:
        report = super()._merged(present, view, policy, dry_run=dry_run)
        forgotten: list[Conflict[Value]] = [replace(conflict, mine=conflict.theirs) for conflict in report.conflicts]
        return replace(report, conflicts=tuple(forgotten))


class TellsUnderTheLock(Mutant):
    """Waits for the listeners before it lets go of the lock."""

    breaks = "WO-5"

    def _mutate(self, scope: Scope, plan: Plan[Value]) -> Delta[Value]:
        with self._gate:
            delta = super()._mutate(scope, plan)
            self._notifier.drain()
            return delta


class TellsBeforehand(Mutant):
    """Tells what it is about to do."""

    breaks = "WO-5"

    def _mutate(self, scope: Scope, plan: Plan[Value]) -> Delta[Value]:
        after = self._read(scope)
        delta = plan(dict(after))
        apply_delta(after, delta)
        if delta:
            number = self._revision(scope).number + 1
            self._notifier.publish(StateChange(scope, self.service_name, number, delta, lambda: self._view(after)))
            self._notifier.drain(0.2)
        return super()._mutate(scope, plan)

    def _announce(self, scope: Scope, number: int, delta: Delta[Value], view: Callable[[], View]) -> None:
        if not delta:
            super()._announce(scope, number, delta, view)


class TellsOfFailures(Mutant):
    """Tells of a change whether it was made or refused."""

    breaks = "WO-5"

    def _mutate(self, scope: Scope, plan: Plan[Value]) -> Delta[Value]:
        try:
            return super()._mutate(scope, plan)
        except HoldfastError:
            self.notify_state_changed(*scope)
            raise


class TellsOfReads(Mutant):
    """Takes whoever looks for one who changes."""

    breaks = "WO-5"

    def get(self, account_id: str, region: str, key: str, default: Any = None) -> Any:
        found = super().get(account_id, region, key, default)
        self.notify_state_changed(account_id, region)
        return found


class ViewsShowThePresent(Mutant):
    """Gives the present state, whichever was asked for."""

    breaks = "WO-5"

    def _view_at(self, scope: Scope, revision: Any) -> View:
        return self.snapshot(*scope)


class TellsHalfOfIt(Mutant):
    """Tells the first change of a delta alone."""

    breaks = "WO-5"

    def _announce(self, scope: Scope, number: int, delta: Delta[Value], view: Callable[[], View]) -> None:
        super()._announce(scope, number, delta[:1], view)


class TellsInPairs(Mutant):
    """Waits for a second change, and tells it before the first."""

    breaks = "WO-5"

    def _tell(self) -> None:
        with self._telling:
            if len(self._untold) > 1:
                while self._untold:
                    self._notifier.publish(self._untold.pop())


class TellsTheWrongRegion(Mutant):
    """Tells the same region whatever was changed."""

    breaks = "WO-5"

    def _announce(self, scope: Scope, number: int, delta: Delta[Value], view: Callable[[], View]) -> None:
        super()._announce(Scope(scope.account_id, "us-east-1"), number, delta, view)


class NeverUnsubscribes(Mutant):
    """Gives an unsubscribe that does nothing."""

    breaks = "WO-5"

    def __init__(self, store: Store) -> None:
        super().__init__(store)
        self._notifier = _Sticky()


class StopsAtAFailure(Mutant):
    """Calls its listeners one after the other, and stops where one fails."""

    breaks = "WO-5"

    def __init__(self, store: Store) -> None:
        super().__init__(store)
        self._notifier = _InTurn()


class WaitsForListeners(Mutant):
    """Returns from a mutation once every listener has heard of it."""

    breaks = "WO-5"

    def _tell(self) -> None:
        super()._tell()
        self._notifier.drain()


class NotifiesNobody(Mutant):
    """Has nothing to forward where nothing was changed."""

    breaks = "WO-6"

    def notify_state_changed(self, account_id: str, region: str) -> None:
        self._tell()


class NotifyWaitsForItself(Mutant):
    """Waits until all listeners have heard, the one that asked among them."""

    breaks = "WO-6"

    def notify_state_changed(self, account_id: str, region: str) -> None:
        super().notify_state_changed(account_id, region)
        self._notifier.drain()


class TakesAnyVersion(Mutant):
    """Reads every view as if it were of its own version."""

    breaks = "WO-7"

    def _accepted(self, view: View) -> View:
        with suppress(AttributeError):
            view = StateView(service=view.service, version=self.version, resources=view.resources)
        return super()._accepted(view)


class KeepsQuiet(Mutant):
    """Lists nothing that could be read under what it leaves out."""

    breaks = "WO-8"
    not_captured = ("",)


class RewritesEverything(Mutant):
    """Restores by removing all and putting all, changed or not."""

    breaks = "WO-9"

    def restore(self, account_id: str, region: str, view: View) -> None:
        target = self._accepted(view).resources

        def plan(present: Present) -> Delta[Value]:
            names = sorted(present.keys() | target.keys())
            delta: list[Change[Value]] = [Change(name, present.get(name), target.get(name)) for name in names]
            return tuple(delta) if diff(present, target) else ()

        self._mutate(Scope(account_id, region), plan)


class _Sticky(StateChangeNotifier[Value]):
    def subscribe(self, listener: Listener[Value]) -> Callable[[], None]:
        super().subscribe(listener)
        return lambda: None


class _InTurn(StateChangeNotifier[Value]):
    """One thread for all listeners."""

    def __init__(self) -> None:
        super().__init__()
        self._listeners: list[Listener[Value]] = []
        super().subscribe(self._call_all)

    def subscribe(self, listener: Listener[Value]) -> Callable[[], None]:
        self._listeners.append(listener)

        def unsubscribe() -> None:
            with suppress(ValueError):
                self._listeners.remove(listener)

        return unsubscribe

    def _call_all(self, change: StateChange[Value]) -> None:
        for listener in list(self._listeners):
            listener(change)


MUTANTS = Mutant.__subclasses__()
