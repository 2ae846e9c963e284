"""What is looked at after each dispatch of the emulator's own tests: whether a world's tracking saw all that was done,
and whether the emulator goes on as before from what the journal would have."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import msgspec
from emulator_faults import STACKS, UNTOLD, Fault, bare, changed, expected, fields, traced, values
from moto.s3.models import s3_backends

from holdfast import codec
from holdfast.worlds.aws.tracking import Settled, Tracker
from holdfast.worlds.aws.world import AwsWorld
from holdfast.worlds.model import Scope

LARGE = 300
"""A world of so many resources is looked at each time that as many requests were answered."""


def _kit() -> Any:
    spec = spec_from_file_location("aws_kit", Path(__file__).parent.parent / "aws_kit.py")
    assert spec is not None
    assert spec.loader is not None
    kit = module_from_spec(spec)
    spec.loader.exec_module(kit)
    return kit


differences = _kit().differences


class Checks:
    """Args:
    tracking, reopening: what is to be checked.
    path: of the file of faults.
    """

    def __init__(self, path: Path, *, tracking: bool, reopening: bool) -> None:
        self._path = path
        self._tracking = tracking
        self._reopening = reopening
        self._depth = 0
        self._served = 0
        self._action = ""
        self._known: set[tuple[str, ...]] = set()

    @classmethod
    def wanted(cls, environment: Mapping[str, str]) -> Checks:
        asked = environment.get("HOLDFAST_CHECKS", "").split(",")
        path = Path(environment.get("HOLDFAST_FAULTS", os.devnull))
        return cls(path, tracking="tracking" in asked, reopening="reopening" in asked)

    def around(self, world: AwsWorld, action: str, work: Callable[[], Any]) -> Any:
        """Do the work of a client, and look at what became of the world. Inside the gate; dispatches that are made
        within others are looked at with those."""
        if self._depth or not self._due(world):
            return work()
        self._action = action
        with self._guarded("*"):
            _all_shadows(world)
            world.tracker.recount()  # what a test has done to the emulator by itself is nobody's change
        self._depth += 1
        try:
            return work()
        finally:
            self._depth -= 1
            self._action = action
            with self._guarded("*"):
                self._look(world)

    def _due(self, world: AwsWorld) -> bool:
        if not (self._tracking or self._reopening):
            return False
        self._served += 1
        size = sum(len(part.resources) for shadow in _shadows(world) for part in shadow._groups.values())
        return size < LARGE or self._served % size == 0

    def _look(self, world: AwsWorld) -> None:
        told = world.tracker.settle(world._tell)
        _all_shadows(world)
        if self._tracking:
            for settled in world.tracker.recount():
                self._unseen(settled)
            self._checked(world, told)
        if self._reopening:
            self._reopened(world)

    # -- tracking -----------------------------------------------------------------------------------------------

    def _unseen(self, settled: Settled) -> None:
        for change in settled.delta:
            if not changed(change) <= UNTOLD:
                what = f"{change.kind} {_word(change.resource)}{fields(change)}"
                self._add(settled.service, "unseen", what, f"{change.resource}: {values(change)}")

    def _checked(self, world: AwsWorld, told: list[Settled]) -> None:
        for service, scope, delta in (settled[:3] for settled in told):
            adapter = world.services[service].adapter
            after = {change.resource: change.after for change in delta if change.after is not None}
            with self._guarded(service):
                self._through_json(adapter, after)
            records = world.tracker.shadow(service, scope).records(scope.region)
            for found in adapter.check(records):
                word = _word(found.resource)
                self._add(service, "check", f"{word}.{found.field}: {bare(found.fault)}", f"{found}")
            for name, record in after.items():
                group = adapter.group_of(name)
                part = world.tracker.shadow(service, scope)._groups.get(group)
                if part is None or name not in part.resources:
                    self._add(service, "group", f"{_word(name)} is not of the group {group[0]}", name)
                if lost := adapter.bodies.missing(adapter.digests(record)):
                    self._add(service, "body", f"{_word(name)} names a body that is missing", f"{name} {lost}")

    def _through_json(self, adapter: Any, records: dict[str, Any]) -> dict[str, Any]:
        view = adapter.view_type(
            service=adapter.service_name, version=adapter.version, resources=records, not_captured=()
        )
        read = msgspec.json.decode(msgspec.json.encode(view), type=adapter.view_type).resources
        for name, record in records.items():
            codec.encode_canonical(record)
            if read[name] != record:
                self._add(adapter.service_name, "json", f"{_word(name)} is another", f"{record} {read[name]}")
        return dict(read)

    # -- reopening ----------------------------------------------------------------------------------------------

    def _reopened(self, world: AwsWorld) -> None:
        """Have the services made anew from what is known of them, as when the world is opened from its store."""
        shadows = _shadows(world)
        for shadow in shadows:
            self._grouped(shadow)
        known = list(self._known_parts(shadows))
        with _aside(world) as put_back:
            service = "*"
            try:
                for service, scope, records in sorted(known, key=lambda part: part[:2]):
                    world.services[service].adopt(scope, records)
            except Exception as error:
                self._add(service, "crash", f"install: {type(error).__name__}: {bare(error)}", traced(error))
                put_back()
                return
        again = [(one.adapter, one.backend, _place(one.adapter, one.backend)) for one in shadows]
        _all_shadows(world)
        for settled in world.tracker.recount():
            for change in settled.delta:
                what = f"{change.kind} {_word(change.resource)}{fields(change)}"
                self._add(settled.service, "restored", what, f"{change.resource}: {values(change)}")
        for adapter, old, new in again:
            self._compared(adapter, old, new)
        world._replaced += 1

    def _known_parts(self, shadows: list[Any]) -> Iterator[tuple[str, Scope, dict[str, Any]]]:
        for shadow in shadows:
            for region in sorted(shadow.regions()):
                with self._guarded(shadow.adapter.service_name):
                    records = self._through_json(shadow.adapter, shadow.records(region))
                    yield shadow.adapter.service_name, Scope(shadow.backend.account_id, region), records

    def _compared(self, adapter: Any, old: Any, new: Any) -> None:
        skipped = {coverage.model: set(coverage.left) for coverage in adapter.coverage} | {object: STACKS}
        with self._guarded(adapter.service_name):
            for found in differences(old, new, skipped):
                path, _, rest = found.partition(": ")
                what = f"{re.sub(r'[[].*?[]](?=[.[]|$)', '[]', path)}: {bare(rest)}"
                if not expected(adapter.service_name, found):
                    self._add(adapter.service_name, "graph", what, found)

    def _grouped(self, shadow: Any) -> None:
        for region in shadow.regions():
            groups = set(shadow.adapter.groups(shadow.backend, region))
            missed = [group for group, part in shadow._groups.items() if part.region == region and group not in groups]
            if missed:
                self._add(shadow.adapter.service_name, "group", f"{missed[0][0]} is not listed", f"{missed[:5]}")

    # -- faults -------------------------------------------------------------------------------------------------

    @contextmanager
    def _guarded(self, service: str) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            self._add(service, "crash", f"{type(error).__name__}: {bare(error)}", traced(error))

    def _add(self, service: str, kind: str, what: str, example: str) -> None:
        test = os.environ.get("PYTEST_CURRENT_TEST", "?").split(" ")[0]
        fault = Fault(service, kind, what[:300], example[:600], self._action, test)
        if (key := fault[:3] + fault[4:5]) not in self._known:
            self._known.add(key)
            with self._path.open("a") as file:
                file.write(json.dumps(fault._asdict()) + "\n")


def _word(name: str) -> str:
    return name.split("/")[0]


@contextmanager
def _aside(world: AwsWorld) -> Iterator[Callable[[], None]]:
    """Empty the emulator's services, and forget what was known of them; yields what puts all of it back."""
    services = [service.adapter.backends for service in world.services.values()]
    kept = [(one, dict(one)) for backends in services for one in backends.values()]
    buckets, s3_backends.bucket_accounts = s3_backends.bucket_accounts, {}
    tracker = world.tracker
    world.tracker = Tracker({name: service.adapter for name, service in world.services.items()})
    for one, _ in kept:
        dict.clear(one)

    def put_back() -> None:
        s3_backends.bucket_accounts = buckets
        world.tracker = tracker
        for one, content in kept:
            dict.clear(one)
            dict.update(one, content)

    yield put_back


def _place(adapter: Any, backend: Any) -> Any:
    """What is now in the place of a backend."""
    return adapter.backends[backend.account_id][backend.region_name]


def _shadows(world: AwsWorld) -> list[Any]:
    return list(world.tracker._shadows.values())


def _all_shadows(world: AwsWorld) -> None:
    """Have the tracker know all backends that are there; what is in them now is told of."""
    for name, service in world.services.items():
        for _, _, backend in list(service.adapter.backends.iter_backends()):
            world.tracker._shadow(name, backend)
    world.tracker.settle()
