"""``holdfast package build``, ``diff`` and ``verify``: packages as files."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Annotated
from uuid import uuid4

import typer
from rich.text import Text

from holdfast.audit.files import unusable
from holdfast.audit.keys import Ed25519Verifier, load_public_keys, load_signer
from holdfast.cli.output import clean, counted
from holdfast.cli.package_views import told_diff
from holdfast.cli.session import JsonOption, Session, StoreOption, session
from holdfast.packages import SqlPackageStore, find_hash, read_archive
from holdfast.packages import archive as archives
from holdfast.packages.archive import Archive, Signature, open_archive, read_signatures, signature_path, verify
from holdfast.packages.archive.errors import UnknownSignatureKey
from holdfast.packages.errors import InvalidPackage, NoVersionBegins
from holdfast.packages.files import SUFFIX
from holdfast.store import Transaction

app = typer.Typer()
_SHORT = 12


@app.command("build")
def build(
    context: typer.Context,
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="The project: where pyproject.toml is.")],
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="FILE", help="The file; else NAME-HASH.hfpkg, here.")
    ] = None,
    label: Annotated[str | None, typer.Option(help="What people call this version; else the project's own.")] = None,
    sign: Annotated[
        Path | None, typer.Option("--sign", metavar="KEYFILE", help="Sign it with this private key, in FILE.sig.")
    ] = None,
    json: JsonOption = False,
) -> None:
    """Build the package of a project: the same project gives the same bytes, anywhere and at any time."""
    from holdfast.hosting.building import build as build_project

    asked = session(context, None, json)
    signer = load_signer(sign) if sign is not None else None
    body = build_project(directory, label)
    archive = open_archive(body)
    file = output or Path(f"{archive.manifest.name}-{archive.content_hash[:_SHORT]}{SUFFIX}")
    _write(file, body)
    if signer is not None:
        archives.write_signatures(
            signature_path(file), archive.content_hash, [archives.sign(signer, archive.content_hash)]
        )
    else:
        _drop_stale_signatures(file, archive.content_hash)
    known = {"file": str(file), "content_hash": archive.content_hash, "bytes": len(body)}
    signed = f", signed with the key {signer.key_id}" if signer else ""
    names = ", ".join(clean(item.name) for item in archive.manifest.workflows) or "none"
    asked.out.one(
        {**known, **_described(archive), "key_id": signer.key_id if signer else None},
        Text(f"{clean(str(file))}: {counted(len(body), 'byte')}{signed}"),
        f"version {archive.content_hash}",
        Text(f"workflows: {names}"),
    )


@app.command("diff")
def diff(
    context: typer.Context,
    old: Annotated[str, typer.Argument(metavar="OLD", help="A file, or a deployed version's hash.")],
    new: Annotated[str, typer.Argument(metavar="NEW", help="Likewise.")],
    text: Annotated[bool, typer.Option("--text", help="With the lines of the files.")] = False,
    store: StoreOption = None,
    json: JsonOption = False,
) -> None:
    """Show what differs between two packages: files, dependencies, workflows and their schemas."""
    asked = session(context, store, json)
    found = archives.diff(_archive(asked, old), _archive(asked, new))
    asked.out.one(found.as_object(), *told_diff(found, text=text))


@app.command("verify")
def verify_file(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="An .hfpkg file.")],
    keys: Annotated[
        list[Path] | None, typer.Option("--key", metavar="FILE.pub", help="One of these has signed it; may recur.")
    ] = None,
    json: JsonOption = False,
) -> None:
    """Check that a package keeps all rules of archives, and who signed it."""
    asked = session(context, None, json)
    archive = read_archive(file)
    path = signature_path(file)
    signatures = read_signatures(path, archive.content_hash) if keys or path.exists() else ()
    signers = _signers(load_public_keys(keys), archive.content_hash, signatures) if keys else []
    if signers:
        told = f"signed with {', '.join(signers)}"
    else:
        told = f"{counted(len(signatures), 'signature')} (--key FILE.pub checks by whom)" if signatures else "unsigned"
    known = {"file": str(file), "content_hash": archive.content_hash, "signed_by": signers}
    asked.out.one({**known, **_described(archive)}, f"{file} is sound, {told}.", f"version {archive.content_hash}")


def _signers(keys: Mapping[str, Ed25519Verifier], content_hash: str, signatures: tuple[Signature, ...]) -> list[str]:
    """Those of the keys that have signed it.

    Raises:
        UnknownSignatureKey: none of them has.
        BadSignature: a signature in the name of one is not that key's.
    """
    found: list[str] = []
    for each in signatures:
        with suppress(UnknownSignatureKey):
            verify(keys, content_hash, each)
            found.append(each.key_id)
    if not found:
        raise UnknownSignatureKey(", ".join(each.key_id for each in signatures))
    return found


def _archive(asked: Session, named: str) -> Archive:
    """The archive that an argument names."""
    path = Path(named)
    if path.suffix == SUFFIX or path.is_file():
        return read_archive(path)

    def find(tx: Transaction) -> tuple[str, bytes | None]:
        content_hash = find_hash(tx, named)
        return content_hash, SqlPackageStore(tx).get_archive(content_hash)

    with asked.store() as opened:
        content_hash, body = opened.read(find)
    if body is None:
        raise NoVersionBegins(named, None)
    return open_archive(body, content_hash)


def _write(file: Path, body: bytes) -> None:
    """All of it or nothing, also when this process is killed."""
    fresh = file.with_name(f".{file.name}.{uuid4().hex}")
    try:
        with fresh.open("wb") as target:
            target.write(body)
            target.flush()
            os.fsync(target.fileno())
        fresh.replace(file)
    except (OSError, ValueError) as error:
        raise unusable(file, "written", error) from error
    finally:
        with suppress(OSError, ValueError):
            fresh.unlink(missing_ok=True)


def _drop_stale_signatures(file: Path, content_hash: str) -> None:
    """What was signed under that name before was another package."""
    path = signature_path(file)
    if path.exists():
        try:
            read_signatures(path, content_hash)
        except InvalidPackage:
            path.unlink(missing_ok=True)


def _described(archive: Archive) -> dict[str, object]:
    manifest = archive.manifest
    return {
        "package": manifest.name,
        "label": manifest.label,
        "python": manifest.python,
        "workflows": [item.name for item in manifest.workflows],
    }
