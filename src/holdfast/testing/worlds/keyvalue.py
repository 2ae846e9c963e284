"""Key-value worlds as subjects of the suite."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress

from holdfast.errors import HoldfastError
from holdfast.store import Store, open_store
from holdfast.testing.conformance import expect_raises
from holdfast.testing.worlds.samples import with_resources
from holdfast.worlds import StateView
from holdfast.worlds.keyvalue import ABSENT, KeyValueWorld, Text, Value
from holdfast.worlds.model import path_of

_KINDS = (str, int, float, lambda variant: [variant, {"": variant}], lambda variant: {"variant": float(variant)})


class KeyValueSubject:
    """A client of a key-value world."""

    def __init__(self, service: KeyValueWorld) -> None:
        self.service = service

    def put(self, account_id: str, region: str, n: int, variant: int) -> None:
        self.service.put(account_id, region, _key(n), _value(n, variant))

    def put_pair(self, account_id: str, region: str, n: int, m: int, variant: int) -> None:
        self.service.put_many(account_id, region, {_key(number): _value(number, variant) for number in (n, m)})

    def remove(self, account_id: str, region: str, n: int) -> None:
        self.service.delete(account_id, region, _key(n))

    def read(self, account_id: str, region: str, n: int) -> None:
        self.service.get(account_id, region, _key(n), default=None)
        self.service.keys(account_id, region)
        self.service.items(account_id, region, _key(n), limit=1)
        with suppress(HoldfastError):
            self.service.get(account_id, region, _key(n))

    def refused(self, account_id: str, region: str, n: int) -> None:
        service, absent = self.service, _key(n) + "/absent"
        tries: list[tuple[str, Callable[[], object]]] = [
            ("no key", lambda: service.put(account_id, region, "", 1)),
            ("no JSON", lambda: service.put(account_id, region, _key(n), object())),
            ("a pair, half of it bad", lambda: service.put_many(account_id, region, {_key(n): "new", "\0": 1})),
            ("another value", lambda: service.compare_and_set(account_id, region, absent, expected=1, value=2)),
            ("a value", lambda: service.compare_and_set(account_id, region, absent, expected=None, value=ABSENT)),
        ]
        for what, act in tries:
            expect_raises(HoldfastError, what, act)

    def spoilt(self, view: StateView[Value]) -> Iterable[tuple[StateView[Value], str | None]]:
        for key in ("", "a\0", "k" * 1025):
            yield with_resources(view, {**view.resources, key: Text("value")}), path_of(key)


@contextmanager
def key_value_subject(url: str, make: Callable[[Store], KeyValueWorld] = KeyValueWorld) -> Iterator[KeyValueSubject]:
    """A client of the key-value world that ``make`` makes in the store at ``url``."""
    with open_store(url) as store:
        yield KeyValueSubject(make(store))


def _key(n: int) -> str:
    return f"ключ/{n}"


def _value(n: int, variant: int) -> object:
    return _KINDS[n % len(_KINDS)](variant)
