"""Others write to the files directly: nothing they did is lost, and what cannot be captured is named."""

from __future__ import annotations

import os
import socket
import stat
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from holdfast.errors import Conflict
from holdfast.store import Store, open_store
from holdfast.worlds import StateView
from holdfast.worlds.directory import (
    DirectoryWorld,
    Entry,
    File,
    FileChanged,
    FileVanished,
    Folder,
    Link,
    UnsupportedFile,
)
from holdfast.worlds.directory.scan import Tree
from holdfast.worlds.errors import StateViewError
from tests.directory_kit import HERE, build, rebuild, seen, tree_of


@pytest.fixture
def store(sqlite_url: str) -> Iterator[Store]:
    with open_store(sqlite_url) as opened:
        yield opened


@pytest.fixture
def world(store: Store, tmp_path: Path) -> DirectoryWorld:
    made = DirectoryWorld(tmp_path / "root", store)
    made.write(*HERE, "a.txt", b"first")
    return made


@pytest.fixture
def tree(world: DirectoryWorld) -> Path:
    return tree_of(world)


def bodies(store: Store) -> int:
    found: int = store.read(lambda tx: tx.fetch("SELECT count(*) FROM blobs"))[0][0]
    return found


def settle(tree: Path) -> None:
    """Wait until what was changed so far is older than the file system's present tick, so that it is trusted."""
    probe = tree.parent / "tick"
    last = max(path.stat(follow_symlinks=False).st_ctime_ns for path in tree.rglob("*"))
    while True:
        probe.touch()
        if probe.stat().st_ctime_ns > last:
            probe.unlink()
            return


def content(view: StateView[Entry], world: DirectoryWorld) -> dict[str, bytes]:
    """The bodies that a view names, restored elsewhere."""
    world.restore("copy", "copy", view)
    root = world.root / "copy" / "copy"
    return {name: (root / name).read_bytes() for name, entry in view.resources.items() if isinstance(entry, File)}


def reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the files that are opened for reading from now on."""
    opened: list[str] = []
    real = os.open

    def spy(path: Any, flags: int, *args: Any, **options: Any) -> int:
        if flags & os.O_NONBLOCK:
            opened.append(str(path))
        return real(path, flags, *args, **options)

    monkeypatch.setattr(os, "open", spy)
    return opened


def test_a_snapshot_sees_what_was_written_directly(world: DirectoryWorld, tree: Path) -> None:
    (tree / "sub").mkdir(mode=0o700)
    (tree / "sub" / "b.txt").write_bytes(b"by hand")
    (tree / "sub" / "b.txt").chmod(0o604)
    (tree / "l").symlink_to("sub/b.txt")
    (tree / "a.txt").unlink()
    resources = world.snapshot(*HERE).resources
    assert resources["sub"] == Folder(0o700)
    assert resources["l"] == Link("sub/b.txt")
    assert resources.keys() == {"sub", "sub/b.txt", "l"}
    assert content(world.snapshot(*HERE), world)["sub/b.txt"] == b"by hand"


def test_unchanged_files_are_not_read_again(
    store: Store, world: DirectoryWorld, tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(50):
        (tree / f"{number}.txt").write_bytes(b"%d" % number)
    settle(tree)
    view = world.snapshot(*HERE)
    before = bodies(store)
    opened = reads(monkeypatch)
    assert world.snapshot(*HERE) == view
    assert DirectoryWorld(world.root, store).snapshot(*HERE) == view
    assert not [name for name in opened if name.endswith(".txt")], "unchanged files were read"
    (tree / "7.txt").write_bytes(b"seven")
    assert world.snapshot(*HERE) != view
    assert [name for name in opened if name.endswith(".txt")] == ["7.txt"]
    assert bodies(store) == before + 1


def test_a_rewrite_of_the_same_size_is_seen_however_soon(world: DirectoryWorld, tree: Path) -> None:
    """A file changed in the tick in which it was read would look alike: it is not believed but read again."""
    for number in range(300):
        (tree / "a.txt").write_bytes(b"%05d" % number)
        assert content(world.snapshot(*HERE), world)["a.txt"] == b"%05d" % number


def test_files_in_a_coarse_tick_are_read_again(
    world: DirectoryWorld, tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where times have whole seconds, a rewrite changes none of the figures: only reading again tells."""
    real_fstat, real_entry = os.fstat, os.scandir
    second = 1_000_000_000

    def coarse(found: os.stat_result) -> Any:
        names = [name for name in dir(found) if name.startswith("st_")]
        values = {name: getattr(found, name) for name in names}
        values["st_mtime_ns"] = values["st_ctime_ns"] = frozen
        return type("Stat", (), values)()

    class Entries:
        def __init__(self, folder: int) -> None:
            self._entries = real_entry(folder)

        def __enter__(self) -> Any:
            return (CoarseEntry(entry) for entry in self._entries)

        def __exit__(self, *args: object) -> None:
            self._entries.close()

    class CoarseEntry:
        def __init__(self, entry: os.DirEntry[str]) -> None:
            self.name = entry.name
            self._entry = entry

        def stat(self, *, follow_symlinks: bool) -> Any:
            return coarse(self._entry.stat(follow_symlinks=follow_symlinks))

    frozen = tree.stat().st_ctime_ns // second * second
    monkeypatch.setattr(os, "fstat", lambda fd: coarse(real_fstat(fd)))
    monkeypatch.setattr(os, "scandir", Entries)
    first = world.snapshot(*HERE)
    with (tree / "a.txt").open("r+b") as file:
        file.write(b"FIRST")
    assert world.snapshot(*HERE) != first
    frozen += second
    with (tree / "a.txt").open("r+b") as file:
        file.write(b"First")
    later = world.snapshot(*HERE)
    assert later != first
    frozen += second
    assert world.snapshot(*HERE) == later


