"""The audit chain beyond its contract: what is stored, what is damaged, how it is read and exported."""

from __future__ import annotations

import json
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
import rfc8785

from holdfast.audit import (
    AuditRow,
    Checkpoint,
    Fault,
    SqlAuditLog,
    checkpoint,
    export_chain,
    verify,
    verify_chain,
    verify_store,
)
from holdfast.audit.canonical import is_canonical
from holdfast.audit.documents import checkpoint_document, read_checkpoint, read_rows
from holdfast.audit.errors import ChainBroken, CheckpointInvalid, ExportInvalid, FileUnusable, RowDamaged
from holdfast.audit.report import MAX_FINDINGS
from holdfast.errors import InvalidInput
from holdfast.gateway import Route, SqlRoutingTable, Target
from holdfast.gateway.manager import replace_routes
from holdfast.store import Store, Transaction, load_queries, open_store
from holdfast.testing import UnitRunner, VirtualClock
from holdfast.testing.audit import AuditPorts
from holdfast.testing.audit.samples import ODD_DETAILS, Rows, edited, reference_hash
from tests.threads import aside

Units = UnitRunner[AuditPorts]


def append(store: Store, act: str = "act", subject: str = "s", detail: dict[str, Any] | None = None) -> AuditRow:
    return store.run(lambda tx: SqlAuditLog(tx).append(act, subject, detail or {}), actor="ann")


def rows_of(store: Store) -> Rows:
    return store.read(lambda tx: [row for page in SqlAuditLog(tx).pages() for row in page])


def faults(store: Store) -> list[tuple[Fault, int]]:
    return [(finding.code, finding.seq) for finding in store.read(verify_chain).findings]


# -- the contract ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("actor", ["", "\0"])
def test_an_act_that_cannot_be_proved_is_not_committed(store_url: str, actor: str) -> None:
    """PL-6: not even by a unit that goes on after the error."""

    def stubborn(tx: Transaction) -> None:
        with suppress(InvalidInput):
            replace_routes(tx, [Route(id="new", target=Target(provider="p", model="m"))])

    with open_store(store_url) as store:
        with pytest.raises(InvalidInput):
            store.run(stubborn, actor=actor)
        assert store.read(lambda tx: SqlRoutingTable(tx).current().revision) == 0
        store.run(stubborn, actor="ann")
        assert store.read(lambda tx: SqlRoutingTable(tx).current().revision) == 1


def test_every_statement_is_there_in_both_dialects() -> None:
    for query in load_queries("holdfast.audit").values():
        assert query.sqlite, query.name
        assert query.postgres, query.name


# -- what is hashed -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("detail", ODD_DETAILS, ids=lambda detail: f"{detail!s:.20}")
def test_what_is_stored_is_canonical(detail: dict[str, Any]) -> None:
    assert is_canonical(rfc8785.dumps(detail).decode())


@pytest.mark.parametrize(
    "text",
    [
        '{"a":01}',
        '{"a":1.0}',
        '{"a":-0}',
        '{"a":1E5}',
        '{"a":1e5}',
        '{"a":9007199254740993}',
        '{"a":12345678901234567}',
        '{"a":[1.50]}',
        '{"a":"\\u0061"}',
        '{"a":"\\/"}',
        '{"b":1,"a":1}',
        '{"\ufb33":1,"\U0001f600":2}',
        '{"a":1,"a":1}',
        '{"a":1} ',
        '\ufeff{"a":1}',
        "[1]",
        "1",
        "",
        '{"a":tru}',
        '{"a":"\x01"}',
        '{"a":"\ud800"}',
    ],
)
def test_what_is_not_canonical_is_seen(text: str) -> None:
    assert not is_canonical(text)


def test_time_is_read_under_the_lock_and_bounded(new_store_url: Callable[[], str]) -> None:
    """AU-1: the time is the clock's, to the microsecond."""
    clock = VirtualClock()
    with open_store(new_store_url(), clock=clock) as store:
        row = append(store)
        clock.advance(0.000001)
        later = append(store)
    assert (row.at, later.at) == (clock.now() - (later.at - row.at), clock.now())
    assert (later.at - row.at).microseconds == 1


# -- a damaged database ---------------------------------------------------------------------------------------


