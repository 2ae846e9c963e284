"""The conformance suite of stateful services (WO-1 … WO-9)."""

from __future__ import annotations

from importlib import import_module

from holdfast.testing.worlds.keyvalue import KeyValueSubject, key_value_subject
from holdfast.testing.worlds.samples import suite
from holdfast.testing.worlds.subject import ServiceSubject, SubjectOpener

for checks in ("states", "restoring", "merging", "events"):
    import_module(f"{__name__}.{checks}")  # each adds its checks to the suite

__all__ = [
    "KeyValueSubject",
    "ServiceSubject",
    "SubjectOpener",
    "exercise_stateful_service",
    "key_value_subject",
    "suite",
]


def exercise_stateful_service(open: SubjectOpener) -> list[str]:
    """Run every check of the :class:`~holdfast.worlds.StatefulService` contract against a service.

    The records of its views must be JSON objects: msgspec structs or dataclasses, not bare numbers or texts, so that a
    record can have a field more or less. A service whose records are not breaks WO-2.

    Args:
        open: gives a fresh, empty service for each check, with a client of it.

    Returns:
        The clauses held, in order.

    Raises:
        ConformanceFailure: some were broken; it names them and holds one exception for each check that failed.
    """
    return suite.exercise(open)