def test_a_time_that_was_set_back_hides_nothing(world: DirectoryWorld, tree: Path) -> None:
    path = tree / "a.txt"
    os.utime(path, (1, 1))
    settle(tree)
    before = world.snapshot(*HERE)
    path.write_bytes(b"other")
    os.utime(path, (1, 1))
    assert path.stat().st_mtime == 1
    settle(tree)
    assert world.snapshot(*HERE) != before
    assert content(world.snapshot(*HERE), world)["a.txt"] == b"other"


def test_a_time_in_the_future_hides_nothing(world: DirectoryWorld, tree: Path) -> None:
    path = tree / "a.txt"
    for body in (b"one..", b"two..", b"three"):
        path.write_bytes(body)
        os.utime(path, (1 << 32, 1 << 32))
        settle(tree)
        assert content(world.snapshot(*HERE), world)["a.txt"] == body


def test_a_replaced_file_is_seen(world: DirectoryWorld, tree: Path) -> None:
    settle(tree)
    before = world.snapshot(*HERE)
    times = (tree / "a.txt").stat()
    (tree / "new").write_bytes(b"other")
    os.utime(tree / "new", ns=(times.st_atime_ns, times.st_mtime_ns))
    (tree / "new").rename(tree / "a.txt")
    settle(tree)
    after = world.snapshot(*HERE)
    assert after.resources.keys() == before.resources.keys()
    assert content(after, world)["a.txt"] == b"other"


def test_two_files_that_changed_places_are_seen(world: DirectoryWorld, tree: Path) -> None:
    (tree / "b.txt").write_bytes(b"other")
    for name in ("a.txt", "b.txt"):
        os.utime(tree / name, (5, 5))
    settle(tree)
    world.snapshot(*HERE)
    for origin, target in (("a.txt", "x"), ("b.txt", "a.txt"), ("x", "b.txt")):
        (tree / origin).rename(tree / target)
    settle(tree)
    assert content(world.snapshot(*HERE), world) == {"a.txt": b"other", "b.txt": b"first"}


def test_an_index_of_another_tree_or_a_damaged_one_does_no_harm(
    store: Store, world: DirectoryWorld, tree: Path
) -> None:
    settle(tree)
    view = world.snapshot(*HERE)
    index = world.root.joinpath(".holdfast", *HERE, "index")
    whole = index.read_bytes()
    assert b"a.txt" in whole
    for damaged in (b"", whole[:-1], whole[:30], whole.replace(b"a.txt", b"b.txt"), b"\0" * 100, b"[" * 9999):
        index.write_bytes(damaged)
        assert DirectoryWorld(world.root, store).snapshot(*HERE) == view
    index.unlink()
    index.mkdir()
    assert DirectoryWorld(world.root, store).snapshot(*HERE) == view


def test_an_index_that_names_another_body_is_not_believed(store: Store, world: DirectoryWorld, tree: Path) -> None:
    (tree / "b.txt").write_bytes(b"other")
    settle(tree)
    view = world.snapshot(*HERE)
    one, other = (entry.digest.encode() for entry in view.resources.values() if isinstance(entry, File))
    index = world.root.joinpath(".holdfast", *HERE, "index")
    index.write_bytes(index.read_bytes().replace(one, other))
    assert DirectoryWorld(world.root, store).snapshot(*HERE) == view


def test_an_index_from_another_store_stores_the_bodies_again(world: DirectoryWorld, tree: Path) -> None:
    settle(tree)
    view = world.snapshot(*HERE)
    with open_store("sqlite://") as elsewhere:
        other = DirectoryWorld(world.root, elsewhere)
        assert other.snapshot(*HERE) == view
        assert content(view, other) == {"a.txt": b"first"}


