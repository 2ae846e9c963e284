"""What mutants are made of."""

from __future__ import annotations

from typing import Any, ClassVar
from uuid import UUID

from holdfast.councils import SqlCouncilRepository
from holdfast.store import Transaction


class Mutant(SqlCouncilRepository):
    """A repository with a fault.

    Attributes:
        breaks: the clause that it violates.
    """

    breaks: ClassVar[str]

    def __init__(self, tx: Transaction) -> None:
        super().__init__(tx)
        self.tx = tx

    def change(self, run_id: UUID, change: str, **values: Any) -> int:
        """Set columns of a run's row behind the contract's back."""
        return self.tx.execute(f"UPDATE council_runs SET {change} WHERE id = :id", values | {"id": str(run_id)})  # noqa: S608

    def change_events(self, run_id: UUID, statement: str, **values: Any) -> int:
        """Change a run's events behind the contract's back."""
        of_run = "run = (SELECT num FROM council_runs WHERE id = :id)"
        return self.tx.execute(statement.format(of_run=of_run), values | {"id": str(run_id)})
