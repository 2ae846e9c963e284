"""What others write while a directory is being changed, or before a change that was cut off is finished, is not lost.

And nothing that is found in the private folder, which is in the users' own tree, is believed.
"""

from __future__ import annotations

import errno
import json
import logging
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from holdfast.store import Store, open_store
from holdfast.worlds.directory import (
    DirectoryFull,
    DirectoryUnusable,
    DirectoryWorld,
    FileChanged,
    InvalidPath,
    PendingChange,
    StoreInside,
)
from tests.directory_kit import HERE, build, rebuild, seen, tree_of

LOCAL = DirectoryWorld.LOCAL
MINE = b"by hand, and nowhere else"


class Killed(BaseException):
    """The end of the process, rehearsed."""


@pytest.fixture
def store(sqlite_url: str) -> Iterator[Store]:
    with open_store(sqlite_url) as opened:
        yield opened


@pytest.fixture
def world(store: Store, tmp_path: Path) -> DirectoryWorld:
    return DirectoryWorld(tmp_path / "root", store)


def at(world: DirectoryWorld, store: Store, point: str, act: Callable[[], object]) -> DirectoryWorld:
    """The same world, which does ``act`` at that write point."""
    return DirectoryWorld(world.root, store, probe=lambda where: act() if where == point else None)


def die() -> None:
    raise Killed


@pytest.mark.parametrize(
    ("point", "path"),
    [
        ("before syncing", "changed.txt"),
        ("before the intent", "extra/new.txt"),
        ("after the intent", "changed.txt"),
        ("before removing extra/new.txt", "extra/new.txt"),
        ("before removing turns", "turns"),
        ("before placing changed.txt", "changed.txt"),
    ],
)
def test_a_restore_never_removes_what_it_has_not_read(
    store: Store, world: DirectoryWorld, point: str, path: str
) -> None:
    """Others' files stay, the restore fails, and all else is as it was before."""
    wanted = build(world)
    rebuild(world)
    before = seen(tree_of(world))
    file = tree_of(world) / path
    with pytest.raises(FileChanged):
        at(world, store, point, lambda: file.write_bytes(MINE)).restore(*HERE, wanted)
    assert seen(tree_of(world)) == before | {path: ("file", before[path][1], MINE)}


def test_what_changed_while_bodies_were_fetched_is_seen_before_the_first_step(
    store: Store, world: DirectoryWorld
) -> None:
    """That can take minutes, and then nothing has to be taken back."""
    wanted = build(world)
    rebuild(world)
    points: list[str] = []

    def probe(where: str) -> None:
        points.append(where)
        if where == "before syncing":
            (tree_of(world) / "extra" / "new.txt").write_bytes(MINE)

    with pytest.raises(FileChanged, match=r"extra/new\.txt"):
        DirectoryWorld(world.root, store, probe=probe).restore(*HERE, wanted)
    assert points[-1] == "before syncing"


def test_a_file_that_came_meanwhile_is_not_overwritten(store: Store, world: DirectoryWorld) -> None:
    """WO-3: by a merge, a write, a link, a move, where there was nothing when it was looked."""
    world.write(*HERE, "a", b"a")
    view = world.snapshot(*HERE)
    world.remove(*HERE, "a")
    world.write(*HERE, "b", b"b")
    file = tree_of(world) / "a"
    acts: list[tuple[str, Callable[[DirectoryWorld], object]]] = [
        ("placing a", lambda world: world.merge(*HERE, view)),
        ("placing a", lambda world: world.write(*HERE, "a", b"ours")),
        ("placing a", lambda world: world.symlink(*HERE, "a", "b")),
        ("making a", lambda world: world.mkdir(*HERE, "a")),
        ("moving b", lambda world: world.rename(*HERE, "b", "a")),
    ]
    for point, act in acts:
        with pytest.raises(FileChanged):
            act(at(world, store, f"before {point}", lambda: file.write_bytes(MINE)))
        assert seen(tree_of(world)) == {"a": ("file", 0o644, MINE), "b": ("file", 0o644, b"b")}
        file.unlink()


