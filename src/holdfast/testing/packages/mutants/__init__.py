"""Package stores and audit logs with one fault each. The conformance suite must notice every one of them."""

from __future__ import annotations

from importlib import import_module

from holdfast.testing.packages.mutants.base import Mutant

for faults in ("stored", "listed", "routed", "done", "splitting"):
    import_module(f"{__name__}.{faults}")

MUTANTS = Mutant.__subclasses__()

__all__ = ["MUTANTS", "Mutant"]
