"""Killed at any write point, or failing at any step, a directory is as it was before the change or after it."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from holdfast.errors import HoldfastError
from holdfast.store import Store, open_store
from holdfast.worlds.directory import (
    DirectoryDenied,
    DirectoryFull,
    DirectoryWorld,
    FileChanged,
    PendingChange,
)
from holdfast.worlds.errors import MissingBlob
from holdfast.worlds.model import encode_view
from tests.directory_kit import HERE, Fuse, build, rebuild, seen, tree_of


class Killed(BaseException):
    """The end of the process, rehearsed."""


def die() -> None:
    raise Killed


@pytest.fixture
def store(sqlite_url: str) -> Iterator[Store]:
    with open_store(sqlite_url) as opened:
        yield opened


def write_points(store: Store, root: Path) -> list[str]:
    """The write points of restoring what :func:`build` makes over what :func:`rebuild` makes."""
    fuse = Fuse(0, die)
    plain = DirectoryWorld(root, store)
    wanted = build(plain)
    rebuild(plain)
    DirectoryWorld(root, store, probe=fuse).restore(*HERE, wanted)
    return fuse.points


def test_killed_at_every_write_point_of_a_restore(store: Store, tmp_path: Path) -> None:
    points = write_points(store, tmp_path / "rehearsal")
    assert len(points) > 20
    durable = points.index("after the intent") + 1
    for point in range(1, len(points) + 1):
        root = tmp_path / str(point)
        plain = DirectoryWorld(root, store)
        wanted = build(plain)
        target = seen(tree_of(plain))
        before = rebuild(plain)
        with pytest.raises(Killed):
            DirectoryWorld(root, store, probe=Fuse(point, die)).restore(*HERE, wanted)
        after = DirectoryWorld(root, store)
        assert after.snapshot(*HERE) == (before if point < durable else wanted), points[point - 1]
        if point >= durable:
            assert seen(tree_of(after)) == target
        assert not list(root.joinpath(".holdfast", *HERE).glob("intent*")), points[point - 1]
        after.restore(*HERE, wanted)
        assert seen(tree_of(after)) == target


def test_killed_again_while_a_change_is_being_finished(store: Store, tmp_path: Path) -> None:
    plain = DirectoryWorld(tmp_path / "root", store)
    wanted = build(plain)
    rebuild(plain)
    points = write_points(store, tmp_path / "rehearsal")
    first = points.index("after the intent") + 3
    with pytest.raises(Killed):
        DirectoryWorld(plain.root, store, probe=Fuse(first, die)).restore(*HERE, wanted)
    for kill in range(1, 200):
        try:
            DirectoryWorld(plain.root, store, probe=Fuse(kill, die)).snapshot(*HERE)
            break
        except Killed:
            continue
    assert kill > 5, "nothing was left to be finished"
    assert plain.snapshot(*HERE) == wanted


@pytest.mark.parametrize(
    ("act", "journalled"),
    [
        (lambda world: world.write(*HERE, "same.txt", b"other"), False),
        (lambda world: world.write(*HERE, "a/b/c/new.txt", b"new"), True),
        (lambda world: world.remove(*HERE, "turns", recursive=True), True),
        (lambda world: world.remove(*HERE, "closed/inside.txt"), True),
        (lambda world: world.rename(*HERE, "turns", "moved"), False),
        (lambda world: world.rename(*HERE, "turns", "closed/deeper/moved"), True),
        (lambda world: world.chmod(*HERE, "closed", 0o700), False),
        (lambda world: world.symlink(*HERE, "closed/l", "inside.txt"), True),
    ],
    ids=["write", "write-parents", "remove", "remove-closed", "rename", "rename-parents", "chmod", "symlink-closed"],
)
def test_killed_at_every_write_point_of_a_clients_call(
    store: Store, tmp_path: Path, act: Callable[[DirectoryWorld], None], journalled: bool
) -> None:
    model = DirectoryWorld(tmp_path / "model", store)
    before = build(model)
    act(model)
    wanted = model.snapshot(*HERE)
    fuse = Fuse(0, die)
    rehearsal = DirectoryWorld(tmp_path / "rehearsal", store)
    build(rehearsal)
    act(DirectoryWorld(rehearsal.root, store, probe=fuse))
    assert ("after the intent" in fuse.points) is journalled
    durable = fuse.points.index("after the intent" if journalled else "before the end") + 1
    for point in range(1, len(fuse.points) + 1):
        world = DirectoryWorld(tmp_path / f"root {point}", store)
        build(world)
        with pytest.raises(Killed):
            act(DirectoryWorld(world.root, store, probe=Fuse(point, die)))
        assert world.snapshot(*HERE) == (before if point < durable else wanted), fuse.points[point - 1]


def test_a_real_kill(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'store.db'}"
    with open_store(url) as store:
        points = write_points(store, tmp_path / "rehearsal")
    durable = points.index("after the intent") + 1
    for point in (1, durable - 1, durable, durable + 4, len(points) - 1, len(points)):
        root = tmp_path / str(point)
        with open_store(url) as store:
            plain = DirectoryWorld(root, store)
            wanted = build(plain)
            before = rebuild(plain)
        Path(f"{root}.json").write_text(encode_view(wanted))
        command = [sys.executable, "-m", "tests.directory_kit", url, str(root), str(point)]
        assert subprocess.run(command, check=False, timeout=60).returncode == -signal.SIGKILL
        with open_store(url) as store:
            found = DirectoryWorld(root, store).snapshot(*HERE)
        assert found == (before if point < durable else wanted), points[point - 1]


def failing(monkeypatch: pytest.MonkeyPatch, name: str, number: int, code: int, times: int = 1) -> Callable[[], int]:
    """Have calls of ``os.<name>`` fail, ``times`` of them from the given one on; returns the count of all calls."""
    real = getattr(os, name)
    calls = 0

    def call(*args: Any, **options: Any) -> Any:
        nonlocal calls
        calls += 1
        if number <= calls < number + times:
            raise OSError(code, os.strerror(code), str(args[0]))
        return real(*args, **options)

    monkeypatch.setattr(os, name, call)
    return lambda: calls


@pytest.mark.parametrize("name", ["open", "write", "rename", "unlink", "rmdir", "mkdir", "symlink", "fchmod", "fsync"])
@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EACCES, errno.EIO])
def test_whatever_call_fails_nothing_is_changed(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, code: int
) -> None:
    """Each call of each kind fails once: the restore is refused and taken back, or (its last sync) done."""
    world = DirectoryWorld(tmp_path / "root", store)
    wanted = build(world)
    before = rebuild(world)
    failures = 0
    number = 1
    while True:
        with monkeypatch.context() as patch:
            count = failing(patch, name, number, code)
            error = None
            try:
                world.restore(*HERE, wanted)
            except HoldfastError as raised:
                error = raised
            reached = count() >= number
        if error is not None:
            failures += 1
            assert error.remedy
            assert world.snapshot(*HERE) == before, f"call {number} of {name}"
        else:
            assert world.snapshot(*HERE) == wanted
            world.restore(*HERE, before)
        if not reached:
            break
        number += 1
    assert failures >= 1


def test_a_full_disk_and_a_denied_call_have_their_own_errors(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = DirectoryWorld(tmp_path / "root", store)
    before = build(world)
    for code, kind in (
        (errno.ENOSPC, DirectoryFull),
        (errno.EDQUOT, DirectoryFull),
        (errno.EACCES, DirectoryDenied),
        (errno.EROFS, DirectoryDenied),
        (errno.ENOTEMPTY, FileChanged),
    ):
        with monkeypatch.context() as patch:
            failing(patch, "rename", 1, code)
            with pytest.raises(kind):
                world.write(*HERE, "same.txt", b"other")
        assert world.snapshot(*HERE) == before
    assert world.read(*HERE, "same.txt") == b"same"


def test_what_can_neither_be_finished_nor_taken_back_stays_pending(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Until the cause is mended nothing of the half-done change is served; then the next use takes it back."""
    world = DirectoryWorld(tmp_path / "root", store)
    wanted = build(world)
    before = rebuild(world)
    other = DirectoryWorld(world.root, store)
    with monkeypatch.context() as patch:
        failing(patch, "rename", 2, errno.ENOSPC, times=1000)
        with pytest.raises(PendingChange, match="No space left") as caught:
            world.restore(*HERE, wanted)
        assert caught.value.intent.exists()
        for use in (lambda: world.snapshot(*HERE), lambda: other.read(*HERE, "same.txt")):
            with pytest.raises(PendingChange):
                use()
        assert other.snapshot("acme", "south").resources == {}
    assert other.snapshot(*HERE) == before
    assert not caught.value.intent.exists()


