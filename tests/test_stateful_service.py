"""Stateful services hold their contract, and the suite that says so notices when one does not."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import msgspec
import pytest

from holdfast.errors import NotFound
from holdfast.testing.worlds import exercise_stateful_service, samples, suite
from holdfast.worlds import Change, Delta, Scope, StateView, diff
from holdfast.worlds.base import Plan, ResourceService, changes
from holdfast.worlds.errors import InvalidView
from holdfast.worlds.model import apply_delta, decode_view, encode_view, path_of


class Lamp(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The record of a service of another make."""

    colour: int
    hours: dict[str, int] = {}


class Lamps(ResourceService[Lamp]):
    """A service in memory."""

    service_name = "lamps"
    version = 3
    view_type = StateView[Lamp]
    not_captured = ("whether somebody looks",)

    def __init__(self) -> None:
        super().__init__()
        self._lamps: dict[Scope, dict[str, Lamp]] = {}

    def switch(self, account_id: str, region: str, **lamps: Lamp | None) -> None:
        self._mutate(
            Scope(account_id, region),
            lambda present: changes(*(Change(name, present.get(name), lamp) for name, lamp in lamps.items())),
        )

    def look(self, account_id: str, region: str, name: str) -> Lamp:
        found = self._lamps.get(Scope(account_id, region), {}).get(name)
        if found is None:
            raise NotFound(f"There is no lamp {name}.")
        return found

    def _read(self, scope: Scope) -> dict[str, Lamp]:
        return dict(self._lamps.get(scope, {}))

    def _change(self, scope: Scope, plan: Plan[Lamp]) -> Delta[Lamp]:
        delta = plan(self._read(scope))
        apply_delta(self._lamps.setdefault(scope, {}), delta)
        return delta

    def _check(self, view: StateView[Lamp]) -> None:
        for name, lamp in view.resources.items():
            if lamp.colour < 0:
                raise InvalidView("lamps", f"{path_of(name)}.colour", "it is negative")


class LampSubject:
    def __init__(self) -> None:
        self.service = Lamps()

    def put(self, account_id: str, region: str, n: int, variant: int) -> None:
        self.service.switch(account_id, region, **{f"lamp{n}": Lamp(variant)})

    def put_pair(self, account_id: str, region: str, n: int, m: int, variant: int) -> None:
        self.service.switch(account_id, region, **{f"lamp{number}": Lamp(variant) for number in (n, m)})

    def remove(self, account_id: str, region: str, n: int) -> None:
        self.service.switch(account_id, region, **{f"lamp{n}": None})

    def read(self, account_id: str, region: str, n: int) -> None:
        try:
            self.service.look(account_id, region, f"lamp{n}")
        except NotFound:
            assert f"lamp{n}" not in self.service.snapshot(account_id, region).resources

    def refused(self, account_id: str, region: str, n: int) -> None:
        def plan(present: object) -> Delta[Lamp]:
            raise NotFound("There is no lamp.")

        with pytest.raises(NotFound):
            self.service._mutate(Scope(account_id, region), plan)

    def spoilt(self, view: StateView[Lamp]) -> Iterable[tuple[StateView[Lamp], str | None]]:
        name = min(view.resources)
        yield samples.with_resources(view, {**view.resources, name: Lamp(-1)}), f"{path_of(name)}.colour"


def test_a_service_of_another_make_can_be_put_in() -> None:
    @contextmanager
    def fresh() -> Iterator[LampSubject]:
        yield LampSubject()

    assert exercise_stateful_service(fresh) == suite.clauses


@pytest.mark.parametrize(
    ("resources", "path"),
    [
        ('{"a b": {"colour": "red"}}', '$.resources["a b"].colour'),
        ('{"a": {"colour": 1}, "\\u00e9\\"": {"colour": 1.5}}', '$.resources["é\\""].colour'),
        ('{"a": {"colour": 1, "hours": {"x": null}}}', '$.resources["a"].hours[...]'),
        ('{"a": {}}', '$.resources["a"]'),
        ('{"a": 1}', '$.resources["a"]'),
        ("1", "$.resources"),
    ],
)
def test_a_fault_of_a_view_is_located(resources: str, path: str) -> None:
    """WO-2."""
    text = f'{{"service": "lamps", "version": 3, "resources": {resources}}}'
    with pytest.raises(InvalidView) as caught:
        decode_view(StateView[Lamp], text, service="lamps", version=3)
    assert caught.value.path == path
    assert path in str(caught.value)


def test_a_view_without_a_json_form_is_located() -> None:
    """WO-2."""
    view: StateView[object] = StateView(service="s", version=1, resources={"a": Lamp(1), "b": object()})
    with pytest.raises(InvalidView) as caught:
        encode_view(view)
    assert caught.value.path == '$.resources["b"]'
    odd: StateView[object] = StateView(service="s", version=1, resources={"\ud800": Lamp(1)})
    with pytest.raises(InvalidView, match=r"resources\[") as caught:
        encode_view(odd)
    str(caught.value).encode()


def test_diffs_are_exact() -> None:
    """WO-9."""
    before, after = {"a": Lamp(1), "b": Lamp(2)}, {"b": Lamp(3), "c": Lamp(4)}
    delta = diff(before, after)
    assert [(change.resource, change.kind.value) for change in delta] == [
        ("a", "deleted"),
        ("b", "updated"),
        ("c", "created"),
    ]


def test_a_view_holds_the_gate_only_while_it_is_computed() -> None:
    """WO-5: events that nobody holds cost nothing later: the chain of changes keeps its last link alone."""
    lamps = Lamps()
    heard: list[str] = []
    told = threading.Event()

    def listener(change: object) -> None:
        heard.append("told")
        if len(heard) == 50:
            told.set()

    lamps.notifier.subscribe(listener)
    for colour in range(1, 51):
        lamps.switch("a", "r", one=Lamp(colour))
    assert told.wait(30)
    last = lamps._last[Scope("a", "r")]
    assert (last.number, last.later) == (50, None)
