"""``holdfast audit``: look at the audit chain, verify it, checkpoint it, export it."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import RenderableType
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.text import Text

from holdfast import codec
from holdfast.audit import (
    AuditRow,
    Checkpoint,
    SqlAuditLog,
    Trust,
    Verification,
    checkpoint,
    export_chain,
    verify,
    verify_store,
)
from holdfast.audit.documents import checkpoint_document, read_checkpoint, read_rows
from holdfast.audit.errors import CheckpointNotFound
from holdfast.audit.files import new_file, refuse_taken
from holdfast.audit.findings import Fault, Finding
from holdfast.audit.keys import KEY_VARIABLE, generate_key, load_public_keys, public_path
from holdfast.audit.verify import Progress as Seen
from holdfast.cli.listing import listed, shortened
from holdfast.cli.output import FAILED, Output, clean, counted, human_console
from holdfast.cli.session import AfterOption, JsonOption, LimitOption, Session, StoreOption, session
from holdfast.clock import to_datetime
from holdfast.store import Store

app = typer.Typer(help="Look at the audit chain, verify it, checkpoint it, export it.", no_args_is_help=True)
_LONG = 200
NewFile = Annotated[Path | None, typer.Argument(metavar="FILE", help="A new file for it; else standard output.")]


@app.command("ls")
def list_rows(
    context: typer.Context,
    subject: Annotated[str | None, typer.Option(help="Only acts on this.")] = None,
    limit: LimitOption = 50,
    after: AfterOption = None,
    store: StoreOption = None,
    json: JsonOption = False,
) -> None:
    """List administrative acts, newest first."""
    asked = session(context, store, json)
    with asked.store() as opened:
        page = opened.read(lambda tx: SqlAuditLog(tx).list(subject=subject, limit=limit, after=after))
    rows = [(row.seq, row.at, row.actor, row.act, row.subject, _detail(row)) for row in page.items]
    columns = ("seq", "at", "actor", "act", "subject", "detail")
    asked.out.many(page.items, page.next, *listed("No acts.", columns, rows, page.next))


def _detail(row: AuditRow) -> str:
    return shortened(codec.encode(row.detail), _LONG)


@app.command("verify")
def verify_chain(
    context: typer.Context,
    file: Annotated[Path | None, typer.Argument(metavar="FILE", help="An exported chain, not the store's.")] = None,
    checkpoints: Annotated[
        list[Path] | None, typer.Option("--checkpoint", metavar="FILE", help="A checkpoint kept elsewhere; may recur.")
    ] = None,
    keys: Annotated[
        list[Path] | None, typer.Option("--key", metavar="FILE.pub", help="A public key to trust; may recur.")
    ] = None,
    signed_from: Annotated[
        int | None, typer.Option(min=1, help="Rows from this one on must be signed; else from the first signed on.")
    ] = None,
    allow_unsigned: Annotated[bool, typer.Option("--allow-unsigned", help="Accept unsigned rows anywhere.")] = False,
    store: StoreOption = None,
    json: JsonOption = False,
) -> None:
    """Verify the chain against itself and its checkpoints; exit code 1 when something is wrong."""
    asked = session(context, store, json)
    points = [read_checkpoint(path) for path in checkpoints or ()]
    trust = Trust(_trusted(keys), signed_from, allow_unsigned)
    found = _verified_file(asked, file, points, trust) if file else _verified_store(asked, points, trust)
    asked.out.one(_object(found), *_shown(found, bool(trust.keys)))
    if not found.sound:
        raise typer.Exit(FAILED)


def _trusted(keys: Sequence[Path] | None) -> dict[str, Any]:
    return dict(load_public_keys(keys)) if keys else {}


def _verified_store(asked: Session, points: Sequence[Checkpoint], trust: Trust) -> Verification:
    with asked.store() as opened:
        total = opened.read(lambda tx: SqlAuditLog(tx).stored_head()).seq
        with _bar(asked.out, total) as seen:
            return verify_store(opened, checkpoints=points, trust=trust, progress=seen)


def _verified_file(asked: Session, file: Path, points: Sequence[Checkpoint], trust: Trust) -> Verification:
    with _bar(asked.out, None) as seen:
        found = verify(read_rows(file), checkpoints=points, trust=trust, progress=seen)
    if found.rows:
        return found
    empty = Finding(Fault.EMPTY, 0, "The file holds no rows.", Fault.EMPTY.remedy)
    return replace(found, findings=(empty, *found.findings))


@contextmanager
def _bar(out: Output, total: int | None) -> Iterator[Seen]:
    """A bar on stderr, while somebody looks at it."""
    columns = TextColumn("rows"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    with Progress(*columns, console=human_console(sys.stderr), disable=out.json, transient=True) as shown:
        task = shown.add_task("rows", total=total)
        yield lambda rows: shown.update(task, completed=rows)


def _object(found: Verification) -> dict[str, Any]:
    return {"sound": found.sound, **asdict(found)}


def _shown(found: Verification, trusting: bool) -> Iterator[RenderableType]:
    for finding in found.findings:
        line = Text.assemble((f"✗ {finding.code}: {clean(finding.message)}", "bold red"), f" {clean(finding.remedy)}")
        yield line
    if found.omitted:
        yield f"… and {counted(found.omitted, 'more finding')}."
    if found.signed and not trusting:
        yield Text(f"{counted(found.signed, 'row')} signed; --key FILE.pub checks by whom.", style="yellow")
    compared = f"{counted(found.rows, 'row')}, {counted(found.checkpoints, 'checkpoint')} compared"
    if found.sound:
        yield Text(f"✓ The chain is sound: {compared}, head {found.head.seq} {found.head.hash}.", style="bold green")
    else:
        yield f"The chain is not sound: {compared}."


@app.command("checkpoint")
def take_checkpoint(
    context: typer.Context, file: NewFile = None, store: StoreOption = None, json: JsonOption = False
) -> None:
    """Write the chain's head down: in the store, and (keep it elsewhere) in FILE."""
    asked = session(context, store, json)
    if file is not None:
        refuse_taken(file)  # before one is stored that never gets there
    with asked.store() as opened:
        point = opened.run(checkpoint)
    if file is None:
        asked.out.one(_point(point), _told(point), "Keep it elsewhere too: `holdfast audit export --checkpoint FILE`.")
    else:
        _write_checkpoint(point, file, asked.out)


