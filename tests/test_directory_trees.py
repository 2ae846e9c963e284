"""Trees of files come back exactly, whatever is in them and whatever is in their place; clients' calls are exact."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from holdfast.errors import Conflict, HoldfastError, InvalidInput, NotFound
from holdfast.ids import new_id
from holdfast.store import Store, open_store
from holdfast.worlds import StateView, diff
from holdfast.worlds.directory import (
    DirectoryDenied,
    DirectoryUnusable,
    DirectoryWorld,
    Entry,
    File,
    Folder,
    InvalidMode,
    InvalidPath,
    Link,
    LinkEscapes,
    PathNotFound,
    PathTaken,
    WrongKind,
)
from holdfast.worlds.directory.records import SLICE_BYTES
from holdfast.worlds.errors import InvalidView
from holdfast.worlds.model import encode_view
from tests.directory_kit import HERE, build, rebuild, seen, tree_of

NAMES = st.one_of(
    st.sampled_from(["a", "b", "c", "a-b", "ab", "-", " ", "\n", "é", "ﬁ", "😀", "..a", "con", "*", "\\", "x" * 255]),
    st.text(st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1, max_size=12).filter(
        lambda name: name not in (".", "..", ".holdfast") and len(name.encode()) <= 255
    ),
)
FILES = st.tuples(st.just("file"), st.integers(0, 0o777), st.binary(max_size=50))
LINKS = st.tuples(st.just("link"), st.just(0), NAMES.map(os.fsencode))
TREES = st.recursive(
    st.dictionaries(NAMES, FILES | LINKS, max_size=4),
    lambda below: st.dictionaries(
        NAMES, FILES | LINKS | st.tuples(st.just("folder"), st.integers(0, 0o777), below), max_size=4
    ),
    max_leaves=12,
)


@pytest.fixture
def store(store_url: str) -> Iterator[Store]:
    with open_store(store_url) as opened:
        yield opened


@pytest.fixture
def world(store: Store, tmp_path: Path) -> DirectoryWorld:
    return DirectoryWorld(tmp_path / "root", store)


def make(root: Path, tree: dict[str, Any]) -> None:
    """Write a random tree directly."""
    root.mkdir(parents=True, exist_ok=True)
    for name, (kind, mode, content) in tree.items():
        path = root / name
        if kind == "folder":
            make(path, content)
            path.chmod(mode)
        elif kind == "link":
            path.symlink_to(os.fsdecode(content))
        else:
            path.write_bytes(content)
            path.chmod(mode)


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(trees=st.lists(TREES, min_size=2, max_size=3))
def test_any_tree_comes_back_over_any_other(store: Store, tmp_path: Path, trees: list[dict[str, Any]]) -> None:
    """WO-1, WO-2: snapshot and restore are the identity, from any state to any other, and so are JSON and back."""
    world = DirectoryWorld(tmp_path / new_id().hex, store)
    views: list[StateView[Entry]] = []
    for number, tree in enumerate(trees):
        make(world.root / str(number) / "tree", tree)
        views.append(world.decode(encode_view(world.snapshot(str(number), "tree"))))
    for number in [*range(len(trees)), *reversed(range(len(trees)))]:
        world.restore(*HERE, views[number])
        assert seen(tree_of(world)) == seen(world.root / str(number) / "tree")
        assert world.snapshot(*HERE) == views[number]


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(mine=TREES, theirs=TREES)
def test_a_merge_loses_nothing(store: Store, tmp_path: Path, mine: dict[str, Any], theirs: dict[str, Any]) -> None:
    """WO-3, WO-4: all that was there stays; what could not be added is reported, with what was in its way."""
    world = DirectoryWorld(tmp_path / new_id().hex, store)
    make(tree_of(world), mine)
    make(world.root / "other" / "tree", theirs)
    before, view = world.snapshot(*HERE), world.snapshot("other", "tree")
    files = seen(tree_of(world))
    dry = world.merge(*HERE, view, dry_run=True)
    assert world.snapshot(*HERE) == before
    report = world.merge(*HERE, view)
    after = world.snapshot(*HERE)
    assert (dry.added, dry.conflicts) == (report.added, report.conflicts)
    assert files.items() <= seen(tree_of(world)).items()
    assert report.delta == diff(before.resources, after.resources)
    refused = {conflict.resource for conflict in report.conflicts}
    for name, entry in view.resources.items():
        assert (after.resources.get(name) == entry) is (name not in refused)
    for conflict in report.conflicts:
        assert conflict.mine == before.resources.get(conflict.obstacle, after.resources[conflict.obstacle])
    world.merge(*HERE, view, policy="replace")
    replaced = world.snapshot(*HERE)
    assert before.resources.keys() <= replaced.resources.keys()


def test_collisions_of_kinds(world: DirectoryWorld) -> None:
    """WO-4: a leaf is replaced on demand; a folder that holds something is none."""
    for name in ("file", "leaf"):
        world.write(*HERE, name, b"mine")
    world.write(*HERE, "folder/inside", b"mine")
    world.mkdir(*HERE, "empty")
    before = world.snapshot(*HERE)
    world.write("other", "x", "file/below", b"theirs")
    world.write("other", "x", "folder", b"theirs")
    world.write("other", "x", "empty", b"theirs")
    world.symlink("other", "x", "leaf", "file")
    view = world.snapshot("other", "x")
    report = world.merge(*HERE, view)
    obstacles = {conflict.resource: conflict.obstacle for conflict in report.conflicts}
    assert obstacles == {
        "empty": "empty",
        "file": "file",
        "file/below": "file",
        "folder": "folder/inside",
        "leaf": "leaf",
    }
    assert world.snapshot(*HERE) == before
    report = world.merge(*HERE, view, policy="replace")
    resolutions = {conflict.resource: conflict.resolution for conflict in report.conflicts}
    assert resolutions == {"empty": "replaced", "file": "replaced", "folder": "kept", "leaf": "replaced"}
    assert report.added == ("file/below",)
    assert world.read(*HERE, "file/below") == b"theirs"
    assert world.read(*HERE, "folder/inside") == b"mine"


def test_restores_touch_only_what_differs(world: DirectoryWorld) -> None:
    wanted = build(world)
    tree = tree_of(world)

    def figures() -> dict[str, tuple[int, int]]:  # nothing changes without its time of change
        return {path.name: (path.lstat().st_ino, path.lstat().st_ctime_ns) for path in tree.rglob("*")}

    before = figures()
    world.restore(*HERE, wanted)
    assert figures() == before
    world.write(*HERE, "changed.txt", b"x")
    world.restore(*HERE, wanted)
    after = figures()
    assert [name for name, found in before.items() if after[name] != found] == ["changed.txt"]


def test_large_bodies_are_cut_into_slices(world: DirectoryWorld, store: Store) -> None:
    """A file that grows at its end stores its end alone, and no blob is larger than a slice."""
    body = os.urandom(SLICE_BYTES) * 2 + b"end"
    for size in (SLICE_BYTES, SLICE_BYTES + 1, len(body)):
        world.write(*HERE, f"{size}.bin", body[:size])
    view = world.snapshot(*HERE)
    entry = view.resources[f"{len(body)}.bin"]
    assert isinstance(entry, File)
    assert len(entry.slices) == 3
    assert [len(getattr(found, "slices", ())) for found in view.resources.values()] == [0, 2, 3]
    before = store.read(lambda tx: tx.fetch("SELECT count(*), max(size) FROM blobs"))[0]
    assert before == (3, SLICE_BYTES)
    with (tree_of(world) / f"{len(body)}.bin").open("ab") as file:
        file.write(b" and more")
    grown = world.snapshot(*HERE)
    assert store.read(lambda tx: tx.fetch("SELECT count(*) FROM blobs"))[0] == (4,)
    world.restore(*HERE, view)
    assert world.read(*HERE, f"{len(body)}.bin") == body
    world.restore(*HERE, grown)
    assert world.read(*HERE, f"{len(body)}.bin") == body + b" and more"
    false = File(entry.mode, entry.size, "0" * 64, entry.slices)
    for wrong in (false, File(entry.mode, entry.size - 1, entry.digest, entry.slices)):
        spoilt = StateView[Entry](service="directory", version=1, resources={"big": wrong})
        with pytest.raises(InvalidView, match=r'\["big"\]'):
            world.restore(*HERE, spoilt)
        assert world.snapshot(*HERE) == grown


def test_hard_links_are_files(world: DirectoryWorld) -> None:
    """A change of one of a file's names shows through no other."""
    tree = tree_of(world)
    world.write(*HERE, "a", b"one")
    (tree / "b").hardlink_to(tree / "a")
    (tree / "c").hardlink_to(tree / "a")
    shared = world.snapshot(*HERE)
    world.chmod(*HERE, "a", 0o600)
    world.write(*HERE, "b", b"two")
    assert seen(tree) == {"a": ("file", 0o600, b"one"), "b": ("file", 0o644, b"two"), "c": ("file", 0o644, b"one")}
    world.restore(*HERE, shared)
    assert world.snapshot(*HERE) == shared
    (tree / "d").hardlink_to(tree / "c")
    world.rename(*HERE, "c", "d")
    assert sorted(path.name for path in tree.iterdir()) == ["a", "b", "d"]


