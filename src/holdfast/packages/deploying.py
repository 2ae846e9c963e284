"""Deploying what was built of a project: all workflow types of an archive, in one transaction."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from functools import partial

from holdfast.audit import AuditRow
from holdfast.clock import to_datetime
from holdfast.packages.archive.reading import Archive
from holdfast.packages.archive.signing import Signature
from holdfast.packages.archive.writing import pack
from holdfast.packages.deployed import claim, has_versions, package_of, put_archive
from holdfast.packages.errors import InvalidPackage, NothingToDeploy, WorkflowTypeClaimed
from holdfast.packages.model import PackageRecord, check_package, share_of
from holdfast.packages.ports import PackagePorts
from holdfast.packages.sql import SqlPackageStore
from holdfast.packages.troubles import clear_trouble
from holdfast.packages.trust import check_signatures
from holdfast.store import Transaction


def deploy_archive(
    tx: Transaction,
    archive: Archive,
    *,
    signatures: Sequence[Signature] = (),
    percent: float | None = None,
    at: datetime | None = None,
) -> list[AuditRow]:
    """Store an archive as a version of each of its workflow types, and route them to it (PK-1, PK-10).

    The types belong to the archive's package from then on. Whatever trouble the version was in is forgotten, so that it
    is tried again. Deploying the same archive again does all of it again.

    Args:
        archive: as opened; that it can be loaded is for the caller to see.
        signatures: of its content hash; kept beside those that it has.
        percent: the share of new flows that it gets, 0 to 100, of the types that are routed to another version: that
            stays their route, with a split (PK-13). ``None``: it becomes the route. Other types are routed to it.
        at: when it is deployed; now by default.

    Returns:
        the audit row of each type, by name of the type.

    Raises:
        InvalidPackage: it is no archive.
        NothingToDeploy: it has no workflows.
        WorkflowTypeClaimed: one of them belongs to another package, which has versions of it.
        SignatureRequired: none of its signatures is by a trusted key, and the policy asks for one.
        BadSignature: one in the name of a trusted key is not that key's.
        InvalidSplit: no such percentage.
    """
    if not isinstance(archive, Archive):
        remedy = "Open one with open_archive(body), or read_archive(path)."
        raise InvalidPackage(f"An Archive is due, not {type(archive).__name__}.", remedy=remedy)
    share = None if percent is None else share_of(percent)
    moment = at or to_datetime(tx.clock.micros())
    manifest, content_hash = archive.manifest, archive.content_hash
    types = [item.name for item in manifest.workflows]
    if not types:
        raise NothingToDeploy(f"The package {manifest.name!r} has no workflow.")
    body = pack(manifest, archive.files)
    check_package(PackageRecord(workflow_type=types[0], content_hash=content_hash, archive=body, deployed_at=moment))
    packages = SqlPackageStore(tx)
    packages.lock_package_routes(types)
    for name in types:
        _check_claim(tx, name, manifest.name)
    check_signatures(tx, content_hash, signatures)
    put_archive(tx, content_hash, manifest, body, signatures, moment)
    clear_trouble(tx, content_hash)
    known = {"package": manifest.name, "label": manifest.label}
    rows = []
    for name in types:
        claim(tx, name, manifest.name)
        put = partial(packages.put_version, name, content_hash, moment)
        rows.append(PackagePorts.over(tx).deploy_by(put, name, content_hash, share, **known))
    return rows


def _check_claim(tx: Transaction, workflow_type: str, package: str) -> None:
    owner = package_of(tx, workflow_type)
    if owner not in (None, package) and has_versions(tx, workflow_type):
        raise WorkflowTypeClaimed(workflow_type, owner, package)
