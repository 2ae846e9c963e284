"""Directory worlds for tests, and what a tree looks like from outside."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

from holdfast.store import open_store
from holdfast.worlds import StateView
from holdfast.worlds.directory import DirectoryWorld, Entry

HERE = ("acme", "north")
Tree = dict[str, tuple[str, int, bytes]]


def tree_of(world: DirectoryWorld) -> Path:
    """The root of the account and region HERE."""
    return world.root.joinpath(*HERE)


def seen(root: Path) -> Tree:
    """What is below ``root``, read with nothing of ours: kind, mode, body or target of each path."""
    found: Tree = {}
    for path in sorted(root.rglob("*")):
        name = path.relative_to(root).as_posix()
        if path.is_symlink():
            found[name] = ("link", 0, os.fsencode(path.readlink()))
        elif path.is_dir():
            found[name] = ("folder", path.stat().st_mode & 0o777, b"")
        else:
            found[name] = ("file", path.stat().st_mode & 0o777, path.read_bytes())
    return found


def build(world: DirectoryWorld) -> StateView[Entry]:
    """A tree with everything in it, to be restored over the one of :func:`rebuild`."""
    world.write(*HERE, "same.txt", b"same")
    world.write(*HERE, "changed.txt", b"old", mode=0o600)
    world.write(*HERE, "mode.txt", b"mode", mode=0o640)
    world.write(*HERE, "turns/into/file", b"deep")
    world.write(*HERE, "closed/inside.txt", b"inside")
    world.symlink(*HERE, "link", "same.txt")
    world.chmod(*HERE, "closed", 0o555)
    return world.snapshot(*HERE)


def rebuild(world: DirectoryWorld) -> StateView[Entry]:
    """Change everything: each kind becomes each other."""
    world.write(*HERE, "changed.txt", b"new")
    world.chmod(*HERE, "mode.txt", 0o400)
    world.remove(*HERE, "turns", recursive=True)
    world.write(*HERE, "turns", b"a file now")
    world.write(*HERE, "closed/inside.txt", b"other")
    world.remove(*HERE, "link")
    world.write(*HERE, "link/is a folder", b"x")
    world.write(*HERE, "extra/new.txt", b"extra")
    return world.snapshot(*HERE)


class Fuse:
    """A probe that ends the process, or what stands for it, at the point of that number."""

    def __init__(self, point: int, blow: Callable[[], None]) -> None:
        self.points: list[str] = []
        self._point = point
        self._blow = blow

    def __call__(self, where: str) -> None:
        self.points.append(where)
        if len(self.points) == self._point:
            self._blow()


def main(url: str, root: str, point: str) -> None:
    """Restore the view that is in the file beside ``root``, and die at that point."""
    fuse = Fuse(int(point), lambda: os.kill(os.getpid(), signal.SIGKILL))
    with open_store(url) as store:
        world = DirectoryWorld(root, store, probe=fuse)
        world.restore(*HERE, world.decode(Path(f"{root}.json").read_text()))


if __name__ == "__main__":
    main(*sys.argv[1:])
