"""Deploying a package with the queues and schedules that it declares, in one transaction."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from holdfast.audit import AuditRow
from holdfast.flows.queues import Queue, Rate
from holdfast.flows.queues.manager import declare as declare_queues
from holdfast.flows.queues.sql import SqlQueues
from holdfast.flows.schedules.manager import create as create_schedule
from holdfast.flows.schedules.model import CatchUp, Definition, Overlap, choose
from holdfast.flows.schedules.sql import SqlSchedules
from holdfast.packages import SqlPackageStore, deploy_archive
from holdfast.packages.archive import Archive, Signature
from holdfast.packages.archive.manifest import Manifest, QueueItem, ScheduleItem
from holdfast.packages.deployed import lock_archive
from holdfast.store import Transaction


def deploy(
    tx: Transaction, archive: Archive, *, signatures: Sequence[Signature] = (), percent: float | None = None
) -> list[AuditRow]:
    """:func:`holdfast.packages.deploy_archive`, and the archive's queues and schedules are made, or changed to what it
    says of them. What an earlier version declared and this one does not, stays.

    Returns:
        the audit row of each workflow type, by name of the type.

    Raises:
        InvalidQueue, InvalidSchedule, MalformedCron, UnknownZone, QueueNotFound: a declaration makes no sense.
        Conflict, InvalidInput: as :func:`~holdfast.packages.deploy_archive`.
    """
    queues = [_queue(item) for item in archive.manifest.queues]
    schedules = [_schedule(item) for item in archive.manifest.schedules]
    _lock(tx, archive.manifest, archive.content_hash)
    rows = deploy_archive(tx, archive, signatures=signatures, percent=percent)
    declare_queues(tx, queues)
    for schedule in schedules:
        create_schedule(tx, schedule)
    return rows


def _lock(tx: Transaction, manifest: Manifest, content_hash: str) -> None:
    """All at first: the audit chain's head, which each part appends to, is what everybody locks last."""
    SqlPackageStore(tx).lock_package_routes([item.name for item in manifest.workflows])
    lock_archive(tx, content_hash)
    for queue in manifest.queues:
        SqlQueues(tx).locked(queue.name)
    for schedule in manifest.schedules:
        SqlSchedules(tx).lock(schedule.name)


def _queue(item: QueueItem) -> Queue:
    rate = Rate(item.rate.count, timedelta(microseconds=item.rate.micros)) if item.rate else None
    return Queue(item.name, item.concurrency, item.per_worker, item.per_key, rate)


def _schedule(item: ScheduleItem) -> Definition:
    return Definition(
        name=item.name,
        workflow_type=item.workflow_type,
        args=item.args,
        cron=item.cron,
        every=None if item.every is None else timedelta(microseconds=item.every),
        zone=item.zone,
        overlap=choose(Overlap, item.overlap, "overlap policy"),
        catch_up=choose(CatchUp, item.catch_up, "catch-up policy"),
        queue=item.queue,
        tags=item.tags,
    )