def test_only_permission_bits_are_captured(world: DirectoryWorld) -> None:
    """WO-8: and what is left out is said."""
    world.write(*HERE, "tool", b"#!")
    (tree_of(world) / "tool").chmod(0o6755)
    view = world.snapshot(*HERE)
    assert view.resources["tool"] == world.walk(*HERE)["tool"]
    assert getattr(view.resources["tool"], "mode", None) == 0o755
    assert any("setuid" in left_out for left_out in view.not_captured)


def test_what_clients_do_and_see(world: DirectoryWorld) -> None:
    told: list[Any] = []
    world.notifier.subscribe(told.append)
    world.write(*HERE, "a/b/c.txt", b"body", mode=0o600)
    world.symlink(*HERE, "a/l", "b/c.txt")
    world.mkdir(*HERE, "a/d", mode=0o711)
    world.chmod(*HERE, "a", 0o750)
    world.rename(*HERE, "a/b", "x/y")
    world.write(*HERE, "x/y/c.txt", b"body", mode=0o600)
    world.remove(*HERE, "a", recursive=True)
    assert world.read(*HERE, "x/y/c.txt") == b"body"
    assert (world.listdir(*HERE), world.listdir(*HERE, "x/y")) == (["x"], ["c.txt"])
    assert list(world.walk(*HERE)) == ["x", "x/y", "x/y/c.txt"]
    assert list(world.walk(*HERE, "x/y")) == ["x/y", "x/y/c.txt"]
    assert seen(tree_of(world))["x/y/c.txt"] == ("file", 0o600, b"body")
    assert world.notifier.drain(10)
    assert [[(item.resource, str(item.kind)) for item in change.delta] for change in told] == [
        [("a", "created"), ("a/b", "created"), ("a/b/c.txt", "created")],
        [("a/l", "created")],
        [("a/d", "created")],
        [("a", "updated")],
        [("a/b", "deleted"), ("a/b/c.txt", "deleted")] + [(name, "created") for name in ("x", "x/y", "x/y/c.txt")],
        [("a", "deleted"), ("a/d", "deleted"), ("a/l", "deleted")],
    ]


