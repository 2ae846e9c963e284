"""What the conformance suites have in common: named checks, each of which holds one clause of a contract.

A check is a function of a backend, such as a :class:`~holdfast.testing.units.UnitRunner`; its docstring begins with
the clause, as in ``"FL-2: what is absent is None."``. Each runs on a fresh backend of its own.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from contextvars import ContextVar
from typing import Any, Generic, TypeVar

E = TypeVar("E", bound=BaseException)
B = TypeVar("B")
Check = Callable[[B], None]
patience: ContextVar[float] = ContextVar("patience", default=10.0)
"""Seconds that a check waits for what must happen; less will do where it is expected not to."""
_CLAUSE = re.compile(r"([A-Z]{2}-\d+): ")


class Violation(AssertionError):
    """A backend does not do what a clause says."""


class ConformanceFailure(ExceptionGroup[Exception]):
    """A backend breaks its contract: one exception for each check that failed.

    Attributes:
        failed: the clauses of these checks, in order.
    """

    failed: Sequence[str]

    def __new__(cls, message: str, exceptions: Sequence[Exception], failed: Sequence[str] = ()) -> ConformanceFailure:
        self = super().__new__(cls, message, exceptions)
        self.failed = tuple(failed)
        return self

    def derive(self, exceptions: Sequence[Exception], /) -> ConformanceFailure:  # type: ignore[override]
        return ConformanceFailure(self.message, exceptions, self.failed)


class Suite(Generic[B]):
    """The checks of one port; ``B`` is what they are given of a backend."""

    def __init__(self, port: str) -> None:
        self.port = port
        self.checks: list[Check[B]] = []

    def check(self, function: Check[B]) -> Check[B]:
        """Add a check (a decorator)."""
        clause_of(function)
        self.checks.append(function)
        return function

    @property
    def clauses(self) -> list[str]:
        """The clauses that the checks hold, in order."""
        return _ordered(map(clause_of, self.checks))

    def exercise(self, open: Callable[[], AbstractContextManager[B]]) -> list[str]:
        """Run every check on a backend of its own; returns the clauses held, in order.

        Raises:
            ConformanceFailure: some failed; the others were run all the same.
        """
        problems: list[Exception] = []
        failed: list[str] = []
        for check in self.checks:
            try:
                with open() as backend:
                    check(backend)
            except Exception as error:
                error.add_note(f"{check.__name__}: {check.__doc__}")
                problems.append(error)
                failed.append(clause_of(check))
        if problems:
            clauses = _ordered(failed)
            raise ConformanceFailure(f"{self.port} breaks {', '.join(clauses)}", problems, clauses)
        return self.clauses


def clause_of(check: Check[Any]) -> str:
    """The clause that ``check`` holds.

    Raises:
        ValueError: its docstring does not begin with one.
    """
    found = _CLAUSE.match(check.__doc__ or "")
    if found is None:
        raise ValueError(f'the docstring of {check.__name__} does not begin with its clause, as in "FL-2: …"')
    return found.group(1)


def expect(holds: bool, otherwise: str) -> None:
    """Raises:
    Violation: it does not hold.
    """
    if not holds:
        raise Violation(otherwise)


def expect_equal(found: object, wanted: object, what: str) -> None:
    """Raises:
    Violation: ``found`` is not ``wanted``.
    """
    if found != wanted:
        raise Violation(f"{what}: wanted {wanted!r}, found {found!r}")


def expect_json(found: object, wanted: object, what: str) -> None:
    """Equal to the byte of their JSON: ``1``, ``1.0`` and ``True`` differ, and so do the orders of keys.

    Raises:
        Violation: they differ.
    """
    expect_equal(json.dumps(found), json.dumps(wanted), what)


def expect_raises(kind: type[E], what: str, call: Callable[[], object]) -> E:
    """The exception of type ``kind`` that ``call`` raises.

    Raises:
        Violation: it raises nothing, or something else.
    """
    try:
        answer = call()
    except kind as error:
        return error
    except Exception as error:
        raise Violation(f"{what}: wanted {kind.__name__}, found {error!r}") from error
    raise Violation(f"{what}: wanted {kind.__name__}, found the answer {answer!r}")


def _ordered(clauses: Iterable[str]) -> list[str]:
    return sorted(set(clauses), key=lambda clause: (clause[:2], int(clause[3:])))
