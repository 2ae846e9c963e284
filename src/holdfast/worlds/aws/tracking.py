"""What is known of the emulator's state, and what each thing that is done to it changes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from holdfast.worlds.aws.adapter import Adapter, Elsewhere, Group, Part, Touch
from holdfast.worlds.aws.resource import Resource
from holdfast.worlds.model import Change, Delta, Scope

Records = dict[str, Resource]
Changes = dict[str, list[Change[Resource]]]
_EVERYTHING: Group = ("*",)


class Settled(NamedTuple):
    """What was done to one service in one scope.

    Attributes:
        born: by the emulator itself, which has things there from the beginning: nobody's news.
    """

    service: str
    scope: Scope
    delta: Delta[Resource]
    born: bool = False


class Shadow:
    """The last known records of one of the emulator's backends, in groups as they are read.

    Args:
        adapter: of the service.
        backend: whose state it is.
    """

    def __init__(self, adapter: Adapter[Any], backend: Any) -> None:
        self.adapter = adapter
        self.backend = backend
        self._groups: dict[Group, Part[Resource]] = {}
        self._top = 0
        self.born = self.refresh([_EVERYTHING])
        """What the emulator itself has put there, and is not noted yet."""

    def records(self, region: str) -> Records:
        """All records of a region."""
        found: Records = {}
        for part in self._groups.values():
            if part.region == region:
                found.update(part.resources)
        return found

    def regions(self) -> set[str]:
        """Those in which there is anything."""
        return {part.region for part in self._groups.values()}

    def refresh(self, groups: Iterable[Group]) -> Changes:
        """Read groups again; returns what has changed, by region."""
        parts, changes = self.look(groups)
        self.keep(parts)
        return changes

    def look(self, groups: Iterable[Group]) -> tuple[dict[Group, Part[Resource] | None], Changes]:
        """What groups are now, for :meth:`keep`, and what has changed in them, by region."""
        wanted = dict.fromkeys(groups)
        if _EVERYTHING in wanted:
            wanted = dict.fromkeys((*self.adapter.groups(self.backend), *self._groups))
        parts = {group: self.adapter.read(self.backend, group) for group in wanted}
        changes: Changes = {}
        for group, new in parts.items():
            for region, change in self._compared(self._groups.get(group), new):
                changes.setdefault(region, []).append(change)
        return parts, changes

    def keep(self, parts: Mapping[Group, Part[Resource] | None]) -> None:
        """Know that groups are this."""
        for group, part in parts.items():
            if part is None:
                self._groups.pop(group, None)
            else:
                self._groups[group] = part

    def replace(self, region: str, records: Mapping[str, Resource]) -> None:
        """Take note that a region's state was replaced."""
        for group in [group for group, part in self._groups.items() if part.region == region]:
            del self._groups[group]
        for name, record in records.items():
            group = self.adapter.group_of(name)
            self._groups.setdefault(group, Part(region, {})).resources[name] = record
            self._top = max(self._top, record.rank)
        self.born.pop(region, None)
        self.born |= self.refresh(self.adapter.always)

    def _compared(
        self, old: Part[Resource] | None, new: Part[Resource] | None
    ) -> Iterator[tuple[str, Change[Resource]]]:
        """What differs; gives the new records the ranks and, where they are equal, the place of the old ones."""
        before = old.resources if old else {}
        if old is not None and (new is None or new.region != old.region):
            yield from ((old.region, Change(name, record, None)) for name, record in before.items())
            before = {}
        if new is None:
            return
        last = None
        for name, record in new.resources.items():
            known = before.get(name)
            if known is not None and (last is None or known.rank >= last):
                rank = known.rank
            else:
                self._top = rank = self._top + 1
            last = rank
            if known is not None and known.rank == rank and known == record:
                new.resources[name] = known
                continue
            ranked = new.resources[name] = msgspec.structs.replace(record, rank=rank)
            if known != ranked:
                yield new.region, Change(name, known, ranked)
        for name in before.keys() - new.resources.keys():
            yield new.region, Change(name, before[name], None)


Touched = dict[Shadow, dict[Group, None]]


