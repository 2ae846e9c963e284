"""A mock AWS: the emulator's services as one world."""

from __future__ import annotations

import logging
import threading
import weakref
from _thread import start_new_thread
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from queue import SimpleQueue
from types import TracebackType
from typing import Any, TypeVar
from uuid import UUID
from weakref import WeakValueDictionary

import msgspec

from holdfast.errors import HoldfastError
from holdfast.pages import Page
from holdfast.store import Store, Transaction, as_store, open_store
from holdfast.worlds.aws import instruments
from holdfast.worlds.aws.adapter import Touch
from holdfast.worlds.aws.at_work import AtWork
from holdfast.worlds.aws.attaching import attach
from holdfast.worlds.aws.bodies import StoredBodies
from holdfast.worlds.aws.errors import WorldClosed
from holdfast.worlds.aws.events import WorldEvent, events_of
from holdfast.worlds.aws.gate import GATE
from holdfast.worlds.aws.journal import Journal
from holdfast.worlds.aws.patching import client_of, patched
from holdfast.worlds.aws.resource import Resource
from holdfast.worlds.aws.scopes import DEFAULT_ACCOUNT, DEFAULT_REGION, GLOBAL, check_aws_scope
from holdfast.worlds.aws.service import AwsService
from holdfast.worlds.aws.services import ADAPTERS
from holdfast.worlds.aws.sql import Place, SqlAws
from holdfast.worlds.aws.stored import read_records
from holdfast.worlds.aws.tracking import Settled, Tracker
from holdfast.worlds.aws.universe import Universe
from holdfast.worlds.checkpoints import Checkpoint, Reference
from holdfast.worlds.comparing import WorldDiff, compare
from holdfast.worlds.model import Delta, Scope, StateView, check_name
from holdfast.worlds.notifier import StateChange
from holdfast.worlds.restoring import Restored
from holdfast.worlds.world import World

T = TypeVar("T")
log = logging.getLogger("holdfast.worlds.aws")
_open: WeakValueDictionary[tuple[int, str], AwsWorld] = WeakValueDictionary()
_opening = threading.Lock()
_orphans: SimpleQueue[tuple[Universe, ExitStack]] = SimpleQueue()
_closing = threading.Lock()


class Overtaken(Exception):
    """What a long poll waited for was replaced by a restore: it begins anew."""


