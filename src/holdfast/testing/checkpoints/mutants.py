"""Worlds with one fault each. The conformance suite must notice every one of them."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import replace
from typing import Any, ClassVar
from uuid import UUID

from holdfast.store import Transaction
from holdfast.worlds import Checkpoint, Scope, StateView, World
from holdfast.worlds.captures import keep_views, take_views
from holdfast.worlds.checkpoints import Reference, SqlCheckpoints
from holdfast.worlds.comparing import Part, Views
from holdfast.worlds.errors import CheckpointExists
from holdfast.worlds.restoring import Pending, Restored, begin_restore, end_restore


class Mutant(World):
    """A world with a fault.

    Attributes:
        breaks: the clause that it violates.
    """

    breaks: ClassVar[str]

    def _put_back(self, views: Views) -> None:
        for (service, scope), view in views.items():
            self.services[service].restore(*scope, view)


class WithoutIntent(Mutant):
    """Restores one service after the other, and writes only in the end that it did."""

    breaks = "WO-10"

    def restore(
        self, checkpoint: Reference, *, run: UUID | None = None, actor: str = "system", discard: bool = False
    ) -> Restored:
        with self._hold():
            target = self.find(checkpoint)
            views = self.views(target)
            self.check(views)
            before = keep_views(self._store, take_views(self.services, views))
            self._put_back(views)

            def write(tx: Transaction) -> Restored:
                return end_restore(tx, begin_restore(tx, target, run=run, before=before), target)

            return self._store.run(write, actor=actor)


class EndsBeforeItIsDone(Mutant):
    """Removes the intent, and then restores."""

    breaks = "WO-10"

    def _carry_out(self, pending: Pending, target: Checkpoint, views: Views) -> Restored:
        if pending.before is None:
            return super()._carry_out(pending, target, views)
        done = super()._carry_out(pending, target, {})
        self._put_back(views)
        return done


class RestoresTheFirstService(Mutant):
    """Leaves all other services as they are."""

    breaks = "WO-10"

    def _carry_out(self, pending: Pending, target: Checkpoint, views: Views) -> Restored:
        first = min(service for service, _ in views)
        return super()._carry_out(pending, target, {part: view for part, view in views.items() if part[0] == first})


class RestoresTheLastScope(Mutant):
    """Leaves all other scopes as they are."""

    breaks = "WO-10"

    def _carry_out(self, pending: Pending, target: Checkpoint, views: Views) -> Restored:
        last = max(scope for _, scope in views)
        return super()._carry_out(pending, target, {part: view for part, view in views.items() if part[1] == last})


class LeaksIntoOtherScopes(Mutant):
    """Empties the regions of the account that the world uses and the checkpoint does not hold."""

    breaks = "WO-10"

    def _carry_out(self, pending: Pending, target: Checkpoint, views: Views) -> Restored:
        emptied = {
            (service, Scope(scope.account_id, other.region)): _emptied(view)
            for (service, scope), view in views.items()
            for other in self.scopes()
        }
        return super()._carry_out(pending, target, {**emptied, **views})


class BeginsWhatCannotBe(Mutant):
    """Asks no service whether it takes its view."""

    breaks = "WO-10"

    def check(self, views: Views) -> None:
        return


class KeepsWhatComes(Mutant):
    """Takes the checkpoint itself for what was there."""

    breaks = "WO-10"

    def _carry_out(self, pending: Pending, target: Checkpoint, views: Views) -> Restored:
        return super()._carry_out(pending, target, views)._replace(before=target)


class KeepsWhatItFindsHalfway(Mutant):
    """Takes what was there anew when a restore is carried out after a death: a mixture."""

    breaks = "WO-10"

    def _carry_out(self, pending: Pending, target: Checkpoint, views: Views) -> Restored:
        return super()._carry_out(replace(pending, before=None), target, views)


class LooksAway(Mutant):
    """Leaves an interrupted restore to whoever restores next."""

    breaks = "WO-10"

    def recover(self) -> Restored | None:
        return None


class RestoresBesideOthers(Mutant):
    """Waits for nobody."""

    breaks = "WO-10"

    def _hold(self) -> AbstractContextManager[None]:
        return nullcontext()


class TornCheckpoints(Mutant):
    """Captures the services one after the other, whatever happens in between."""

    breaks = "WO-10"

    def _undisturbed(self, parts: Iterable[Part]) -> tuple[dict[Part, StateView[Any]], int]:
        self.recover()
        views = take_views(self.services, parts)
        return views, self._read(SqlCheckpoints.standing).restores


class LastOneHasTheName(Mutant):
    """Gives a name that is taken to the later checkpoint."""

    breaks = "WO-10"

    def checkpoint(self, name: str | None = None, *args: Any, **moment: Any) -> Checkpoint:
        with suppress(CheckpointExists):
            return super().checkpoint(name, *args, **moment)
        self.forget(str(name))
        return super().checkpoint(name, *args, **moment)


class IgnoresThePosition(Mutant):
    """Finds a run's last checkpoint, wherever in the run it is rewound to."""

    breaks = "WO-10"

    def find_at(self, run: UUID, position: int) -> Checkpoint | None:
        return super().find_at(run, 1 << 40)


