"""AU-5, AU-6: whatever is changed in the tables of a real store is found."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
import rfc8785

from holdfast.audit import Checkpoint, Fault, SqlAuditLog, Trust, Verification, checkpoint, verify_chain
from holdfast.audit.keys import generate_key
from holdfast.store import Row, Store, Transaction, open_store

ROWS = 30
TRIALS, PROVED = 600, 10_000
COLUMNS = ("at", "actor", "act", "subject", "detail", "prev_hash", "hash", "key_id", "signature")
ROW = f"seq, {', '.join(COLUMNS)}"
ODD = ["", "{", "{}", "[]", "0", "eve", "é", "f" * 64, "0" * 64, "0" * 128, -1, 0, 2**53, 1.5, b"blob", b"\xff"]
Tamper = Callable[["Attack"], str]


class Undo(Exception):
    """Carries a verdict out of a unit that is to leave nothing behind."""

    def __init__(self, found: Verification) -> None:
        self.found = found


class Attack:
    """One tampering with a chain, by somebody who may write to the database but has no key.

    Attributes:
        tx: where the tables are.
        chance: where choices come from.
        last: the place of the last row.
        signed: whether the rows are signed.
    """

    def __init__(self, tx: Transaction, chance: random.Random, signed: bool) -> None:
        self.tx = tx
        self.chance = chance
        self.signed = signed
        self.last = ROWS

    def row(self, seq: int) -> Row:
        found = self.tx.fetch_one(f"SELECT {ROW} FROM audit_rows WHERE seq = :seq", {"seq": seq})
        assert found
        return found

    def write(self, row: Row) -> None:
        values = dict(zip(("seq", *COLUMNS), row, strict=True))
        names = ", ".join(f":{name}" for name in values)
        self.tx.execute(f"INSERT OR REPLACE INTO audit_rows ({ROW}) VALUES ({names})", values)

    def delete(self, first: int, last: int) -> None:
        self.tx.execute("DELETE FROM audit_rows WHERE seq BETWEEN :first AND :last", {"first": first, "last": last})

    def shift(self, first: int, by: int) -> None:
        """Renumber the rows from ``first`` on."""
        self.tx.execute("UPDATE audit_rows SET seq = -seq - :by WHERE seq >= :first", {"first": first, "by": by})
        self.tx.execute("UPDATE audit_rows SET seq = -seq WHERE seq < 0")
        self.last += by

    def settle_head(self) -> None:
        """Make the head what the last row is."""
        self.tx.execute(
            "UPDATE audit_head SET (seq, hash) = (SELECT seq, hash FROM audit_rows ORDER BY seq DESC LIMIT 1)"
        )


def rehashed(row: Row) -> Row:
    """``row`` with the hash that fits it."""
    seq, at, actor, act, subject, detail, prev_hash, _, key_id, signature = row
    text = rfc8785.dumps({"act": act, "actor": actor, "at": at, "seq": seq, "subject": subject}).decode()
    text = text.replace(f',"seq":{seq},', f',"detail":{detail},"seq":{seq},', 1)
    found = sha256(bytes.fromhex(prev_hash) + text.encode()).hexdigest()
    return seq, at, actor, act, subject, detail, prev_hash, found, key_id, signature


# -- what an attacker does ------------------------------------------------------------------------------------


def edit(attack: Attack) -> str:
    """One column of one row gets another value: odd, another row's, or its own a little bent."""
    seq, column = attack.chance.randint(1, ROWS), attack.chance.choice(COLUMNS)
    place = COLUMNS.index(column) + 1
    present = attack.row(seq)[place]
    values = [*ODD, attack.row(attack.chance.randint(1, ROWS))[place], bent(present, attack.chance)]
    if column in ("key_id", "signature"):
        values.append(None)
    value = attack.chance.choice([value for value in values if not same(value, present)])
    attack.tx.execute(f"UPDATE audit_rows SET {column} = :value WHERE seq = :seq", {"value": value, "seq": seq})
    return f"{column} of row {seq} was {present!r}, is {value!r}"


def bent(value: Any, chance: random.Random) -> Any:
    if not isinstance(value, str):
        return chance.randint(-5, 5) + (value or 0)
    at = chance.randrange(len(value) + 1)
    return chance.choice(
        [value[:at] + chance.choice(' 0a}"') + value[at:], value[:at] + value[at + 1 :], value.upper()]
    )


