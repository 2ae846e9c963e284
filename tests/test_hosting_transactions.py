"""FL-10 through frames: the effect of a package's transactional step and its record commit together."""

from __future__ import annotations

from typing import Any

import pytest

from holdfast import Holdfast
from holdfast.hosting import sessions
from tests.hosting_kit import Shop, any_shop, evaluated, package  # noqa: F401 (fixture)

LEDGER = "CREATE TABLE ledger (label text PRIMARY KEY, amount int)"

TEXT = """
import os
import signal
import sys
import time
from pathlib import Path
from holdfast import Transaction, step, workflow

def once(marker: str) -> bool:
    try:
        os.close(os.open(marker, os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        return False
    return True

@step
def book(tx: Transaction, label: str, amount: int) -> int:
    tx.execute("INSERT INTO ledger (label, amount) VALUES (:label, :amount)", {"label": label, "amount": amount})
    ((total,),) = tx.fetch("SELECT count(*) FROM ledger")
    return total

@workflow
async def booking(label: str = "a") -> int:
    return await book(label, 1)

@step
def book_and_raise(tx: Transaction) -> None:
    tx.execute("INSERT INTO ledger (label, amount) VALUES ('raised', 1)")
    raise ValueError("not that")

@workflow
async def raising() -> str:
    try:
        await book_and_raise()
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return "booked"

@step
def wrong(tx: Transaction) -> None:
    tx.execute("INSERT INTO no_such_table VALUES (1)")

@workflow
async def failing() -> str:
    try:
        await wrong()
    except Exception as error:
        return type(error).__name__
    return "booked"

@step(retries=3, backoff=0.01)
def second_time(tx: Transaction, marker: str) -> str:
    tx.execute("INSERT INTO ledger (label, amount) VALUES ('second', 1)")
    if once(marker):
        raise ValueError("not yet")
    return "booked"

@workflow
async def trying(marker: str) -> str:
    return await second_time(marker)

@step
def die_inside(tx: Transaction, marker: str) -> str:
    tx.execute("INSERT INTO ledger (label, amount) VALUES ('inside', 1)")
    if once(marker):
        os.kill(os.getpid(), signal.SIGKILL)
    return "booked"

@workflow
async def dying(marker: str) -> str:
    return await die_inside(marker)

@step(retries=2, backoff=0.01)
def dawdle(tx: Transaction, marker: str) -> str:
    tx.execute("INSERT INTO ledger (label, amount) VALUES ('slow', 1)")
    if once(marker):
        time.sleep(1.5)
    return "booked"

@workflow
async def dawdling(marker: str) -> str:
    return await dawdle(marker)

@step
def ask(tx: Transaction) -> list:
    tx.execute("INSERT INTO ledger (label, amount) VALUES ('é', 7)")
    ((label, amount, nothing, price),) = tx.fetch("SELECT label, amount, NULL, 1.5 FROM ledger WHERE label = 'é'")
    return [label, amount, nothing, type(price).__name__, float(price)]

@workflow
async def asking() -> list:
    return await ask()
"""


@pytest.fixture
def ledger(any_shop: Shop) -> Shop:  # noqa: F811
    any_shop.hf.store.run(lambda tx: tx.execute(LEDGER))
    any_shop.deploy(package(TEXT))
    return any_shop


def booked(found: Shop) -> list[str]:
    return sorted(label for (label,) in found.rows("SELECT label FROM ledger"))


def test_effect_and_record_commit_together(ledger: Shop) -> None:
    with ledger.hosting():
        handles = {label: ledger.start("booking", label=label) for label in "abcdefgh"}
        for handle in handles.values():
            assert 1 <= handle.result(20) <= len(handles)
        assert booked(ledger) == sorted(handles)
        for handle in handles.values():
            assert [row[:2] for row in ledger.history(handle)] == [("book#1@1", "succeeded")]
        kind = "float" if ledger.hf.url.startswith("sqlite") else "Decimal"
        assert ledger.start("asking").result(20) == ["é", 7, None, kind, 1.5]


def test_nothing_of_a_step_that_raises_is_written(ledger: Shop, tmp_path: Any) -> None:
    with ledger.hosting():
        assert "ValueError: not that" in ledger.start("raising").result(20)
        assert booked(ledger) == []
        assert ledger.start("trying", marker=str(tmp_path / "m")).result(20) == "booked"
        assert booked(ledger) == ["second"]


def test_a_wrong_statement_fails_as_in_process(ledger: Shop) -> None:
    module = evaluated(TEXT)
    with Holdfast(ledger.hf.url, workflows=[module["failing"]]) as hf, ledger.hosting():
        inside = ledger.start("failing").result(20)
        assert ledger.rows("SELECT package_hash FROM flows WHERE workflow_type = 'failing'")[0][0]
        ledger.hf.store.run(lambda tx: tx.execute("DELETE FROM package_routes"))
        assert hf.start(module["failing"]).result(20) == inside


def test_a_process_that_dies_inside_writes_nothing_and_its_flow_goes_on(ledger: Shop, tmp_path: Any) -> None:
    with ledger.hosting():
        handle = ledger.start("dying", marker=str(tmp_path / "m"))
        bystander = ledger.start("booking", label="bystander")
        assert handle.result(20) == "booked"
        bystander.result(20)
        assert booked(ledger) == ["bystander", "inside"]
        assert [row[:2] for row in ledger.history(handle)] == [("die_inside#1@1", "succeeded")]


def test_a_transaction_that_takes_too_long_is_ended_and_others_go_on(
    ledger: Shop, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sessions, "SECONDS", 0.3)
    with ledger.hosting():
        handle = ledger.start("dawdling", marker=str(tmp_path / "m"))
        others = [ledger.start("booking", label=label) for label in "ab"]
        for other in others:
            other.result(20)
        assert handle.result(20) == "booked"
        assert booked(ledger) == ["a", "b", "slow"]
        assert ledger.rows("SELECT max(crashes) FROM flows") == [(0,)]
