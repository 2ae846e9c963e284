"""The conformance suite of the audit chain (AU-1 … AU-8): its log, and its verifier."""

from __future__ import annotations

from importlib import import_module

from holdfast.testing.audit.ports import AuditPorts, SqlAuditPorts
from holdfast.testing.audit.samples import suite
from holdfast.testing.units import Opener

for checks in ("records", "lists", "tampering", "signatures"):
    import_module(f"{__name__}.{checks}")  # each adds its checks to the suite

__all__ = ["AuditPorts", "SqlAuditPorts", "exercise_audit_log", "suite"]


def exercise_audit_log(open: Opener[AuditPorts]) -> list[str]:
    """Run every check of the audit chain's contract against a backend.

    A store of Holdfast's own is put in like this; a third party's gives its own runner, log and verifier::

        @contextmanager
        def open():
            with open_store("sqlite://") as store:
                yield StoreUnits(store, SqlAuditPorts)

        assert exercise_audit_log(open) == [...]

    Args:
        open: gives a fresh, empty backend for each check, which does not sign.

    Returns:
        The clauses held, in order.

    Raises:
        ConformanceFailure: some were broken; it names them and holds one exception for each check that failed.
    """
    return suite.exercise(open)