BAD_PATHS: list[Any] = ["", "/", "/a", "a/", "a//b", ".", "a/.", "..", "../a", "a/../b", "a\0", "\ud800", None, 7]
BAD_PATHS += [".holdfast", "a/.holdfast/b", "x" * 256, "é" * 128, "/".join(["long"] * 1000)]


@pytest.mark.parametrize("path", BAD_PATHS)
def test_bad_paths_are_refused_everywhere(world: DirectoryWorld, path: Any) -> None:
    build(world)
    before = seen(world.root)
    calls: list[Callable[[], object]] = [
        lambda: world.write(*HERE, path, b""),
        lambda: world.read(*HERE, path),
        lambda: world.remove(*HERE, path),
        lambda: world.mkdir(*HERE, path),
        lambda: world.symlink(*HERE, path, "same.txt"),
        lambda: world.chmod(*HERE, path, 0o600),
        lambda: world.rename(*HERE, path, "new"),
        lambda: world.rename(*HERE, "same.txt", path),
        lambda: world.restore(*HERE, StateView[Entry](service="directory", version=1, resources={path: Folder(0)})),
        lambda: world.merge(*HERE, StateView[Entry](service="directory", version=1, resources={path: Folder(0)})),
        *([lambda: world.listdir(*HERE, path), lambda: world.walk(*HERE, path)] if path else []),
    ]
    for call in calls:
        with pytest.raises(InvalidInput) as caught:
            call()
        assert isinstance(caught.value, InvalidPath | InvalidView | HoldfastError)
    assert seen(world.root) == before


