"""Backends of another make can be put into the suites: plain models without a database hold the contracts as well."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from holdfast.testing import councils, flows, packages
from holdfast.testing.conformance import Suite

MODELS = {
    "flows": (flows.suite, flows.ModelUnits),
    "councils": (councils.suite, councils.ModelUnits),
    "packages": (packages.suite, packages.ModelUnits),
}


@pytest.mark.parametrize("name", MODELS)
def test_a_model_holds_the_contract(name: str) -> None:
    suite: Suite[Any]
    make: Callable[[], Any]
    suite, make = MODELS[name]

    @contextmanager
    def fresh() -> Iterator[Any]:
        yield make()

    assert suite.exercise(fresh) == suite.clauses
