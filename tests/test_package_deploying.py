"""Deploying archives: all their types at once, claims, splits, signatures, and what is left once they are gone."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest

from holdfast.audit import SqlAuditLog
from holdfast.audit.keys import Ed25519Signer, generate_key
from holdfast.errors import HoldfastError
from holdfast.ids import bucket
from holdfast.packages import (
    SqlPackageStore,
    deploy_archive,
    require_signatures,
    retire,
    rollback,
    route,
    signatures_required,
    trust_key,
    trusted,
    unload,
    untrust,
)
from holdfast.packages.archive import Signature, open_archive, sign
from holdfast.packages.archive.errors import BadSignature
from holdfast.packages.deployed import package_of
from holdfast.packages.errors import (
    InvalidPackage,
    InvalidSplit,
    KeyNotTrusted,
    NothingToDeploy,
    SignatureRequired,
    WorkflowTypeClaimed,
)
from holdfast.packages.troubles import put_trouble, troubles
from holdfast.store import Store, open_store
from holdfast.testing import VirtualClock
from tests.archive_kit import archive as packed
from tests.package_kit import NOW, archive, body, counts, deployed, routes, split_of

BOTH = ("fulfil", "refund")


@pytest.fixture
def store(store_url: str) -> Iterator[Store]:
    with open_store(store_url, clock=VirtualClock()) as store:
        yield store


@pytest.fixture
def key(tmp_path: Path) -> Ed25519Signer:
    return generate_key(tmp_path / "key")


def test_all_types_are_deployed_with_a_row_each(store: Store) -> None:
    shop = archive("one", *BOTH, label="spring")
    rows = store.run(lambda tx: deploy_archive(tx, shop, at=NOW), actor="ann")
    assert [(row.subject, row.actor, row.act) for row in rows] == [(name, "ann", "package.deployed") for name in BOTH]
    wanted = {"from": None, "to": shop.content_hash, "replaced": False, "package": "shop", "label": "spring"}
    assert [row.detail for row in rows] == [wanted, wanted]
    assert routes(store) == dict.fromkeys(BOTH, shop.content_hash)
    records = store.read(lambda tx: SqlPackageStore(tx).list_packages()).items
    assert [(each.workflow_type, each.archive) for each in records] == [
        (name, body("one", *BOTH, label="spring")) for name in BOTH
    ]
    assert store.read(lambda tx: SqlPackageStore(tx).get_archive(shop.content_hash)) == records[0].archive
    assert counts(store) == {
        "packages": 2, "package_archives": 1, "package_signatures": 0, "package_claims": 2, "package_troubles": 0,
        "blobs": 1,
    }  # fmt: skip


def test_deploying_again_changes_nothing_but_the_time(store: Store) -> None:
    deployed(store, archive("one", *BOTH))
    before = counts(store)
    rows = deployed(store, archive("one", *BOTH))
    assert [row.detail["replaced"] for row in rows] == [True, True]
    assert counts(store) == before


def test_an_archive_goes_with_the_last_of_its_types(store: Store, key: Ed25519Signer) -> None:
    old, new = archive("old", *BOTH), archive("new", *BOTH)
    deployed(store, old, signatures=[sign(key, old.content_hash)])
    deployed(store, new)
    store.run(lambda tx: put_trouble(tx, old.content_hash, HoldfastError("it cannot be loaded"), "here"))
    left = {"packages": 3, "package_archives": 2, "package_signatures": 1, "package_troubles": 1, "blobs": 2}
    for name in BOTH:
        store.run(lambda tx, name=name: unload(tx, name, old.content_hash))
        assert counts(store).items() >= left.items()
        left = {"packages": 2, "package_archives": 1, "package_signatures": 0, "package_troubles": 0, "blobs": 1}
    assert store.read(lambda tx: SqlPackageStore(tx).get_archive(old.content_hash)) is None
    assert store.read(lambda tx: SqlPackageStore(tx).get_archive(new.content_hash)) is not None


def test_two_types_that_go_at_once_leave_no_archive(postgres_url: str) -> None:
    """Neither of two unloads takes the other's version, which it still sees, for a reason to keep the archive."""
    with open_store(postgres_url) as store, ThreadPoolExecutor() as pool:
        old = archive("old", *BOTH)
        for _ in range(5):
            deployed(store, old, archive("new", *BOTH))
            both = Barrier(2)

            def gone(name: str, both: Barrier = both) -> None:
                both.wait()
                store.run(lambda tx: unload(tx, name, old.content_hash))

            list(pool.map(gone, BOTH))
            assert counts(store).items() >= {"packages": 2, "package_archives": 1, "blobs": 1}.items()