def test_what_was_written_after_a_crash_stays(
    store: Store, world: DirectoryWorld, caplog: pytest.LogCaptureFixture
) -> None:
    """The rest of the change is finished, and the log names what was left as it is."""
    wanted = build(world)
    target = seen(tree_of(world))
    rebuild(world)
    tree = tree_of(world)
    with pytest.raises(Killed):
        at(world, store, "after the intent", die).restore(*HERE, wanted)
    (tree / "changed.txt").write_bytes(MINE)
    (tree / "extra" / "notes").mkdir()
    (tree / "extra" / "notes" / "mine.txt").write_bytes(MINE)
    (tree / "turns").unlink()
    (tree / "turns").symlink_to("same.txt")
    with caplog.at_level(logging.WARNING, "holdfast.worlds"):
        world.snapshot(*HERE)
    found = seen(tree)
    assert found.pop("changed.txt")[2] == found.pop("extra/notes/mine.txt")[2] == MINE
    assert found.pop("turns") == ("link", 0, b"same.txt")
    extra = [name for name in ("extra", "extra/notes") if found.pop(name)[0] == "folder"]
    assert extra == ["extra", "extra/notes"]
    left_out = ("changed.txt", "turns", "turns/into", "turns/into/file")
    assert found == {name: entry for name, entry in target.items() if name not in left_out}
    assert "changed.txt, extra/notes, extra/notes/mine.txt, turns" in caplog.text
    world.restore(*HERE, wanted)
    assert seen(tree) == target, "now that it was read, it can be had back, and may go"


def test_a_failed_step_is_taken_back_around_what_others_wrote(store: Store, world: DirectoryWorld) -> None:
    wanted = build(world)
    rebuild(world)
    tree = tree_of(world)
    before = seen(tree)

    def write() -> None:
        (tree / "extra").mkdir(exist_ok=True)
        (tree / "extra" / "late.txt").write_bytes(MINE)

    with pytest.raises(FileChanged):
        at(world, store, "before removing extra", write).restore(*HERE, wanted)
    assert seen(tree) == before | {"extra/late.txt": ("file", 0o644, MINE)}