def test_a_missing_body_is_found_out_before_anything_changes(store: Store, tmp_path: Path) -> None:
    world = DirectoryWorld(tmp_path / "root", store)
    wanted = build(world)
    with open_store("sqlite://") as elsewhere:
        strange = DirectoryWorld(tmp_path / "strange", elsewhere)
        strange.write(*HERE, "mine.txt", b"mine")
        for call in (strange.restore, strange.merge):
            with pytest.raises(MissingBlob) as caught:
                call(*HERE, wanted)
            assert len(caught.value.digests) == 5
        assert seen(tree_of(strange)) == {"mine.txt": ("file", 0o644, b"mine")}
    store.run(lambda tx: tx.execute("DELETE FROM blobs"))  # by hand: the holders still say that they are there
    world.write(*HERE, "same.txt", b"new")
    here = seen(tree_of(world))
    with pytest.raises(MissingBlob):
        world.restore(*HERE, wanted)
    assert seen(tree_of(world)) == here


@pytest.mark.parametrize("text", [b"", b"{", b'{"version":2,"target":{}}', b'{"version":1,"target":{"../up":null}}'])
def test_an_intent_that_was_tampered_with_is_refused(store: Store, tmp_path: Path, text: bytes) -> None:
    world = DirectoryWorld(tmp_path / "root", store)
    build(world)
    here = seen(tree_of(world))
    intent = world.root.joinpath(".holdfast", *HERE, "intent")
    intent.write_bytes(text)
    with pytest.raises(PendingChange, match="intent"):
        world.snapshot(*HERE)
    assert seen(tree_of(world)) == here
    intent.unlink()
    assert world.snapshot(*HERE).resources
