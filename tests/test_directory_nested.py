"""A world's root lies in no other world's root."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from holdfast.store import Store, open_store
from holdfast.worlds.directory import DirectoryWorld, NestedRoot, UnsupportedFile

HERE = ("acme", "north")


@pytest.fixture
def store() -> Iterator[Store]:
    with open_store("sqlite://") as opened:
        yield opened


def make(kind: str, root: Path, store: Store) -> tuple[DirectoryWorld, tuple[str, str]]:
    if kind == "alone":
        return DirectoryWorld.at(root, store), DirectoryWorld.LOCAL
    return DirectoryWorld(root, store), HERE


@pytest.mark.parametrize("inner", ["alone", "scoped"])
@pytest.mark.parametrize("outer", ["alone", "scoped"])
def test_the_inner_one_is_refused_where_the_outer_one_is(outer: str, inner: str, tmp_path: Path, store: Store) -> None:
    world, scope = make(outer, tmp_path / "outer", store)
    world.write(*scope, "a/b.txt", b"1")
    for place in (world.place(*scope) / "a", world.root / "beside" / "deep"):
        other, there = make(inner, place, store)
        with pytest.raises(NestedRoot) as refused:
            other.write(*there, "c.txt", b"2")
        assert (refused.value.inner, refused.value.outer) == (place, world.root)
        assert str(place) in refused.value.message
        assert str(world.root) in refused.value.message
        assert not (place / ".holdfast").exists()
    assert sorted(world.snapshot(*scope).resources)[:2] == ["a", "a/b.txt"]


@pytest.mark.parametrize("inner", ["alone", "scoped"])
@pytest.mark.parametrize("outer", ["alone", "scoped"])
def test_the_outer_one_is_refused_where_the_inner_one_is(outer: str, inner: str, tmp_path: Path, store: Store) -> None:
    world, scope = make(outer, tmp_path / "outer", store)
    other, there = make(inner, world.place(*scope) / "a", store)
    other.write(*there, "c.txt", b"2")
    with pytest.raises(NestedRoot) as refused:
        world.snapshot(*scope)
    assert (refused.value.inner, refused.value.outer) == (other.root, world.root)
    assert other.read(*there, "c.txt") == b"2"


def test_a_folder_that_is_only_called_so_is_what_it_was(tmp_path: Path, store: Store) -> None:
    (tmp_path / ".holdfast").mkdir()
    world = DirectoryWorld(tmp_path / "site", store)
    world.write(*HERE, "a.txt", b"1")
    (world.place(*HERE) / ".holdfast").mkdir()
    with pytest.raises(UnsupportedFile, match="reserved name"):
        world.snapshot(*HERE)