def same(value: Any, present: Any) -> bool:
    """Whether SQLite stores the same: numbers become text in a text column, and digits numbers in a column of those."""
    return value == present or str(value) == str(present)


def forge(attack: Attack) -> str:
    """A row is edited and hashed anew, by one who knows the rule; the last one with its head."""
    seq = attack.chance.randint(1, ROWS if attack.signed else ROWS - 1)
    row = list(attack.row(seq))
    place = attack.chance.randint(1, 5)
    row[place] = row[place] + 1 if place == 1 else '{"forged":true}' if place == 5 else f"{row[place]}."
    attack.write(rehashed(tuple(row)))
    attack.settle_head()
    return f"row {seq} forged in {COLUMNS[place - 1]}"


def swap(attack: Attack) -> str:
    """Two rows change places: whole, or in one column."""
    left, right = attack.chance.sample(range(1, ROWS + 1), 2)
    one, other = attack.row(left), attack.row(right)
    if attack.chance.random() < 0.5:
        attack.write((left, *other[1:]))
        attack.write((right, *one[1:]))
        attack.settle_head()
        return f"rows {left} and {right} swapped"
    place = attack.chance.choice([at for at in range(1, len(one)) if one[at] != other[at]])
    attack.write((*one[:place], other[place], *one[place + 1 :]))
    attack.write((*other[:place], one[place], *other[place + 1 :]))
    return f"{COLUMNS[place - 1]} of the rows {left} and {right} swapped"


def insert(attack: Attack) -> str:
    """A row is put in: far off, or renumbering those behind it; a copy, or forged and hashed anew."""
    seq = attack.chance.randint(1, ROWS + 1 if attack.signed else ROWS)
    row = list(attack.row(attack.chance.randint(1, ROWS)))
    told = f"row {row[0]} put in at {seq}"
    row[2] = attack.chance.choice([row[2], "eve"])
    far = attack.chance.random() < 0.2
    if far:
        seq = attack.chance.choice([0, -3, ROWS + 2, ROWS + 500])
    else:
        attack.shift(seq, 1)
    row[0] = seq
    if attack.chance.random() < 0.7:
        row[6] = attack.row(seq - 1)[7] if 1 < seq <= ROWS + 1 else "0" * 64
        row = list(rehashed(tuple(row)))
        told += ", hashed anew"
    if attack.chance.random() < 0.3:
        row[8] = row[9] = None
    attack.write(tuple(row))
    attack.settle_head()
    return f"{told}, far off {seq}" if far else told


def delete(attack: Attack) -> str:
    """Rows inside are deleted; perhaps those behind them are renumbered."""
    first = attack.chance.randint(1, ROWS - 1)
    last = attack.chance.randint(first, ROWS - 1)
    attack.delete(first, last)
    told = f"rows {first} to {last} deleted"
    if attack.chance.random() < 0.5:
        attack.shift(last + 1, first - last - 1)
        told += ", renumbered"
    attack.settle_head()
    return told


def behead(attack: Attack) -> str:
    """The last rows are deleted; perhaps the head is moved along, and others are appended."""
    first = attack.chance.randint(1, ROWS)
    attack.delete(first, ROWS)
    told = f"rows from {first} on deleted"
    if first > 1 and attack.chance.random() < 0.7:
        attack.settle_head()
        told += ", head moved along"
        if attack.chance.random() < 0.5:
            for _ in range(attack.chance.randint(1, ROWS + 5)):
                SqlAuditLog(attack.tx).append("a", "s", {"regrown": True})
            told += ", grown again"
    return told


def move_head(attack: Attack) -> str:
    """The head is moved, or another hash is written there."""
    column, value = attack.chance.choice([("seq", ROWS - 1), ("seq", ROWS + 1), ("seq", 0), ("hash", "f" * 64)])
    attack.tx.execute(f"UPDATE audit_head SET {column} = :value", {"value": value})
    return f"{column} of the head is {value}"


ATTACKS: list[Tamper] = [edit, edit, edit, forge, swap, insert, delete, behead, move_head]


# -- the proof ------------------------------------------------------------------------------------------------


