"""``holdfast world``: checkpoints of a directory, as its users meet them."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from holdfast.audit import SqlAuditLog
from holdfast.audit.keys import generate_key
from holdfast.store import open_store
from holdfast.worlds.checkpoints import Moment, SqlCheckpoints, find_checkpoint
from holdfast.worlds.directory import DirectoryWorld
from holdfast.worlds.restoring import begin_restore
from holdfast.worlds.world import World
from tests.cli_kit import Ran, Run
from tests.world_kit import OTHER_RUN, RUN

Call = Callable[..., Ran]


@pytest.fixture
def site(tmp_path: Path) -> Path:
    folder = tmp_path / "site"
    (folder / "css").mkdir(parents=True)
    (folder / "index.html").write_text("one")
    (folder / "css" / "a.css").write_text("a")
    return folder


@pytest.fixture
def call(run: Run, url: str, site: Path) -> Call:
    """``holdfast world VERB DIR …`` on a store of its own."""
    return lambda verb, *args: run("--store", url, "world", verb, str(site), *args)


def contents(folder: Path) -> dict[str, str]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {
        str(path.relative_to(folder)): path.read_text()
        for path in files
        if ".holdfast" not in path.relative_to(folder).parts
    }


def change(site: Path) -> None:
    (site / "index.html").write_text("two, longer")
    (site / "css" / "a.css").unlink()
    (site / "new.txt").write_text("new")


def test_a_directory_goes_back(call: Call, site: Path) -> None:
    before = contents(site)
    assert call("checkpoint", "before").out == f"Kept 3 resources of {site} as before.\n"
    change(site)
    after = contents(site)
    shown = call("diff", "before").out.splitlines()
    assert [line.split()[:2] for line in shown] == [["-", "css/a.css"], ["~", "index.html"], ["+", "new.txt"]]
    dry = call("restore", "before", "--dry-run")
    assert (dry.code, dry.out.splitlines()[-1]) == (0, "Nothing was changed.")
    assert contents(site) == after
    done = call("restore", "before", "--json").json
    assert contents(site) == before
    kinds = {change["resource"]: change["kind"] for change in done["diff"]["parts"][0]["changes"]}
    assert kinds == {"css/a.css": "created", "index.html": "updated", "new.txt": "deleted"}
    assert call("restore", done["before"]).code == 0, "a restore can be undone"
    assert contents(site) == after
    assert call("diff", "before", done["before"], "--json").json["equal"] is False
    assert call("diff", done["before"]).out == "No differences.\n"


def test_a_view_in_a_file(call: Call, site: Path, tmp_path: Path) -> None:
    before = contents(site)
    printed = call("snapshot")
    assert set(printed.json["resources"]) == {"css", "css/a.css", "index.html"}
    view = tmp_path / "view.json"
    assert call("snapshot", "--out", str(view), "--json").json == {"out": str(view), "resources": 3}
    assert view.read_text() == printed.out
    change(site)
    assert call("diff", str(view), "--json").json["equal"] is False
    assert call("restore", str(view)).code == 0
    assert contents(site) == before


def test_merging_keeps_fails_or_replaces(call: Call, site: Path) -> None:
    call("checkpoint", "before")
    change(site)
    after = contents(site)
    dry = call("merge", "before", "--dry-run", "--json").json
    assert dry["parts"][0]["added"] == ["css/a.css"]
    assert [conflict["resource"] for conflict in dry["parts"][0]["conflicts"]] == ["index.html"]
    failed = call("merge", "before", "--policy", "fail", "--json")
    assert (failed.code, failed.error["code"]) == (4, "merge_conflict")
    assert contents(site) == after
    assert "! index.html size 11→3" in call("merge", "before").out
    assert contents(site) == after | {"css/a.css": "a"}
    call("merge", "before", "--policy", "replace")
    assert contents(site) == after | {"css/a.css": "a", "index.html": "one"}


def test_lists_and_forgetting(call: Call, run: Run, url: str, site: Path, tmp_path: Path) -> None:
    for name in ("one", "two", "three"):
        call("checkpoint", name)
    (tmp_path / "other").mkdir()
    run("--store", url, "world", "checkpoint", str(tmp_path / "other"), "one")
    page = call("ls", "--limit", "2", "--json").json
    assert [item["name"] for item in page["items"]] == ["three", "two"]
    rest = call("ls", "--after", page["next"], "--json").json
    assert ([item["name"] for item in rest["items"]], rest["next"]) == (["one"], None)
    everything = run("--store", url, "world", "ls")
    assert len(everything.out.splitlines()) == 5
    assert "There are more: --after" in call("ls", "--limit", "1").out
    assert call("forget", "two").code == 0
    assert call("restore", "two").code == 3
    assert len(call("ls", "--json").json["items"]) == 2
    bad = call("ls", "--after", "x", "--json")
    assert (bad.code, bad.error["code"]) == (2, "invalid_cursor")


def test_one_account_and_region_of_a_world(run: Run, url: str, tmp_path: Path) -> None:
    """The files that a workflow's ``DirectoryWorld(root)`` keeps."""
    root = tmp_path / "root"
    with open_store(url) as store:
        files = DirectoryWorld(root, store)
        files.write("acme", "north", "a.txt", b"one")
        world = World(store, "shop", [files], [("acme", "north")])
        world.checkpoint("first")
        files.write("acme", "north", "a.txt", b"two")
        world.claim_scope(("acme", "north"), RUN)

    def call(verb: str, *args: str) -> Ran:
        where = ("--world", "shop", "--account", "acme", "--region", "north")
        return run("--store", url, "world", verb, str(root), *args, *where)

    assert call("diff", "first").out.startswith("~ a.txt ")
    for owner in ((), ("--run", str(OTHER_RUN))):
        refused = call("restore", "first", *owner, "--json")
        assert (refused.code, refused.error["code"]) == (4, "world_shared")
    assert call("restore", "first", "--run", str(RUN)).code == 0
    assert (root / "acme" / "north" / "a.txt").read_text() == "one"


