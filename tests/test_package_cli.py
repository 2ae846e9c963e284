"""``holdfast package`` from the outside: what it prints, its exit codes, what it leaves as it was."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from holdfast.errors import HoldfastError
from holdfast.flows import FlowStatus
from holdfast.packages.archive import Archive
from holdfast.store import Store, open_store
from tests.cli_kit import Run
from tests.package_kit import archive, deployed, pin, routes, split_of, written

BOTH = ("fulfil", "refund")
ORDERS = """
from holdfast import workflow

@workflow
async def fulfil(order: str) -> str:
    return order
"""


class Refused(HoldfastError):
    """It cannot be loaded."""

    code = "version_not_loadable"


@pytest.fixture
def loaded(monkeypatch: pytest.MonkeyPatch) -> list[Archive]:
    """What was loaded before it was deployed; nothing really is."""
    seen: list[Archive] = []
    monkeypatch.setattr("holdfast.hosting.building.validate", seen.append)
    return seen


@pytest.fixture
def store(url: str) -> Any:
    with open_store(url) as store:
        yield store


@pytest.fixture
def asked(store: Store, url: str, run: Run) -> Any:
    """Asks for JSON on the store."""
    return lambda *args: run("package", *args, "--store", url, "--json")


def test_a_project_is_built_deployed_and_verified(
    sqlite_url: str, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOLDFAST_CACHE", str(tmp_path / "cache"))
    open_store(sqlite_url).close()
    project = tmp_path / "shop"
    project.mkdir()
    (project / "pyproject.toml").write_text('[tool.holdfast.package]\nname = "shop"\nlabel = "spring"\n')
    (project / "orders.py").write_text(ORDERS)
    key, file = str(tmp_path / "key"), tmp_path / "out.hfpkg"
    assert run("audit", "keygen", key).code == 0
    built = run("package", "build", str(project), "-o", str(file), "--sign", key, "--json")
    assert built.code == 0, built.err
    assert (built.json["workflows"], built.json["label"]) == (["fulfil"], "spring")
    sound = run("package", "verify", str(file), "--key", f"{key}.pub", "--json")
    assert (sound.code, sound.json["signed_by"]) == (0, [built.json["key_id"]])
    assert run("package", "trust", "add", f"{key}.pub", "--store", sqlite_url).code == 0
    assert run("package", "trust", "require", "on", "--store", sqlite_url).code == 0
    ran = run("package", "deploy", str(file), "--store", sqlite_url)
    assert (ran.code, ran.err) == (0, "")
    assert f"fulfil: no package → {built.json['content_hash'][:12]}" in ran.out
    monkeypatch.chdir(tmp_path)
    again = run("package", "build", str(project), "--json")
    assert again.json["content_hash"] == built.json["content_hash"]
    named = tmp_path / again.json["file"]
    assert named.read_bytes() == file.read_bytes()
    unsigned = run("package", "deploy", str(named), "--store", sqlite_url)
    assert unsigned.code == 0, "its signature is in the store"


def test_what_cannot_be_loaded_is_not_deployed(
    asked: Any, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(archive: Archive) -> None:
        raise Refused("It has no such module.")

    old = archive("old")
    deployed(store, old)
    monkeypatch.setattr("holdfast.hosting.building.validate", refuse)
    ran = asked("deploy", str(written(tmp_path, "new")))
    assert (ran.code, ran.error["code"]) == (1, "version_not_loadable")
    assert routes(store) == {"fulfil": old.content_hash}


def test_routes_move_and_are_told(asked: Any, store: Store, tmp_path: Path, loaded: list[Archive]) -> None:
    old, new = archive("old", *BOTH), archive("new", *BOTH)
    for text in ("old", "new"):
        ran = asked("deploy", str(written(tmp_path, text, *BOTH)))
        assert [row["subject"] for row in ran.json["routed"]] == list(BOTH)
    assert loaded == [old, new]
    moved = asked("route", "fulfil", old.content_hash[:8]).json
    assert (moved["row"]["detail"]["from"], moved["row"]["detail"]["to"]) == (new.content_hash, old.content_hash)
    assert asked("route", "fulfil", new.content_hash[:10], "--percent", "12.5").json["row"]["detail"]["percent"] == 12.5
    assert split_of(store) == (new.content_hash, 1250)
    assert asked("rollback", "fulfil").json["row"]["act"] == "package.rolled_back"
    assert split_of(store) is None
    assert asked("route", "fulfil", new.content_hash[:8], "--percent", "0").json == {"changed": False}
    assert asked("retire", "fulfil").json["row"]["detail"]["to"] is None
    assert asked("route", "fulfil", "ab" * 32, "--supplied").code == 0
    assert routes(store) == {"fulfil": "ab" * 32, "refund": new.content_hash}
    shown = asked("versions", "refund").json["items"]
    assert [(each["content_hash"], each["percent"]) for each in shown] == [
        (new.content_hash, 100),
        (old.content_hash, 0),
    ]
    page = asked("versions", "--limit", "3").json
    rest = asked("versions", "--after", page["next"]).json
    assert (len(page["items"]), len(rest["items"]), rest["next"]) == (3, 1, None)
    assert asked("versions", "--package", "absent").json["items"] == []


def test_a_deploy_by_percent_says_what_stays(
    url: str, store: Store, run: Run, tmp_path: Path, loaded: list[Archive]
) -> None:
    old, new = archive("old"), archive("new")
    deployed(store, old)
    ran = run("package", "deploy", str(written(tmp_path, "new")), "--percent", "10", "--store", url)
    assert f"fulfil: stays at {old.content_hash[:12]}…, 10 % of new flows start on {new.content_hash[:12]}…." in ran.out
    table = run("package", "versions", "--store", url).out
    assert "90 %" in table
    assert "10 %" in table


def test_unload_is_refused_while_it_is_needed(asked: Any, url: str, run: Run, store: Store) -> None:
    old, new = archive("old"), archive("new")
    deployed(store, old, new)
    short = old.content_hash[:8]
    held = pin(store, old, FlowStatus.FINISHED)
    ran = asked("unload", "fulfil", short)
    assert (ran.code, ran.error["code"]) == (4, "version_pinned")
    assert str(held) in ran.error["message"]
    assert asked("unload", "fulfil", new.content_hash[:8]).error["code"] == "route_active"
    told = run("package", "unload", "fulfil", short, "--forsake-ended", "--store", url)
    assert "1 ended flow cannot be rewound any more" in told.out
    assert asked("unload", "fulfil", old.content_hash).json == {"changed": False}


def test_gc_lists_what_it_would_delete(asked: Any, url: str, run: Run, store: Store) -> None:
    found = [archive(str(number)) for number in range(4)]
    deployed(store, *found)
    wanted = sorted(each.content_hash for each in found[:2])
    for options in (["--dry-run"], []):
        page = asked("gc", "--keep", "2", *options).json
        assert ([each["content_hash"] for each in page["items"]], page["next"]) == (wanted, None)
    assert "0 versions deleted." in run("package", "gc", "--store", url).out


def test_diff_takes_files_and_hashes(asked: Any, url: str, run: Run, store: Store, tmp_path: Path) -> None:
    old = archive("old")
    deployed(store, old)
    file = written(tmp_path, "new", *BOTH)
    found = asked("diff", old.content_hash[:8], str(file)).json
    assert (found["old"], found["workflows_added"], found["compatible"]) == (old.content_hash, ["refund"], True)
    told = run("package", "diff", str(file), old.content_hash, "--text", "--store", url)
    assert told.code == 0
    assert "- workflow refund" in told.out
    assert "not compatible" in told.out
    assert "+old" in told.out


def test_a_file_is_verified(run: Run, tmp_path: Path) -> None:
    file = written(tmp_path, "one")
    assert "is sound, unsigned" in run("package", "verify", str(file)).out
    file.write_bytes(file.read_bytes()[:-1])
    ran = run("package", "verify", str(file), "--json")
    assert (ran.code, ran.error["code"]) == (2, "not_an_archive")


def test_signatures_beside_a_file_are_of_that_file(run: Run, tmp_path: Path) -> None:
    keys = [str(tmp_path / name) for name in ("mine", "other")]
    for key in keys:
        assert run("audit", "keygen", key).code == 0
    file = written(tmp_path, "one")
    (tmp_path / "one.hfpkg.sig").write_text("no signatures")
    for args in (["verify", str(file), "--key", f"{keys[0]}.pub"], ["deploy", str(file)]):
        ran = run("package", *args, "--json")
        assert (ran.code, ran.error["code"]) == (2, "package_signature_file_invalid")
    (tmp_path / "one.hfpkg.sig").unlink()
    ran = run("package", "verify", str(file), "--key", f"{keys[0]}.pub", "--json")
    assert (ran.code, ran.error["code"]) == (3, "package_signature_missing")


def test_keys_are_trusted_and_not_any_more(asked: Any, run: Run, tmp_path: Path) -> None:
    key = str(tmp_path / "key")
    assert run("audit", "keygen", key).code == 0
    first, again = asked("trust", "add", f"{key}.pub").json, asked("trust", "add", f"{key}.pub").json
    assert (first["changed"], again["changed"]) == (True, False)
    assert [each["key_id"] for each in asked("trust", "ls").json["items"]] == [first["key_id"]]
    assert asked("trust", "require", "on").json == {"required": True, "changed": True}
    assert asked("trust", "rm", first["key_id"]).code == 0
    assert asked("trust", "rm", first["key_id"]).code == 3
    assert asked("trust", "require", "maybe").code == 2


@pytest.mark.parametrize(
    ("args", "code", "named"),
    [
        (["route", "fulfil", "abc"], 2, "invalid_content_hash"),
        (["route", "fulfil", "deadbeef"], 3, "package_not_found"),
        (["route", "fulfil", "ab" * 32], 3, "package_not_found"),
        (["route", "fulfil", "OLD", "--percent", "nan"], 2, "invalid_split"),
        (["route", "fulfil", "OLD", "--percent", "-1"], 2, "invalid_split"),
        (["route", "fulfil", "NEW", "--percent", "1"], 2, "invalid_split"),
        (["route", "fulfil", "OLD", "--percent", "ten"], 2, "usage"),
        (["rollback", "absent"], 4, "nothing_to_roll_back"),
        (["retire", "absent"], 3, "package_route_not_found"),
        (["unload", "a\nb", "deadbeef"], 2, "invalid_workflow_type"),
        (["versions", "--after", "nonsense"], 2, "invalid_cursor"),
        (["gc", "--keep", "-1"], 2, "usage"),
        (["deploy", "absent.hfpkg"], 2, "package_file_unusable"),
        (["diff", "OLD", "absent.hfpkg"], 2, "package_file_unusable"),
        (["diff", "OLD", "deadbeef"], 3, "package_not_found"),
        (["build", "absent"], 3, "project_not_found"),
    ],
)
def test_what_makes_no_sense_changes_nothing(sqlite_url: str, run: Run, args: list[str], code: int, named: str) -> None:
    old, new = archive("old"), archive("new")
    with open_store(sqlite_url) as store:
        deployed(store, old, new)
        meant = {"OLD": old.content_hash, "NEW": new.content_hash}
        given = [meant.get(arg, arg) for arg in args]
        options = ["--json"] if args[0] == "build" else ["--json", "--store", sqlite_url]
        ran = run("package", *given, *options)
        assert (ran.code, ran.error["code"]) == (code, named), ran.err
        assert (routes(store), split_of(store)) == ({"fulfil": new.content_hash}, None)