def test_a_redeploy_forgets_the_trouble_and_mends_the_body(store: Store) -> None:
    shop = archive()
    deployed(store, shop)
    store.run(lambda tx: put_trouble(tx, shop.content_hash, HoldfastError("no\0 \ud800"), "here"))
    (trouble,) = store.read(troubles)
    assert (trouble.error["code"], trouble.error["message"]) == ("holdfast", "no\\0 \\ud800")
    store.run(lambda tx: tx.execute("UPDATE blobs SET body = :x", {"x": b"damaged"}))
    deployed(store, shop)
    assert store.read(troubles) == []
    assert store.read(lambda tx: SqlPackageStore(tx).get_archive(shop.content_hash)) == body()


def test_a_type_belongs_to_one_package(store: Store) -> None:
    """Nothing of a package is deployed where one of its types is another's."""
    deployed(store, archive("shop", *BOTH))
    before = routes(store), counts(store)
    with pytest.raises(WorkflowTypeClaimed) as caught:
        deployed(store, archive("new", "invoice", "refund", name="billing"))
    assert (caught.value.workflow_type, caught.value.owner, caught.value.claimant) == ("refund", "shop", "billing")
    assert (routes(store), counts(store)) == before
    deployed(store, archive("second", *BOTH))


def test_a_type_without_versions_can_be_claimed_anew(store: Store) -> None:
    old = archive("shop")
    deployed(store, old)
    store.run(lambda tx: retire(tx, "fulfil"))
    store.run(lambda tx: unload(tx, "fulfil", old.content_hash))
    deployed(store, archive("new", name="billing"))
    assert store.read(lambda tx: package_of(tx, "fulfil")) == "billing"


def test_racing_packages_do_not_share_a_type(store: Store) -> None:
    def attempt(name: str) -> str | None:
        try:
            deployed(store, archive(name, *BOTH, name=name))
        except WorkflowTypeClaimed:
            return None
        return name

    with ThreadPoolExecutor(4) as pool:
        winners = [name for name in pool.map(attempt, ("a", "b", "c", "d")) if name]
    assert len(winners) == 1
    assert [store.read(lambda tx, of=of: package_of(tx, of)) for of in BOTH] == winners * 2


def test_what_cannot_be_deployed_is_refused(store: Store) -> None:
    with pytest.raises(NothingToDeploy):
        deployed(store, open_archive(packed(workflows=[])))
    with pytest.raises(InvalidPackage, match="An Archive is due, not bytes"):
        store.run(lambda tx: deploy_archive(tx, body()))  # type: ignore[arg-type]
    with pytest.raises(InvalidSplit):
        deployed(store, archive(), percent=101)
    assert counts(store) == dict.fromkeys(counts(store), 0)
    assert store.read(lambda tx: SqlAuditLog(tx).head()).seq == 0


def test_a_deploy_by_percent_is_a_split_beside_the_route(store: Store) -> None:
    """PK-13: types that have no other version are routed to it."""
    old, new = archive("old"), archive("new", *BOTH)
    deployed(store, old)
    fulfil, _ = deployed(store, new, percent=12.5)
    assert routes(store) == {"fulfil": old.content_hash, "refund": new.content_hash}
    assert (split_of(store), split_of(store, "refund")) == ((new.content_hash, 1250), None)
    assert (fulfil.detail["from"], fulfil.detail["to"]) == (old.content_hash, old.content_hash)
    assert (fulfil.detail["version"], fulfil.detail["percent"]) == (new.content_hash, 12.5)
    deployed(store, new, percent=12.5)  # as after an answer that was lost
    assert routes(store) == {"fulfil": old.content_hash, "refund": new.content_hash}
    assert split_of(store) == (new.content_hash, 1250)
    back = store.run(lambda tx: rollback(tx, "fulfil"))
    assert (split_of(store), back.detail["to"]) == (None, old.content_hash)
    deployed(store, new, percent=0)
    assert (split_of(store), routes(store)["fulfil"]) == (None, old.content_hash)
    deployed(store, new)
    assert routes(store)["fulfil"] == new.content_hash


