"""``holdfast package trust``: whose signatures count, and whether packages need one."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from holdfast.audit.keys import load_public_keys
from holdfast.cli.listing import listed
from holdfast.cli.session import JsonOption, StoreOption, session
from holdfast.packages import require_signatures, signatures_required, trust_key, trusted, untrust
from holdfast.packages.trust import TrustedKey

app = typer.Typer(help="Whose signatures count, and whether packages need one.", no_args_is_help=True)
COLUMNS = ("key", "public key", "since")


class Switch(StrEnum):
    """On or off."""

    ON = "on"
    OFF = "off"


@app.command("add")
def add(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(metavar="FILE.pub", help="The public key; `audit keygen` makes one.")],
    store: StoreOption = None,
    json: JsonOption = False,
) -> None:
    """Let the signatures of a key count."""
    asked = session(context, store, json)
    (key,) = load_public_keys([file]).values()
    row = asked.act(lambda tx: trust_key(tx, key.raw))
    told = f"The key {key.key_id} is trusted{'' if row else ' already'}."
    asked.out.one({"key_id": key.key_id, "changed": row is not None}, told)


@app.command("ls")
def list_keys(context: typer.Context, store: StoreOption = None, json: JsonOption = False) -> None:
    """List the keys whose signatures count."""
    asked = session(context, store, json)
    with asked.store() as opened:
        keys, required = opened.read(lambda tx: (trusted(tx), signatures_required(tx)))
    rows = [(key.key_id, key.public_key.hex(), key.added_at) for key in keys]
    policy = "Packages need a signature by one of them." if required else "Packages need no signature."
    asked.out.many([_object(key) for key in keys], None, *listed("No keys.", COLUMNS, rows, None), policy)


@app.command("rm")
def remove(
    context: typer.Context,
    key_id: Annotated[str, typer.Argument(metavar="KEY", help="The key's id.")],
    store: StoreOption = None,
    json: JsonOption = False,
) -> None:
    """Let the signatures of a key count no more; what is deployed stays."""
    asked = session(context, store, json)
    asked.act(lambda tx: untrust(tx, key_id))
    asked.out.one({"key_id": key_id, "changed": True}, Text(f"The key {key_id} is not trusted any more."))


@app.command("require")
def require(
    context: typer.Context,
    switch: Annotated[Switch, typer.Argument(metavar="on|off", help="Whether a deploy needs a signature.")],
    store: StoreOption = None,
    json: JsonOption = False,
) -> None:
    """Have every deploy need a signature by a trusted key, or not; what is deployed stays."""
    asked = session(context, store, json)
    required = switch is Switch.ON
    row = asked.act(lambda tx: require_signatures(tx, required))
    told = "Packages need a signature by a trusted key." if required else "Packages need no signature."
    asked.out.one({"required": required, "changed": row is not None}, told)


def _object(key: TrustedKey) -> dict[str, object]:
    return {"key_id": key.key_id, "public_key": key.public_key.hex(), "added_at": key.added_at}
