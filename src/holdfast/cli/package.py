"""``holdfast package``: build, deploy, look at and route versions of workflow code."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from holdfast.audit import AuditRow
from holdfast.cli.listing import listed
from holdfast.cli.output import clean, counted, human_console, table
from holdfast.cli.package_files import app as files
from holdfast.cli.package_trust import app as trust
from holdfast.cli.package_views import VERSION_COLUMNS, told_act, version_row
from holdfast.cli.session import AfterOption, JsonOption, LimitOption, Session, StoreOption, actor, session
from holdfast.hosting import deploying
from holdfast.packages import catalog, collectable, find_hash, gc, read_archive, versions
from holdfast.packages.archive import Signature, read_signatures, signature_path
from holdfast.packages.collecting import KEEP
from holdfast.packages.errors import shown
from holdfast.pages import Page
from holdfast.store import Transaction

app = typer.Typer(help="Build, deploy and route versions of workflow code.", no_args_is_help=True)
app.add_typer(files)
app.add_typer(trust, name="trust")
WorkflowType = Annotated[str, typer.Argument(metavar="TYPE", help="The workflow's name.")]
Hash = Annotated[str, typer.Argument(metavar="HASH", help="The version's hash, or its first 8 hex digits or more.")]
_DECLARED = ("queue", "schedule")
Percent = Annotated[
    float | None,
    typer.Option("--percent", metavar="N", help="Only this share of the new flows, beside the version that has them."),
]


@app.command("deploy")
def deploy(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="An .hfpkg file, as `package build` makes it.")],
    signature: Annotated[
        Path | None, typer.Option("--signature", metavar="FILE", help="Its signatures; else FILE.sig, if it is there.")
    ] = None,
    percent: Percent = None,
    store: StoreOption = None,
    json: JsonOption = False,
) -> None:
    """Load a package in a process of its own, store it, and start new flows of its workflows on it."""
    asked = session(context, store, json)
    archive = read_archive(file)
    signatures = _signatures(file, signature, archive.content_hash)
    with asked.store(create=True):  # before anybody waits for an environment in vain
        pass
    with _busy(asked, f"loading {archive.manifest.name} in an environment of its own"):
        from holdfast.hosting.building import validate

        validate(archive)
    rows = asked.act(lambda tx: deploying.deploy(tx, archive, signatures=signatures, percent=percent))
    told = {"package": archive.manifest.name, "content_hash": archive.content_hash, "label": archive.manifest.label}
    head = f"Deployed {archive.manifest.name} {shown(archive.content_hash)}"  # no markup can be in it
    declared = {f"{kind}s": [item.name for item in getattr(archive.manifest, f"{kind}s")] for kind in _DECLARED}
    named = [f"{kind} {clean(name)} is as it declares." for kind in _DECLARED for name in declared[f"{kind}s"]]
    asked.out.one({**told, "routed": rows, **declared}, head, *map(told_act, rows), *named)


def _signatures(file: Path, given: Path | None, content_hash: str) -> Sequence[Signature]:
    path = given or signature_path(file)
    return read_signatures(path, content_hash) if given is not None or path.exists() else ()


@contextmanager
def _busy(asked: Session, doing: str) -> Iterator[None]:
    """Say what takes so long, while somebody looks at it."""
    if asked.out.json or not sys.stderr.isatty():
        yield
        return
    with human_console(sys.stderr).status(f"{clean(doing)} …"):
        yield


@app.command("versions")
def list_versions(
    context: typer.Context,
    workflow_type: Annotated[str | None, typer.Argument(metavar="[TYPE]", help="Only those of this workflow.")] = None,
    package: Annotated[str | None, typer.Option("--package", metavar="NAME", help="Only this package's.")] = None,
    limit: LimitOption = 50,
    after: AfterOption = None,
    store: StoreOption = None,
    json: JsonOption = False,
) -> None:
    """List deployed versions, newest first: what new flows start on, and what flows are pinned to."""
    asked = session(context, store, json)
    with asked.store() as opened:
        page = opened.read(
            lambda tx: versions(tx, workflow_type=workflow_type, package=package, limit=limit, after=after)
        )
    rows = [version_row(version) for version in page.items]
    asked.out.many(page.items, page.next, *listed("No versions.", VERSION_COLUMNS, rows, page.next))


@app.command("route")
def route(
    context: typer.Context,
    workflow_type: WorkflowType,
    content_hash: Hash,
    percent: Percent = None,
    supplied: Annotated[bool, typer.Option("--supplied", help="It is not deployed; workers get it as a file.")] = False,
    store: StoreOption = None,
    json: JsonOption = False,
) -> None:
    """Start new flows on another version: all of them, or with --percent a share, which 0 ends."""
    asked = session(context, store, json)

    def work(tx: Transaction) -> AuditRow | None:
        named = find_hash(tx, content_hash, workflow_type)
        if percent is None:
            return catalog.route(tx, workflow_type, named, supplied=supplied)
        return catalog.split(tx, workflow_type, named, percent)

    _tell(asked, asked.act(work), "That version has no share of the new flows.")


@app.command("rollback")
def rollback(
    context: typer.Context, workflow_type: WorkflowType, store: StoreOption = None, json: JsonOption = False
) -> None:
    """Undo the last deploy or re-route of a workflow, or its split."""
    asked = session(context, store, json)
    _tell(asked, asked.act(lambda tx: catalog.rollback(tx, workflow_type)))


@app.command("retire")
def retire(
    context: typer.Context, workflow_type: WorkflowType, store: StoreOption = None, json: JsonOption = False
) -> None:
    """Start no more flows of a workflow on a package; its versions stay for the flows that need them."""
    asked = session(context, store, json)
    _tell(asked, asked.act(lambda tx: catalog.retire(tx, workflow_type)))


@app.command("unload")
def unload(
    context: typer.Context,
    workflow_type: WorkflowType,
    content_hash: Hash,
    forsake_ended: Annotated[
        bool, typer.Option("--forsake-ended", help="Though ended flows are on it, which cannot be rewound any more.")
    ] = False,
    store: StoreOption = None,
    json: JsonOption = False,
) -> None:
    """Delete a version that no new flows start on, and no flow is pinned to."""
    asked = session(context, store, json)

    def work(tx: Transaction) -> AuditRow | None:
        named = find_hash(tx, content_hash, workflow_type)
        return catalog.unload(tx, workflow_type, named, forsake_ended=forsake_ended)

    _tell(asked, asked.act(work), "That version is not deployed.")


@app.command("gc")
def collect(
    context: typer.Context,
    keep: Annotated[int, typer.Option("--keep", min=0, help="How many of the newest of each workflow stay.")] = KEEP,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only list them.")] = False,
    store: StoreOption = None,
    json: JsonOption = False,
) -> None:
    """Delete the versions that nothing needs."""
    asked = session(context, store, json)
    with asked.store() as opened:
        gone = opened.read(lambda tx: collectable(tx, keep)) if dry_run else gc(opened, keep, actor=actor())
    listing = [table("workflow", "version", rows=[(each.workflow_type, each.content_hash) for each in gone])]
    done = "would be deleted" if dry_run else "deleted"
    page = Page([each._asdict() for each in gone], None)
    asked.out.many(page.items, page.next, *(listing if gone else ()), f"{counted(len(gone), 'version')} {done}.")


def _tell(asked: Session, row: AuditRow | None, nothing: str = "") -> None:
    if row is None:
        asked.out.one({"changed": False}, nothing)
    else:
        asked.out.one({"changed": True, "row": row}, told_act(row))
