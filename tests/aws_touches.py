"""Whether an adapter's ``touches`` tell of everything that a client changes."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from holdfast.worlds.aws.adapter import READS, Adapter, Elsewhere, Group
from tests.aws_kit import ACCOUNT, REGION, take

EVERYTHING: Group = ("*",)


@contextmanager
def watched(
    adapter: Adapter[Any], monkeypatch: pytest.MonkeyPatch, account: str = ACCOUNT, region: str = REGION
) -> Iterator[Callable[[], set[Group]]]:
    """Have the backend's methods note what they touch, as a world's gate has them. The block is given a check: that
    what changed since the last one, by reading everything, was touched; it returns the groups that changed."""
    touched: set[Group] = set()
    for name, method in inspect.getmembers(adapter.backends.backend, inspect.isfunction):
        touch = adapter.touches.get(name)
        if touch is None and (name.startswith(READS) or name in ("reset", "urls")):
            continue
        monkeypatch.setattr(adapter.backends.backend, name, _noting(method, touch, touched))
    before = take(adapter, account, region)

    def check() -> set[Group]:
        nonlocal before
        after = take(adapter, account, region)
        names = [name for name in before.keys() | after.keys() if before.get(name) != after.get(name)]
        changed = {adapter.group_of(name) for name in names}
        assert EVERYTHING in touched or changed <= touched, f"changed unseen: {changed - touched}"
        touched.clear()
        before = after
        return changed

    with monkeypatch.context():
        yield check


def _noting(method: Any, touch: Any, touched: set[Group]) -> Any:
    def noting(*args: Any, **kwargs: Any) -> Any:
        found = [EVERYTHING] if touch is None else touch(*args, **kwargs)
        touched.update(one.group if isinstance(one, Elsewhere) else one for one in found)
        return method(*args, **kwargs)

    return noting
