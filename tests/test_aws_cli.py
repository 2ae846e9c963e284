"""``holdfast world`` on a mock AWS, as its users meet it."""

from __future__ import annotations

import importlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from typing import Any

import pytest

from holdfast.store import open_store
from holdfast.worlds.aws import AwsWorld
from holdfast.worlds.aws.errors import UnsupportedEmulator
from holdfast.worlds.aws.server import WorldServer
from holdfast.worlds.aws.stored import stored_world
from holdfast.worlds.checkpoints import find_checkpoint
from holdfast.worlds.restoring import begin_restore
from tests.cli_kit import Ran, Run

Call = Callable[..., Ran]
OTHER = "222222222222"


@contextmanager
def shop(url: str, name: str = "shop") -> Iterator[AwsWorld]:
    with open_store(url) as store, closing(AwsWorld(store, name)) as world:
        yield world


def look(world: AwsWorld) -> None:
    """What AWS has in a region from the beginning is noted once somebody looks."""
    world.snapshot()
    world.committed()


def fill(world: AwsWorld) -> None:
    s3, dynamodb = world.client("s3"), world.client("dynamodb")
    s3.create_bucket(Bucket="goods")
    s3.put_object(Bucket="goods", Key="list.txt", Body=b"apples")
    dynamodb.create_table(
        TableName="orders",
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    order(world, 1)
    look(world)


def order(world: AwsWorld, count: int) -> None:
    item = {"id": {"S": "o-1"}, "qty": {"N": str(count)}}
    world.client("dynamodb").put_item(TableName="orders", Item=item)


def change(world: AwsWorld) -> None:
    order(world, 2)
    world.client("s3").put_object(Bucket="goods", Key="new.txt", Body=b"pears")
    world.client("sqs", account=OTHER, region="eu-west-1").create_queue(QueueName="line")
    look(world)


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store in which that world is, with a checkpoint; tests have copies."""
    path = tmp_path_factory.mktemp("filled") / "store.db"
    with shop(f"sqlite:///{path}") as world:
        fill(world)
        world.checkpoint("kept")
    return path


@pytest.fixture
def call(run: Run, sqlite_url: str, filled: Path) -> Call:
    """``holdfast world VERB aws:shop …`` on a store where that world is, attached by nobody."""
    shutil.copy(filled, sqlite_url.removeprefix("sqlite:///"))
    return lambda verb, *args: run("--store", sqlite_url, "world", verb, "aws:shop", *args)


def changed(url: str) -> None:
    with shop(url) as world:
        change(world)


def test_a_mock_aws_goes_back(call: Call, sqlite_url: str) -> None:
    kept = call("checkpoint", "before")
    assert kept.out.startswith("Kept ")
    assert kept.out.endswith(" of aws:shop as before.\n")
    assert call("diff", "before").out == "No differences.\n"
    changed(sqlite_url)
    lines = call("diff", "before").out.splitlines()
    assert [line[:41].rstrip() for line in lines if " events " not in line] == [
        "~ dynamodb 123456789012/us-east-1 item/or",
        "+ s3 123456789012/us-east-1 object/goods/",
        "+ sqs 222222222222/eu-west-1 queue/line",
    ]
    assert lines[0].endswith('attributes.qty {"N":"1"}→{"N":"2"}')
    dry = call("restore", "before", "--dry-run")
    assert dry.out.splitlines()[-1] == "Nothing was changed."
    done = call("restore", "before", "--json").json
    assert done["diff"]["equal"] is False
    assert call("diff", "before").out == "No differences.\n"
    with shop(sqlite_url) as world:
        assert "QueueUrls" not in world.client("sqs", account=OTHER, region="eu-west-1").list_queues()
    assert call("restore", done["before"]).code == 0, "a restore can be undone"
    assert call("diff", "before").out.splitlines() == lines


def test_a_part_of_it_goes_back_alone_and_so_does_its_undoing(call: Call, sqlite_url: str) -> None:
    call("checkpoint", "before")
    changed(sqlite_url)
    everything = call("diff", "before").out
    assert [line[0] for line in call("diff", "before", "--service", "s3").out.splitlines()] == ["+"]
    done = call("restore", "before", "--service", "s3", "--json").json
    assert [part["service"] for part in done["diff"]["parts"]] == ["s3"]
    left = call("diff", "before", "--json").json
    assert {"dynamodb", "sqs"} <= {part["service"] for part in left["parts"]}
    assert "s3" not in {part["service"] for part in left["parts"]}
    assert call("restore", done["before"]).code == 0
    assert call("diff", "before").out == everything


def test_lists_and_forgetting(call: Call, run: Run, sqlite_url: str) -> None:
    call("checkpoint", "one")
    with shop(sqlite_url, "other") as world:
        world.checkpoint("one")
    assert len(run("--store", sqlite_url, "world", "ls", "--json").json["items"]) == 3
    assert [(one["world"], one["name"]) for one in call("ls", "--json").json["items"]] == [
        ("shop", "one"),
        ("shop", "kept"),
    ]
    assert call("forget", "one").out == "Forgot the checkpoint one.\n"
    assert call("forget", "kept").code == 0
    assert call("ls").out == "No checkpoints.\n"


def test_one_view_is_printed_merged_and_restored(call: Call, sqlite_url: str, tmp_path: Path) -> None:
    refused = call("snapshot", "--json")
    assert (refused.code, refused.error["code"]) == (2, "invalid_input")
    assert "--service s3 --account 123456789012 --region us-east-1" in refused.error["remedy"]
    view = tmp_path / "view.json"
    assert call("snapshot", "--service", "dynamodb", "--out", str(view)).code == 0
    assert json.loads(view.read_text())["service"] == "dynamodb"
    assert call("snapshot", "--service", "sqs", "--account", OTHER, "--region", "eu-west-1").json["resources"] == {}
    changed(sqlite_url)
    here = ("--account", "123456789012", "--region", "us-east-1")
    assert call("merge", str(view), "--json").error["message"] == "A view does not say whose it is."
    assert " (kept)" in call("merge", str(view), *here).out
    failed = call("merge", str(view), *here, "--policy", "fail", "--json")
    assert (failed.code, failed.error["code"]) == (4, "merge_conflict")
    assert call("diff", str(view), *here).out.endswith('attributes.qty {"N":"1"}→{"N":"2"}\n')
    assert call("restore", str(view), *here).code == 0
    assert call("diff", str(view), *here).out == "No differences.\n"
    assert call("merge", str(view), "--account", OTHER, "--region", "eu-west-1").out.startswith(
        "+ dynamodb 222222222222/eu-west-1 "
    )


def test_a_reset_can_be_undone(call: Call, sqlite_url: str) -> None:
    call("checkpoint", "before")
    assert call("reset", "--dry-run").out.splitlines()[-1] == "Nothing was changed."
    done = call("reset", "--json").json
    with shop(sqlite_url) as world:
        assert world.client("s3").list_buckets()["Buckets"] == []
    assert call("restore", done["before"]).code == 0
    assert call("diff", "before").out == "No differences.\n"


def test_who_only_looks_need_not_wait_for_who_has_it(call: Call, run: Run, sqlite_url: str, tmp_path: Path) -> None:
    file = tmp_path / "shop.hfworld"
    with shop(sqlite_url) as world, WorldServer(world) as server:
        for verb in (["checkpoint", "before"], ["ls"], ["diff", "before"], ["export", str(file)]):
            assert call(*verb).code == 0
        assert call("snapshot", "--service", "s3").code == 0
        assert call("import", str(file), "--only-checkpoint", "brought").code == 0
        change(world)
        assert call("restore", "before", "--dry-run").out.splitlines()[-1] == "Nothing was changed."
        for verb in (["restore", "before"], ["merge", "before"], ["reset"], ["import", str(file)]):
            refused = call(*verb, "--json")
            assert (refused.code, refused.error["code"]) == (4, "world_attached")
            assert server.endpoint in refused.error["message"]
            assert "/_world" in refused.error["remedy"]
    assert call("restore", "brought").code == 0
    assert call("diff", "before").out == "No differences.\n"


def test_a_world_goes_to_another_store(call: Call, run: Run, sqlite_url: str, tmp_path: Path) -> None:
    first, second = tmp_path / "a.hfworld", tmp_path / "b.hfworld"
    call("checkpoint", "before")
    changed(sqlite_url)
    written = call("export", str(first), "--checkpoint", "before", "--json").json
    assert (written["bodies"], written["size"]) == (1, first.stat().st_size)
    there = ("--store", f"sqlite:///{tmp_path / 'there.db'}", "world")
    brought = run(*there, "import", "aws:copy", str(first))
    assert brought.code == 0, brought.err
    assert "+ s3 123456789012/us-east-1 bucket/goods" in brought.out
    assert run(*there, "export", "aws:copy", str(second)).out.startswith("Wrote ")
    assert second.read_bytes() == first.read_bytes()
    with shop(f"sqlite:///{tmp_path / 'there.db'}", "copy") as world:
        assert world.client("s3").get_object(Bucket="goods", Key="list.txt")["Body"].read() == b"apples"
    assert run(*there, "import", "aws:copy", str(second)).out == "No differences.\n"


def test_a_checkpoint_of_nothing(run: Run, sqlite_url: str) -> None:
    with shop(sqlite_url):
        assert run("--store", sqlite_url, "world", "checkpoint", "aws:shop", "nothing").code == 0
        assert run("--store", sqlite_url, "world", "diff", "aws:shop", "nothing").out == "No differences.\n"


def test_an_unknown_world_is_told_with_those_there_are(call: Call, run: Run, sqlite_url: str) -> None:
    verbs: list[list[str]] = [["ls"], ["checkpoint", "x"], ["diff", "x"], ["restore", "x"], ["reset"], ["abandon"]]
    for verb, *args in verbs:
        refused = run("--store", sqlite_url, "world", verb, "aws:shopp", *args, "--json")
        assert (refused.code, refused.error["code"]) == (3, "world_not_found")
        assert refused.error["remedy"] == "It has: aws:shop."


def test_a_store_without_worlds_is_told_how_to_make_one(run: Run, sqlite_url: str) -> None:
    with open_store(sqlite_url):
        pass
    refused = run("--store", sqlite_url, "world", "checkpoint", "aws:shop", "x", "--json")
    assert (refused.code, refused.error["code"]) == (3, "world_not_found")
    assert "holdfast world serve" in refused.error["remedy"]


def test_an_interrupted_restore_is_carried_out_by_whoever_looks(call: Call, sqlite_url: str) -> None:
    made = call("checkpoint", "before", "--json").json
    changed(sqlite_url)
    with open_store(sqlite_url) as store:
        target = store.read(lambda tx: find_checkpoint(tx, "shop", made["id"]))
        assert target is not None
        store.run(lambda tx: begin_restore(tx, target))
    assert call("diff", "before", "--service", "dynamodb").out == "No differences.\n"
    assert call("abandon").out == "There is no interrupted restore.\n"


@pytest.mark.parametrize(
    ("args", "code", "error"),
    [
        (["checkpoint", "a/b"], 2, "invalid_scope"),
        (["checkpoint", "kept"], 4, "checkpoint_exists"),
        (["checkpoint", "x", "--account", OTHER], 2, "invalid_input"),
        (["checkpoint", "x", "--exclude", "x"], 2, "invalid_input"),
        (["checkpoint", "x", "--world", "x"], 2, "invalid_input"),
        (["restore", "nothing"], 3, "checkpoint_not_found"),
        (["restore", "kept", "--service", "lambda"], 2, "unknown_service"),
        (["restore", "kept", "--account", "1"], 2, "invalid_account"),
        (["restore", "kept", "--account", OTHER], 2, "invalid_scope"),
        (["restore", "kept", "--region", "mars"], 2, "unknown_region"),
        (["restore", "{broken}"], 2, "invalid_view"),
        (["restore", "{foreign}"], 2, "invalid_input"),
        (["restore", "{broken}", "--account", OTHER, "--region", "eu-west-1"], 2, "invalid_view"),
        (["restore", "{strange}", "--account", OTHER, "--region", "eu-west-1"], 2, "unknown_service"),
        (["restore", "{foreign}", "--account", OTHER, "--region", "eu-west-1"], 2, "view_version"),
        (["restore", "{dangling}", "--account", OTHER, "--region", "eu-west-1"], 2, "invalid_view"),
        (["restore", "{dangling}", "--account", OTHER, "--region", "eu-west-1", "--dry-run"], 2, "invalid_view"),
        (["restore", "{dangling}", "--account", OTHER, "--region", "global"], 2, "wrong_region"),
        (["restore", "{dangling}", "--account", OTHER, "--region", "eu-west-1", "--service", "s3"], 2, "invalid_input"),
        (["merge", "{zip}", "--account", OTHER, "--region", "eu-west-1"], 2, "unreadable_view"),
        (["merge", "kept", "--policy", "guess"], 2, "usage"),
        (["import", "{broken}"], 2, "invalid_world_archive"),
        (["import", "/nonexistent"], 2, "unreadable_archive"),
        (["import", "{broken}", "--only-checkpoint", "a/b"], 2, "invalid_scope"),
        (["export", "/nonexistent/x"], 2, "unreadable_archive"),
        (["export", "x", "--checkpoint", "nothing"], 3, "checkpoint_not_found"),
    ],
)
def test_bad_input(
    call: Call, tmp_path: Path, args: list[str], code: int, error: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    message = {"type": "item", "attributes": {"id": {"S": "x"}}}
    views: dict[str, Any] = {
        "strange": {"service": "lambda", "version": 1, "resources": {}},
        "foreign": {"service": "sqs", "version": 99, "resources": {}},
        "dangling": {"service": "dynamodb", "version": 1, "resources": {"item/nowhere/S:x": message}},
    }
    files = {name: json.dumps(view) for name, view in views.items()} | {"broken": "{", "zip": "PK\x03\x04"}
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    ended = call(args[0], *(arg.format(**{name: tmp_path / name for name in files}) for arg in args[1:]), "--json")
    assert (ended.code, ended.error["code"]) == (code, error), ended.err
    assert ended.error["remedy"]
    assert call("diff", "kept").out == "No differences.\n"
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize("target", ["/", ".", "", "..", "pipe", "folder", "link", "dangling"])
def test_an_export_replaces_files_alone(
    call: Call, tmp_path: Path, target: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "out" / "folder").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "out")
    os.mkfifo("pipe")
    Path("file").write_bytes(b"mine")
    Path("link").symlink_to("file")
    Path("dangling").symlink_to("nothing")
    before = {path.name: path.lstat() for path in Path().iterdir()}
    ended = call("export", target, "--json")
    assert (ended.code, ended.error["code"]) == (2, "invalid_input"), ended.err
    assert ended.error["remedy"]
    assert {path.name: path.lstat() for path in Path().iterdir()} == before
    assert call("export", "file").code == 0
    assert Path("file").read_bytes() != b"mine"


@pytest.mark.parametrize("name", ["aws:", "aws:../x"])
def test_names_that_cannot_be(run: Run, sqlite_url: str, name: str) -> None:
    ended = run("--store", sqlite_url, "world", "ls", name, "--json")
    assert (ended.code, ended.error["code"]) == (2, "usage")


def test_a_service_is_asked_for_of_a_directory(run: Run, sqlite_url: str, tmp_path: Path) -> None:
    (tmp_path / "aws:dir").mkdir()
    ended = run("--store", sqlite_url, "world", "diff", str(tmp_path / "aws:dir"), "x", "--service", "s3", "--json")
    assert (ended.code, ended.error["code"]) == (2, "invalid_input")


def test_the_command_line_starts_without_the_emulator() -> None:
    script = (
        "import sys\nfrom holdfast.cli.main import main\n"
        "assert main(['world', 'ls', 'aws:x', '--store', 'sqlite:///nowhere.db']) == 3\n"
        "assert not {'moto', 'boto3', 'botocore', 'werkzeug'} & sys.modules.keys(), 'imported'\n"
    )
    told = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert told.returncode == 0, told.stderr


def test_who_only_looks_sees_one_moment_in_each_thread(sqlite_url: str) -> None:
    with open_store(sqlite_url) as store, closing(AwsWorld(store, "shop")) as world, ExitStack() as first:
        s3 = world.client("s3")
        s3.create_bucket(Bucket="goods")
        sees: Any = stored_world(store, "shop").services["s3"]
        with ThreadPoolExecutor(1) as thread:
            thread.submit(first.enter_context, sees.cut).result()
            s3.put_object(Bucket="goods", Key="k", Body=b"x")
            with sees.cut, sees.cut:
                mine = sees.snapshot("123456789012", "us-east-1")
            theirs = thread.submit(sees.snapshot, "123456789012", "us-east-1").result()
            thread.submit(first.close).result()
            again = thread.submit(sees.snapshot, "123456789012", "us-east-1").result()
    assert [len(view.resources) for view in (mine, theirs, again)] == [2, 1, 2]


def test_without_the_extra_it_is_told_how_to_install_it(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> str:
        raise PackageNotFoundError(name)

    monkeypatch.setattr("holdfast.worlds.aws.emulator.version", missing)
    refused = call("checkpoint", "x", "--json")
    assert (refused.code, refused.error["code"]) == (2, "emulator_missing")
    assert "holdfast[aws]" in refused.error["remedy"]


def test_an_emulator_that_views_may_be_incomplete_for_is_refused(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("holdfast.worlds.aws.emulator.version", lambda _: "5.3.0")
    refused = call("checkpoint", "x", "--json")
    assert (refused.code, refused.error["code"]) == (2, "unsupported_emulator")
    assert "moto 5.3.0" in refused.error["message"]
    with pytest.raises(UnsupportedEmulator):
        importlib.import_module("holdfast.worlds.aws").AwsWorld  # noqa: B018 - asking for it is what is refused