def damage(store: Store, statement: str) -> None:
    assert store.run(lambda tx: tx.execute(statement)) > 0


@pytest.mark.parametrize("column", ["at", "actor", "act", "subject", "detail", "prev_hash", "hash"])
@pytest.mark.parametrize("value", ["x'6162'", "CAST(x'ff41' AS text)", "1.5", "CAST(hash AS blob)"])
def test_a_column_of_another_type_is_found_and_named(sqlite_url: str, column: str, value: str) -> None:
    """AU-5: SQLite holds anything anywhere, text that is no UTF-8 too; reading the row says what to do."""
    with open_store(sqlite_url) as store:
        for _ in range(3):
            append(store)
        damage(store, f"UPDATE audit_rows SET {column} = {value} WHERE seq = 2")
        assert (Fault.EDITED, 2) in faults(store)
        if value != "1.5" or column == "at":  # elsewhere SQLite makes a text of it, as the column wants
            with pytest.raises(RowDamaged, match="Row 2 of the audit chain"):
                store.read(lambda tx: SqlAuditLog(tx).list())
            with pytest.raises(RowDamaged):
                export_chain(store, lambda lines: None)


@pytest.mark.parametrize("column", ["key_id", "signature"])
@pytest.mark.parametrize("value", ["x''", "CAST(x'ff' AS text)", "1.5"])
def test_a_signature_of_another_type_is_not_taken_for_none(sqlite_url: str, column: str, value: str) -> None:
    with open_store(sqlite_url) as store:
        append(store)
        damage(store, f"UPDATE audit_rows SET {column} = {value}")
        assert (Fault.BAD_SIGNATURE, 1) in faults(store)


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM audit_head",
        "UPDATE audit_head SET seq = 2",
        "UPDATE audit_head SET seq = 0",
        "UPDATE audit_head SET seq = -5",
        "UPDATE audit_head SET hash = 'zz'",
        "UPDATE audit_head SET hash = ''",
    ],
)
def test_a_damaged_head_is_found_and_takes_nothing(new_store_url: Callable[[], str], statement: str) -> None:
    """AU-4: an act that cannot be recorded did not happen: its unit is refused, whole."""
    with open_store(new_store_url()) as store:
        for _ in range(3):
            append(store)
        damage(store, statement)
        assert faults(store) == [(Fault.HEAD, 3)]
        before = rows_of(store)
        with pytest.raises(ChainBroken, match="audit verify"):
            append(store)
        assert rows_of(store) == before


@pytest.mark.parametrize("change", ["seq = 'x'", "hash = x'ff'", "hash = CAST(x'ff' AS text)", "seq = 1.5"])
def test_a_head_of_another_type_is_found(sqlite_url: str, change: str) -> None:
    with open_store(sqlite_url) as store:
        append(store)
        damage(store, f"UPDATE audit_head SET {change}")
        assert faults(store) == [(Fault.HEAD, 1)]
        with pytest.raises(ChainBroken):
            append(store)


@pytest.mark.parametrize("change", ["seq = 'x'", "hash = x'ff'", "at = 'never'", "seq = 99", "hash = 'x'"])
def test_a_damaged_checkpoint_is_found(sqlite_url: str, change: str) -> None:
    with open_store(sqlite_url) as store:
        append(store)
        store.run(checkpoint)
        damage(store, f"UPDATE audit_checkpoints SET {change}")
        assert [fault for fault, _ in faults(store)] == [Fault.CHECKPOINT]


def test_rows_at_the_ends_of_the_earth_are_found(new_store_url: Callable[[], str]) -> None:
    """AU-5: a row that was put before the first or far behind the last is seen, and not walked to."""
    with open_store(new_store_url()) as store:
        append(store)
        for seq in (-(2**63), 0, 2**63 - 1):
            damage(
                store,
                f"INSERT INTO audit_rows SELECT {seq}, at, actor, act, subject, detail, prev_hash, hash, key_id, "
                "signature FROM audit_rows WHERE seq = 1",
            )
        found = faults(store)
    assert found[:3] == [(Fault.INSERTED, -(2**63)), (Fault.INSERTED, 0), (Fault.MISSING, 2)]
    assert {fault for fault, _ in found[3:]} <= {Fault.EDITED, Fault.HEAD, Fault.REORDERED}