def test_the_store_is_made_by_what_keeps_and_by_nothing_else(run: Run, site: Path, tmp_path: Path) -> None:
    database = tmp_path / "made.db"
    store = ("--store", f"sqlite:///{database}")
    for verb in (["diff", "x"], ["restore", "x"], ["merge", "x"], ["forget", "x"], ["ls"]):
        ended = run(*store, "world", verb[0], str(site), *verb[1:], "--json")
        assert (ended.code, ended.error["code"]) == (3, "store_not_found")
    assert not database.exists()
    assert run(*store, "world", "checkpoint", str(site), "x").code == 0
    assert database.exists()


def test_a_store_inside_the_directory_is_refused(run: Run, site: Path) -> None:
    ended = run("--store", f"sqlite:///{site}/hf.db", "world", "checkpoint", str(site), "x", "--json")
    assert (ended.code, ended.error["code"]) == (2, "store_inside")
    assert f"--store sqlite:///{site}.db" in ended.error["remedy"]
    assert sorted(path.name for path in site.iterdir()) == ["css", "index.html"], "nothing was made"


@pytest.mark.parametrize(
    ("args", "code", "error"),
    [
        (["checkpoint", "a/b"], 2, "invalid_scope"),
        (["checkpoint", ""], 2, "invalid_scope"),
        (["checkpoint", "before"], 4, "checkpoint_exists"),
        (["checkpoint", "x", "--account", "a"], 2, "invalid_input"),
        (["checkpoint", "x", "--account", "..", "--region", "r"], 2, "invalid_scope"),
        (["checkpoint", "x", "--world", "../x"], 2, "invalid_scope"),
        (["restore", "nothing"], 3, "checkpoint_not_found"),
        (["restore", "before", "--run", "me"], 2, "invalid_id"),
        (["restore", "{broken}"], 2, "invalid_view"),
        (["restore", "{strange}"], 2, "invalid_view"),
        (["restore", "before", "--account", "a", "--region", "b"], 2, "invalid_scope"),
        (["diff", "before", "--account", "a", "--region", "b"], 2, "invalid_scope"),
        (["checkpoint", "x", "--exclude", "../x"], 2, "invalid_pattern"),
        (["restore", "{foreign}"], 2, "view_version"),
        (["restore", "{escaping}"], 2, "invalid_view"),
        (["restore", "{bodiless}"], 3, "missing_blob"),
        (["restore", "{bodiless}", "--dry-run"], 3, "missing_blob"),
        (["merge", "{bodiless}"], 3, "missing_blob"),
        (["diff", "before", "nothing"], 3, "checkpoint_not_found"),
        (["merge", "before", "--policy", "guess"], 2, "usage"),
        (["snapshot", "--out", "/nonexistent/x.json"], 2, "unreadable_view"),
    ],
)
def test_bad_input(call: Call, site: Path, tmp_path: Path, args: list[str], code: int, error: str) -> None:
    call("checkpoint", "before")
    file = {"type": "file", "mode": 420, "size": 1, "digest": "0" * 64}
    head = {"service": "directory", "version": 1, "resources": {}}
    files = {
        "broken": "{",
        "strange": '{"x": 1}',
        "foreign": json.dumps(head | {"version": 99}),
        "escaping": json.dumps(head | {"resources": {"../x": file}}),
        "bodiless": json.dumps(head | {"resources": {"x": file}}),
    }
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    change(site)
    before = contents(site)
    ended = call(args[0], *(arg.format(**{name: tmp_path / name for name in files}) for arg in args[1:]), "--json")
    assert (ended.code, ended.error["code"]) == (code, error)
    assert ended.error["remedy"]
    assert contents(site) == before
    assert not (site / "a").exists(), "nothing was made"