def test_a_deploy_without_percent_ends_the_split(store: Store) -> None:
    old, new = archive("old"), archive("new")
    deployed(store, old)
    deployed(store, new, percent=10)
    (row,) = deployed(store, new)
    assert (split_of(store), routes(store)) == (None, {"fulfil": new.content_hash})
    assert row.detail["ended_split"] == {"version": new.content_hash, "percent": 10}


def test_the_parts_of_all_flows_are_even_and_known() -> None:
    """Pure: the same on every machine, for ever; ids of one moment are spread."""
    assert bucket("00000000-0000-7000-8000-000000000001") == 4369
    found = [bucket(f"0190a5b4-0000-7000-8000-{number:012x}") for number in range(50_000)]
    assert min(found) >= 0
    assert max(found) < 10_000
    assert 4_700 < sum(part < 1_000 for part in found) < 5_300


# -- signatures -------------------------------------------------------------------------------------------------------


def test_a_policy_asks_for_a_signature_by_a_trusted_key(store: Store, key: Ed25519Signer) -> None:
    shop = archive()
    signed = sign(key, shop.content_hash)
    store.run(lambda tx: require_signatures(tx, True), actor="ann")
    assert store.read(signatures_required)
    for given in ([], [signed]):
        with pytest.raises(SignatureRequired):
            deployed(store, shop, signatures=given)
    assert counts(store)["packages"] == 0
    store.run(lambda tx: trust_key(tx, key.public.raw), actor="ann")
    deployed(store, shop, signatures=[signed])
    deployed(store, shop)  # its signature is kept
    with pytest.raises(SignatureRequired):
        deployed(store, archive("other"))
    store.run(lambda tx: untrust(tx, key.key_id), actor="ann")
    with pytest.raises(SignatureRequired):
        deployed(store, shop, signatures=[signed])
    store.run(lambda tx: require_signatures(tx, False), actor="ann")
    deployed(store, archive("other"))
    rows = store.read(lambda tx: SqlAuditLog(tx).list(subject="package trust")).items[::-1]
    assert [(row.act, row.actor) for row in rows] == [
        ("package.signatures_required", "ann"),
        ("package.key_trusted", "ann"),
        ("package.key_untrusted", "ann"),
        ("package.signatures_required", "ann"),
    ]


def test_a_forged_signature_is_refused_without_any_policy(store: Store, key: Ed25519Signer) -> None:
    store.run(lambda tx: trust_key(tx, key.public.raw))
    forged = Signature(key.key_id, sign(key, archive("other").content_hash).signature)
    with pytest.raises(BadSignature):
        deployed(store, archive(), signatures=[forged])
    assert counts(store)["packages"] == 0


def test_a_forged_signature_from_before_its_key_was_trusted_does_not_count(
    store: Store, key: Ed25519Signer, tmp_path: Path
) -> None:
    """Nor does it hide a genuine one."""
    shop, other = archive(), generate_key(tmp_path / "other")
    forged = Signature(key.key_id, sign(key, archive("other").content_hash).signature)
    deployed(store, shop, signatures=[forged])
    store.run(lambda tx: require_signatures(tx, True))
    store.run(lambda tx: trust_key(tx, key.public.raw))
    with pytest.raises(SignatureRequired):
        deployed(store, shop)
    store.run(lambda tx: trust_key(tx, other.public.raw))
    deployed(store, shop, signatures=[sign(other, shop.content_hash)])
    deployed(store, shop)


def test_trust_is_asked_for_once(store: Store, key: Ed25519Signer) -> None:
    assert store.run(lambda tx: trust_key(tx, key.public.raw)) is not None
    assert store.run(lambda tx: trust_key(tx, key.public.raw)) is None
    assert [each.key_id for each in store.read(trusted)] == [key.key_id]
    assert store.run(lambda tx: require_signatures(tx, False)) is None
    store.run(lambda tx: untrust(tx, key.key_id))
    for unknown in (key.key_id, "", "a\0b"):
        with pytest.raises(KeyNotTrusted):
            store.run(lambda tx, unknown=unknown: untrust(tx, unknown))
    assert store.read(trusted) == []


def test_a_route_is_no_deploy(store: Store) -> None:
    """What is deployed may be routed to whatever the policy says by now."""
    old, new = archive("old"), archive("new")
    deployed(store, old, new)
    store.run(lambda tx: require_signatures(tx, True))
    store.run(lambda tx: route(tx, "fulfil", old.content_hash))
    assert routes(store) == {"fulfil": old.content_hash}
