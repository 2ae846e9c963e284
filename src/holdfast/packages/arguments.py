"""Whether arguments fit a workflow that is deployed, as far as its manifest tells by their names."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from holdfast.errors import InvalidInput
from holdfast.store import Transaction, load_queries

_q = load_queries("holdfast.packages")


class ArgumentsUnfit(InvalidInput):
    """The version that new flows start on does not take these arguments. Nothing was written."""

    code = "arguments_unfit"

    def __init__(self, workflow_type: str, problem: str, takes: str) -> None:
        remedy = f"It takes {takes}." if takes else "It takes no arguments."
        super().__init__(f"The arguments do not fit {workflow_type!r}: {problem}.", remedy=remedy)


def check_arguments(tx: Transaction, workflow_type: str, arguments: Mapping[str, Any]) -> None:
    """See that the version to which a type is routed takes arguments of these names. Where there is no route, or a
    split beside it, that is for the workflow to see.

    Raises:
        ArgumentsUnfit: one is missing, or there is none of that name.
    """
    row = tx.fetch_one(_q["routed_manifest"], {"workflow_type": workflow_type})
    if row is None:
        return
    listed = json.loads(row[0])["workflows"]
    schema: dict[str, Any] = next((item["arguments"] for item in listed if item["name"] == workflow_type), {})
    known, required = schema.get("properties", {}), schema.get("required", [])
    takes = ", ".join(name if name in required else f"{name} (optional)" for name in known)
    if missing := [name for name in required if name not in arguments]:
        raise ArgumentsUnfit(workflow_type, f"{', '.join(missing)} is missing", takes)
    if schema.get("additionalProperties") is False and (surplus := [n for n in arguments if n not in known]):
        raise ArgumentsUnfit(workflow_type, f"there is no {', '.join(map(repr, surplus))}", takes)