@pytest.mark.parametrize(
    ("target", "error"),
    [
        ("/etc/passwd", LinkEscapes),
        ("..", LinkEscapes),
        ("../..", LinkEscapes),
        ("../../a", LinkEscapes),
        ("./../../a", LinkEscapes),
        ("link/../../a", LinkEscapes),
        ("", InvalidPath),
        ("a\0", InvalidPath),
        ("\ud800", InvalidPath),
        ("x" * 4096, InvalidPath),
        (None, InvalidPath),
    ],
)
def test_links_that_may_leave_the_root_are_refused(
    world: DirectoryWorld, target: Any, error: type[HoldfastError]
) -> None:
    build(world)
    before = seen(world.root)
    place = "l" if target == ".." else "turns/l"
    with pytest.raises(error):
        world.symlink(*HERE, place, target)
    assert seen(world.root) == before
    view = world.snapshot(*HERE)
    if isinstance(target, str) and target != "\ud800":
        view.resources[place] = Link(target)
        for call in (world.restore, world.merge):
            with pytest.raises(InvalidView, match=f'"{place}"\\].target'):
                call(*HERE, view)
    assert seen(world.root) == before


def test_links_within_the_root_are_taken(world: DirectoryWorld) -> None:
    world.symlink(*HERE, "a/b/l", "../../c")
    world.symlink(*HERE, "a/b/m", ".././x/y")
    world.symlink(*HERE, "dangling", "not there")
    world.write(*HERE, "c", b"c")
    assert (tree_of(world) / "a/b/l").read_bytes() == b"c"
    with pytest.raises(LinkEscapes):
        world.rename(*HERE, "a/b/l", "l")
    with pytest.raises(LinkEscapes):
        world.rename(*HERE, "a/b", "b")
    assert world.listdir(*HERE) == ["a", "c", "dangling"]


def test_what_is_in_the_way_is_named(world: DirectoryWorld) -> None:
    build(world)
    before = seen(world.root)
    calls: list[tuple[type[HoldfastError], Callable[[], object]]] = [
        (PathTaken, lambda: world.write(*HERE, "turns", b"")),
        (PathTaken, lambda: world.write(*HERE, "link", b"")),
        (PathTaken, lambda: world.write(*HERE, "same.txt/below", b"")),
        (PathTaken, lambda: world.write(*HERE, "link/below", b"")),
        (PathTaken, lambda: world.mkdir(*HERE, "turns")),
        (PathTaken, lambda: world.symlink(*HERE, "same.txt", "link")),
        (PathTaken, lambda: world.rename(*HERE, "same.txt", "turns")),
        (PathTaken, lambda: world.rename(*HERE, "turns", "same.txt")),
        (InvalidPath, lambda: world.rename(*HERE, "turns", "turns/into/itself")),
        (WrongKind, lambda: world.remove(*HERE, "turns")),
        (WrongKind, lambda: world.read(*HERE, "turns")),
        (WrongKind, lambda: world.read(*HERE, "link")),
        (WrongKind, lambda: world.listdir(*HERE, "link")),
        (WrongKind, lambda: world.chmod(*HERE, "link", 0o600)),
        (PathNotFound, lambda: world.read(*HERE, "absent")),
        (PathNotFound, lambda: world.remove(*HERE, "same.txt/below")),
        (PathNotFound, lambda: world.listdir(*HERE, "absent")),
        (PathNotFound, lambda: world.rename(*HERE, "absent", "same.txt")),
        (InvalidMode, lambda: world.chmod(*HERE, "same.txt", 0o4755)),
        (InvalidMode, lambda: world.write(*HERE, "new", b"", mode=-1)),
        (InvalidMode, lambda: world.mkdir(*HERE, "new", mode=True)),
        (InvalidInput, lambda: world.write(*HERE, "new", "text")),  # type: ignore[arg-type]
    ]
    for error, call in calls:
        with pytest.raises(error) as caught:
            call()
        assert isinstance(caught.value, InvalidInput | NotFound | Conflict)
        assert caught.value.remedy
    world.rename(*HERE, "same.txt", "same.txt")
    assert seen(world.root) == before