def test_no_flood_of_findings_fills_the_memory(new_store_url: Callable[[], str]) -> None:
    """Runs of one fault are told once; of others, so many, and how many more there were."""
    with open_store(new_store_url()) as store:
        count = MAX_FINDINGS + 50
        store.run(lambda tx: [SqlAuditLog(tx).append("a", "s", {"n": n}) for n in range(count)])
        damage(store, "UPDATE audit_rows SET actor = 'eve'")
        found = store.read(verify_chain)
        assert (found.rows, len(found.findings), found.omitted) == (count, MAX_FINDINGS, 50)
        rows = rows_of(store)
    moved = verify([[edited(row, actor="system", seq=row[0] + 1) for row in rows]])
    assert [(one.code, one.seq) for one in moved.findings] == [(Fault.MISSING, 1), (Fault.REORDERED, 2)]
    assert "2 to 1051 were written as the rows 1 to 1050" in moved.findings[1].message


def test_the_walk_reads_in_pages(new_store_url: Callable[[], str]) -> None:
    """AU-5: rows are read a page at a time, and progress is told after each."""
    with open_store(new_store_url()) as store:
        store.run(lambda tx: [SqlAuditLog(tx).append("a", "s", {"n": n}) for n in range(1234)])
        seen: list[int] = []
        found = store.read(lambda tx: verify_chain(tx, progress=seen.append))
        assert found.sound
        assert seen == [500, 1000, 1234]
        pages: list[int] = []
        export_chain(store, lambda lines: pages.append(lines.count(b"\n")), progress=seen.append)
        assert pages == [500, 500, 234]


