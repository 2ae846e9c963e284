"""Worlds of files that leave some names alone, and that are put back over what no view can hold."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from holdfast.audit import SqlAuditLog
from holdfast.store import Store, open_store
from holdfast.worlds import World
from holdfast.worlds.directory import (
    DirectoryWorld,
    Folder,
    HoldsExcluded,
    InvalidPath,
    InvalidPattern,
    TreeView,
    UnsupportedFile,
)
from holdfast.worlds.directory.exclusions import Exclusions
from holdfast.worlds.errors import InvalidView, WorldShared
from tests.world_kit import OTHER_RUN, RUN

HERE = DirectoryWorld.LOCAL
EXCLUDE = (".venv", "*.pyc", "build/")


class Killed(BaseException):
    """The end of the process, rehearsed."""


def die_after_the_intent(point: str) -> None:
    if point == "after the intent":
        raise Killed


@pytest.fixture
def store(sqlite_url: str) -> Iterator[Store]:
    with open_store(sqlite_url) as opened:
        yield opened


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    root = tmp_path / "project"
    for folder in ("pkg/deep", ".venv/bin", "build"):
        (root / folder).mkdir(parents=True)
    (root / "pkg" / "a.py").write_text("one")
    (root / "pkg" / "deep" / "a.pyc").write_bytes(b"compiled")
    (root / ".venv" / "bin" / "python").symlink_to("/usr/bin/python3")
    (root / "build" / "out").write_text("built")
    return root


@pytest.fixture
def world(store: Store, tree: Path) -> DirectoryWorld:
    return DirectoryWorld.at(tree, store, exclude=EXCLUDE)


def untouched(tree: Path) -> bool:
    compiled = (tree / "pkg" / "deep" / "a.pyc").read_bytes() == b"compiled"
    return compiled and (tree / ".venv" / "bin" / "python").is_symlink() and (tree / "build" / "out").exists()


@pytest.mark.parametrize(
    ("pattern", "path", "covering"),
    [
        (".venv", ".venv/bin/x", ".venv"),
        (".venv", "sub/.venv", "sub/.venv"),
        (".venv", "a.venv", None),
        ("*.pyc", "a/b.pyc", "a/b.pyc"),
        ("build/", "a/build/x", "a/build"),
        ("/build", "build/x", "build"),
        ("/build", "a/build", None),
        ("docs/build", "docs/build/x", "docs/build"),
        ("docs/build", "a/docs/build", None),
        ("docs/*.html", "docs/a/b.html", "docs/a/b.html"),
        ("[ab]", "b/x", "b"),
    ],
)
def test_what_a_pattern_names(pattern: str, path: str, covering: str | None) -> None:
    assert Exclusions([pattern]).covering(path) == covering
    assert Exclusions().covering(path) is None


@pytest.mark.parametrize("exclude", [".venv", ("",), ("/",), ("a//b",), ("../x",), ("a/.",), ("\0",), (1,)])
def test_bad_patterns_are_refused(store: Store, tmp_path: Path, exclude: tuple[str, ...]) -> None:
    with pytest.raises(InvalidPattern):
        DirectoryWorld.at(tmp_path, store, exclude=exclude)


def test_what_is_excluded_is_neither_captured_nor_touched(world: DirectoryWorld, tree: Path) -> None:
    view = world.snapshot(*HERE)
    assert list(view.resources) == ["pkg", "pkg/a.py", "pkg/deep"]
    assert [item for item in view.not_captured if item.startswith("excluded: ")] == [
        "excluded: *.pyc",
        "excluded: .venv",
        "excluded: build",
    ]
    assert world.listdir(*HERE) == ["pkg"]
    (tree / "pkg" / "a.py").write_text("two")
    world.restore(*HERE, view)
    assert (tree / "pkg" / "a.py").read_text() == "one"
    world.merge(*HERE, view, policy="replace")
    assert untouched(tree)


def test_a_folder_that_holds_what_is_excluded_stays(
    world: DirectoryWorld, tree: Path, caplog: pytest.LogCaptureFixture
) -> None:
    view = world.snapshot(*HERE)
    empty = TreeView(service="directory", version=1, resources={}, not_captured=view.not_captured)
    world.restore(*HERE, empty)
    assert not (tree / "pkg" / "a.py").exists()
    assert untouched(tree)
    assert "pkg, pkg/deep" in caplog.text
    for act in (
        lambda: world.remove(*HERE, "pkg", recursive=True),
        lambda: world.rename(*HERE, "pkg", "other"),
    ):
        with pytest.raises(HoldsExcluded):
            act()
    file = world.snapshot(*HERE).resources | {"pkg": view.resources["pkg/a.py"]}
    del file["pkg/deep"]
    other = TreeView(service="directory", version=1, resources=file, not_captured=view.not_captured)
    with pytest.raises(HoldsExcluded):
        world.restore(*HERE, other)
    assert world.merge(*HERE, other, policy="replace").conflicts[0].resolution == "kept"
    assert untouched(tree)


def test_what_concerns_excluded_paths_is_refused(world: DirectoryWorld, store: Store, tree: Path) -> None:
    view = world.snapshot(*HERE)
    named = TreeView(
        service="directory",
        version=1,
        resources=view.resources | {".venv": Folder(0o755), ".venv/x": Folder(0o755)},
        not_captured=view.not_captured,
    )
    for act in (lambda: world.restore(*HERE, named), lambda: world.merge(*HERE, named), lambda: world.check(named)):
        with pytest.raises(InvalidView, match="excluded"):
            act()
    for act in (
        lambda: world.write(*HERE, "build/x", b""),
        lambda: world.read(*HERE, "build/out"),
        lambda: world.rename(*HERE, "pkg/a.py", "pkg/a.pyc"),
    ):
        with pytest.raises(InvalidPath, match="excluded"):
            act()
    (tree / ".venv" / "bin" / "python").unlink()
    with pytest.raises(InvalidView, match="taken without"):
        DirectoryWorld.at(tree, store).restore(*HERE, view)
    assert (tree / "build" / "out").exists()


def test_a_restore_that_died_is_finished_around_what_is_excluded(store: Store, tree: Path) -> None:
    view = DirectoryWorld.at(tree, store, exclude=EXCLUDE).snapshot(*HERE)
    for name in ("b.py", "c.py"):
        (tree / "new").mkdir(exist_ok=True)
        (tree / "new" / name).write_text(name)
    with pytest.raises(Killed):
        DirectoryWorld.at(tree, store, exclude=EXCLUDE, probe=die_after_the_intent).restore(*HERE, view)
    (tree / "new" / "b.pyc").write_bytes(b"compiled meanwhile")
    found = DirectoryWorld.at(tree, store, exclude=EXCLUDE).snapshot(*HERE)
    assert found.resources.keys() == view.resources.keys() | {"new"}
    assert [path.name for path in (tree / "new").iterdir()] == ["b.pyc"]
    assert untouched(tree)


def test_all_obstacles_are_told_at_once(store: Store, tmp_path: Path) -> None:
    root = tmp_path / "many"
    root.mkdir()
    for number in range(7):
        (root / f"link{number}").symlink_to("/etc")
    os.mkfifo(root / "pipe")
    with pytest.raises(UnsupportedFile, match="There are 8 things") as caught:
        DirectoryWorld.at(root, store).snapshot(*HERE)
    assert [item.path for item in caught.value.obstacles] == [*(f"link{n}" for n in range(7)), "pipe"]
    assert "; 3 more." in str(caught.value)
    survey = DirectoryWorld.at(root, store).survey(*HERE)
    assert (survey.view.resources, survey.obstacles) == ({}, caught.value.obstacles)


def test_a_restore_discards_what_no_view_can_hold(store: Store, tmp_path: Path) -> None:
    root = tmp_path / "site"
    (root / "sub").mkdir(parents=True)
    (root / "a.txt").write_text("one")
    world = World(store, "site", [DirectoryWorld.at(root, store)], [HERE])
    world.checkpoint("clean")
    os.mkfifo(root / "sub" / "pipe")
    (root / "out").symlink_to("/etc/passwd")
    (root / "a.txt").write_text("two, longer")
    with pytest.raises(UnsupportedFile):
        world.restore("clean")
    world.claim_scope(HERE, RUN)
    with pytest.raises(WorldShared):
        world.restore("clean", run=OTHER_RUN, discard=True)
    assert (root / "out").is_symlink(), "whose it is was asked first"
    done = world.restore("clean", run=RUN, discard=True)
    assert done.discarded == ("out", "sub/pipe")
    assert not world.diff("clean")
    assert sorted(path.name for path in root.iterdir()) == [".holdfast", "a.txt", "sub"]
    assert len(store.read(lambda tx: SqlAuditLog(tx).list()).items) == 1


def test_what_the_target_names_and_what_is_reserved_is_not_discarded(store: Store, tmp_path: Path) -> None:
    root = tmp_path / "site"
    root.mkdir()
    (root / "a.txt").write_text("one")
    files = DirectoryWorld.at(root, store)
    view = files.snapshot(*HERE)
    (root / "out").symlink_to("/etc")
    (root / "a.txt").unlink()
    (root / "a.txt").symlink_to("/etc/passwd")
    with pytest.raises(UnsupportedFile) as caught:
        files.discard(*HERE, view)
    assert [item.path for item in caught.value.obstacles] == ["a.txt"]
    (root / "a.txt").unlink()
    (root / "sub" / ".holdfast").mkdir(parents=True)
    with pytest.raises(UnsupportedFile):
        files.discard(*HERE, view)
    assert (root / "out").is_symlink()


def test_version_control_leaves_the_private_folder_alone(world: DirectoryWorld, tree: Path) -> None:
    world.snapshot(*HERE)
    assert (tree / ".holdfast" / ".gitignore").read_text() == "*\n"
