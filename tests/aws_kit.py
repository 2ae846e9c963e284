"""What tests of the mock AWS share: bodies in memory, a round trip of one service, and a comparison of the emulator's
objects to the last attribute."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Iterable, Iterator
from datetime import datetime
from hashlib import sha256
from typing import Any

import msgspec

from holdfast.worlds.aws.adapter import Adapter
from holdfast.worlds.aws.shapes import attributes_of
from holdfast.worlds.errors import MissingBlob

ACCOUNT, REGION = "111111111111", "eu-west-1"


class MemoryBodies:
    """Bodies by digest, in memory."""

    def __init__(self) -> None:
        self.kept: dict[str, bytes] = {}

    def put(self, body: bytes) -> str:
        digest = sha256(body).hexdigest()
        self.kept[digest] = body
        return digest

    def get(self, digest: str) -> bytes:
        if digest not in self.kept:
            raise MissingBlob([digest])
        return self.kept[digest]

    def missing(self, digests: Iterable[str]) -> set[str]:
        return set(digests) - self.kept.keys()


def take(adapter: Adapter[Any], account: str = ACCOUNT, region: str = REGION) -> dict[str, Any]:
    """All records of a region, ranked in the order in which they are listed."""
    backend = adapter.backends[account][adapter.place(region)]
    found: dict[str, Any] = {}
    for group in adapter.groups(backend, region):
        part = adapter.read(backend, group)
        assert part is not None
        assert part.region == region
        for name, record in part.resources.items():
            assert adapter.group_of(name) == group
            assert name not in found
            found[name] = msgspec.structs.replace(record, rank=len(found) + 1)
    return found


def through_json(adapter: Adapter[Any], resources: dict[str, Any]) -> dict[str, Any]:
    """The records, written as JSON and read again as the view's types; the same as before."""
    view = adapter.view_type(
        service=adapter.service_name, version=adapter.version, resources=resources, not_captured=adapter.not_captured
    )
    read = msgspec.json.decode(msgspec.json.encode(view), type=adapter.view_type)
    for name, record in read.resources.items():
        assert record == resources[name], f"{name}\n{record}\n{resources[name]}"
    return dict(read.resources)


def round_trip(adapter: Adapter[Any], account: str = ACCOUNT, region: str = REGION) -> dict[str, Any]:
    """Take the state, write and read it as JSON, check it, put it into a backend made anew, and see that every object
    there is what it was. Returns the records. The new backend is in place afterwards."""
    before = take(adapter, account, region)
    read = through_json(adapter, before)
    assert list(adapter.check(read)) == []
    assert not adapter.bodies.missing(digest for record in read.values() for digest in adapter.digests(record))
    place = adapter.place(region)
    old = adapter.backends[account][place]
    new = type(old)(place, account)
    dict.__setitem__(adapter.backends[account], place, new)
    adapter.install(new, region, read)
    assert take(adapter, account, region) == before
    skipped = {coverage.model: set(coverage.left) for coverage in adapter.coverage}
    faults = list(differences(old, new, skipped))
    assert not faults, "\n".join(faults)
    return before


def unknown_attributes(adapter: Adapter[Any]) -> dict[str, set[str]]:
    """Attributes of the emulator's classes of which the adapter says nothing (WO-8)."""
    return {one.model.__qualname__: unknown for one in adapter.coverage if (unknown := one.unknown())}


_LOCKS = (type(threading.Condition()), type(threading.Lock()), type(threading.RLock()))


def differences(  # noqa: C901 - one branch a kind of value
    old: Any, new: Any, skipped: dict[type, set[str]], path: str = "backend", seen: set[int] | None = None
) -> Iterator[str]:
    """Where two graphs of the emulator's objects differ, attribute by attribute; ``skipped`` are not looked at."""
    seen = set() if seen is None else seen
    if id(old) in seen or isinstance(old, _LOCKS):
        return
    if type(old) is not type(new) and not (isinstance(old, dict) and isinstance(new, dict)):
        yield f"{path}: {type(old).__name__} {old!r:.80} became {type(new).__name__} {new!r:.80}"
        return
    if old is None or isinstance(old, str | int | float | bytes | datetime):
        if old != new:
            yield f"{path}: {old!r:.80} became {new!r:.80}"
        return
    seen.add(id(old))
    if isinstance(old, dict):
        before = [key for key, value in old.items() if key in new or not _is_bare(old, value)]
        if before != list(new):
            yield f"{path}: the keys {before!r:.200} became {list(new)!r:.200}"
        for key in old.keys() & new.keys():
            yield from differences(old[key], new[key], skipped, f"{path}[{key!r}]", seen)
    elif isinstance(old, list | tuple):
        if len(old) != len(new):
            yield f"{path}: {len(old)} became {len(new)}"
        for place, (a, b) in enumerate(zip(old, new, strict=False)):
            yield from differences(a, b, skipped, f"{path}[{place}]", seen)
    elif isinstance(old, set | frozenset):
        if set(map(_face, old)) != set(map(_face, new)):
            yield f"{path}: {old!r:.80} became {new!r:.80}"
    elif type(old).__module__.startswith("moto.") and hasattr(old, "__dict__"):
        left = set().union(*(names for model, names in skipped.items() if isinstance(old, model)))
        for name in sorted((vars(old).keys() | vars(new).keys()) - left):
            if name not in vars(new) or name not in vars(old):
                yield f"{path}.{name}: {'lost' if name in vars(old) else 'new'}"
            else:
                yield from differences(vars(old)[name], vars(new)[name], skipped, f"{path}.{name}", seen)


def _is_bare(holder: Any, value: Any) -> bool:
    """Whether a value is what its holder makes of itself when it is asked for one."""
    if not isinstance(holder, defaultdict):
        return False
    if isinstance(value, dict):
        return all(_is_bare(value, one) for one in value.values())
    return value in ([], set())


def _face(member: Any) -> Any:
    """What a member of a set is known by."""
    return str(sorted(vars(member).items())) if hasattr(member, "__dict__") else member


__all__ = ["ACCOUNT", "REGION", "MemoryBodies", "attributes_of", "round_trip", "take", "unknown_attributes"]