@pytest.fixture
def ctrl_c() -> Iterator[None]:
    """A shell starts what runs in the background deaf to it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_an_interrupted_verification_ends_with_its_page(sqlite_url: str, ctrl_c: None) -> None:
    """Ctrl-C does not wait for ten million rows."""
    with open_store(sqlite_url) as store:
        store.run(lambda tx: [SqlAuditLog(tx).append("a", "s", {"n": n}) for n in range(2000)])
        seen: list[int] = []
        given_up = threading.Event()

        def interrupt(rows: int) -> None:
            seen.append(rows)
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
            given_up.wait(30)

        with pytest.raises(KeyboardInterrupt):
            verify_store(store, progress=interrupt)
        given_up.set()
    assert seen == [500]


def test_verification_sees_one_moment(sqlite_url: str) -> None:
    """AU-5: rows appended while it runs are not half seen: the head that is compared is of the same moment."""
    with open_store(sqlite_url) as store:
        store.run(lambda tx: [SqlAuditLog(tx).append("a", "s", {"n": n}) for n in range(600)])

        def meanwhile(tx: Transaction) -> Any:
            return verify_chain(tx, progress=lambda rows: aside(lambda: append(store)) and None)

        found = store.read(meanwhile)
        assert (found.rows, found.findings) == (600, ())
        assert store.read(verify_chain).rows == 602


# -- what leaves the store ------------------------------------------------------------------------------------


def test_an_export_can_be_verified_without_holdfast(new_store_url: Callable[[], str], tmp_path: Path) -> None:
    path = tmp_path / "chain.jsonl"
    with open_store(new_store_url()) as store:
        for detail in ODD_DETAILS:
            append(store, detail=detail)
        point = store.run(checkpoint)
        with path.open("wb") as file:
            head = export_chain(store, file.write)
        rows = rows_of(store)
    prev_hash = "0" * 64
    for line, detail in zip(path.read_bytes().splitlines(), ODD_DETAILS, strict=True):
        row = json.loads(line)
        assert row["prev_hash"] == prev_hash
        hashed = {name: row[name] for name in ("seq", "at", "actor", "act", "subject")} | {"detail": detail}
        prev_hash = sha256(bytes.fromhex(prev_hash) + rfc8785.dumps(hashed)).hexdigest()
        assert row["hash"] == prev_hash
    assert (head.seq, head.hash) == (len(ODD_DETAILS), prev_hash)
    assert [row for page in read_rows(path) for row in page] == rows
    found = verify(read_rows(path), checkpoints=[point])
    assert found.sound
    assert (found.head, found.checkpoints) == (head, 1)


def test_an_export_of_a_chain_with_missing_rows_is_refused(new_store_url: Callable[[], str]) -> None:
    with open_store(new_store_url()) as store:
        for _ in range(4):
            append(store)
        damage(store, "DELETE FROM audit_rows WHERE seq = 2")
        with pytest.raises(ChainBroken):
            export_chain(store, lambda lines: None)


def test_checkpoints_are_listed_and_read_back(new_store_url: Callable[[], str], tmp_path: Path) -> None:
    clock = VirtualClock()
    with open_store(new_store_url(), clock=clock) as store:
        points = []
        for _ in range(5):
            append(store)
            clock.advance(1)
            points.append(store.run(checkpoint))
        again = store.run(checkpoint)
        assert again == points[-1]
        first = store.read(lambda tx: SqlAuditLog(tx).list_checkpoints(limit=3))
        rest = store.read(lambda tx: SqlAuditLog(tx).list_checkpoints(limit=3, after=first.next))
        assert first.items + rest.items == points[::-1]
        assert rest.next is None
        with pytest.raises(ValueError, match="not a limit"):
            store.read(lambda tx: SqlAuditLog(tx).list_checkpoints(limit=-1))
    path = tmp_path / "point"
    path.write_bytes(checkpoint_document(points[0]))
    assert read_checkpoint(path) == points[0]


@pytest.mark.parametrize(
    "body",
    [
        "",
        "{",
        "[]",
        "{}",
        '{"seq": 1, "hash": "a"}',
        '{"seq": -1, "hash": "a", "at": 1}',
        '{"seq": 1.5, "hash": "a", "at": 1}',
        '{"seq": 99999999999999999999, "hash": "a", "at": 1}',
        '{"seq": 1, "hash": "a", "at": 99999999999999999999}',
        '{"seq": 1, "hash": "a", "at": "2030-01-01T00:00:00"}',
        '{"seq": 1, "hash": "a", "at": "soon"}',
        '{"seq": 1, "hash": "a", "at": 1, "more": 1}',
        '{"seq": 1, "hash": "a", "at": 1, "signature": 7}',
        '{"seq": 1, "hash": "' + "a" * 100_000 + '", "at": 1}',
        "\xff",
    ],
)
def test_a_file_that_holds_no_checkpoint(tmp_path: Path, body: str) -> None:
    path = tmp_path / "point"
    path.write_text(body, encoding="latin-1")
    with pytest.raises(CheckpointInvalid, match="holds no checkpoint"):
        read_checkpoint(path)


@pytest.mark.parametrize(
    "at", ['"2030-01-01T00:00:00.000001Z"', '"2030-01-01T01:00:00.000001+01:00"', "1893456000000001"]
)
def test_a_checkpoint_may_be_what_the_command_line_showed(tmp_path: Path, at: str) -> None:
    path = tmp_path / "point"
    path.write_text(f'{{"seq": 1, "hash": "a", "at": {at}, "key_id": null, "signature": null}}')
    assert read_checkpoint(path) == Checkpoint(seq=1, hash="a", at=1893456000000001)


def test_a_file_that_holds_no_chain(tmp_path: Path) -> None:
    path = tmp_path / "chain"
    for body in (b"{}\n", b"\xff\n", b"[" * 5000, b'{"seq": "1"}', b"\n"):
        path.write_bytes(body)
        with pytest.raises(ExportInvalid, match="Line 1"):
            list(read_rows(path))
    for nothing in (tmp_path, tmp_path / "none", Path("a\0b")):
        with pytest.raises(FileUnusable):
            list(read_rows(nothing))
    path.write_bytes(b"")
    assert verify(read_rows(path)).rows == 0


def test_the_reference_of_the_suite_is_the_documented_rule(store_url: str) -> None:
    """AU-3, once more by hand."""
    with open_store(store_url) as store:
        append(store, "plan.applied", "p-1", {"b": 1, "a": [True, None, "é"]})
        (row,) = rows_of(store)
    text = (
        f'{{"act":"plan.applied","actor":"ann","at":{row[1]},"detail":{{"a":[true,null,"é"],"b":1}},'
        '"seq":1,"subject":"p-1"}'
    )
    assert row[7] == sha256(bytes(32) + text.encode()).hexdigest() == reference_hash(row, json.loads(row[5] or ""))