def test_a_root_that_cannot_be(store: Store, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    for root in (tmp_path / "file", tmp_path / "file" / "below", tmp_path / "nul\0"):
        with pytest.raises(DirectoryUnusable):
            DirectoryWorld(root, store)


def as_nobody(act: Callable[[], None]) -> None:
    """Do ``act`` in a child process without the rights of root.

    Raises:
        AssertionError: it failed there; it says on stderr how.
    """
    child = os.fork()
    if child == 0:
        status = 1
        try:
            if os.geteuid() == 0:
                os.setgid(65534)
                os.setuid(65534)
            act()
            status = 0
        except BaseException:
            import traceback

            traceback.print_exc()
        finally:
            os._exit(status)
    assert os.waitpid(child, 0)[1] == 0


@pytest.fixture
def open_folder(tmp_path: Path) -> Path:
    """A folder that nobody may write to, and reach."""
    for above in (tmp_path, *tmp_path.parents):
        if above.owner() == tmp_path.owner() and above != Path("/tmp"):
            above.chmod(above.stat().st_mode | 0o755)
    tmp_path.chmod(0o777)
    return tmp_path


def test_closed_folders_come_and_go_without_the_rights_of_root(open_folder: Path) -> None:
    def act() -> None:
        with open_store(f"sqlite:///{open_folder}/nobody.db") as store:
            world = DirectoryWorld(open_folder / "root", store)
            wanted = build(world)
            world.write(*HERE, "closed/deeper/still/x", b"x")
            world.chmod(*HERE, "closed/deeper/still", 0o500)
            world.chmod(*HERE, "closed/deeper", 0o500)
            closed = world.snapshot(*HERE)
            for view in (wanted, rebuild(world), closed, wanted):
                world.restore(*HERE, view)
                assert world.snapshot(*HERE) == view

    as_nobody(act)


def test_what_is_not_permitted_is_refused_and_nothing_is_changed(open_folder: Path) -> None:
    def act() -> None:
        with open_store(f"sqlite:///{open_folder}/nobody.db") as store:
            world = DirectoryWorld(open_folder / "root", store)
            wanted = build(world)
            rebuild(world)
            tree = tree_of(world)
            (tree / "mode.txt").chmod(0)
            with pytest.raises(DirectoryDenied):
                world.snapshot(*HERE)
            with pytest.raises(DirectoryDenied):
                world.restore(*HERE, wanted)
            (tree / "mode.txt").chmod(0o600)
            view = world.snapshot(*HERE)
            tree.chmod(0o555)
            for call in (lambda: world.restore(*HERE, wanted), lambda: world.write(*HERE, "new", b"")):
                with pytest.raises(DirectoryDenied):
                    call()
            assert world.snapshot(*HERE) == view
            tree.chmod(0o755)
            world.restore(*HERE, wanted)

    as_nobody(act)


def test_what_cannot_be_read_once_it_is_in_place_can_still_be_finished(open_folder: Path) -> None:
    class Killed(BaseException):
        pass

    def act() -> None:
        with open_store(f"sqlite:///{open_folder}/nobody.db") as store:
            world = DirectoryWorld(open_folder / "root", store)
            world.write(*HERE, "a", b"a")
            world.write(*HERE, "z", b"z")
            readable = world.snapshot(*HERE).resources
            body = cast(File, readable["a"])
            closed = {"a": File(0o200, 1, body.digest), "b": File(0, 1, body.digest), "c": Folder(0)}
            view = StateView[Entry](service="directory", version=1, resources=closed)

            def die(where: str) -> None:
                if where == "before the end":
                    raise Killed

            with pytest.raises(Killed):
                DirectoryWorld(world.root, store, probe=die).restore(*HERE, view)
            with pytest.raises(DirectoryDenied):  # the tree is as it should be, and nobody can read it
                world.snapshot(*HERE)
            found = {path.name: path.stat().st_mode & 0o777 for path in tree_of(world).iterdir()}
            assert found == {"a": 0o200, "b": 0, "c": 0}

    as_nobody(act)


@pytest.mark.parametrize("first_alone", [True, False])
def test_a_root_is_used_in_one_way(tmp_path: Path, first_alone: bool) -> None:
    """A tree that is the root itself would take the trees of scopes below it for its own, and remove them."""
    with open_store("sqlite://") as store:
        alone, scoped = DirectoryWorld.at(tmp_path, store), DirectoryWorld(tmp_path, store)
        first, second = (alone, scoped) if first_alone else (scoped, alone)
        here, there = (DirectoryWorld.LOCAL, ("flow", "a"))[:: 1 if first_alone else -1]
        first.write(*here, "kept.txt", b"kept")
        before = first.snapshot(*here)
        with pytest.raises(DirectoryUnusable, match="cannot be used otherwise"):
            second.write(*there, "other.txt", b"other")
        with pytest.raises(DirectoryUnusable, match="cannot be used otherwise"):
            second.snapshot(*there)
        assert first.snapshot(*here) == before