class FindsThePositionAlone(Mutant):
    """Finds a checkpoint at the very position only, none before it."""

    breaks = "WO-10"

    def find_at(self, run: UUID, position: int) -> Checkpoint | None:
        found = super().find_at(run, position)
        return found if found and found.position == position else None


class FindsWhatWasUndone(Mutant):
    """Finds checkpoints of a past that rewinding has undone."""

    breaks = "WO-10"

    def find_at(self, run: UUID, position: int) -> Checkpoint | None:
        tied = [(taken.position, taken.id, taken) for taken in self.checkpoints().items if taken.run == run]
        before = [each for each in tied if each[0] is not None and each[0] <= position]
        return max(before)[-1] if before else None


class LastClaimWins(Mutant):
    """Gives a scope to whoever claims it."""

    breaks = "WO-13"

    def claim_scope(self, scope: Scope | tuple[str, str], run: UUID) -> bool:
        owner = self.owner(scope)
        if owner and owner != run:
            self.release_scope(scope, owner)
        return super().claim_scope(scope, run)


class AnybodyReleases(Mutant):
    """Releases a scope for whoever asks."""

    breaks = "WO-13"

    def release_scope(self, scope: Scope | tuple[str, str], run: UUID) -> bool:
        return super().release_scope(scope, self.owner(scope) or run)


class RestoresForAnybody(Mutant):
    """Restores a scope on behalf of its owner, whoever asks."""

    breaks = "WO-13"

    def restore(
        self, checkpoint: Reference, *, run: UUID | None = None, actor: str = "system", discard: bool = False
    ) -> Restored:
        owners = [owner for state in self.find(checkpoint).states if (owner := self.owner(state.scope))]
        return super().restore(checkpoint, run=owners[0] if owners else run, actor=actor, discard=discard)


class AsksForTheOwnerTooLate(Mutant):
    """Restores what is nobody's before it finds out that something is another's."""

    breaks = "WO-13"

    def restore(
        self, checkpoint: Reference, *, run: UUID | None = None, actor: str = "system", discard: bool = False
    ) -> Restored:
        views = self.views(checkpoint)
        if any(self.owner(scope) not in (None, run) for _, scope in views):
            self._put_back({part: view for part, view in views.items() if self.owner(part[1]) is None})
        return super().restore(checkpoint, run=run, actor=actor, discard=discard)


class ForksIntoNobodysScope(Mutant):
    """Gives a fork a copy that is not its own."""

    breaks = "WO-13"

    def fork_scope(self, source: Any, copy: Any, run: UUID, **options: Any) -> Restored | None:
        done = super().fork_scope(source, copy, run, **options)
        self.release_scope(copy, run)
        return done


class ForksTheName(Mutant):
    """Gives a fork a scope of its own, with nothing in it."""

    breaks = "WO-13"

    def fork_scope(self, source: Any, copy: Any, run: UUID, **options: Any) -> Restored | None:
        done = super().fork_scope(source, copy, run, **options)
        if done:
            self._put_back({part: _emptied(view) for part, view in self.views(done.checkpoint).items()})
        return done


class ForksThePresent(Mutant):
    """Copies what the source is, whatever time was asked for."""

    breaks = "WO-13"

    def fork_scope(self, source: Any, copy: Any, run: UUID, **options: Any) -> Restored | None:
        return super().fork_scope(source, copy, run)


class ForksShareTheirPast(Mutant):
    """Restores a run's forks along with it."""

    breaks = "WO-13"

    def _carry_out(self, pending: Pending, target: Checkpoint, views: Views) -> Restored:
        owned = [scope for scope, owner in self._read(SqlCheckpoints.scopes).items() if owner]
        shared = {(service, scope): view for (service, _), view in views.items() for scope in owned}
        return super()._carry_out(pending, target, {**shared, **views})


def _emptied(view: StateView[Any]) -> StateView[Any]:
    return StateView(service=view.service, version=view.version, resources={}, not_captured=view.not_captured)


MUTANTS = Mutant.__subclasses__()
