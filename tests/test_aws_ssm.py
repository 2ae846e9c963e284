"""SSM in views: parameters with their history, documents, commands, windows, patch baselines (WO-1, WO-8)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import boto3
import msgspec
import pytest
from moto import mock_aws
from moto.ssm.models import ssm_backends

from holdfast.worlds.aws.services.ssm import DocumentVersion, SsmAdapter, Tags
from tests.aws_kit import ACCOUNT, REGION, MemoryBodies, round_trip, take, unknown_attributes
from tests.aws_touches import watched

PUBLIC = "/aws/service/global-infrastructure/regions/eu-west-1"
CONTENT = {
    "schemaVersion": "2.2",
    "description": "d",
    "parameters": {"z": {"type": "String", "default": "x"}, "a": {"type": "StringList", "default": ["y"]}},
    "mainSteps": [{"action": "aws:runShellScript", "name": "n", "inputs": {"runCommand": ["ls"]}}],
}
YAML = 'schemaVersion: "1.2"\ndescription: e\nruntimeConfig:\n  z: 1\n  a: 2\n'


@pytest.fixture
def ssm(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.setenv("MOTO_ACCOUNT_ID", ACCOUNT)
    with mock_aws():
        yield boto3.client("ssm", region_name=REGION)


@pytest.fixture
def adapter() -> SsmAdapter:
    return SsmAdapter(MemoryBodies())


def test_nothing_of_the_emulator_is_forgotten(adapter: SsmAdapter) -> None:
    assert unknown_attributes(adapter) == {}


def fill(ssm: Any) -> dict[str, str]:
    """One of everything; returns ids."""
    tags = [{"Key": "z", "Value": "1"}, {"Key": "a", "Value": "2"}]
    ssm.put_parameter(Name="/app/url", Value="one", Type="String", Tags=tags, Description="d", AllowedPattern=".*")
    ssm.put_parameter(Name="/app/url", Value="two", Overwrite=True, Tier="Advanced")
    policy = '[{"Type": "Expiration", "Version": "1.0", "Attributes": {"Timestamp": "2030-01-01T00:00:00Z"}}]'
    ssm.put_parameter(Name="/app/url", Value="three", Overwrite=True, Policies=policy)
    ssm.label_parameter_version(Name="/app/url", ParameterVersion=1, Labels=["first", "old"])
    ssm.label_parameter_version(Name="/app/url", ParameterVersion=2, Labels=["old"])
    ssm.put_parameter(Name="/plain", Value="a,b", Type="StringList", Tags=tags)
    ssm.put_parameter(Name="plain", Value="c", Overwrite=True)
    ssm.put_parameter(Name="secret", Value="s", Type="SecureString", KeyId="alias/a")
    ssm.create_document(
        Name="doc", Content=json.dumps(CONTENT), DocumentType="Command", VersionName="v1", Tags=tags,
        Requires=[{"Name": "other", "Version": "1"}], TargetType="/AWS::EC2::Instance",
    )  # fmt: skip
    ssm.update_document(Name="doc", Content=YAML, DocumentFormat="YAML", DocumentVersion="$LATEST", VersionName="v2")
    ssm.update_document_default_version(Name="doc", DocumentVersion="2")
    ssm.modify_document_permission(Name="doc", PermissionType="Share", AccountIdsToAdd=["333333333333", "222222222222"])
    command = ssm.send_command(
        DocumentName="doc", InstanceIds=["i-0123456789abcdef0"], Parameters={"p": ["x"]}, Comment="c",
        NotificationConfig={"NotificationType": "Command"}, OutputS3BucketName="bucket",
    )["Command"]["CommandId"]  # fmt: skip
    window = ssm.create_maintenance_window(
        Name="w-1", Schedule="rate(1 day)", Duration=2, Cutoff=1, AllowUnassociatedTargets=True, Tags=tags,
    )["WindowId"]  # fmt: skip
    target = ssm.register_target_with_maintenance_window(
        WindowId=window, ResourceType="INSTANCE", Targets=[{"Key": "tag:a", "Values": ["b"]}], OwnerInformation="o"
    )["WindowTargetId"]
    ssm.register_task_with_maintenance_window(
        WindowId=window, TaskArn="AWS-RunShellScript", TaskType="RUN_COMMAND", Priority=1,
        Targets=[{"Key": "WindowTargetIds", "Values": [target]}], TaskInvocationParameters={"RunCommand": {}},
    )  # fmt: skip
    baseline = ssm.create_patch_baseline(
        Name="mine", OperatingSystem="AMAZON_LINUX_2", ApprovedPatches=["p1"], Description="d"
    )["BaselineId"]
    ssm.register_patch_baseline_for_patch_group(BaselineId=baseline, PatchGroup="prod")
    return {"command": command, "window": window, "target": target, "baseline": baseline}


def read(ssm: Any, ids: dict[str, str]) -> list[Any]:
    """All that a client can read."""
    answers = [
        ssm.describe_parameters(),
        ssm.get_parameters_by_path(Path="/", Recursive=True, WithDecryption=True),
        ssm.get_parameters_by_path(Path="/app", ParameterFilters=[{"Key": "Label", "Values": ["first"]}]),
        ssm.list_documents(),
        ssm.describe_document_permission(Name="doc", PermissionType="Share"),
        ssm.list_commands(),
        ssm.get_command_invocation(CommandId=ids["command"], InstanceId="i-0123456789abcdef0"),
        ssm.describe_maintenance_windows(),
        ssm.get_maintenance_window(WindowId=ids["window"]),
        ssm.describe_maintenance_window_targets(WindowId=ids["window"]),
        ssm.describe_maintenance_window_tasks(WindowId=ids["window"]),
        ssm.describe_patch_baselines(),
        ssm.get_patch_baseline_for_patch_group(PatchGroup="prod", OperatingSystem="AMAZON_LINUX_2"),
        ssm.get_patch_baseline_for_patch_group(PatchGroup="other", OperatingSystem="AMAZON_LINUX_2"),
        ssm.list_tags_for_resource(ResourceType="Document", ResourceId="doc"),
        ssm.list_tags_for_resource(ResourceType="MaintenanceWindow", ResourceId=ids["window"]),
        ssm.get_parameter(Name="/app/url:first"),
    ]
    for name in ("/app/url", "plain", "secret"):
        answers.append(ssm.get_parameter(Name=name))
        answers.append(ssm.get_parameter_history(Name=name))
        answers.append(ssm.list_tags_for_resource(ResourceType="Parameter", ResourceId=name))
    for version in ("1", "2"):
        answers.append(ssm.describe_document(Name="doc", DocumentVersion=version))
        answers += [ssm.get_document(Name="doc", DocumentVersion=version, DocumentFormat=f) for f in ("JSON", "YAML")]
    return [{key: value for key, value in answer.items() if key != "ResponseMetadata"} for answer in answers]


def forget_empty_tags() -> None:
    """Reads leave them behind."""
    for kinds in ssm_backends[ACCOUNT][REGION]._resource_tags.values():
        for name in [name for name, tags in kinds.items() if not tags]:
            del kinds[name]


def test_everything_comes_back_as_it_was(ssm: Any, adapter: SsmAdapter) -> None:
    ids = fill(ssm)
    before = read(ssm, ids)
    forget_empty_tags()
    records = round_trip(adapter)
    assert read(ssm, ids) == before
    forget_empty_tags()
    assert len(records) == 19
    again = ssm.put_parameter(Name="/app/url", Value="four", Overwrite=True)
    assert again["Version"] == 4
    ssm.update_document(Name="doc", Content=json.dumps({**CONTENT, "description": "f"}), DocumentVersion="$LATEST")
    round_trip(adapter)


def test_text_keeps_its_order_in_canonical_views(ssm: Any, adapter: SsmAdapter) -> None:
    ids = fill(ssm)
    before = read(ssm, ids)
    view = adapter.view_type(service="ssm", version=1, resources=take(adapter))
    canonical = msgspec.json.encode(view, order="deterministic")
    records = msgspec.json.decode(canonical, type=adapter.view_type).resources
    ranked = dict(sorted(records.items(), key=lambda item: item[1].rank))
    adapter.install(ssm_backends[ACCOUNT][REGION], REGION, ranked)
    assert read(ssm, ids) == before


def test_public_parameters_are_captured_only_when_labelled(ssm: Any, adapter: SsmAdapter) -> None:
    value = ssm.get_parameter(Name=PUBLIC)["Parameter"]["Value"]
    count = len(ssm_backends[ACCOUNT][REGION]._parameters)
    assert take(adapter) == {}
    ssm.label_parameter_version(Name=PUBLIC, Labels=["mine"])
    records = take(adapter)
    assert list(records) == [f"parameter/1/{PUBLIC}"]
    adapter.install(ssm_backends[ACCOUNT][REGION], REGION, records)
    assert take(adapter) == records
    assert ssm.get_parameter(Name=PUBLIC + ":mine")["Parameter"]["Value"] == value
    assert len(ssm.get_parameter_history(Name=PUBLIC)["Parameters"]) == 1
    assert len(ssm_backends[ACCOUNT][REGION]._parameters) == count


def test_merged_versions_stand_in_the_order_of_their_numbers(ssm: Any, adapter: SsmAdapter) -> None:
    for value in ("one", "two", "three"):
        ssm.put_parameter(Name="p", Value=value, Type="String", Overwrite=True)
    records = take(adapter)
    backwards = dict(reversed(records.items()))
    adapter.install(ssm_backends[ACCOUNT][REGION], REGION, backwards)
    assert ssm.get_parameter(Name="p")["Parameter"]["Version"] == 3
    assert ssm.put_parameter(Name="p", Value="four", Overwrite=True)["Version"] == 4


def test_tags_of_deleted_parameters_stay_as_they_do_in_the_emulator(ssm: Any, adapter: SsmAdapter) -> None:
    ssm.put_parameter(Name="/p", Value="a", Type="String", Tags=[{"Key": "k", "Value": "v"}])
    ssm.delete_parameter(Name="/p")
    assert list(round_trip(adapter)) == ["tags/Parameter//p"]
    ssm.put_parameter(Name="/p", Value="b", Type="String")
    assert len(ssm.list_tags_for_resource(ResourceType="Parameter", ResourceId="/p")["TagList"]) == 1
    round_trip(adapter)


def test_whatever_changes_was_touched(ssm: Any, adapter: SsmAdapter, monkeypatch: pytest.MonkeyPatch) -> None:
    with watched(adapter, monkeypatch) as check:
        ids = fill(ssm)
        assert len(check()) == 8
        read(ssm, ids)
        ssm.get_parameter(Name=PUBLIC)
        ssm.get_parameters(Names=["plain", "missing"])
        assert check() == set()
        arn = ssm.get_parameter(Name="/plain")["Parameter"]["ARN"]
        ssm.put_parameter(Name="/plain", Value="d", Overwrite=True)
        assert check() == {("parameter", "plain")}
        ssm.unlabel_parameter_version(Name="/app/url", ParameterVersion=2, Labels=["old"])
        assert check() == {("parameter", "/app/url")}
        tag = [{"Key": "k", "Value": "v"}]
        for kind, name, group in (
            ("Parameter", arn, ("parameter", "plain")),
            ("Parameter", "/app/url:1", ("parameter", "/app/url")),
            ("Document", "doc", ("document", "doc")),
            ("MaintenanceWindow", ids["window"], ("windows",)),
        ):
            ssm.add_tags_to_resource(ResourceType=kind, ResourceId=name, Tags=tag)
            assert check() == {group}
            ssm.remove_tags_from_resource(ResourceType=kind, ResourceId=name, TagKeys=["k"])
            assert check() == {group}
        ssm.modify_document_permission(
            Name="doc", PermissionType="Share", AccountIdsToRemove=["333333333333", "222222222222"]
        )
        assert check() == {("document", "doc")}
        ssm.delete_document(Name="doc", DocumentVersion="1")
        assert check() == {("document", "doc")}
        ssm.delete_document(Name="doc")
        assert check() == {("document", "doc")}
        ssm.deregister_target_from_maintenance_window(WindowId=ids["window"], WindowTargetId=ids["target"])
        assert check() == {("windows",)}
        ssm.delete_maintenance_window(WindowId=ids["window"])
        assert check() == {("windows",)}
        ssm.deregister_patch_baseline_for_patch_group(BaselineId=ids["baseline"], PatchGroup="prod")
        ssm.delete_patch_baseline(BaselineId=ids["baseline"])
        assert check() == {("baselines",)}
        ssm.delete_parameters(Names=["/plain", "secret", "missing"])
        assert check() == {("parameter", "plain"), ("parameter", "secret")}
        ssm.delete_parameter(Name="/app/url")
        assert check() == {("parameter", "/app/url")}


def test_touches_take_any_input(ssm: Any) -> None:
    backend = ssm_backends[ACCOUNT][REGION]
    for method, touch in SsmAdapter.touches.items():
        count = {"delete_parameters": 1, "create_document": 9, "update_document": 7}.get(method, 2)
        for hostile in ("", ":", "//", "\ud800", ["a"], [[]]):
            for group in touch(backend, *[hostile] * count):
                hash(group)


def test_bad_views_are_refused(ssm: Any, adapter: SsmAdapter) -> None:
    fill(ssm)
    records = take(adapter)
    version = records["document-version/1/doc"]
    assert isinstance(version, DocumentVersion)
    replaced = {**records, "document-version/1/doc": msgspec.structs.replace(version, content="{")}
    cases: list[tuple[str, dict[str, Any]]] = [
        ("name", {"parameter/7/plain": records["parameter/1/plain"]}),
        ("name", {"document-version/1/doc": version}),
        ("default_version", {name: r for name, r in records.items() if name != "document-version/2/doc"}),
        ("content", replaced),
        ("window_id", {name: r for name, r in records.items() if name.startswith("window-")}),
        ("resource_id", {name: r for name, r in records.items() if isinstance(r, Tags)}),
    ]
    for field, resources in cases:
        assert field in {found.field for found in adapter.check(resources)}, field