class Tracker:
    """Watches the emulator of one world. To be used inside the gate alone.

    Args:
        adapters: by name of their services.
    """

    def __init__(self, adapters: Mapping[str, Adapter[Any]]) -> None:
        self._adapters = adapters
        self._shadows: dict[tuple[str, str, str], Shadow] = {}
        self._touched: Touched = {}

    def note(self, service: str, backend: Any, touch: Touch | None, args: Any, kwargs: Any) -> None:
        """Take note that a method of a backend is about to be called."""
        shadow = self._shadow(service, backend)
        touched = self._touched.setdefault(shadow, {})
        for group in _groups_of(touch, backend, args, kwargs):
            if isinstance(group, Elsewhere):
                other = self._adapters[service].backends[group.account_id][group.region]
                self._touch(self._shadow(service, other), [group.group])
            else:
                touched[group] = None

    def adopt(self, service: str, scope: Scope, records: Mapping[str, Resource]) -> None:
        """Take note that a scope's state was replaced."""
        shadow = self.shadow(service, scope)
        shadow.replace(scope.region, records)
        if shadow.born:
            self._touch(shadow, ())

    def settle(self, tell: Callable[[Settled], None] = lambda one: None) -> list[Settled]:
        """What was changed by what was noted since the last call.

        Args:
            tell: called with each. What an interruption keeps from being told is found by the next call; so may be what
                was told just before.
        """
        settled: list[Settled] = []
        for shadow, groups in list(self._touched.items()):
            try:
                settled += self._settle(shadow, groups, tell)
            except Exception:  # what cannot be read is not to be in the way of all that is done from now on
                self._touched.pop(shadow, None)
                raise
            self._touched.pop(shadow, None)
        return settled

    def touched(self) -> Touched:
        """What was noted since the last settling."""
        return {shadow: dict(groups) for shadow, groups in self._touched.items()}

    def touch_again(self, touched: Touched) -> None:
        """Take note of the same again: what was begun before a settling goes on."""
        for shadow, groups in touched.items():
            self._touch(shadow, groups)

    def records(self, service: str, scope: Scope) -> Records:
        """What there is in a scope. To look at what no client has asked for does not bring it about: the emulator makes
        things of its own in a region where it is first asked."""
        adapter = self._adapters[service]
        there = dict.get(adapter.backends, scope.account_id)
        if there is None or dict.get(there, adapter.place(scope.region)) is None:
            return {}
        return self.shadow(service, scope).records(scope.region)

    def shadow(self, service: str, scope: Scope) -> Shadow:
        """What is known of the backend that holds a scope of a service."""
        adapter = self._adapters[service]
        return self._shadow(service, adapter.backends[scope.account_id][adapter.place(scope.region)])

    def scopes(self) -> set[Scope]:
        """Those in which there is anything."""
        return {Scope(key[1], region) for key, shadow in self._shadows.items() for region in shadow.regions()}

    def note_all(self) -> None:
        """Take note that anything may be changed."""
        for shadow in self._shadows.values():
            self._touch(shadow, [_EVERYTHING])

    def recount(self) -> list[Settled]:
        """What has changed unseen: by whoever went round the gate."""
        self.note_all()
        return self.settle()

    def named(self) -> set[str]:
        """The digests of all bodies that anything names."""
        return {
            digest
            for shadow in self._shadows.values()
            for part in shadow._groups.values()
            for record in part.resources.values()
            for digest in shadow.adapter.digests(record)
        }

    def _settle(self, shadow: Shadow, groups: Iterable[Group], tell: Callable[[Settled], None]) -> list[Settled]:
        parts, changes = shadow.look(groups)
        settled = [_settled(shadow, region, found, born=True) for region, found in shadow.born.items()]
        settled += [_settled(shadow, region, found) for region, found in changes.items()]
        for one in settled:
            tell(one)
        shadow.keep(parts)
        shadow.born = {}
        return settled

    def _shadow(self, service: str, backend: Any) -> Shadow:
        key = (service, backend.account_id, backend.region_name)
        found = self._shadows.get(key)
        if found is None:
            found = self._shadows[key] = Shadow(self._adapters[service], backend)
            if found.born:
                self._touch(found, ())
        elif found.backend is not backend:  # somebody has reset the emulator
            found.backend = backend
            self._touch(found, [_EVERYTHING])
        return found

    def _touch(self, shadow: Shadow, groups: Iterable[Group]) -> None:
        self._touched.setdefault(shadow, {}).update(dict.fromkeys(groups))


def _groups_of(touch: Touch | None, backend: Any, args: Any, kwargs: Any) -> Sequence[Group | Elsewhere]:
    """What a call may change; everything, where nobody can tell: the emulator is to answer bad input, not we."""
    if touch is None:
        return (_EVERYTHING,)
    try:
        return list(touch(backend, *args, **kwargs))
    except Exception:
        return (_EVERYTHING,)


def _settled(shadow: Shadow, region: str, changes: list[Change[Resource]], *, born: bool = False) -> Settled:
    delta: Delta[Resource] = tuple(sorted(changes, key=lambda change: change.resource))
    return Settled(shadow.adapter.service_name, Scope(shadow.backend.account_id, region), delta, born)
