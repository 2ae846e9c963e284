"""What random operations of clients on any service share, and how answers are compared."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from botocore.config import Config
from botocore.exceptions import ClientError
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from holdfast.worlds.aws import AwsWorld
from tests.aws_kit import ACCOUNT, REGION

Operation = tuple[str, tuple[Any, ...]]
"""The name of a method of a service's clients, and its arguments."""

texts = st.sampled_from(["", "x", "y", "ä\n☃"])
few = st.integers(0, 3)


class Clients:
    """Clients of one service, that know what they were given before: uploads and parts, receipt handles."""

    service: str
    operations: SearchStrategy[Operation]

    def __init__(self, world: AwsWorld) -> None:
        config = Config(retries={"max_attempts": 0}, connect_timeout=1, read_timeout=1)
        self.client = world.client(self.service, account=ACCOUNT, region=REGION, config=config)

    def begin(self) -> None:
        """Forget what was given, and make what most operations need."""

    def do(self, operation: Operation) -> bool:
        """Returns whether it was done: it may be refused, and at some the emulator itself fails, maybe half way."""
        name, arguments = operation
        try:
            getattr(self, name)(*arguments)
        except Exception:
            return False
        return True

    def answers(self) -> dict[str, Any]:
        """Of every read of everything there is, by the question."""
        raise NotImplementedError

    def alone(self, answers: dict[str, Any]) -> dict[str, Any]:
        """Those of the answers that are of one resource, whatever else there is."""
        raise NotImplementedError


def operation(name: str, *arguments: SearchStrategy[Any]) -> SearchStrategy[Operation]:
    return st.tuples(st.just(name), st.tuples(*arguments))


def answer(read: Callable[..., Any], **arguments: Any) -> Any:
    """What a client is told, without what is of the one request; at some the emulator itself fails."""
    try:
        return {**read(**arguments), "ResponseMetadata": None}
    except ClientError as error:
        return error.response["Error"]
    except (AttributeError, KeyError) as error:
        return str(error)
