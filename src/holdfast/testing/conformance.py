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
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from holdfast.testing.shapes import Shape, check_backend

E = TypeVar("E", bound=BaseException)
B = TypeVar("B")
Check = Callable[[B], None]
patience: ContextVar[float] = ContextVar("patience", default=10.0)
"""Seconds that a check waits for what must happen; less will do where it is expected not to."""
ANY = Shape()
_CLAUSE = re.compile(r"([A-Z]{2}-\d+): ")


class Violation(AssertionError):
    """A backend does not do what a clause says."""


@dataclass(frozen=True, slots=True)
class Failure:
    """A check that a backend did not pass.

    Attributes:
        clause: which one it holds.
        check: its name.
        says: what the clause demands, as the check's docstring puts it.
        error: what went wrong: an exception's type and text.
    """

    clause: str
    check: str
    says: str
    error: str


class ConformanceFailure(ExceptionGroup[Exception]):
    """A backend breaks its contract: one exception for each check that failed.

    Attributes:
        failures: what each of them is about, in the order of the checks.
    """

    failures: Sequence[Failure]

    def __new__(
        cls, message: str, exceptions: Sequence[Exception], failures: Sequence[Failure] = ()
    ) -> ConformanceFailure:
        self = super().__new__(cls, message, exceptions)
        self.failures = tuple(failures)
        return self

    @property
    def failed(self) -> Sequence[str]:
        """The clauses of the checks that failed, in order."""
        return _ordered(failure.clause for failure in self.failures)

    def derive(self, exceptions: Sequence[Exception], /) -> ConformanceFailure:  # type: ignore[override]
        return ConformanceFailure(self.message, exceptions, self.failures)


class Suite(Generic[B]):
    """The checks of one port; ``B`` is what they are given of a backend.

    Args:
        port: its name.
        shape: what a backend must have for the checks to be run against it at all.
    """

    def __init__(self, port: str, shape: Shape = ANY) -> None:
        self.port = port
        self.shape = shape
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
            BackendUnusable: ``open`` does not give what the checks can be run against; none was.
            ConformanceFailure: some failed; the others were run all the same.
        """
        check_backend(open, self.shape)
        problems: list[Exception] = []
        failures: list[Failure] = []
        for check in self.checks:
            try:
                with open() as backend:
                    check(backend)
            except Exception as error:
                error.add_note(f"{check.__name__}: {check.__doc__}")
                problems.append(error)
                failures.append(_failure(check, error))
        if problems:
            clauses = _ordered(failure.clause for failure in failures)
            raise ConformanceFailure(f"{self.port} breaks {', '.join(clauses)}", problems, failures)
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


def _failure(check: Check[Any], error: Exception) -> Failure:
    clause, _, says = " ".join((check.__doc__ or "").partition("\n\n")[0].split()).partition(": ")
    return Failure(clause, check.__name__, says, f"{type(error).__name__}: {error}")


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
