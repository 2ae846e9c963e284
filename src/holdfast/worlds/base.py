"""What all services of flat, typed resources have in common: the gate, revisions, merge, and telling listeners."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Generic, TypeVar

from holdfast.worlds.errors import InvalidView, RevisionGone, ViewVersion
from holdfast.worlds.merging import MergeConflict, MergeReport, Policy, merge_resources
from holdfast.worlds.model import (
    Change,
    Delta,
    Scope,
    StateView,
    check_scope,
    decode_view,
    diff,
    encode_view,
    undo_delta,
)
from holdfast.worlds.notifier import StateChange, StateChangeNotifier
from holdfast.worlds.service import Request, Response, fence, is_vouched

R = TypeVar("R")
Plan = Callable[[Mapping[str, R]], Delta[R]]


class _Revision(Generic[R]):
    """A link of a scope's chain of changes. An event holds its own link, and that holds the later ones: so views of
    old revisions can be computed exactly as long as somebody may still ask for them.

    Attributes:
        delta: what led here from the link before; ``None`` when nobody can tell any more.
    """

    __slots__ = ("delta", "later", "number")

    def __init__(self, number: int, delta: Delta[R] | None) -> None:
        self.number = number
        self.delta = delta
        self.later: _Revision[R] | None = None


class ResourceService(ABC, Generic[R]):
    """A :class:`~holdfast.worlds.service.StatefulService` over resources that can be read and changed.

    A concrete service says how its resources are read and changed (:meth:`_read`, :meth:`_change`), and changes them
    through :meth:`_mutate` alone. One whose state others change too reports what they did (:meth:`_catch_up`) before
    it returns from either.

    Attributes:
        service_name: of the service.
        version: of its views' form.
        view_type: of its views, parametrised: ``StateView[File]``.
        not_captured: what views leave out (WO-8).
    """

    service_name: str
    version: int
    view_type: type[StateView[R]]
    not_captured: tuple[str, ...] = ()
    url_patterns: Sequence[str] = ()

    def __init__(self) -> None:
        self._gate = threading.RLock()
        self._telling = threading.Lock()
        self._untold: deque[StateChange[R]] = deque()
        self._last: dict[Scope, _Revision[R]] = {}
        self._notifier: StateChangeNotifier[R] = StateChangeNotifier()

    @abstractmethod
    def _read(self, scope: Scope) -> dict[str, R]:
        """All resources; called inside the gate."""

    @abstractmethod
    def _change(self, scope: Scope, plan: Plan[R]) -> Delta[R]:
        """Apply what ``plan`` makes of the present resources, all or nothing, also against other processes and
        crashes; returns it. Called inside the gate; ``plan`` may be called again, and may raise to change nothing."""

    def _check(self, view: StateView[R]) -> None:
        """Refuse a view whose values are of the right types and wrong all the same.

        Raises:
            InvalidView: naming the path.
            MissingBlob: it names bodies that are not there.
        """

    def _scope(self, account_id: str, region: str) -> Scope:
        """Raises:
        InvalidScope: there cannot be such an account and region.
        """
        return check_scope(account_id, region)

    def _replacement(self, present: Mapping[str, R], target: Mapping[str, R]) -> Delta[R]:
        """What a restore does."""
        return diff(present, target)

    def _obstacle(self, resources: Mapping[str, R], name: str, record: R) -> str | None:
        """The name of an existing resource that a new one cannot stand beside, if any."""
        return name if name in resources else None

    def handle(self, request: Request) -> Response:
        """This service speaks no HTTP."""
        return Response(404, body=f"{self.service_name} speaks no HTTP".encode())

    @property
    def notifier(self) -> StateChangeNotifier[R]:
        return self._notifier

    def snapshot(self, account_id: str, region: str) -> StateView[R]:
        scope = self._scope(account_id, region)
        with self._gate:
            return self._view(self._read(scope))

    def restore(self, account_id: str, region: str, view: StateView[R]) -> None:
        scope = self._scope(account_id, region)
        target = (view if is_vouched(view) else self._accepted(view)).resources
        check = fence.get()

        def plan(present: Mapping[str, R]) -> Delta[R]:
            check()
            return self._replacement(present, target)

        self._mutate(scope, plan)

    def merge(
        self, account_id: str, region: str, view: StateView[R], *, policy: Policy = "keep", dry_run: bool = False
    ) -> MergeReport[R]:
        scope = self._scope(account_id, region)
        resources = self._accepted(view).resources
        if policy not in ("keep", "fail", "replace"):
            raise ValueError(f"{policy!r} is not a merge policy; it is keep, fail or replace")
        if dry_run:
            with self._gate:
                return self._merged(self._read(scope), resources, policy, dry_run=True)
        reports: list[MergeReport[R]] = []

        def plan(present: Mapping[str, R]) -> Delta[R]:
            reports.append(self._merged(present, resources, policy, dry_run=False))
            if policy == "fail" and reports[-1].conflicts:
                raise MergeConflict(self.service_name, reports[-1])
            return reports[-1].delta

        self._mutate(scope, plan)
        return reports[-1]

    def notify_state_changed(self, account_id: str, region: str) -> None:
        scope = self._scope(account_id, region)
        with self._gate:
            view = self._view(self._read(scope))
            self._announce(scope, self._revision(scope).number, (), lambda: view)
        self._tell()

    def decode(self, text: str | bytes) -> StateView[R]:
        return decode_view(self.view_type, text, service=self.service_name, version=self.version)

    def check(self, view: StateView[R]) -> None:
        """See that :meth:`restore` and :meth:`merge` would take ``view``, without looking at the present state.

        Raises:
            InvalidView, ViewVersion, MissingBlob: they would not.
        """
        self._accepted(view)

    def _mutate(self, scope: Scope, plan: Plan[R]) -> Delta[R]:
        """Change resources by ``plan`` and tell the listeners, once the gate is open again (WO-5)."""
        with self._gate:
            delta = self._change(scope, plan)
            if delta:
                self._add_revision(scope, self._revision(scope).number + 1, delta)
        self._settled()
        self._tell()
        return delta

    def _settled(self) -> None:
        """Called with the gate open again, before listeners hear of a change: one that is written later waits here."""

    def _accepted(self, view: StateView[R]) -> StateView[R]:
        """``view``, which may have been made by hand, checked in every respect.

        Raises:
            InvalidView, ViewVersion, MissingBlob: it is refused.
        """
        if not isinstance(view, StateView):
            raise InvalidView(self.service_name, "$", f"it is a {type(view).__name__}, not a StateView")
        if view.version != self.version:
            raise ViewVersion(self.service_name, view.version, self.version)
        checked = self.decode(encode_view(view))
        self._check(checked)
        return checked

    def _view(self, resources: Mapping[str, R]) -> StateView[R]:
        return self.view_type(
            service=self.service_name,
            version=self.version,
            resources=dict(sorted(resources.items())),
            not_captured=self.not_captured,
        )

    def _merged(
        self, present: Mapping[str, R], view: Mapping[str, R], policy: Policy, *, dry_run: bool
    ) -> MergeReport[R]:
        return merge_resources(present, view, policy, self._obstacle, dry_run=dry_run)

    def _known(self, scope: Scope) -> int | None:
        """The number of the revision up to which the changes are known here, if any is."""
        last = self._last.get(scope)
        return None if last is None else last.number

    def _catch_up(self, scope: Scope, number: int, delta: Delta[R] | None) -> None:
        """Take note that others brought the scope to the revision ``number``; called inside the gate.

        Listeners are told before the next change of this service. What was changed before anything was known here is
        nobody's news.

        Args:
            delta: what led there from the revision known here; ``None``: nobody can tell any more.
        """
        known = self._known(scope)
        if known is None:
            self._last[scope] = _Revision(number, ())
        elif known != number:
            self._add_revision(scope, number, delta)

    def _revision(self, scope: Scope) -> _Revision[R]:
        return self._last.setdefault(scope, _Revision(0, ()))

    def _add_revision(self, scope: Scope, number: int, delta: Delta[R] | None) -> None:
        revision = _Revision(number, delta)
        self._revision(scope).later = revision
        self._last[scope] = revision
        self._announce(scope, number, delta or (), lambda: self._view_at(scope, revision))

    def _announce(self, scope: Scope, number: int, delta: Delta[R], view: Callable[[], StateView[R]]) -> None:
        self._untold.append(StateChange(scope, self.service_name, number, delta, view))

    def _view_at(self, scope: Scope, revision: _Revision[R]) -> StateView[R]:
        """The state at ``revision``: the present one, with all later changes undone.

        Raises:
            RevisionGone: some of them cannot be told any more.
        """
        number = revision.number
        with self._gate:
            resources = self._read(scope)
            later: list[Delta[R]] = []
            while (found := revision.later) is not None:
                if found.delta is None:
                    raise RevisionGone(self.service_name, scope, number)
                later.append(found.delta)
                revision = found
        for delta in reversed(later):
            undo_delta(resources, delta)
        return self._view(resources)

    def _tell(self) -> None:
        """Publish what is untold, in the order of the revisions, outside the gate."""
        with self._telling:
            while self._untold:
                self._notifier.publish(self._untold.popleft())


def changes(*items: Change[Any]) -> Delta[Any]:
    """A delta of ``items``, without those that change nothing."""
    return tuple(sorted((item for item in items if item.before != item.after), key=lambda item: item.resource))
