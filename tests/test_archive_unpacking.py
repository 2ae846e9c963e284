"""Unpacked trees: exactly the archive's files, whole or not there, and never anywhere else (PK-9)."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from holdfast.packages.archive import Archive, open_archive, unpack
from holdfast.packages.archive.errors import InvalidArchive, UnpackFailed
from tests.archive_kit import FILES, archive, manifest

GOOD = open_archive(archive())


def held(root: Path) -> dict[str, bytes]:
    """All that is in a tree."""
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if not path.is_dir()}


def test_a_tree_holds_the_files_and_nothing_else(tmp_path: Path) -> None:
    unpack(GOOD, tmp_path / "cache" / "tree")
    assert held(tmp_path / "cache" / "tree") == FILES
    assert {path.name for path in (tmp_path / "cache").iterdir()} == {"tree", ".tree.lock"}


def test_a_tree_that_is_right_is_left_alone(tmp_path: Path) -> None:
    unpack(GOOD, tmp_path / "tree")
    before = (tmp_path / "tree").stat().st_ino, (tmp_path / "tree/source/shop/orders.py").stat().st_mtime_ns
    unpack(GOOD, tmp_path / "tree")
    assert ((tmp_path / "tree").stat().st_ino, (tmp_path / "tree/source/shop/orders.py").stat().st_mtime_ns) == before


def edited(tree: Path) -> None:
    path = tree / "source/shop/orders.py"
    path.write_bytes(path.read_bytes().replace(b"1", b"2"))


def missing(tree: Path) -> None:
    (tree / "source/shop/orders.py").unlink()


def added(tree: Path) -> None:
    (tree / "source/shop/__pycache__").mkdir()


def linked(tree: Path) -> None:
    """The same content, from a place that anybody may change."""
    outside = tree.parent / "outside.py"
    (tree / "source/shop/orders.py").rename(outside)
    (tree / "source/shop/orders.py").symlink_to(outside)


def folder_linked(tree: Path) -> None:
    (tree / "source").rename(tree.parent / "outside")
    (tree / "source").symlink_to(tree.parent / "outside")


def root_linked(tree: Path) -> None:
    tree.rename(tree.parent / "outside")
    tree.symlink_to(tree.parent / "outside")


def a_file(tree: Path) -> None:
    tree.rename(tree.parent / "outside")
    tree.write_text("x")


def a_pipe(tree: Path) -> None:
    (tree / "source/shop/orders.py").unlink()
    os.mkfifo(tree / "source/shop/orders.py")


@pytest.mark.parametrize("damage", [edited, missing, added, linked, folder_linked, root_linked, a_file, a_pipe])
def test_a_tree_that_differs_is_written_anew(damage: Callable[[Path], None], tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    unpack(GOOD, tree)
    damage(tree)
    outside = held(tmp_path / "outside") if (tmp_path / "outside").is_dir() else None
    unpack(GOOD, tree)
    assert held(tree) == FILES
    assert not [path for path in [tree, *tree.rglob("*")] if path.is_symlink()]
    assert outside is None or held(tmp_path / "outside") == outside


def test_names_are_checked_once_more(tmp_path: Path) -> None:
    forged = Archive(manifest(), {"../evil": b"x"}, "0" * 64)
    with pytest.raises(InvalidArchive):
        unpack(forged, tmp_path / "cache" / "tree")
    assert not list(tmp_path.iterdir())


def test_where_nothing_can_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(UnpackFailed):
        unpack(GOOD, tmp_path / "file" / "tree")


def test_several_at_once(tmp_path: Path) -> None:
    """All of them get a whole tree, whoever was first; one had found a damaged one."""
    unpack(GOOD, tmp_path / "tree")
    edited(tmp_path / "tree")
    seen: list[dict[str, bytes]] = []
    ready = threading.Barrier(8)

    def run() -> None:
        ready.wait()
        unpack(GOOD, tmp_path / "tree")
        seen.append(held(tmp_path / "tree"))

    threads = [threading.Thread(target=run) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == [FILES] * 8


KILLED = """
import os, sys
from pathlib import Path
from holdfast.packages.archive import open_archive, unpack
from tests.archive_kit import archive

GOOD, NEW = open_archive(archive()), open_archive(archive({"source/shop/orders.py": b"new"}))
CHANGES = {"os.mkdir", "os.rename", "os.remove", "os.rmdir"}

def held(root):
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if not path.is_dir()}

def killed_at(number, tree):
    count = 0
    def hook(event, args):
        nonlocal count
        writes = event in CHANGES or (event == "open" and isinstance(args[2], int) and args[2] & os.O_CREAT != 0)
        count += writes
        if writes and count > number:
            os._exit(9)
    if (child := os.fork()) == 0:
        sys.addaudithook(hook)
        unpack(NEW, tree)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9

number = 0
while True:
    tree = Path(sys.argv[1]) / str(number) / "tree"
    unpack(GOOD, tree)
    killed = killed_at(number, tree)
    assert not tree.exists() or held(tree) in (dict(GOOD.files), dict(NEW.files)), number
    if not killed:
        assert held(tree) == dict(NEW.files)
        break
    unpack(NEW, tree)
    assert held(tree) == dict(NEW.files), number
    assert {path.name for path in tree.parent.iterdir()} == {"tree", ".tree.lock"}, number
    number += 1
print(number)
"""


def test_killed_at_every_write(tmp_path: Path) -> None:
    found = subprocess.run(
        [sys.executable, "-c", KILLED, str(tmp_path)],
        capture_output=True, text=True, timeout=60, check=False, cwd=Path(__file__).parent.parent,
    )  # fmt: skip
    assert found.returncode == 0, found.stderr
    assert int(found.stdout) > 8