def test_a_directory_that_is_not_there(run: Run, url: str, tmp_path: Path) -> None:
    for name in ("nothing", "file"):
        (tmp_path / "file").touch()
        ended = run("--store", url, "world", "checkpoint", str(tmp_path / name), "x", "--json")
        assert (ended.code, ended.error["code"]) == (2, "usage")


def test_an_interrupted_restore_is_given_up(call: Call, run: Run, url: str, site: Path) -> None:
    made = call("checkpoint", "before", "--json").json
    change(site)
    assert call("abandon").out == "There is no interrupted restore.\n"
    with open_store(url) as store:
        target = store.read(lambda tx: find_checkpoint(tx, made["world"], made["id"]))
        assert target is not None
        store.run(lambda tx: begin_restore(tx, target))
        store.run(lambda tx: tx.execute("DELETE FROM blobs WHERE digest = :lost", {"lost": target.states[0].manifest}))
    stuck = call("diff", "before", "--json")
    assert (stuck.code, stuck.error["code"]) == (4, "restore_stuck")
    assert "holdfast world abandon" in stuck.error["remedy"]
    assert call("abandon", "--json").json == {"checkpoint": made["id"], "before": None}
    assert call("abandon", "--json").json == {"checkpoint": None, "before": None}
    assert call("checkpoint", "after").code == 0
    (row,) = run("--store", url, "audit", "ls", "--json").json["items"]
    assert row["act"] == "world.restore_abandoned"