class AwsWorld:
    """A mock AWS, whose whole state can be seen, put back, merged, compared and watched.

    ``with AwsWorld(store) as world:`` has boto3 and botocore speak to it within the block: here, in boto3's own
    threads, and in others as long as no other world is entered. Clients of :meth:`client` do so anywhere, at any time.
    Safe to use from any thread, but not inside a unit of work of ``store``. A process may have several worlds.

    Attached to a store, what a client has its answer for is in the store (WO-12): whoever opens the world next has it.
    Detached, the world is as fast as the emulator, and gone with the process; its checkpoints, too.

    Args:
        store: to attach it to, open; stays the caller's. ``None``: detached.
        name: of the world, unique within the store.
        account: of clients whose credentials name none.
        region: where a client's region is not told.
        takeover: have it even if another process has it, which can change nothing from then on. A function is asked in
            the transaction that does so, and may raise.

    Raises:
        InvalidScope: a name, account or region that cannot be one.
        WrongHandle: ``store`` is no open store.
        WorldAttached: another process has it.
        RestorePending, RestoreStuck: as :class:`~holdfast.worlds.World`.
        InvalidView, ViewVersion: what the store holds is of another version of Holdfast.

    Attributes:
        s3, dynamodb, sqs, sns, secretsmanager, ssm, iam, kms, events, logs: the services.
        world: checkpoints and restores of all of them (:class:`~holdfast.worlds.World`).
    """

    s3: AwsService
    dynamodb: AwsService
    sqs: AwsService
    sns: AwsService
    secretsmanager: AwsService
    ssm: AwsService
    iam: AwsService
    kms: AwsService
    events: AwsService
    logs: AwsService

    def __init__(
        self,
        store: Store | None = None,
        name: str = "aws",
        *,
        account: str = DEFAULT_ACCOUNT,
        region: str = DEFAULT_REGION,
        takeover: bool | Callable[[Transaction], None] = False,
    ) -> None:
        if store is not None:
            as_store(store)
        self.name = check_name(name, "a world")
        self.account_id, self.region = check_aws_scope(account, region)
        self._ending = ExitStack()
        self.store = store or self._ending.enter_context(open_store("sqlite://"))
        self.bodies = StoredBodies(self.store)
        self.at_work = AtWork(self)
        self._universe = Universe()
        self._moving = threading.Lock()
        self._moved = threading.Condition(self._moving)
        self._moves: Counter[tuple[Scope, str]] = Counter()
        self._replaced = self._stays = 0
        self._news = threading.local()  # who changes something tells of it, once the gate is open again
        self._closed = self._ended = False
        self._journal: Journal | None = None
        adapters = {adapter.service_name: adapter(self.bodies) for adapter in ADAPTERS}
        self.tracker = Tracker(adapters)
        self.services = {name: AwsService(adapter, self) for name, adapter in adapters.items()}
        for service, one in self.services.items():
            setattr(self, service, one)
        with ExitStack() as unless_open:
            unless_open.callback(self.close)
            instruments.lay(adapters.values())
            self._ending.callback(instruments.lift)
            if store is not None:
                self._journal = self._attached(store, takeover)
            self.world = World(self.store, self.name, self.services.values(), self._first_scopes())
            unless_open.pop_all()

    @classmethod
    def shared(
        cls, store: Store, name: str, *, account: str, region: str, takeover: Callable[[Transaction], None] | None
    ) -> AwsWorld:
        """The attached world of that name which this process has open already, or a new one. It is closed once nobody
        has it any more. Raises as the class does."""
        _close_orphans()  # one of them may be of that name
        with _opening:
            found = _open.get((id(store), name))
            if found is None or not found.ours():
                found = cls(store, name, account=account, region=region, takeover=takeover or False)
                _open[id(store), name] = found
                weakref.finalize(found, _orphaned, found._universe, found._ending).atexit = False
            return found

    def ours(self) -> bool:
        """Whether it is open, and no other process has attached it since."""
        return not self._closed and (self._journal is None or self._journal.ours())

    # -- for users ----------------------------------------------------------------------------------------------

    def client(self, service: str, *, account: str | None = None, region: str | None = None, **more: Any) -> Any:
        """A boto3 client of this world, whatever else is patched; ``more`` goes to boto3.

        Raises:
            InvalidAccount: no 12 digits.
        """
        return client_of(self, service, account or self.account_id, region or self.region, **more)

    @contextmanager
    def patched(self) -> Iterator[None]:
        """Have all of boto3 speak to this world during the block."""
        with patched(self), self.staying():
            yield

    @contextmanager
    def staying(self) -> Iterator[None]:
        """Let the emulator's own variables hold this world between requests, too, for whoever looks there himself."""
        self._stays += 1
        try:
            yield
        finally:
            self._stays -= 1
            self.leave()

    def scopes(self) -> list[Scope]:
        """The accounts and regions in use; each account's ``global`` region is."""
        found = set(self.world.scopes())
        with self.at_work:
            found |= self.tracker.scopes()
        return sorted(found | {Scope(scope.account_id, GLOBAL) for scope in found})

    def snapshot(self) -> dict[tuple[str, Scope], StateView[Any]]:
        """All services' views in all scopes, of one moment."""
        return self.world.snapshot(self.scopes())

    def checkpoint(self, name: str | None = None, **moment: Any) -> Checkpoint:
        """Keep what the world is now, of one moment; see :meth:`~holdfast.worlds.World.checkpoint`."""
        return self.world.checkpoint(name, self.scopes(), **moment)

    def restore(self, checkpoint: Reference, *, run: UUID | None = None, actor: str = "system") -> Restored:
        """Make the whole world what it was: scopes that came into use since are empty again. Where there are any, the
        checkpoint that is told of is a new one, which has them as empty. Raises as
        :meth:`~holdfast.worlds.World.restore`."""
        target = self.world.find(checkpoint)
        views = self.world.views(target)
        later = [scope for scope in self.scopes() if scope not in {part[1] for part in views}]
        filled = {part: view for part, view in self.world.snapshot(later).items() if view.resources} if later else {}
        if filled:
            empty = {part: msgspec.structs.replace(view, resources={}) for part, view in filled.items()}
            target = self.world.record(views | empty)
        return self.world.restore(target, run=run, actor=actor)

    def reset(self) -> None:
        """Empty the whole world: each service in each scope, and what the emulator has besides (:meth:`clear_others`).
        Nothing of it is kept: a checkpoint before is the way back."""
        with self.at_work:
            self.clear_others()
            for scope in self.scopes():
                for service in self.services.values():
                    if service.covers(scope):
                        service.restore(*scope, service.nothing())

    def clear_others(self) -> None:
        """Empty those of the emulator's services that are no part of the world: no view holds what they have, and no
        restore puts it back."""
        with self.at_work:
            self._universe.forget(self.services)

    def forget(self, checkpoint: Reference) -> None:
        """Delete a checkpoint; see :meth:`~holdfast.worlds.World.forget`."""
        self.world.forget(checkpoint)

    def diff(self, before: Reference, after: Reference | None = None) -> WorldDiff:
        """What leads from one checkpoint to another, or to what is there now, in all scopes of either (WO-9)."""
        if after is not None:
            return self.world.diff(before, after)
        old = self.world.views(before)
        return compare(old, self.world.snapshot({*self.scopes(), *(scope for _, scope in old)}))

    def checkpoints(self, *, limit: int | None = None, after: str | None = None) -> Page[Checkpoint]:
        """The world's checkpoints, newest first."""
        return self.world.checkpoints(limit=limit, after=after)

    def subscribe(self, listener: Callable[[WorldEvent], None]) -> Callable[[], None]:
        """Have ``listener`` called with every change of any resource, in a thread of its own; returns the unsubscribe
        (WO-5)."""

        def hear(change: StateChange[Resource]) -> None:
            for event in events_of(change):
                try:
                    listener(event)
                except Exception:  # the others of the same change are news, too
                    log.exception("a listener of the world %s failed", self.name)

        with ExitStack() as subscribed:
            for service in self.services.values():
                subscribed.callback(service.notifier.subscribe(hear))
            return subscribed.pop_all().close

    def close(self) -> None:
        """Give the world up; what is attached stays in the store. A second call does nothing."""
        if self._ended:
            return
        self._flush()
        with GATE:
            self._closed = True
            self._universe.end()
        self._move()  # long polls end
        self._ending.close()
        self._ended = True  # now: who is interrupted may close it again

    def _flush(self) -> None:
        """What nobody waits for is journalled in the end: what the emulator has from the beginning."""
        with suppress(HoldfastError):  # it is closed, or another's
            with self.at_work:
                pass
            self.committed()

    def __enter__(self) -> AwsWorld:
        if self._closed:
            raise WorldClosed(self.name)
        self._ending.enter_context(self.patched())
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    # -- for what serves clients --------------------------------------------------------------------------------

    def serve(self, work: Callable[[], T]) -> T:
        """Have the emulator do something for a client, inside the gate; returns once it is journalled.

        Raises:
            WorldTakenOver, StoreError: it cannot be; it may or may not have been done.
            WorldClosed: the world is closed.
        """
        if self._journal is not None:
            self._journal.check()
        while True:
            try:
                with self.at_work:
                    answer = work()
                break
            except Overtaken:
                continue
            except Exception:  # what was done before it failed is done
                self.committed()
                self.publish()
                raise
        self.committed()
        self.publish()
        return answer

    def committed(self) -> None:
        """Wait until all that was changed so far is journalled."""
        if self._journal is not None:
            self._journal.wait(self._journal.note({}, {}))

    def check_rightful(self, tx: Transaction) -> None:
        """See, for the rest of a transaction of the store, that no other process has attached the world.

        Raises:
            WorldTakenOver: another has.
        """
        if self._journal is not None:
            self._journal.check_rightful(tx)

    def served_at(self, endpoint: str) -> None:
        """Tell others, who find the world attached, where it answers."""
        if self._journal is not None:
            self._journal.tell(endpoint)

    def publish(self) -> None:
        """Let listeners hear what was changed."""
        for service in self._news.__dict__.pop("of", ()):
            service.publish()

    # -- for the instruments and services -----------------------------------------------------------------------

    def note(self, service: str, backend: Any, touch: Touch | None, args: Any, kwargs: Any) -> None:
        """See :class:`~holdfast.worlds.aws.instruments.Listener`."""
        self.tracker.note(service, backend, touch, args, kwargs)

    def note_all(self) -> None:
        """See :class:`~holdfast.worlds.aws.instruments.Listener`."""
        self.tracker.note_all()

    def pause(self, queue: Any, seconds: float) -> None:
        """Wait outside the gate until anything moves, at most ``seconds``; what was changed so far is settled before.

        Raises:
            Overtaken: a restore came in between.
            WorldClosed: the world was closed.
        """
        touched = self.tracker.touched()
        self.settle()
        key = Scope(queue.account_id, queue.region), queue.name
        moves, replaced = self._moves[key], self._replaced
        instruments.at_work = None
        depth = GATE.leave()
        try:
            self.committed()
            self.publish()
            with self._moving:
                self._moved.wait_for(
                    lambda: self._moves[key] != moves or self._replaced != replaced or self._closed, seconds
                )
        finally:
            try:
                GATE.come_back(depth)
            except BaseException:
                GATE.come_back(depth)  # it was interrupted before its first step, or has come back already
                raise
            finally:
                self.appear()
        if self._replaced != replaced:
            raise Overtaken
        self.tracker.touch_again(touched)

    def appear(self) -> None:
        """Have the emulator work on this world. Inside the gate.

        Raises:
            WorldClosed: the world was closed.
        """
        if self._closed:
            raise WorldClosed(self.name)
        self._universe.appear()
        instruments.at_work = self

    def leave(self) -> None:
        """Give the emulator back to whoever has it besides, once nobody is at work and none of this world's patches is
        on: he may reset it."""
        with GATE:
            if not self._stays and instruments.at_work is None:
                self._universe.vanish()

    def settle(self) -> None:
        """Tell and note what was changed. Inside the gate."""
        self.tracker.settle(self._tell)
        self._thin()

    def _tell(self, settled: Settled) -> None:
        service, scope, delta, born = settled
        self._note(service, scope, delta)
        if not born:
            self.services[service].tell(scope, delta)
            self._news.__dict__.setdefault("of", []).append(self.services[service])

    def changed(self, service: str, scope: Scope, delta: Delta[Resource]) -> None:
        """Take note of a restore or merge. Inside the gate."""
        self._replaced += 1
        self._note(service, scope, delta)
        self._thin()
        self._move()

    def _note(self, service: str, scope: Scope, delta: Delta[Resource]) -> None:
        if self._journal is not None:
            adapter = self.services[service].adapter
            named = {Place(service, *scope, change.resource): change.after for change in delta}
            self._journal.note(
                {place: None if record is None else _text(record) for place, record in named.items()},
                {place: tuple(adapter.digests(record)) for place, record in named.items() if record is not None},
            )
        if service == self.sqs.service_name:
            self._move((scope, change.resource.split("/")[1]) for change in delta)

    def _thin(self) -> None:
        """Forget bodies that nothing names any more. Inside the gate, once all that is known is noted."""
        if self.bodies.crowded:
            self.bodies.thin(self.tracker.named())

    def _move(self, queues: Iterable[tuple[Scope, str]] = ()) -> None:
        """Wake long polls."""
        with self._moving:
            self._moves.update(queues)
            self._moved.notify_all()

    # -- opening ------------------------------------------------------------------------------------------------

    def _first_scopes(self) -> Iterable[Scope]:
        return Scope(self.account_id, self.region), Scope(self.account_id, GLOBAL)

    def _attached(self, store: Store, takeover: bool | Callable[[Transaction], None]) -> Journal:
        attachment, release = attach(store, self.name, takeover)
        self._ending.callback(release)
        rows = store.read(lambda tx: SqlAws(tx).resources(attachment.num))
        found = read_records({service.service_name: service.adapter for service in self.services.values()}, rows)
        with self.at_work:
            for (service, scope), records in found.items():
                self.services[service].adopt(scope, records)
        return Journal(store, self.name, attachment, self.bodies)


def _orphaned(universe: Universe, ending: ExitStack) -> None:
    """Have a world that nobody has any more closed. Called whenever the interpreter likes, in the middle of anything
    that this thread does: so it waits for nothing, and leaves that to another thread."""
    _orphans.put((universe, ending))
    start_new_thread(_close_orphans, ())


def _close_orphans() -> None:
    with _closing:
        while not _orphans.empty():
            universe, ending = _orphans.get()
            with GATE:
                universe.end()
            ending.close()


def _text(record: Resource) -> str:
    return msgspec.json.encode(record).decode()