class Chain:
    """A chain of different rows, and a checkpoint of its end that was kept elsewhere."""

    def __init__(self, store: Store, trust: Trust) -> None:
        for number in range(ROWS):
            store.run(
                lambda tx, n=number: SqlAuditLog(tx).append(
                    f"act.{n % 4}", f"subject {n % 5}", {"n": n, "é": ["x", n / 3], "to": {"b": None, "a": n % 2 == 0}}
                ),
                actor=f"user {number % 3}",
            )
        self.store = store
        self.signed = bool(trust.keys)
        self._trust = trust
        self.point: Checkpoint = store.run(checkpoint)
        store.run(lambda tx: tx.execute("DELETE FROM audit_checkpoints"))

    def verdict(self, tx: Transaction) -> Verification:
        return verify_chain(tx, checkpoints=[self.point], trust=self._trust)

    def attacked(self, tamper: Tamper, seed: int) -> tuple[str, Verification]:
        """What was done, and what was found; nothing of it stays."""
        told: list[str] = []

        def unit(tx: Transaction) -> None:
            attack = Attack(tx, random.Random(seed), self.signed)
            told.append(tamper(attack))
            raise Undo(self.verdict(tx))

        with pytest.raises(Undo) as undone:
            self.store.run(unit)
        return told[0], undone.value.found


@pytest.fixture(params=[False, True], ids=["unsigned", "signed"])
def chain(request: pytest.FixtureRequest, sqlite_url: str, tmp_path: Path) -> Iterator[Chain]:
    with signed_or_not(sqlite_url, tmp_path, signed=request.param) as chain:
        yield chain


@contextmanager
def signed_or_not(url: str, folder: Path, *, signed: bool) -> Iterator[Chain]:
    signer = generate_key(folder / "key") if signed else None
    trust = Trust({signer.key_id: signer.public}, signed_from=1) if signer else Trust()
    with open_store(url, signer=signer) as store:
        yield Chain(store, trust)


def expect_all_found(chain: Chain, trials: int) -> Counter[str]:
    assert chain.store.read(chain.verdict).sound
    done: Counter[str] = Counter()
    codes: set[Fault] = set()
    for seed in range(trials):
        tamper = ATTACKS[seed % len(ATTACKS)]
        told, found = chain.attacked(tamper, seed)
        assert not found.sound, f"seed {seed}: {told}: not found"
        assert all(finding.message and finding.remedy for finding in found.findings)
        codes.update(finding.code for finding in found.findings)
        done[tamper.__name__] += 1
        if seed % 50 == 0:
            assert chain.store.read(chain.verdict).sound, "the untouched chain is not sound any more"
    wanted = set(Fault) - {Fault.EMPTY, Fault.NONE_SIGNED}  # these are about what was asked
    if not chain.signed:
        wanted -= {Fault.UNKNOWN_KEY, Fault.UNSIGNED}
    assert wanted <= codes, f"never seen: {wanted - codes}"
    return done


def test_every_tampering_is_found(chain: Chain) -> None:
    expect_all_found(chain, TRIALS // 2)


@pytest.mark.prove
@pytest.mark.timeout(1200)
def test_every_tampering_is_found_at_length(chain: Chain) -> None:
    done = expect_all_found(chain, PROVED // 2)
    kind = "signed" if chain.signed else "unsigned"
    print(f"\n{sum(done.values()):,} tamperings with {kind} chains, all found: {dict(done)}")


def test_an_edit_is_found_at_its_row(chain: Chain) -> None:
    """AU-5: a single edit blames one row, the right one."""
    for seed in range(200):
        told, found = chain.attacked(edit, seed)
        assert {f"row {finding.seq}" for finding in found.findings} == {told.split(" of ")[1].split(" was ")[0]}, told


def test_a_rewritten_unsigned_chain_is_found_by_a_checkpoint_alone(chain: Chain) -> None:
    """The threat model: who rewrites everything behind an edit is found by a checkpoint kept elsewhere, or by keys."""

    def rewrite(attack: Attack) -> str:
        prev_hash = "0" * 64
        for seq in range(1, ROWS + 1):
            row = attack.row(seq)
            row = rehashed((*row[:2], "eve", *row[3:6], prev_hash, *row[7:8], None, None))
            attack.write(row)
            prev_hash = row[7]
        attack.settle_head()
        return "rewritten"

    _, found = chain.attacked(rewrite, 0)
    assert {finding.code for finding in found.findings} == (
        {Fault.CHECKPOINT, Fault.UNSIGNED} if chain.signed else {Fault.CHECKPOINT}
    )
