"""A mock AWS of a store as a world of the command line. What it is made of is imported once one is opened."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from holdfast.cli.world_place import OpenedPlace, Seen, Use
from holdfast.errors import InvalidInput, NotFound
from holdfast.store import Store
from holdfast.worlds.aws.emulator import check_emulator
from holdfast.worlds.aws.errors import WorldAttached, WrongRegion
from holdfast.worlds.aws.sql import SqlAws
from holdfast.worlds.checkpoints import Checkpoint, State
from holdfast.worlds.comparing import Part, Views
from holdfast.worlds.errors import CheckpointNotFound, InvalidScope, InvalidView, UnknownService
from holdfast.worlds.model import Scope, StateView
from holdfast.worlds.service import Partial
from holdfast.worlds.world import World

if TYPE_CHECKING:
    from holdfast.worlds.aws.world import AwsWorld

_MOST_NAMED = 10


class WorldNotFound(NotFound):
    """The store has no mock AWS of that name."""

    code = "world_not_found"
    remedy = "Make it: `holdfast world serve --name NAME`, AwsWorld(store, name), or `holdfast world import`."

    def __init__(self, name: str, known: list[str]) -> None:
        named = ", ".join(f"aws:{one}" for one in known[:_MOST_NAMED])
        more = f", and {len(known) - _MOST_NAMED} more" if len(known) > _MOST_NAMED else ""
        super().__init__(f"The store has no mock AWS {name!r}.", remedy=f"It has: {named}{more}." if known else None)


class Only(NamedTuple):
    """What of a mock AWS a command is to look at; ``None``: all."""

    account: str | None = None
    region: str | None = None
    service: str | None = None

    def __bool__(self) -> bool:
        return any(one is not None for one in self)

    def matches(self, part: Part) -> bool:
        service, scope = part
        wanted = zip(self, (scope.account_id, scope.region, service), strict=True)
        return all(asked is None or asked == found for asked, found in wanted)

    def __str__(self) -> str:
        return " ".join(f"--{name} {value}" for name, value in self._asdict().items() if value is not None)


class AwsPlace(NamedTuple):
    """A mock AWS as the commands see it.

    Attributes:
        name: of the world.
        only: what of it they look at.
    """

    name: str
    only: Only

    @property
    def shown(self) -> str:
        return f"aws:{self.name}"

    def check_url(self, url: str) -> None:
        """No store is in a mock AWS."""

    def check_known(self, store: Store) -> None:
        check_emulator()
        known = store.read(lambda tx: SqlAws(tx).worlds())
        if self.name not in known:
            raise WorldNotFound(self.name, known)

    def _is_new(self, store: Store) -> bool:
        return store.read(lambda tx: SqlAws(tx).get(self.name)) is None

    @contextmanager
    def open(self, store: Store, use: Use) -> Iterator[OpenedAws]:
        from holdfast.worlds.aws import AwsWorld

        if use.change or (use.make and self._is_new(store)):
            cloud = AwsWorld(store, self.name)
            try:
                yield OpenedAws(store, self, cloud.world, cloud)
            finally:
                cloud.close()
        else:
            yield OpenedAws(store, self, _stored(store, self.name))


def _stored(store: Store, name: str) -> World:
    """The world for those who only look. A restore that was interrupted is carried out first: that takes more."""
    from holdfast.worlds.aws import AwsWorld
    from holdfast.worlds.aws.stored import stored_world

    try:
        return stored_world(store, name)
    except WorldAttached:
        AwsWorld(store, name).close()
        return stored_world(store, name)


class OpenedAws(OpenedPlace):
    """A mock AWS that a command works on.

    Args:
        cloud: the world itself, where it is to be changed.
    """

    def __init__(self, store: Store, place: AwsPlace, world: World, cloud: AwsWorld | None = None) -> None:
        super().__init__(store, place.name, world)
        self._only = place.only
        self._cloud = cloud
        self._check_only()

    def present(self) -> Views:
        return {part: view for part, view in self._all().items() if self._only.matches(part)}

    def one(self) -> tuple[Part, Any]:
        found = self.present()
        full = [part for part, view in found.items() if view.resources] if len(found) > 1 else list(found)
        if not full:
            raise InvalidInput(
                f"Nothing is there in {self._only or 'any service'}.",
                remedy="Give --service, --account and --region for a view that is empty.",
            )
        if len(full) > 1:
            held = "; ".join(f"--service {service} --account {a} --region {r}" for service, (a, r) in full)
            remedy = f"Choose one: {held}. `holdfast world export` writes all."
            raise InvalidInput(f"That is {len(full)} views, and one can be printed.", remedy=remedy)
        return full[0], found[full[0]]

    def keep(self, name: str) -> Checkpoint:
        if self._only:
            raise InvalidInput(
                "A checkpoint of a mock AWS is of all of it.",
                remedy=f"Leave out {self._only}; give it to `restore` or `merge`, which take a part of a checkpoint.",
            )
        return self.world.checkpoint(name, self._scopes())

    def held(self, found: Checkpoint) -> list[State]:
        states = [state for state in found.states if self._only.matches((state.service, state.scope))]
        if not states:
            raise InvalidScope(
                f"The checkpoint {found.name or found.id} holds nothing of {self._only}.",
                remedy=f"It holds: {'; '.join(sorted({' '.join(state.scope) for state in found.states}))}.",
            )
        return states

    def decode(self, text: bytes) -> Views:
        try:
            service = msgspec.json.decode(text, type=_Named).service
        except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
            raise InvalidView(self._only.service or "a service", "$", str(error)) from error
        if service not in self.world.services:
            raise UnknownService(self.name, service, self.world.services)
        region = self._region_of(service)
        if self._only.account is None or region is None:
            raise InvalidInput("A view does not say whose it is.", remedy="Give --account and --region.")
        part = service, Scope(self._only.account, region)
        self.check_part(part)
        if not self._only.matches(part):
            raise InvalidInput(f"That is a view of {service} in {region}, not of {self._only}.", remedy="Leave it out.")
        return {part: self.world.services[service].decode(text)}

    def check_part(self, part: Part) -> None:
        from holdfast.worlds.aws.scopes import GLOBAL, check_aws_scope

        service, scope = part
        check_aws_scope(*scope)
        found = self.world.services[service]
        if isinstance(found, Partial) and not found.covers(scope):
            raise WrongRegion(service, scope.region, is_global=scope.region != GLOBAL)

    def compared(self, views: Views) -> Seen:
        """A state in a scope that was never used is empty."""
        found = self._all()
        return Seen({part: found[part] if part in found else _emptied(view) for part, view in views.items()})

    def prefix(self, part: Part) -> str:
        service, scope = part
        return f"{service} {scope.account_id}/{scope.region}"

    def target(self, wanted: str) -> Views:
        """A checkpoint with a name is of the whole world; one without is of what a restore has replaced."""
        views = self.views(wanted)
        with suppress(CheckpointNotFound):  # a view in a file
            if not self._only and self.find(wanted).name is not None:
                return self.completed(views)
        return views

    def completed(self, views: Views) -> Views:
        """What came into use since is empty again."""
        later = {part: view for part, view in self._all().items() if part not in views and view.resources}
        return {**views, **{part: _emptied(view) for part, view in later.items()}}

    def _all(self) -> Views:
        return self.world.snapshot(self._scopes())

    def _scopes(self) -> set[Scope]:
        from holdfast.worlds.aws.scopes import DEFAULT_ACCOUNT, DEFAULT_REGION, GLOBAL

        used = set(self._cloud.scopes() if self._cloud else self.world.scopes())
        if not used:
            used = {Scope(DEFAULT_ACCOUNT, DEFAULT_REGION)}
        if self._only.account is not None and self._only.region is not None:
            used.add(Scope(self._only.account, self._only.region))
        return used | {Scope(scope.account_id, GLOBAL) for scope in used}

    def _region_of(self, service: str) -> str | None:
        from holdfast.worlds.aws.scopes import DEFAULT_ACCOUNT, GLOBAL

        found = self.world.services[service]
        is_global = isinstance(found, Partial) and found.covers(Scope(DEFAULT_ACCOUNT, GLOBAL))
        return GLOBAL if is_global and self._only.region is None else self._only.region

    def _check_only(self) -> None:
        from holdfast.worlds.aws.scopes import DEFAULT_ACCOUNT, GLOBAL, check_aws_scope

        account, region, service = self._only
        check_aws_scope(account if account is not None else DEFAULT_ACCOUNT, region if region is not None else GLOBAL)
        if service is not None and service not in self.world.services:
            raise UnknownService(self.name, service, self.world.services)


class _Named(msgspec.Struct):
    """What every view says."""

    service: str


def _emptied(view: StateView[Any]) -> StateView[Any]:
    return msgspec.structs.replace(view, resources={})
