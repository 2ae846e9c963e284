"""pytest plugin: a mock AWS for tests, put back to a checkpoint before each.

It is no part of the package ``holdfast``, since every session of pytest imports it where Holdfast is installed: nothing
of Holdfast is imported here until a test asks for a fixture.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from holdfast.worlds.aws import AwsWorld

_MARKER = "holdfast_world"
_EMPTY = "empty"
_AWS = "AWS_"


def pytest_configure(config: pytest.Config) -> None:
    """Make the marker known."""
    config.addinivalue_line(
        "markers",
        f"{_MARKER}(checkpoint): what the mock AWS of the fixture {_MARKER} is put back to; "
        "by default what it was when it was opened.",
    )


@pytest.fixture(scope="session")
def holdfast_aws() -> Iterator[AwsWorld]:
    """A mock AWS for the session, kept in memory. Fixtures of yours may fill it by ``holdfast_aws.client(service)``, or
    within ``holdfast_aws.patched()``, and call what they have made: ``holdfast_aws.checkpoint(name)``."""
    from holdfast.worlds.aws import AwsWorld

    world = AwsWorld()
    world.checkpoint(_EMPTY)
    try:
        yield world
    finally:
        world.close()


@pytest.fixture
def holdfast_world(
    holdfast_aws: AwsWorld,
    _holdfast_rewinding: _Rewinding,
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[AwsWorld]:
    """The mock AWS as it was at the checkpoint that ``@pytest.mark.holdfast_world(NAME)`` names, else as it was when it
    was opened. boto3 speaks to it during the test, whatever the environment says of AWS."""
    _clean(monkeypatch, holdfast_aws)
    _holdfast_rewinding.go_to(_wanted(request))
    with holdfast_aws.patched():
        yield holdfast_aws


@pytest.fixture(scope="session")
def _holdfast_rewinding(holdfast_aws: AwsWorld) -> _Rewinding:
    return _Rewinding(holdfast_aws)


class _Rewinding:
    """Puts a world back; where nothing has changed since, that is seen at a glance."""

    def __init__(self, world: AwsWorld) -> None:
        self._world = world
        self._there: Any = None
        self._views: Any = None

    def go_to(self, name: str) -> None:
        """Raises:
        CheckpointNotFound: the world has none of that name.
        """
        from holdfast.worlds.comparing import compare

        target = self._world.world.find(name)
        self._world.clear_others()
        if target.id == self._there and not compare(self._views, self._world.snapshot()):
            return
        done = self._world.restore(target)
        self._world.world.forget(done.before)  # nobody goes back to where a test has been
        self._there, self._views = target.id, self._world.snapshot()


def _wanted(request: pytest.FixtureRequest) -> str:
    marker = request.node.get_closest_marker(_MARKER)
    if marker is None:
        return _EMPTY
    if len(marker.args) != 1 or marker.kwargs or not isinstance(marker.args[0], str):
        pytest.fail(f"@pytest.mark.{_MARKER} takes the name of a checkpoint, such as {_EMPTY!r}.", pytrace=False)
    return marker.args[0]


def _clean(monkeypatch: pytest.MonkeyPatch, world: AwsWorld) -> None:
    """Let nothing lead to a real AWS, or to another account than the world's."""
    import boto3

    for name in [name for name in os.environ if name.startswith(_AWS)]:
        monkeypatch.delenv(name)
    environment = {
        "AWS_ACCESS_KEY_ID": world.account_id,
        "AWS_SECRET_ACCESS_KEY": "holdfast",
        "AWS_DEFAULT_REGION": world.region,
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)  # it would keep the credentials it was made with
