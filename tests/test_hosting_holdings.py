"""What a process may name: what it was given, and nothing of others."""

from __future__ import annotations

import pytest

from holdfast.flows.engine.port import Answer, Claimed
from holdfast.hosting import holdings
from holdfast.hosting.errors import ProtocolError
from holdfast.hosting.holdings import Holdings


def flow(num: int, *waits: int) -> Claimed:
    answers = [Answer(wait, num, f"w{wait}", None, None, False) for wait in waits]
    return Claimed(num, "", "order", "{}", 1, 0, 0, False, 1, 0, False, answers=answers)


@pytest.fixture
def held() -> Holdings:
    found = Holdings()
    found.begin(3)
    found.take(3, [flow(1, 10, 11), flow(2)])
    return found


def test_flows_and_waits_that_were_given_may_be_named(held: Holdings) -> None:
    held.check_epoch(3)
    held.check_flows(3, [1, 2])
    held.check_waits(3, [10, 11])
    assert len(held) == 2


@pytest.mark.parametrize("flows", [[4], [1, 4], [None]])
def test_others_may_not(held: Holdings, flows: list[int | None]) -> None:
    with pytest.raises(ProtocolError):
        held.check_flows(3, flows)
    with pytest.raises(ProtocolError):
        held.check_waits(3, [10, 12])
    with pytest.raises(ProtocolError):
        held.check_epoch(2)


def test_a_flow_that_just_left_may_still_be_named_and_its_waits_not(held: Holdings) -> None:
    held.drop([1])
    held.check_flows(3, [1])
    assert len(held) == 1
    with pytest.raises(ProtocolError):
        held.check_waits(3, [10])


def test_what_left_long_ago_is_forgotten(held: Holdings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(holdings, "REMEMBERED", 5)
    for num in range(100, 200):
        held.take(3, [flow(num, 1000 + num)])
        held.drop([num])
    held.check_flows(3, range(195, 200))
    with pytest.raises(ProtocolError):
        held.check_flows(3, [194])
    assert len(held) == 2


def test_under_an_epoch_that_is_over_the_store_refuses(held: Holdings) -> None:
    held.begin(7)
    held.check_epoch(3)
    held.check_flows(3, [99])
    held.check_waits(3, [99])
    for check, nums in ((held.check_flows, [1]), (held.check_waits, [10])):
        with pytest.raises(ProtocolError):
            check(7, nums)


def test_a_late_answer_to_a_claim_of_an_epoch_that_is_over_gives_nothing(held: Holdings) -> None:
    held.begin(7)
    held.take(3, [flow(5)])
    assert len(held) == 0


def test_waits_are_forgotten_one_by_one(held: Holdings) -> None:
    held.forget([10])
    held.check_waits(3, [11])
    with pytest.raises(ProtocolError):
        held.check_waits(3, [10])
    held.drop([1])
    held.learn([Answer(12, 1, "late", None, None, False)])
    with pytest.raises(ProtocolError):
        held.check_waits(3, [12])