def test_what_a_command_carries_out_is_signed(
    call: Call, url: str, site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whichever command meets an interrupted restore first."""
    made = call("checkpoint", "before", "--json").json
    generate_key(tmp_path / "key.pem")
    monkeypatch.setenv("HOLDFAST_AUDIT_KEY", str(tmp_path / "key.pem"))
    with open_store(url) as store:
        target = store.read(lambda tx: find_checkpoint(tx, made["world"], made["id"]))
        assert target is not None
        store.run(lambda tx: begin_restore(tx, target))
        assert call("checkpoint", "after").code == 0
        (row,) = store.read(lambda tx: SqlAuditLog(tx).list()).items
    assert row.signature is not None


def test_a_store_that_is_there_is_not_migrated(run: Run, site: Path, sqlite_url: str) -> None:
    """Its workers may be of the version before."""
    with open_store(sqlite_url) as store:
        store.run(lambda tx: tx.execute("DELETE FROM holdfast_migrations WHERE version > 1"))
    ended = run("--store", sqlite_url, "world", "checkpoint", str(site), "x", "--json")
    assert (ended.code, ended.error["code"]) == (1, "store_outdated")


def test_a_store_in_memory_is_refused(run: Run, site: Path) -> None:
    ended = run("--store", "sqlite://", "world", "checkpoint", str(site), "x", "--json")
    assert (ended.code, ended.error["code"]) == (2, "store_in_memory")


def test_paths_and_names_that_are_no_texts(call: Call, run: Run, url: str, tmp_path: Path) -> None:
    odd = os.fsdecode(b"v\xff.json")
    assert call("snapshot", "--out", str(tmp_path / odd), "--json").json["out"].endswith("v\\udcff.json")
    assert (tmp_path / odd).exists()
    listed = run("--store", url, "world", "ls", "--world", odd, "--json")
    assert (listed.code, listed.error["code"]) == (2, "invalid_scope")


def test_a_checkpoint_that_a_rewind_undid_is_marked(call: Call, url: str) -> None:
    name = call("checkpoint", "before", "--json").json["world"]
    with open_store(url) as store:
        store.run(lambda tx: tx.execute("UPDATE world_checkpoints SET run = :run, position = 2", {"run": str(RUN)}))
        store.run(lambda tx: SqlCheckpoints(tx).supersede(Moment(RUN, 1)))
    assert name in call("ls").out
    assert call("ls").out.splitlines()[1].split()[-1] == "undone"


def test_a_checkout_with_what_is_not_its_own(call: Call, site: Path) -> None:
    (site / ".venv").mkdir()
    (site / ".venv" / "python").symlink_to("/nowhere/python3")
    refused = call("checkpoint", "before", "--json")
    assert (refused.code, refused.error["code"]) == (4, "unsupported_file")
    assert "--exclude" in refused.error["remedy"]
    assert call("checkpoint", "before", "--exclude", ".venv", "--exclude", "*.pyc").code == 0
    before = contents(site)
    change(site)
    (site / "new").mkdir()
    (site / "new" / "x.pyc").touch()
    assert "? new: stays, for it holds what is excluded" in call("diff", "before").out
    done = call("restore", "before", "--json").json
    assert done["staying"] == ["new"]
    assert contents(site) == before | {"new/x.pyc": ""}
    assert (site / ".venv" / "python").is_symlink(), "the checkpoint's own patterns hold, though not given again"
    assert call("restore", done["before"]).code == 0, "a restore can be undone"


def test_what_came_in_later_is_listed_and_discarded(call: Call, site: Path) -> None:
    call("checkpoint", "clean")
    (site / "out").symlink_to("/etc/passwd")
    for verb in (["diff", "clean"], ["restore", "clean", "--dry-run"]):
        assert call(*verb).out.startswith("? out: a link to '/etc/passwd', which may leave the root")
    refused = call("restore", "clean", "--json")
    assert (refused.code, refused.error["code"]) == (4, "unsupported_file")
    assert "--discard" in refused.error["remedy"]
    assert "Discarded out." in call("restore", "clean", "--discard").out
    assert not (site / "out").is_symlink()


def test_a_restore_of_what_is_there_keeps_no_checkpoint(call: Call) -> None:
    call("checkpoint", "before")
    assert call("restore", "before").out == "No differences.\n"
    assert len(call("ls", "--json").json["items"]) == 1


def test_a_directory_that_was_moved(call: Call, run: Run, url: str, site: Path) -> None:
    made = call("checkpoint", "before", "--json").json
    before = contents(site)
    change(site)
    moved = site.rename(site.parent / "moved")
    refused = run("--store", url, "world", "restore", str(moved), "before", "--json")
    assert (refused.code, refused.error["code"]) == (3, "checkpoint_not_found")
    assert f"--world {made['world']}" in refused.error["remedy"]
    assert run("--store", url, "world", "restore", str(moved), made["id"]).code == 0
    assert contents(moved) == before
    assert run("--store", url, "world", "forget", str(moved), made["id"]).code == 0
