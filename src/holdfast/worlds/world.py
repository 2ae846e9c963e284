"""A world: its services together, with checkpoints, restores and scopes of their own."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, suppress
from typing import Any, TypeVar
from uuid import UUID

from holdfast.errors import InvalidInput
from holdfast.ids import parse_id
from holdfast.pages import Page
from holdfast.store import Store, Transaction
from holdfast.store.blobs import BlobCorrupt
from holdfast.worlds import ownership, restoring
from holdfast.worlds.captures import Capture, keep_views, take_views
from holdfast.worlds.checkpoints import (
    Checkpoint,
    Moment,
    Reference,
    SqlCheckpoints,
    check_checkpoint_name,
    find_checkpoint,
    moment_of,
)
from holdfast.worlds.comparing import Part, Views, WorldDiff, compare
from holdfast.worlds.errors import (
    CheckpointNotFound,
    InvalidScope,
    RestorePending,
    RestoreStuck,
    ScopeInUse,
    StateViewError,
    UnknownService,
)
from holdfast.worlds.manifests import get_view
from holdfast.worlds.model import Scope, StateView, check_name, to_scope
from holdfast.worlds.restoring import PATIENCE_SECONDS, Pending, Restored
from holdfast.worlds.service import (
    Discarder,
    Partial,
    Sharing,
    StatefulService,
    ViewChecker,
    check_rightful,
    cut_through,
    vouching,
)

T = TypeVar("T")
_TRIES = 5


class World:
    """The services of an environment, taken together.

    Whatever is asked of a world whose restore was interrupted first carries that restore out. Safe to use from any
    thread and from several processes.

    Args:
        store: where checkpoints are kept.
        name: of the world, unique within the store.
        services: all of its services, of different names.
        scopes: the accounts and regions it uses; those that checkpoints or owners have named are added to them.
        patience: seconds to wait for a restore that another process is carrying out.

    Raises:
        InvalidScope: a name that cannot be one.
        InvalidInput: two services of one name.
        RestorePending: another process is restoring the world, for longer than ``patience``.
        UnknownService: an interrupted restore concerns a service that is not among these.
        RestoreStuck: an interrupted restore cannot be carried out; nothing has changed.
    """

    def __init__(
        self,
        store: Store,
        name: str,
        services: Iterable[StatefulService[Any]],
        scopes: Iterable[Scope | tuple[str, str]] = (),
        *,
        patience: float = PATIENCE_SECONDS,
    ) -> None:
        self.name = check_name(name, "a world")
        self.services: dict[str, StatefulService[Any]] = {}
        for service in services:
            if service.service_name in self.services:
                raise InvalidInput(
                    f"The world {name} has two services {service.service_name!r}.",
                    remedy="Give each service of a world a name of its own.",
                )
            self.services[service.service_name] = service
        self._scopes = {to_scope(scope) for scope in scopes}
        self._store = store
        self._patience = patience
        self.recover()

    def recover(self) -> Restored | None:
        """Carry out an interrupted restore; ``None`` when there is none. Whatever is asked of a world does so first.

        Raises:
            RestorePending, UnknownService, RestoreStuck: as for the class.
        """
        if self._store.read(lambda tx: restoring.pending_restore(tx, self.name)) is None:
            return None
        with self._hold():
            return self._carry_out_pending()

    def scopes(self) -> list[Scope]:
        """The scopes in use: those given, and those that checkpoints or owners have named."""
        return sorted(self._scopes | self._read(SqlCheckpoints.scopes).keys())

    def snapshot(self, scopes: Iterable[Scope | tuple[str, str]] | None = None) -> dict[Part, StateView[Any]]:
        """The present views of all services in ``scopes`` (default: those in use).

        Each view is consistent; several are taken one after the other.

        Raises:
            RestorePending: the world is being restored.
            InvalidScope: no scopes.
        """
        return self.present(self._parts(scopes))

    def present(self, parts: Iterable[Part]) -> dict[Part, StateView[Any]]:
        """:meth:`snapshot` of these services and scopes."""
        return self._undisturbed(parts)[0]

    def capture(self, scopes: Iterable[Scope | tuple[str, str]] | None = None) -> Capture:
        """:meth:`snapshot`, stored: a checkpoint but for its row (:meth:`Capture.write`)."""
        views, restores = self._undisturbed(self._parts(scopes))
        return Capture(self.name, keep_views(self._store, views), restores)

    def checkpoint(
        self,
        name: str | None = None,
        scopes: Iterable[Scope | tuple[str, str]] | None = None,
        *,
        flow: UUID | None = None,
        step: int | None = None,
        run: UUID | None = None,
        wave: int | None = None,
    ) -> Checkpoint:
        """Keep what the world is now (WO-10). Costs what changed since the last checkpoint.

        Args:
            name: unique within the world and the run it is tied to; that of a superseded checkpoint is free again.
            scopes: those in use by default.
            flow, step: tie it to a step of a flow: its place in the flow's history.
            run, wave: tie it to the end of a council run's wave.

        Raises:
            CheckpointExists: the name is taken.
            InvalidScope: a name that cannot be one, or no scopes.
            InvalidInput: half a moment, or two; no id of a run.
            RestorePending: the world is being restored.
        """
        if name is not None:
            check_checkpoint_name(name)
        moment = moment_of(flow, step, run, wave)

        for _ in range(_TRIES):
            capture = self.capture(scopes)
            with suppress(RestorePending):  # a restore overtook the capture
                return self._record(capture.writer(name, moment))
        raise RestorePending(self.name)

    def record(self, views: Views, name: str | None = None) -> Checkpoint:
        """Make a checkpoint of views from elsewhere.

        Raises:
            UnknownService, InvalidView, ViewVersion, MissingBlob: one that could not be restored.
            CheckpointExists, InvalidScope: as :meth:`checkpoint`.
        """
        self.check(views)
        states = keep_views(self._store, views)
        return self._record(lambda tx: SqlCheckpoints(tx).insert(self.name, states, name=name))

    def check(self, views: Views) -> None:
        """See that each service would take its view: a restore that has begun must be able to end.

        Raises:
            UnknownService, InvalidView, ViewVersion, MissingBlob: one would not.
        """
        for (service, scope), view in views.items():
            found = self._service(service)
            if isinstance(found, ViewChecker):
                found.check(view)
            else:
                found.merge(*scope, view, dry_run=True)
        for shared, together in self._sharing(views):
            shared.check_together(together)

    def checkpoints(self, *, limit: int | None = None, after: str | None = None) -> Page[Checkpoint]:
        """The world's checkpoints, newest first.

        Raises:
            ValueError: a negative limit or a malformed cursor.
        """
        return self._store.read(lambda tx: SqlCheckpoints(tx).list(self.name, limit=limit, after=after))

    def find(self, checkpoint: Reference) -> Checkpoint:
        """The checkpoint of that name or id.

        Raises:
            CheckpointNotFound: the world has none.
        """
        found = self._store.read(lambda tx: find_checkpoint(tx, self.name, checkpoint))
        if found is None:
            raise CheckpointNotFound(self.name, str(getattr(checkpoint, "id", checkpoint)))
        return found

    def find_at(self, run: UUID, position: int) -> Checkpoint | None:
        """The last checkpoint of a flow at or before a step, or of a council run at or before a wave's end; ``None``
        when there is none. What rewinding has undone is not found."""
        return self._store.read(lambda tx: SqlCheckpoints(tx).at(self.name, Moment(run, position)))

    def forget(self, checkpoint: Reference) -> None:
        """Delete a checkpoint. The bodies it names stay in the store, where others may name them too.

        Raises:
            CheckpointNotFound: the world has none.
            CheckpointInUse: a restore needs it.
        """
        found = self.find(checkpoint)
        self._store.run(lambda tx: SqlCheckpoints(tx).delete(found), idempotent=True)

    def views(self, checkpoint: Reference) -> dict[Part, StateView[Any]]:
        """The views that a checkpoint holds.

        Raises:
            CheckpointNotFound, UnknownService, MissingBlob, InvalidView, ViewVersion: they cannot be had.
        """
        found = self.find(checkpoint)
        services = {state.service: self._service(state.service) for state in found.states}
        return self._store.read(
            lambda tx: {(s.service, s.scope): get_view(tx, s.manifest, services[s.service]) for s in found.states}
        )

    def diff(self, before: Reference, after: Reference | None = None) -> WorldDiff:
        """What leads from one checkpoint to another, or (by default) to the present state (WO-9).

        Raises:
            CheckpointNotFound, UnknownService, MissingBlob, RestorePending: a state cannot be had.
        """
        old = self.views(before)
        return compare(old, self.views(after) if after is not None else self.present(old))

    def preview(self, checkpoint: Reference) -> WorldDiff:
        """What restoring a checkpoint would change now."""
        target = self.views(checkpoint)
        return compare(self.present(target), target)

    def restore(
        self, checkpoint: Reference, *, run: UUID | None = None, actor: str = "system", discard: bool = False
    ) -> Restored:
        """Make the world what it was at a checkpoint: all of it or, after a crash, all of it a little later (WO-10).

        Scopes that the checkpoint does not hold are left alone.

        Args:
            checkpoint: of this world.
            run: on whose behalf; a scope that has an owner is restored for that run alone.
            actor: who asks, for the audit chain.
            discard: first remove, for good, what no view can hold and the checkpoint has no name for: links that leave
                the root, pipes, sockets.

        Raises:
            CheckpointNotFound, UnknownService, InvalidView, ViewVersion, MissingBlob: refused; nothing has changed.
            WorldShared: a scope belongs to another run; nothing has changed.
            RestorePending: another process is restoring the world, for longer than ``patience``.
            RestoreLost: another process has taken this restore over.
        """
        with self._hold():
            self._carry_out_pending()
            target = self.find(checkpoint)
            views = self.views(target)
            self.check(views)
            discarded = self._discard(views, run) if discard else ()
            before = keep_views(self._store, take_views(self.services, views))
            pending = self._record(lambda tx: restoring.begin_restore(tx, target, run=run, before=before), actor=actor)
            return self._carry_out(pending, target, views)._replace(discarded=discarded)

    def fork_scope(
        self,
        source: Scope | tuple[str, str],
        copy: Scope | tuple[str, str],
        run: UUID,
        *,
        checkpoint: Reference | None = None,
        actor: str = "system",
    ) -> Restored | None:
        """Give a forked run a copy of its own of a scope, in another one of the same services (WO-13).

        Args:
            source: what to copy.
            copy: where to; nobody's and empty, and not the source.
            run: whose the copy becomes.
            checkpoint: copy what the source was then, rather than what it is.
            actor: who asks, for the audit chain.

        Returns:
            ``None`` when the run has its copy already.

        Raises:
            WorldShared: ``copy`` belongs to another run.
            ScopeInUse: ``copy`` is not empty.
            InvalidScope: ``copy`` is the source itself, or the checkpoint holds nothing of the source.
            CheckpointNotFound, UnknownService, MissingBlob, RestorePending: as :meth:`restore`.
        """
        origin, place, owner = to_scope(source), to_scope(copy), parse_id(run)
        if origin == place:
            raise InvalidScope("A scope cannot be its own copy.", remedy="Name another scope for the copy.")
        with self._hold():
            self._carry_out_pending()
            there = take_views(self.services, self._parts([place]))
            if any(view.resources for view in there.values()):
                if self.owner(place) == owner:
                    return None
                raise ScopeInUse(ownership.describe_scope(self.name, place))
            parts = self._parts([origin])
            found = take_views(self.services, parts) if checkpoint is None else self.views(checkpoint)
            views = {(service, place): found[service, scope] for service, scope in parts if (service, scope) in found}
            if not views:
                where = ownership.describe_scope(self.name, origin)
                raise InvalidScope(f"The checkpoint holds nothing of {where}.", remedy="Name a scope that it holds.")
            self.check(views)
            before, states = keep_views(self._store, there), keep_views(self._store, views)

            def begin(tx: Transaction) -> tuple[Pending, Checkpoint]:
                ownership.claim_scope(tx, self.name, place, owner)
                target = SqlCheckpoints(tx).insert(self.name, states)
                return restoring.begin_restore(tx, target, run=owner, before=before), target

            pending, target = self._record(begin, actor=actor)
            return self._carry_out(pending, target, views)

    def claim_scope(self, scope: Scope | tuple[str, str], run: UUID) -> bool:
        """Make a scope the run's own; false when it is so already (WO-13).

        Raises:
            WorldShared: it belongs to another run.
            RestorePending, UnknownService, RestoreStuck: as for the class.
        """
        claimed = to_scope(scope)
        self.recover()
        return self._store.run(lambda tx: ownership.claim_scope(tx, self.name, claimed, run))

    def release_scope(self, scope: Scope | tuple[str, str], run: UUID) -> bool:
        """Make a scope nobody's; false when it was not the run's."""
        released = to_scope(scope)
        return self._store.run(lambda tx: ownership.release_scope(tx, self.name, released, run))

    def owner(self, scope: Scope | tuple[str, str]) -> UUID | None:
        """The run that owns a scope, if any."""
        return self._read(SqlCheckpoints.scopes).get(to_scope(scope))

    def _read(self, ask: Callable[[SqlCheckpoints, str], T]) -> T:
        return self._store.read(lambda tx: ask(SqlCheckpoints(tx), self.name))

    def _record(self, work: Callable[[Transaction], T], *, actor: str = "system") -> T:
        """Write what becomes of the world; only who has its services may."""

        def rightful(tx: Transaction) -> T:
            done = work(tx)
            check_rightful(self.services.values(), tx)
            return done

        return self._store.run(rightful, actor=actor)

    def _service(self, name: str) -> StatefulService[Any]:
        if name not in self.services:
            raise UnknownService(self.name, name, self.services)
        return self.services[name]

    def _parts(self, scopes: Iterable[Scope | tuple[str, str]] | None) -> list[Part]:
        chosen = self.scopes() if scopes is None else sorted({to_scope(scope) for scope in scopes})
        if not chosen:
            raise InvalidScope(
                f"The world {self.name} has no scopes yet.", remedy="Name the account and region that it uses."
            )
        return [
            (name, scope)
            for name, service in sorted(self.services.items())
            for scope in chosen
            if not isinstance(service, Partial) or service.covers(scope)
        ]

    def _undisturbed(self, parts: Iterable[Part]) -> tuple[dict[Part, StateView[Any]], int]:
        """Views between which no restore came, and how many restores had begun before.

        Raises:
            RestorePending: one came each time.
        """
        wanted = list(parts)
        for _ in range(_TRIES):
            self.recover()
            standing = self._read(SqlCheckpoints.standing)
            views = take_views(self.services, wanted)
            if not standing.restoring and standing == self._read(SqlCheckpoints.standing):
                return views, standing.restores
        raise RestorePending(self.name)

    def _discard(self, views: Views, run: UUID | None) -> tuple[str, ...]:
        owner = None if run is None else parse_id(run)
        self._store.read(lambda tx: ownership.check_owner(tx, self.name, {scope for _, scope in views}, owner))
        found = [(self._service(service), scope, view) for (service, scope), view in views.items()]
        return tuple(
            name for one, scope, view in found if isinstance(one, Discarder) for name in one.discard(*scope, view)
        )

    def _carry_out_pending(self) -> Restored | None:
        """Carry out what another process left undone. To be called while holding the world."""
        if self._store.read(lambda tx: restoring.pending_restore(tx, self.name)) is None:
            return None
        pending = self._record(lambda tx: restoring.take_over(tx, self.name))
        if pending is None:
            return None
        target = self.find(pending.checkpoint)
        try:
            views = self.views(target)
            self.check(views)  # who began it may not have had the services to ask
        except (StateViewError, BlobCorrupt) as error:
            raise RestoreStuck(self.name, str(target.id), error.message) from error
        return self._carry_out(pending, target, views)

    def _carry_out(self, pending: Pending, target: Checkpoint, views: Views) -> Restored:
        """Restore ``views``, which were checked and are nobody else's."""
        if pending.before is None:
            states = keep_views(self._store, take_views(self.services, views))
            pending = self._record(lambda tx: restoring.keep_before(tx, pending, states))
        concerned = [self._service(service) for service, _ in views]
        with vouching(views.values()), restoring.fenced(self._store, pending) as check, cut_through(concerned):
            for shared, together in self._sharing(views):
                check()
                shared.make_way(together)
            for (service, scope), view in views.items():
                check()
                self._service(service).restore(*scope, view)
        return self._record(lambda tx: restoring.end_restore(tx, pending, target), actor=pending.actor)

    def _sharing(self, views: Views) -> Iterator[tuple[Sharing, dict[Scope, StateView[Any]]]]:
        """The services whose scopes have names in common, each with its views."""
        for name in sorted({service for service, _ in views}):
            found = self._service(name)
            if isinstance(found, Sharing):
                yield found, {scope: view for (service, scope), view in views.items() if service == name}

    def _hold(self) -> AbstractContextManager[None]:
        return restoring.holding(self._store, self.name, self._patience)
