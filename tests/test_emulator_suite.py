"""The emulator's own published tests pass through a world's gate as they do without it, and a world sees all that they
do: what it knows of the emulator is what is there, and comes back when it is opened again."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from tests.emulator_suite import SERVICES, Ran, differing, prepared, run

pytestmark = [pytest.mark.prove, pytest.mark.timeout(3600)]
_STACKS = "tests.test_events.test_events_cloudformation"
_LOGGING = "tests.test_s3.test_s3_logging"
_S3 = "tests.test_s3.test_s3"
OUTLIVED = {
    # stacks of CloudFormation, which is no part of a world, hold the objects that they made
    f"{_STACKS}::test_update_archive",
    f"{_STACKS}::test_delete_archive",
    f"{_STACKS}::test_create_rule_with_targets",
    "tests.test_iam.test_iam_cloudformation::test_iam_cloudformation_update_user_no_interruption",
    # the test itself holds a bucket of the emulator
    f"{_LOGGING}::test_bucket_policy_principal",
    f"{_LOGGING}::test_bucket_policy_effect",
    f"{_LOGGING}::test_bucket_policy_action",
    f"{_LOGGING}::test_bucket_policy_resource",
    # not captured: continuation tokens
    f"{_S3}::test_list_objects_truncated_response",
    f"{_S3}::test_list_objects_v2_common_prefix_pagination",
    f"{_S3}::test_list_objects_v2_truncated_response",
    f"{_S3}::test_list_objects_v2_truncated_response_start_after",
    "tests.test_s3.test_s3_list_objects::test_list_object_versions_with_custom_limit",
    # not captured: partitions other than aws
    "tests.test_iam.test_iam::test_create_role_with_permissions_boundary[cn-north-1-aws-cn]",
}
"""They outlive no reopening between two of their requests."""


@pytest.fixture(scope="module")
def suite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return prepared(tmp_path_factory.mktemp("emulator"))


@pytest.fixture(scope="module")
def plain(suite: Path) -> Callable[[str], Ran]:
    """What becomes of a service's tests without the gate."""
    return cache(lambda service: run(suite, service, gate=False))


@pytest.mark.parametrize("service", SERVICES)
def test_the_emulators_own_tests_pass_alike_with_the_gate_and_without(
    suite: Path, plain: Callable[[str], Ran], service: str
) -> None:
    bare, gated = plain(service), run(suite, service, gate=True)
    print(f"\n{service}: {bare.rate()} without the gate, {gated.rate()} with it")
    assert bare.passed > 100
    assert differing(bare, gated) == []


@pytest.mark.parametrize("service", SERVICES)
def test_nothing_that_the_emulators_own_tests_do_is_missed_or_lost(
    suite: Path, plain: Callable[[str], Ran], service: str
) -> None:
    """After each request all is read again, and found to be known; then the services are made anew from what is known,
    and the tests go on with those."""
    found = suite / f"{service}.jsonl"
    gated = run(suite, service, gate=True, checks="tracking,reopening", faults=found)
    print(f"\n{service}: {gated.rate()} on services made anew after each request")
    assert _told(found) == []
    assert differing(plain(service), gated, but=OUTLIVED) == []


def _told(path: Path) -> list[str]:
    faults = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
    return [f"{one['service']}: {one['kind']}: {one['what']} ({one['action']}, {one['test']})" for one in faults]
