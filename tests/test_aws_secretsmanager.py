"""Secrets Manager in views: secrets with all versions, binary too, rotations under way, replicas (WO-1, WO-8)."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator
from typing import Any

import boto3
import msgspec
import pytest
from moto import mock_aws
from moto.secretsmanager.models import secretsmanager_backends

from holdfast.worlds.aws import AwsWorld
from holdfast.worlds.aws.services.secretsmanager import Replica, Secret, SecretsManagerAdapter
from holdfast.worlds.aws.tracking import Tracker
from tests.aws_kit import ACCOUNT, REGION, MemoryBodies, round_trip, take, unknown_attributes
from tests.aws_touches import watched

ELSEWHERE = "us-east-1"
TOKEN = "0123456789abcdef/0123456789abcdef"


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.setenv("MOTO_ACCOUNT_ID", ACCOUNT)
    with mock_aws():
        yield boto3.client("secretsmanager", region_name=REGION)


@pytest.fixture
def adapter() -> SecretsManagerAdapter:
    return SecretsManagerAdapter(MemoryBodies())


def test_nothing_of_the_emulator_is_forgotten(adapter: SecretsManagerAdapter) -> None:
    assert unknown_attributes(adapter) == {}


def fill(client: Any) -> None:
    """One of everything."""
    client.create_secret(
        Name="app/db",
        SecretString="one",
        Description="d",
        KmsKeyId="alias/a",
        Tags=[{"Key": "z", "Value": "1"}, {"Key": "a", "Value": "2"}],
    )
    client.put_secret_value(SecretId="app/db", SecretString="two", ClientRequestToken=TOKEN)
    client.put_secret_value(SecretId="app/db", SecretBinary=b"\x00\xff", VersionStages=["mine"])
    client.put_resource_policy(SecretId="app/db", ResourcePolicy='{"Version": "2012-10-17", "Statement": []}')
    client.create_secret(Name="binary", SecretBinary=b"\x00\xff")
    client.create_secret(Name="empty")
    client.create_secret(Name="deleted", SecretString="x")
    client.delete_secret(SecretId="deleted", RecoveryWindowInDays=7)
    client.create_secret(Name="turning", SecretString="x")
    client.rotate_secret(SecretId="turning", RotationRules={"AutomaticallyAfterDays": 3}, RotateImmediately=False)
    client.create_secret(Name="wide", SecretString="everywhere", AddReplicaRegions=[{"Region": ELSEWHERE}])


def read(client: Any) -> list[Any]:
    """All that a client can read, but what the emulator makes of the present moment."""
    answers = [client.list_secrets(IncludePlannedDeletion=True)]
    for secret in answers[0]["SecretList"]:
        name = secret["ARN"]
        answers.append(client.describe_secret(SecretId=name))
        versions = client.list_secret_version_ids(SecretId=name)
        answers.append({"Versions": [{**one, "LastAccessedDate": 0, "CreatedDate": 0} for one in versions["Versions"]]})
        for version in versions["Versions"] if "DeletedDate" not in secret else ():
            answers.append(_value(client, name, version["VersionId"]))
        if "PrimaryRegion" not in secret:
            answers.append(client.get_resource_policy(SecretId=name))
    return [{key: value for key, value in answer.items() if key != "ResponseMetadata"} for answer in answers]


def _value(client: Any, name: str, version: str) -> Any:
    try:
        return client.get_secret_value(SecretId=name, VersionId=version)
    except client.exceptions.ResourceNotFoundException as error:
        return {"error": str(error)}


def test_everything_comes_back_as_it_was(client: Any, adapter: SecretsManagerAdapter) -> None:
    fill(client)
    before = read(client)
    records = round_trip(adapter)
    assert read(client) == before
    assert len([name for name in records if name.startswith("version/")]) == 8
    assert [record.value.binary for name, record in records.items() if name.endswith("/binary") and "version" in name]
    client.restore_secret(SecretId="deleted")
    client.update_secret_version_stage(SecretId="app/db", VersionStage="mine", MoveToVersionId=TOKEN)
    assert client.get_secret_value(SecretId="app/db", VersionStage="AWSCURRENT")["SecretString"] == "two"
    round_trip(adapter)


def test_binary_secrets_are_bytes(client: Any, adapter: SecretsManagerAdapter) -> None:
    client.create_secret(Name="binary", SecretBinary=b"\x00\xff")
    records = take(adapter)
    assert [record.value.binary for name, record in records.items() if name.startswith("version/")] == [b"\x00\xff"]
    (version,) = secretsmanager_backends[ACCOUNT][REGION].secrets["binary"].versions.values()
    version["secret_binary"] = b64encode(b"\x00\xff").decode().rstrip("=")
    round_trip(adapter)


def test_replicas_and_primaries_find_each_other_in_any_order(client: Any, adapter: SecretsManagerAdapter) -> None:
    fill(client)
    other = boto3.client("secretsmanager", region_name=ELSEWHERE)
    here, there = take(adapter), take(adapter, region=ELSEWHERE)
    before = read(client), read(other)
    (replica,) = there.values()
    assert isinstance(replica, Replica)
    states = {REGION: here, ELSEWHERE: there}
    for regions in ((REGION, ELSEWHERE), (ELSEWHERE, REGION)):
        for region in regions:
            adapter.install(secretsmanager_backends[ACCOUNT][region], region, {})
        assert take(adapter) == take(adapter, region=ELSEWHERE) == {}
        for region in regions:
            adapter.install(secretsmanager_backends[ACCOUNT][region], region, states[region])
            assert take(adapter, region=region) == states[region]
        assert (read(client), read(other)) == before
    client.put_secret_value(SecretId="wide", SecretString="new")
    assert other.get_secret_value(SecretId="wide")["SecretString"] == "new"
    client.remove_regions_from_replication(SecretId="wide", RemoveReplicaRegions=[ELSEWHERE])
    assert take(adapter, region=ELSEWHERE) == {}


def test_whatever_changes_was_touched(
    client: Any, adapter: SecretsManagerAdapter, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(client)
    arn = client.describe_secret(SecretId="app/db")["ARN"]
    with watched(adapter, monkeypatch) as check:
        read(client)
        client.batch_get_secret_value(SecretIdList=["app/db"])
        assert check() == set()
        client.put_secret_value(SecretId=arn, SecretString="three")
        assert check() == {("secret", "app/db")}
        client.update_secret(SecretId="app/db", Description="new", ClientRequestToken=TOKEN[::-1])
        assert check() == {("secret", "app/db")}
        client.update_secret_version_stage(SecretId=arn[:-7], VersionStage="x", MoveToVersionId=TOKEN)
        assert check() == {("secret", "app/db")}
        client.tag_resource(SecretId=arn, Tags=[{"Key": "k", "Value": "v"}])
        assert check() == {("secret", "app/db")}
        client.untag_resource(SecretId=arn, TagKeys=["k"])
        assert check() == {("secret", "app/db")}
        client.delete_resource_policy(SecretId=arn)
        assert check() == {("secret", "app/db")}
        client.rotate_secret(SecretId="app/db")
        assert check() == {("secret", "app/db")}
        client.restore_secret(SecretId="deleted")
        assert check() == {("secret", "deleted")}
        client.delete_secret(SecretId="deleted", ForceDeleteWithoutRecovery=True)
        assert check() == {("secret", "deleted")}
        client.create_secret(Name="new", SecretString="n")
        assert check() == {("secret", "new")}


def test_what_replication_does_elsewhere_is_told(
    client: Any, adapter: SecretsManagerAdapter, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = boto3.client("secretsmanager", region_name=ELSEWHERE)
    other.create_secret(Name="wide", SecretString="old")
    other.create_secret(Name="late", SecretString="old")
    with watched(adapter, monkeypatch, region=ELSEWHERE) as check:
        regions = [{"Region": ELSEWHERE}]
        client.create_secret(Name="wide", SecretString="x", AddReplicaRegions=regions, ForceOverwriteReplicaSecret=True)
        assert check() == {("secret", "wide"), ("replica", REGION, "wide")}
        client.create_secret(Name="late", SecretString="x")
        client.replicate_secret_to_regions(SecretId="late", AddReplicaRegions=regions)
        assert check() == set()
        client.remove_regions_from_replication(SecretId="wide", RemoveReplicaRegions=[ELSEWHERE])
        assert check() == {("replica", REGION, "wide")}
    client.replicate_secret_to_regions(SecretId="wide", AddReplicaRegions=regions)
    (version,) = secretsmanager_backends[ACCOUNT][REGION].secrets["wide"].versions
    with watched(adapter, monkeypatch) as check:
        other.update_secret_version_stage(SecretId="wide", VersionStage="x", MoveToVersionId=version)
        assert check() == {("secret", "wide")}


def test_a_change_elsewhere_is_told_in_its_own_region(client: Any, adapter: SecretsManagerAdapter) -> None:
    backend, tracker = secretsmanager_backends[ACCOUNT][REGION], Tracker({"secretsmanager": adapter})
    given: dict[str, Any] = {"replica_regions": [{"Region": ELSEWHERE}], "force_overwrite": False}
    values = ("wide", "x", None, None, None, None, TOKEN)
    tracker.note("secretsmanager", backend, adapter.touches["create_secret"], values, given)
    backend.create_secret(*values, **given)
    told = {settled.scope.region: [change.resource for change in settled.delta] for settled in tracker.settle()}
    version = f"version/{TOKEN.replace('/', '%2F')}/wide"
    assert told == {REGION: ["secret/wide", version], ELSEWHERE: [f"replica/{REGION}/wide"]}


def test_touches_take_any_input(client: Any) -> None:
    backend = secretsmanager_backends[ACCOUNT][REGION]
    for touch in SecretsManagerAdapter.touches.values():
        for hostile in ("", "arn:aws:secretsmanager:::", "\ud800"):
            assert len(list(touch(backend, *[hostile] * 3))) < 2


def test_bad_views_are_refused(client: Any, adapter: SecretsManagerAdapter) -> None:
    fill(client)
    records = take(adapter)
    name = "secret/app/db"
    versions = {one: record for one, record in records.items() if one.startswith("version/")}
    cases: list[tuple[str, dict[str, Any]]] = [
        ("name", {"secret/x": records[name]}),
        ("default_version_id", {name: records[name]}),
        ("name", versions),
        ("name", {f"version/x/{one}": record for one, record in versions.items()}),
        ("name", {"version": next(iter(versions.values()))}),
    ]
    for field, resources in cases:
        assert {found.field for found in adapter.check(resources)} == {field}, resources
    assert isinstance(records[name], Secret)
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"type": "secret", "name": 1}, type=Secret)


def test_a_merge_leaves_the_present_value_the_current_one() -> None:
    with AwsWorld(account=ACCOUNT, region=REGION) as world:
        client = world.client("secretsmanager")
        client.create_secret(Name="s", SecretString="theirs")
        view = world.secretsmanager.snapshot(ACCOUNT, REGION)
        world.reset()
        client.create_secret(Name="s", SecretString="mine")
        report = world.secretsmanager.merge(ACCOUNT, REGION, view)
        assert len(report.added) == 1
        assert client.get_secret_value(SecretId="s")["SecretString"] == "mine"
        client.put_secret_value(SecretId="s", SecretString="newer")
        assert client.get_secret_value(SecretId="s", VersionStage="AWSCURRENT")["SecretString"] == "newer"
        (added,) = report.added
        version = added.split("/")[1]
        assert client.get_secret_value(SecretId="s", VersionId=version)["SecretString"] == "theirs"
