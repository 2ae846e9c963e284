"""Whatever clients of S3, DynamoDB and SQS do: restores are exact, merges lose nothing, differences lead to the other
state, and no change goes unseen (WO-1 … WO-9)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from holdfast.store import open_store
from holdfast.worlds.aws import AwsWorld
from holdfast.worlds.aws.resource import Resource
from holdfast.worlds.aws.stored import StoredService, StoredState
from holdfast.worlds.model import StateView, apply_delta, diff, encode_view
from holdfast.worlds.notifier import StateChange
from tests.aws_kit import ACCOUNT, REGION
from tests.aws_random_dynamodb import DynamoDbClients
from tests.aws_random_kit import Clients, Operation
from tests.aws_random_s3 import S3Clients
from tests.aws_random_sqs import SqsClients

HERE = ACCOUNT, REGION
KINDS: tuple[type[Clients], ...] = (S3Clients, DynamoDbClients, SqsClients)
EXAMPLES = pytest.mark.parametrize("examples", [8, pytest.param(300, marks=pytest.mark.prove)])
KIND = pytest.mark.parametrize("kind", KINDS, ids=[kind.service for kind in KINDS])


@pytest.fixture(scope="module")
def world() -> Iterator[AwsWorld]:
    with open_store("sqlite://") as store, AwsWorld(store, account=ACCOUNT, region=REGION) as opened:
        yield opened


class Watched:
    """A service that clients change, watched closely: what it tells leads from state to state, and it tells all."""

    def __init__(self, world: AwsWorld, kind: type[Clients]) -> None:
        self.world = world
        self.clients = kind(world)
        self.service = world.services[kind.service]
        self._stored = StoredService(self.service.adapter, StoredState(world.store, world.name))
        self._told: list[StateChange[Resource]] = []
        self._state: dict[str, Resource] = {}
        self.end = self.service.notifier.subscribe(self._told.append)

    def begin(self) -> None:
        """Have nothing but what most operations need."""
        self.world.reset()
        self.clients.begin()
        self._catch_up()

    def do(self, operations: list[Operation]) -> StateView[Any]:
        """Returns the state after the last."""
        for operation in operations:
            self.clients.do(operation)
            with self.world.at_work:
                assert self.world.tracker.recount() == []
        return self.view()

    def view(self) -> StateView[Any]:
        """The state, which is what was told, and what the store has."""
        self._catch_up()
        view = self.service.snapshot(*HERE)
        assert encode_view(self._stored.snapshot(*HERE)) == encode_view(view)
        assert diff(self._state, view.resources) == ()
        return view

    def answers(self) -> Any:
        """Of all reads, which change nothing."""
        self._catch_up()
        before = encode_view(self.service.snapshot(*HERE))
        found = self.clients.answers()
        assert self._catch_up() == 0
        assert encode_view(self.service.snapshot(*HERE)) == before
        return found

    def restore(self, view: StateView[Any]) -> None:
        self.service.restore(*HERE, view)

    def _catch_up(self) -> int:
        assert self.service.notifier.drain(10)
        told, self._told[:] = list(self._told), []
        for change in told:
            assert change.scope == HERE
            assert all(self._state.get(one.resource) == one.before != one.after for one in change.delta)
            apply_delta(self._state, change.delta)
        return len(told)


def check(world: AwsWorld, kind: type[Clients], examples: int, holds: Any) -> None:
    """See that something holds of any two lists of operations."""
    watched = Watched(world, kind)
    operations = st.lists(kind.operations, max_size=14)

    @settings(
        max_examples=examples,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        database=None,
    )
    @given(first=operations, second=operations)
    def run(first: list[Operation], second: list[Operation]) -> None:
        watched.begin()
        holds(watched, first, second)

    try:
        run()
    finally:
        watched.end()


@EXAMPLES
@KIND
def test_restored_it_is_what_it_was(world: AwsWorld, kind: type[Clients], examples: int) -> None:
    def holds(watched: Watched, first: list[Operation], second: list[Operation]) -> None:
        before, answers = watched.do(first), watched.answers()
        assert diff(before.resources, watched.view().resources) == ()
        after = watched.do(second)
        delta = diff(before.resources, after.resources)
        watched.restore(before)
        assert encode_view(watched.view()) == encode_view(before)
        assert watched.answers() == answers
        world.reset()
        watched.restore(watched.service.decode(encode_view(before)))
        assert encode_view(watched.view()) == encode_view(before)
        assert watched.answers() == answers
        reached = dict(before.resources)
        apply_delta(reached, delta)
        watched.restore(msgspec.structs.replace(before, resources=reached))
        assert diff(watched.view().resources, after.resources) == ()

    check(world, kind, examples, holds)


@EXAMPLES
@KIND
def test_merged_nothing_is_lost(world: AwsWorld, kind: type[Clients], examples: int) -> None:
    def holds(watched: Watched, first: list[Operation], second: list[Operation]) -> None:
        theirs = watched.do(first)
        watched.begin()
        mine = watched.do(second)
        answers = watched.clients.alone(watched.answers())
        report = watched.service.merge(*HERE, theirs)
        merged = watched.view().resources
        assert {name: merged[name] for name in mine.resources} == mine.resources
        assert merged.keys() == mine.resources.keys() | theirs.resources.keys()
        assert set(report.added) == theirs.resources.keys() - mine.resources.keys()
        now = watched.clients.alone(watched.answers())
        assert {question: now[question] for question in answers} == answers
        assert watched.service.merge(*HERE, theirs).delta == ()

    check(world, kind, examples, holds)