def interfere(monkeypatch: pytest.MonkeyPatch, name: str, act: Callable[[], None], times: int = 1 << 30) -> None:
    """Do ``act`` just before the file ``name`` is opened for reading."""
    real = os.open
    left = [times]

    def call(path: Any, flags: int, *args: Any, **options: Any) -> int:
        if path == name and flags & os.O_NONBLOCK and left[0] > 0:
            left[0] -= 1
            act()
        return real(path, flags, *args, **options)

    monkeypatch.setattr(os, "open", call)


def test_a_file_that_vanishes_while_it_is_read(
    world: DirectoryWorld, tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once is seen by a further attempt; again and again is an error that names it."""
    (tree / "b.txt").write_bytes(b"b")
    interfere(monkeypatch, "b.txt", (tree / "b.txt").unlink, times=1)
    assert world.snapshot(*HERE).resources.keys() == {"a.txt"}
    monkeypatch.undo()

    (tree / "b.txt").write_bytes(b"b")
    interfere(monkeypatch, "b.txt", (tree / "b.txt").unlink)
    real = os.scandir
    monkeypatch.setattr(os, "scandir", lambda fd: ((tree / "b.txt").write_bytes(b"back"), real(fd))[1])
    with pytest.raises(FileVanished) as caught:
        world.snapshot(*HERE)
    assert caught.value.path == "b.txt"


def test_a_file_that_changes_while_it_is_read(
    store: Store, world: DirectoryWorld, tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tree / "b.txt"
    path.write_bytes(b"b")

    def grow() -> None:
        with path.open("ab") as file:
            file.write(b"more")

    before = bodies(store)
    interfere(monkeypatch, "b.txt", grow)
    with pytest.raises(FileChanged) as caught:
        world.snapshot(*HERE)
    assert caught.value.path == "b.txt"
    assert bodies(store) == before, "something was stored of a snapshot that failed"
    monkeypatch.undo()
    interfere(monkeypatch, "b.txt", grow, times=2)
    assert content(world.snapshot(*HERE), world)["b.txt"] == path.read_bytes()


def test_what_takes_a_files_place_is_not_followed(
    world: DirectoryWorld, tree: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A link or pipe that is swapped in between look and use is neither read through nor waited for."""
    secret = tmp_path / "secret"
    secret.write_bytes(b"first")
    path = tree / "a.txt"

    def link() -> None:
        path.unlink()
        path.symlink_to(secret)

    def pipe() -> None:
        path.unlink()
        os.mkfifo(path)

    def restore() -> None:
        path.unlink()
        path.write_bytes(b"first")

    for swap in (link, pipe):
        with monkeypatch.context() as patch:
            interfere(patch, "a.txt", swap, times=1)
            with pytest.raises(StateViewError) as caught:
                world.snapshot(*HERE)
        assert isinstance(caught.value, UnsupportedFile)
        restore()


def test_a_folder_that_is_swapped_for_a_link_is_not_written_through(
    store: Store, world: DirectoryWorld, tree: Path, tmp_path: Path
) -> None:
    """Whether its descriptor is open already (then the write goes to where the folder went) or not."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "b.txt").write_bytes(b"theirs")
    for number in range(100):  # more than are kept open
        world.write(*HERE, f"{number}/b.txt", b"ours")
    view = world.snapshot(*HERE)
    for number in range(100):
        world.write(*HERE, f"{number}/b.txt", b"changed")

    def swap(where: str) -> None:
        if where == "after the intent":
            for number in range(100):
                (tree / f"{number}").rename(tree / f"gone {number}")
                (tree / f"{number}").symlink_to(outside)

    with pytest.raises(StateViewError):
        DirectoryWorld(world.root, store, probe=swap).restore(*HERE, view)
    assert seen(outside) == {"b.txt": ("file", 0o644, b"theirs")}


def test_a_mode_is_not_set_through_a_link_that_was_swapped_in(
    store: Store, world: DirectoryWorld, tree: Path, tmp_path: Path
) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(b"theirs")
    secret.chmod(0o600)

    def swap(where: str) -> None:
        if where == "before the mode of a.txt":
            (tree / "a.txt").rename(tree / "gone")
            (tree / "a.txt").symlink_to(secret)

    with pytest.raises(StateViewError):
        DirectoryWorld(world.root, store, probe=swap).chmod(*HERE, "a.txt", 0o666)
    assert secret.stat().st_mode & 0o777 == 0o600


def test_links_on_the_way_to_the_root_are_not_followed(store: Store, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    for name in ("acme", ".holdfast"):
        root = tmp_path / f"root of {name}"
        root.mkdir()
        (root / name).symlink_to(outside)
        with pytest.raises(StateViewError):
            DirectoryWorld(root, store).write(*HERE, "a.txt", b"a")
        assert not list(outside.iterdir())


@pytest.mark.parametrize(
    "kind", ["pipe", "socket", "device", "latin", "target", "reserved", "absolute", "above", "roundabout"]
)
def test_what_no_view_can_hold_is_named_and_nothing_is_stored(
    store: Store, world: DirectoryWorld, tree: Path, kind: str
) -> None:
    folder = tree / "sub"
    folder.mkdir()
    (tree / "new.txt").write_bytes(b"not stored yet")
    (folder / "new.txt").write_bytes(b"nor this")
    if kind == "pipe":
        os.mkfifo(folder / "odd")
    elif kind == "socket":
        with socket.socket(socket.AF_UNIX) as opened:
            here = Path.cwd()
            os.chdir(folder)
            opened.bind("odd")
            os.chdir(here)
    elif kind == "device":
        os.mknod(folder / "odd", stat.S_IFCHR, os.makedev(1, 3))
    elif kind == "latin":
        (folder / os.fsdecode(b"caf\xe9")).mkdir()
    elif kind == "target":
        (folder / "odd").symlink_to(os.fsdecode(b"caf\xe9"))
    elif kind == "reserved":
        (folder / ".holdfast").mkdir()
    else:
        target = {"absolute": "/etc/passwd", "above": "../../secret", "roundabout": "x/../../secret"}[kind]
        (folder / "odd").symlink_to(target)
    before = bodies(store)
    view = StateView[Entry](service="directory", version=1, resources={})
    for act in (lambda: world.snapshot(*HERE), lambda: world.restore(*HERE, view), lambda: world.merge(*HERE, view)):
        with pytest.raises(UnsupportedFile) as caught:
            act()
        assert caught.value.path.startswith("sub/")
        assert isinstance(caught.value, Conflict)
        assert "--exclude" in caught.value.remedy
    assert bodies(store) == before
    assert (tree / "new.txt").exists()


def test_another_file_system_below_is_named(world: DirectoryWorld, tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tree / "mounted").mkdir()
    monkeypatch.setattr(Tree, "_device", property(lambda self: -1, lambda self, found: None), raising=False)
    with pytest.raises(UnsupportedFile, match="file system"):
        world.snapshot(*HERE)


def test_changes_of_others_are_told(store: Store, world: DirectoryWorld, tree: Path) -> None:
    """WO-5: events' views stay exact though others write directly, or through another world of the same root."""
    told = []
    world.notifier.subscribe(told.append)
    start = world.snapshot(*HERE)
    world.write(*HERE, "b.txt", b"b")
    second = world.snapshot(*HERE)
    (tree / "a.txt").write_bytes(b"by hand")
    DirectoryWorld(world.root, store).write(*HERE, "c.txt", b"c")
    world.write(*HERE, "a.txt", b"again")
    world.write(*HERE, "d.txt", b"d")
    world.snapshot(*HERE)
    world.write(*HERE, "e.txt", b"e")
    assert world.notifier.drain(10)
    assert told[0].view() == second
    assert told[-1].view() == world.snapshot(*HERE)
    state = dict(start.resources)
    for change in told:
        for item in change.delta:
            assert state.get(item.resource) == item.before
            if item.after is None:
                del state[item.resource]
            else:
                state[item.resource] = item.after
        assert change.view().resources == dict(sorted(state.items()))
    assert content(told[1].view(), world)["a.txt"] == b"by hand", "a body that was overwritten is lost"


def test_two_processes_on_one_root(store: Store, tmp_path: Path) -> None:
    """Worlds of their own (each with a lock of its own, as processes have) never see each other half-way."""
    worlds = [DirectoryWorld(tmp_path / "root", store) for _ in range(4)]
    views = [build(worlds[0]), rebuild(worlds[1])]
    errors: list[BaseException] = []
    done = threading.Event()

    def restore(world: DirectoryWorld, number: int) -> None:
        try:
            for _ in range(15):
                world.restore(*HERE, views[number])
        except BaseException as error:
            errors.append(error)

    def look(world: DirectoryWorld) -> None:
        try:
            while not done.is_set():
                assert world.snapshot(*HERE) in views
        except BaseException as error:
            errors.append(error)

    writers = [threading.Thread(target=restore, args=(worlds[number], number)) for number in range(2)]
    readers = [threading.Thread(target=look, args=(world,)) for world in worlds[2:]]
    for thread in writers + readers:
        thread.start()
    for thread in writers:
        thread.join()
    done.set()
    for thread in readers:
        thread.join()
    assert not errors