@app.command("export")
def export(
    context: typer.Context,
    file: NewFile = None,
    newest: Annotated[bool, typer.Option("--checkpoint", help="The newest checkpoint, instead of the chain.")] = False,
    store: StoreOption = None,
    json: JsonOption = False,
) -> None:
    """Write the chain as JSON lines, or its newest checkpoint, for others to verify."""
    asked = session(context, store, json)
    with asked.store() as opened:
        if newest:
            _export_checkpoint(opened, file, asked.out)
        elif file is None:
            export_chain(opened, lambda lines: sys.stdout.write(lines.decode()))
        else:
            _export_rows(opened, file, asked.out)


def _export_rows(opened: Store, file: Path, out: Output) -> None:
    total = opened.read(lambda tx: SqlAuditLog(tx).head()).seq
    with new_file(file) as target, _bar(out, total) as seen:
        head = export_chain(opened, target.write, progress=seen)
    told = {"file": str(file), "rows": head.seq, "head": head}
    out.one(told, f"{counted(head.seq, 'row')} written to {file}, head {head.hash}.")


def _export_checkpoint(opened: Store, file: Path | None, out: Output) -> None:
    newest = opened.read(lambda tx: SqlAuditLog(tx).list_checkpoints(limit=1)).items
    if not newest:
        raise CheckpointNotFound("No checkpoint is stored.")
    if file is None:
        sys.stdout.write(checkpoint_document(newest[0]).decode())
    else:
        _write_checkpoint(newest[0], file, out)


def _write_checkpoint(point: Checkpoint, file: Path, out: Output) -> None:
    with new_file(file) as target:
        target.write(checkpoint_document(point))
    out.one(_point(point) | {"file": str(file)}, f"{_told(point)} Written to {file}.")


def _point(point: Checkpoint) -> dict[str, Any]:
    return asdict(point) | {"at": to_datetime(point.at)}


def _told(point: Checkpoint) -> str:
    signed = f"signed with the key {point.key_id}" if point.key_id else "unsigned"
    return f"Checkpoint of row {point.seq:,}, {signed}: {point.hash}."


@app.command("keygen")
def keygen(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A new file for the private key.")],
    json: JsonOption = False,
) -> None:
    """Make an Ed25519 key: the private half in FILE, the public half in FILE.pub."""
    asked = session(context, None, json)
    key = generate_key(file)
    told = {"key_id": key.key_id, "private": str(file), "public": str(public_path(file))}
    asked.out.one(
        told,
        f"The key {key.key_id}: sign with {KEY_VARIABLE}={file}, verify with --key {public_path(file)}.",
    )