def test_a_failed_change_leaves_nothing_in_the_staging_folder(
    store: Store, world: DirectoryWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full disk would stay full of it."""
    build(world)

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(DirectoryFull):
            world.write(*HERE, "same.txt", bytes(1000))
    assert not list(world.root.joinpath(".holdfast", *HERE, "staging").iterdir())


def test_bits_that_no_view_has_stay_as_they_are(world: DirectoryWorld) -> None:
    """WO-8: a folder that hands its group down goes on doing so, whatever becomes of its mode."""
    tree = tree_of(world)
    world.mkdir(*HERE, "shared", mode=0o555)
    (tree / "shared").chmod(0o2555)
    view = world.snapshot(*HERE)
    world.write(*HERE, "shared/a", b"a")
    assert (tree / "shared").stat().st_mode & 0o7777 == 0o2555
    world.mkdir(*HERE, "shared/below")
    assert (tree / "shared" / "below").stat().st_mode & 0o7777 == 0o2755
    world.chmod(*HERE, "shared", 0o755)
    world.restore(*HERE, view)
    assert (tree / "shared").stat().st_mode & 0o7777 == 0o2555


@pytest.mark.parametrize("path", [".Holdfast", "a/.HOLDFAST/b"])
def test_the_private_name_is_reserved_in_any_case(world: DirectoryWorld, path: str) -> None:
    """A file system that ignores case has the private folder under all of these names."""
    with pytest.raises(InvalidPath):
        world.write(*HERE, path, b"")


def test_a_move_to_the_same_name_is_not_a_removal(
    store: Store, world: DirectoryWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a file system that ignores case, ``a`` and ``A`` are one name of one file."""
    world.write(*HERE, "a", MINE)
    tree = tree_of(world)
    for name in ("stat", "open"):
        real = getattr(os, name)

        def ignoring_case(path: Any, *args: Any, real: Any = real, **options: Any) -> Any:
            return real("a" if path == "A" else path, *args, **options)

        monkeypatch.setattr(os, name, ignoring_case)
    world.rename(*HERE, "a", "A")
    monkeypatch.undo()
    assert seen(tree) == {"A": ("file", 0o644, MINE)}


def hostile(target: dict[str, Any], before: dict[str, Any] | None = None) -> str:
    return json.dumps({"version": 1, "before": dict.fromkeys(target) if before is None else before, "target": target})


@pytest.mark.parametrize(
    "text",
    [
        hostile({"a": {"type": "link", "target": "/etc/passwd"}}),
        hostile({"a": {"type": "link", "target": "../../a"}}),
        hostile({"a": {"type": "folder", "mode": 0o7777}}),
        hostile({"a": {"type": "folder", "mode": -1}}),
        hostile({"a": {"type": "file", "mode": 0o4755, "size": 0, "digest": "0" * 64}}),
        hostile({"a": {"type": "file", "mode": 0o755, "size": -1, "digest": "0" * 64}}),
        hostile({"a": {"type": "file", "mode": 0o755, "size": 0, "digest": "../../a"}}),
        hostile({".holdfast/lock": None}),
        hostile({}, {"../a": None}),
        '{"version":1,"target":{"src":null}}',
    ],
)
def test_an_intent_that_nobody_can_have_had_is_refused(store: Store, tmp_path: Path, text: str) -> None:
    root = tmp_path / "root"
    world = DirectoryWorld.at(root, store)
    world.write(*LOCAL, "src/main.py", MINE)
    (root / ".holdfast" / "_" / "intent").write_text(text)
    with pytest.raises(PendingChange):
        world.snapshot(*LOCAL)
    assert (root / "src" / "main.py").read_bytes() == MINE
    assert not (root / "a").is_symlink()
    assert not (root / "a").exists()


def test_a_forged_intent_removes_nothing_that_it_does_not_know(store: Store, tmp_path: Path) -> None:
    root = tmp_path / "root"
    world = DirectoryWorld.at(root, store)
    world.write(*LOCAL, "src/main.py", MINE)
    here = world.snapshot(*LOCAL)
    files = {"src": None, "src/main.py": None}
    folder = {"type": "folder", "mode": 0o755}
    for text in (hostile(files), hostile({"src": None}, {"src": folder}), hostile({"src/main.py": folder})):
        (root / ".holdfast" / "_" / "intent").write_text(text)
        assert world.snapshot(*LOCAL) == here


@pytest.mark.parametrize("name", ["index.new", "intent.new"])
@pytest.mark.parametrize("kind", ["hard link", "pipe", "link"])
def test_what_lies_in_the_private_folder_is_not_written_through(
    store: Store, tmp_path: Path, name: str, kind: str
) -> None:
    outside = tmp_path / "outside"
    outside.write_bytes(MINE)
    root = tmp_path / "root"
    private = root / ".holdfast" / "_"
    private.mkdir(parents=True)
    if kind == "pipe":
        os.mkfifo(private / name)
    elif kind == "link":
        (private / name).symlink_to(outside)
    else:
        (private / name).hardlink_to(outside)
    world = DirectoryWorld.at(root, store)
    world.write(*LOCAL, "a/b/c", b"c")
    world.snapshot(*LOCAL)
    assert outside.read_bytes() == MINE
    assert (root / "a" / "b" / "c").read_bytes() == b"c"


def test_the_other_kind_of_world_finishes_nothing(store: Store, tmp_path: Path) -> None:
    """What was cut off in the one is not finished in the other, which is refused."""
    root = tmp_path / "root"
    world = DirectoryWorld.at(root, store)
    world.write(*LOCAL, "a/b", b"one")
    view = world.snapshot(*LOCAL)
    world.write(*LOCAL, "a/b", b"two")
    world.write(*LOCAL, "a/c", b"two")
    probe: Callable[[str], None] = lambda where: die() if where == "after the intent" else None  # noqa: E731
    with pytest.raises(Killed):
        DirectoryWorld.at(root, store, probe=probe).restore(*LOCAL, view)
    with pytest.raises(DirectoryUnusable):
        DirectoryWorld(root, store).snapshot(*LOCAL)
    assert world.snapshot(*LOCAL) == view


def test_a_store_in_its_own_tree_is_refused(tmp_path: Path) -> None:
    """Even by way of a link: a restore would put an old store in the place of the one that it reads from."""
    tree = tmp_path.joinpath("root", *HERE)
    tree.mkdir(parents=True)
    (tmp_path / "link").symlink_to(tree)
    with open_store(f"sqlite:///{tree / 'store.db'}") as inside:
        for world, scope in (
            (DirectoryWorld.at(tmp_path / "link", inside), LOCAL),
            (DirectoryWorld.at(tmp_path, inside), LOCAL),
            (DirectoryWorld(tmp_path / "root", inside), HERE),
        ):
            for _ in range(2):
                with pytest.raises(StoreInside):
                    world.snapshot(*scope)
        assert DirectoryWorld(tmp_path / "root", inside).snapshot("acme", "south").resources == {}
