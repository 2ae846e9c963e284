"""What people do with packages: who did it, what they may not do, and what is left of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from enum import Enum
from threading import Event, Thread
from typing import Any
from uuid import UUID

import pytest

from holdfast.audit import AuditRow, SqlAuditLog
from holdfast.errors import Conflict, HoldfastError, InvalidInput, NotFound
from holdfast.flows import Flow, FlowStatus, SqlFlowStore
from holdfast.ids import new_id
from holdfast.packages import PackageRecord, SqlPackageStore, deploy, retire, rollback, route, unload
from holdfast.packages.errors import (
    ContentHashMismatch,
    InvalidContentHash,
    InvalidPackage,
    InvalidWorkflowType,
    NothingToRollBack,
    PackageNotFound,
    PackageRouteNotFound,
    RouteActive,
    VersionPinned,
)
from holdfast.store import Store, Transaction, WrongHandle, open_store
from holdfast.store.blobs import BlobNotFound, get_blob, put_blob, release_blob
from holdfast.testing import VirtualClock
from tests.threads import aside

NOW = datetime(2030, 1, 1, tzinfo=UTC)


@pytest.fixture
def store(store_url: str) -> Iterator[Store]:
    with open_store(store_url, clock=VirtualClock()) as store:
        yield store


def package(name: str = "one", workflow_type: str = "fulfil", *, minutes: int = 0) -> PackageRecord:
    return PackageRecord.of(workflow_type, name.encode(), NOW + timedelta(minutes=minutes))


def deploys(store: Store, *records: PackageRecord) -> None:
    for record in records:
        store.run(lambda tx, record=record: deploy(tx, record))


def flow_on(record: PackageRecord, status: FlowStatus = FlowStatus.RUNNING, **fields: object) -> Flow:
    known = {"id": new_id(), "workflow_type": record.workflow_type, "package_hash": record.content_hash}
    return Flow(**known | {"status": status, "created_at": NOW, "updated_at": NOW} | fields)  # type: ignore[arg-type]


def insert(store: Store, *flows: Flow) -> list[UUID]:
    for flow in flows:
        store.run(lambda tx, flow=flow: SqlFlowStore(tx).insert(flow))
    return [flow.id for flow in flows]


def ledger(store: Store, workflow_type: str = "fulfil") -> list[AuditRow]:
    return store.read(lambda tx: SqlAuditLog(tx).list(subject=workflow_type)).items[::-1]


def blobs(store: Store) -> list[bytes]:
    return [bytes(row[0]) for row in store.read(lambda tx: tx.fetch("SELECT body FROM blobs ORDER BY size"))]


def test_the_actor_of_the_transaction_is_on_record(store: Store) -> None:
    one, two = package("one"), package("two")
    for actor, verb in {
        "ann": lambda tx: deploy(tx, one),
        "bob": lambda tx: deploy(tx, two),
        "cyd": lambda tx: rollback(tx, "fulfil"),
        "dan": lambda tx: unload(tx, "fulfil", two.content_hash),
        "eve": lambda tx: retire(tx, "fulfil"),
        "fay": lambda tx: route(tx, "fulfil", one.content_hash),
    }.items():
        row = store.run(verb, actor=actor)
        assert row.actor == actor
        assert row.at == NOW
    assert [row.actor for row in ledger(store)] == ["ann", "bob", "cyd", "dan", "eve", "fay"]


def test_an_actor_that_cannot_be_recorded_does_nothing(store: Store) -> None:
    with pytest.raises(InvalidInput):
        store.run(lambda tx: deploy(tx, package()), actor="a\0b")
    assert store.read(lambda tx: SqlPackageStore(tx).list_packages()).items == []
    assert blobs(store) == []


def test_a_version_that_flows_need_cannot_be_unloaded(store: Store) -> None:
    """PK-8: created, running, waiting, paused, and ended, since it can be rewound: the error names who holds it."""
    old, new = package("old"), package("new")
    deploys(store, old, new)
    holders = insert(
        store,
        flow_on(old, FlowStatus.FINISHED, finished_at=NOW),
        flow_on(old, FlowStatus.CREATED),
        flow_on(old, FlowStatus.RUNNING, paused=True),
        flow_on(old, FlowStatus.WAITING),
    )
    insert(store, flow_on(new), flow_on(replace(old, workflow_type="other")))
    with pytest.raises(VersionPinned, match="1 of the 4 that are named have ended") as caught:
        store.run(lambda tx: unload(tx, "fulfil", old.content_hash))
    assert set(caught.value.holders) == set(holders)
    assert caught.value.holders[-1] == holders[0], "those that have not ended come first"
    assert caught.value.ended == 1
    assert all(str(holder) in caught.value.message for holder in holders)
    assert "others" not in caught.value.message
    assert "cancel them" in caught.value.remedy
    with pytest.raises(VersionPinned) as caught:
        store.run(lambda tx: unload(tx, "fulfil", old.content_hash, forsake_ended=True))
    assert set(caught.value.holders) == set(holders[1:])
    assert len(ledger(store)) == 2


def test_many_holders_are_named_in_part(store: Store) -> None:
    old = package("old")
    deploys(store, old, package("new"))
    holders = insert(store, *(flow_on(old) for _ in range(8)))
    with pytest.raises(VersionPinned, match="and others") as caught:
        store.run(lambda tx: unload(tx, "fulfil", old.content_hash))
    assert len(set(caught.value.holders) & set(holders)) == len(caught.value.holders) == 5


def test_holders_are_asked_for_within_limits(store: Store) -> None:
    old = package("old")
    insert(store, *(flow_on(old) for _ in range(3)))

    def pinned(limit: int) -> int:
        return len(store.read(lambda tx: SqlPackageStore(tx).pinned_flows("fulfil", old.content_hash, limit=limit)))

    assert [pinned(limit) for limit in (0, 2, 3, 1 << 70)] == [0, 2, 3, 3]
    with pytest.raises(ValueError, match="not a limit"):
        pinned(-1)


class Kind(str, Enum):  # noqa: UP042 (a StrEnum formats as its value)
    FULFIL = "fulfil"


def test_a_type_from_an_enum_is_its_text(store: Store) -> None:
    """What was deployed under a member is unloaded, to the last byte, under its text."""
    deploys(store, package("old", Kind.FULFIL), package("new"))
    store.run(lambda tx: unload(tx, "fulfil", package("old").content_hash))
    assert blobs(store) == [b"new"]
    assert store.run(lambda tx: unload(tx, Kind.FULFIL, package("old").content_hash)) is None


@pytest.mark.parametrize("archive", ["text", bytearray(b"bytes"), None])
def test_an_archive_that_is_no_bytes_says_what_to_do(archive: Any) -> None:
    with pytest.raises(InvalidPackage, match="read_bytes"):
        PackageRecord.of("fulfil", archive, NOW)


def test_a_long_text_that_is_no_cursor_is_shown_in_part(store: Store) -> None:
    with pytest.raises(ValueError, match="not a cursor") as caught:
        store.read(lambda tx: SqlPackageStore(tx).list_packages(after="x" * 100_000))
    assert len(str(caught.value)) < 200


def test_a_version_whose_flows_have_ended_is_unloaded_if_they_are_forsaken(store: Store) -> None:
    """PK-8: until they are pruned they could be rewound."""
    old = package("old")
    deploys(store, old, package("new"))
    flow = flow_on(old)
    insert(store, flow, flow_on(old, FlowStatus.FAILED), flow_on(old, FlowStatus.CANCELLED, finished_at=NOW))
    store.run(lambda tx: SqlFlowStore(tx).update_with_revision(replace(flow, status=FlowStatus.FINISHED)))
    with pytest.raises(VersionPinned) as caught:
        store.run(lambda tx: unload(tx, "fulfil", old.content_hash))
    assert caught.value.ended == 3
    assert "prune" in caught.value.remedy
    assert "--forsake-ended" in caught.value.remedy
    row = store.run(lambda tx: unload(tx, "fulfil", old.content_hash, forsake_ended=True))
    assert row is not None
    assert (row.detail["version"], row.detail["forsaken"]) == (old.content_hash, 3)


def test_a_version_is_free_once_its_flows_are_pruned(store: Store) -> None:
    old = package("old")
    deploys(store, old, package("new"))
    insert(store, flow_on(old, FlowStatus.FINISHED, finished_at=NOW, updated_at=NOW - timedelta(days=90)))
    with pytest.raises(VersionPinned):
        store.run(lambda tx: unload(tx, "fulfil", old.content_hash))
    assert store.run(lambda tx: SqlFlowStore(tx).prune_terminal_flows(30)) == 1
    assert store.run(lambda tx: unload(tx, "fulfil", old.content_hash)) is not None


def test_an_archive_is_stored_once_and_goes_with_its_last_type(store: Store) -> None:
    shared = [package("shared", name) for name in ("a", "b", "c")]
    deploys(store, *shared, *shared, package("own", "a"))
    assert blobs(store) == [b"own", b"shared"]
    for record in shared[:2]:
        store.run(
            lambda tx, record=record: SqlPackageStore(tx).delete_package(record.workflow_type, record.content_hash)
        )
        assert blobs(store) == [b"own", b"shared"]
    store.run(lambda tx: SqlPackageStore(tx).delete_package("c", shared[2].content_hash))
    assert blobs(store) == [b"own"]
    assert store.read(lambda tx: tx.fetch("SELECT count(*) FROM blob_holders")) == [(1,)]


@pytest.mark.parametrize("first", [True, False], ids=["before", "after"])
def test_an_archive_that_somebody_else_stored_as_well_stays(store: Store, first: bool) -> None:
    """A world may hold the very file that was deployed: unloading the package does not take it away."""
    record = package("a file")
    acts: list[Callable[[Transaction], object]] = [
        lambda tx: put_blob(tx, b"a file"),
        lambda tx: SqlPackageStore(tx).put_package(record),
    ]
    for act in acts if first else acts[::-1]:
        store.run(act)
    store.run(lambda tx: SqlPackageStore(tx).delete_package("fulfil", record.content_hash))
    assert store.read(lambda tx: get_blob(tx, record.content_hash)) == b"a file"


def test_a_damaged_archive_hides_no_other_and_is_mended_by_deploying_again(store: Store) -> None:
    """PK-7: what is damaged is listed as it is, so that whoever loads it sees that it is not what its hash says."""
    records = [package(name, name, minutes=minute) for minute, name in enumerate("abc")]
    deploys(store, *records)
    damage = {"digest": records[1].content_hash, "body": b"damaged"}
    store.run(lambda tx: tx.execute("UPDATE blobs SET body = :body WHERE digest = :digest", damage))
    store.run(lambda tx: tx.execute("DELETE FROM blobs WHERE digest = :digest", {"digest": records[2].content_hash}))
    listed = store.read(lambda tx: SqlPackageStore(tx).list_packages()).items
    assert [record.archive for record in listed] == [b"a", b"damaged", b""]
    deploys(store, *records)
    assert store.read(lambda tx: SqlPackageStore(tx).list_packages()).items == records


def test_an_archive_put_while_another_holder_lets_go_of_its_loss_stays(postgres_url: str) -> None:
    """A body is lost; its holder releases it, while it is put again, twice: what the second one put is not dropped."""
    with open_store(postgres_url) as store:
        digest = store.run(lambda tx: put_blob(tx, b"lost", holder="first"))
        store.run(lambda tx: tx.execute("DELETE FROM blobs"))

        def put_slowly(tx: Transaction) -> None:
            put_blob(tx, b"lost", holder="second")
            holding.set()
            while not waiting(store, "blobs"):
                assert releasing.is_alive(), "the release did not wait"

        def release(tx: Transaction) -> None:
            fetch = tx.fetch

            def fetch_and_let_others_in(*args: Any, **named: Any) -> Any:
                rows = fetch(*args, **named)
                if not holding.is_set():
                    aside(lambda: store.run(lambda inner: put_blob(inner, b"lost", holder="first")))
                    late.start()
                    holding.wait()
                return rows

            tx.fetch = fetch_and_let_others_in  # type: ignore[method-assign]
            release_blob(tx, digest, "first")

        holding = Event()
        late = Thread(target=lambda: store.run(put_slowly))
        releasing = Thread(target=lambda: store.run(release))
        releasing.start()
        releasing.join()
        late.join()
        assert store.read(lambda tx: get_blob(tx, digest)) == b"lost"


def test_verbs_wait_for_each_other_from_the_first_deploy_on(postgres_url: str) -> None:
    """PK-10: the second deployer does not read the route before the first one is done, though there is no row yet."""
    with open_store(postgres_url) as store:
        one, two = package("one"), package("two")
        second = Thread(target=lambda: deploys(store, two))

        def first(tx: Transaction) -> None:
            deploy(tx, one)
            second.start()
            while not waiting(store, "pg_advisory_xact_lock"):
                assert second.is_alive(), "the second deploy did not wait"

        store.run(first)
        second.join()
        found = [(row.detail["from"], row.detail["to"]) for row in ledger(store)]
        assert found == [(None, one.content_hash), (one.content_hash, two.content_hash)]


def test_a_flow_that_is_pinned_under_the_lock_holds_its_version(postgres_url: str) -> None:
    """PK-8: an unload that comes meanwhile waits, and then sees the flow."""
    with open_store(postgres_url) as store, ThreadPoolExecutor() as pool:
        old = package("old")
        deploys(store, old, package("new"))

        def start(tx: Transaction) -> Future[object]:
            SqlPackageStore(tx).lock_package_route("fulfil")
            unloading = pool.submit(store.run, lambda inner: unload(inner, "fulfil", old.content_hash))
            while not waiting(store, "pg_advisory_xact_lock"):
                assert not unloading.done(), "the unload did not wait"
            SqlFlowStore(tx).insert(flow_on(old))
            return unloading

        with pytest.raises(VersionPinned):
            store.run(start).result()


def test_types_do_not_wait_for_each_other(postgres_url: str) -> None:
    """One type's route is held, another's is moved: only audit rows queue."""
    with open_store(postgres_url) as store:

        def outer(tx: Transaction) -> None:
            SqlPackageStore(tx).lock_package_route("left")
            aside(lambda: store.run(lambda inner: deploy(inner, package("right", "right"))))

        store.run(outer)
        assert len(ledger(store, "right")) == 1


@pytest.mark.parametrize("deleting", ["left", "right"])
def test_an_archive_is_not_dropped_under_whoever_puts_it(postgres_url: str, deleting: str) -> None:
    """Whether the deletion or the deployment comes first: afterwards the deployed package has its archive."""
    with open_store(postgres_url) as store:
        left, right = package("shared", "left"), package("shared", "right")
        deploys(store, left)
        acts: list[Callable[[Transaction], object]] = [
            lambda tx: SqlPackageStore(tx).delete_package("left", left.content_hash),
            lambda tx: SqlPackageStore(tx).put_package(right),
        ]
        outer, inner = acts if deleting == "left" else acts[::-1]
        late = Thread(target=lambda: store.run(inner))

        def early(tx: Transaction) -> None:
            outer(tx)
            late.start()
            while late.is_alive() and not waiting(store, "blobs"):
                pass

        store.run(early)
        late.join()
        assert store.read(lambda tx: SqlPackageStore(tx).list_packages()).items == [right]


def waiting(store: Store, what: str) -> bool:
    query = "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE :what"
    return bool(aside(lambda: store.read(lambda tx: tx.fetch(query, {"what": f"%{what}%"}))))


def test_archives_survive_racing_deploys_and_unloads(store: Store) -> None:
    """Every package that is there afterwards has its archive, every archive its package."""
    archives = ("even", "odd")

    def work(worker: int) -> None:
        for number in range(12):
            record = package(archives[number % 2], f"type {worker % 2}")
            try:
                store.run(lambda tx, record=record: deploy(tx, record))
                other = package(archives[(number + 1) % 2], record.workflow_type).content_hash
                store.run(lambda tx, record=record, other=other: unload(tx, record.workflow_type, other))
            except RouteActive:
                continue

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(4)))
    listed = store.read(lambda tx: SqlPackageStore(tx).list_packages()).items
    assert listed
    assert all(record == package(record.archive.decode(), record.workflow_type) for record in listed)
    assert set(blobs(store)) == {record.archive for record in listed}


@pytest.mark.parametrize(
    ("error", "family", "code"),
    [
        (InvalidPackage("x"), InvalidInput, "invalid_package"),
        (InvalidWorkflowType("x"), InvalidPackage, "invalid_workflow_type"),
        (InvalidContentHash("x"), InvalidPackage, "invalid_content_hash"),
        (ContentHashMismatch("a" * 64, "b" * 64), InvalidPackage, "content_hash_mismatch"),
        (PackageNotFound("fulfil", "a" * 64), NotFound, "package_not_found"),
        (PackageRouteNotFound("fulfil"), NotFound, "package_route_not_found"),
        (RouteActive("fulfil", "a" * 64), Conflict, "route_active"),
        (VersionPinned("fulfil", "a" * 64, [new_id()], more=False), Conflict, "version_pinned"),
        (NothingToRollBack("fulfil"), Conflict, "nothing_to_roll_back"),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_errors_have_code_and_remedy(error: HoldfastError, family: type[HoldfastError], code: str) -> None:
    assert isinstance(error, family)
    assert error.code == code
    assert error.remedy != HoldfastError.remedy
    assert error.remedy in str(error)


def test_a_deployed_archive_is_gone_with_its_failed_unit(store: Store) -> None:
    record = package()

    def work(tx: Transaction) -> None:
        deploy(tx, record)
        raise LookupError

    with pytest.raises(LookupError):
        store.run(work)
    with pytest.raises(BlobNotFound):
        store.read(lambda tx: get_blob(tx, record.content_hash))
    assert ledger(store) == []


def test_what_is_no_record_or_no_transaction_is_told(store: Store) -> None:
    with pytest.raises(InvalidPackage, match=r"PackageRecord, not str"):
        store.run(lambda tx: deploy(tx, "f"))  # type: ignore[arg-type]
    with pytest.raises(InvalidPackage, match=r"PackageRecord, not NoneType"):
        store.run(lambda tx: SqlPackageStore(tx).put_package(None))  # type: ignore[arg-type]
    for act in (lambda: deploy(store, package()), lambda: rollback(store, "f"), lambda: retire(store, "f")):  # type: ignore[arg-type]
        with pytest.raises(WrongHandle, match=r"not Store\. .*store\.run"):
            act()
    assert store.read(lambda tx: SqlAuditLog(tx).head()).seq == 0
