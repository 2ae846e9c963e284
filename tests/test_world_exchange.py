"""Worlds in files: equal states give equal bytes, and nothing in a file is trusted."""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

from holdfast.errors import HoldfastError
from holdfast.store import Store, open_store
from holdfast.worlds import World
from holdfast.worlds.aws import AwsWorld
from holdfast.worlds.comparing import Part, compare
from holdfast.worlds.directory import DirectoryWorld
from holdfast.worlds.errors import InvalidScope, InvalidView, MissingBlob, UnknownService, ViewVersion
from holdfast.worlds.exchange import InvalidWorldArchive, UnreadableArchive, open_archive, write_archive
from holdfast.worlds.keyvalue import KeyValueWorld
from holdfast.worlds.model import Scope, encode_view
from tests.cli_kit import Run

SCOPE = Scope("acme", "north")
Mend = Callable[[dict[str, bytes]], None]


@pytest.fixture
def store() -> Iterator[Store]:
    with open_store("sqlite://") as opened:
        yield opened


@pytest.fixture
def other() -> Iterator[Store]:
    with open_store("sqlite://") as opened:
        yield opened


def site(store: Store, root: Path) -> tuple[DirectoryWorld, World]:
    """A world of files and settings."""
    files, settings = DirectoryWorld(root, store), KeyValueWorld(store, "site")
    return files, World(store, "site", [files, settings], [SCOPE])


def fill(files: DirectoryWorld, world: World) -> None:
    files.write(*SCOPE, "a.txt", b"one")
    files.write(*SCOPE, "css/b.css", b"one")
    files.write(*SCOPE, "big.bin", bytes(9 * 1024 * 1024))
    settings = world.services["keyvalue"]
    assert isinstance(settings, KeyValueWorld)
    settings.put(*SCOPE, "tone", "plain")


def anywhere(part: Part) -> None:
    """All parts are taken."""


def written(store: Store, world: World, path: Path) -> bytes:
    with path.open("wb") as target:
        contents = write_archive(target, store, world.services, world.snapshot())
    assert contents.size == path.stat().st_size
    return path.read_bytes()


def test_files_and_settings_go_to_another_store(store: Store, other: Store, tmp_path: Path) -> None:
    files, world = site(store, tmp_path / "here")
    fill(files, world)
    there_files, there = site(other, tmp_path / "there")
    body = written(store, world, tmp_path / "one")
    told: list[tuple[int, int]] = []
    with open_archive(tmp_path / "one") as archive:
        assert archive.contents == (2, 5, 3, len(body))
        views = archive.take_in(other, there, anywhere, lambda *steps: told.append(steps))
    assert told == [(1, 3), (2, 3), (3, 3)], "a body that two files share, and two slices; the last is another"
    assert not any(view.resources for view in there.snapshot().values()), "the world is as it was"
    there.restore(there.record(views, "brought"))
    assert not compare(world.snapshot(), there.snapshot())
    assert there_files.read(*SCOPE, "big.bin") == bytes(9 * 1024 * 1024)
    assert written(other, there, tmp_path / "two") == body
    assert written(store, world, tmp_path / "three") == body


def test_what_the_store_has_is_not_read_again(store: Store, tmp_path: Path) -> None:
    files, world = site(store, tmp_path / "here")
    fill(files, world)
    written(store, world, tmp_path / "one")
    told: list[tuple[int, int]] = []
    with open_archive(tmp_path / "one") as archive:
        archive.take_in(store, world, anywhere, lambda *steps: told.append(steps))
    assert told == []


def test_a_mock_aws_goes_to_another_store(tmp_path: Path) -> None:
    with AwsWorld() as world, AwsWorld() as copy:
        s3 = world.client("s3")
        s3.create_bucket(Bucket="goods")
        s3.put_object(Bucket="goods", Key="../../evil", Body=b"fine")
        world.client("iam").create_role(RoleName="r", AssumeRolePolicyDocument="{}")
        views = world.snapshot()
        with (tmp_path / "one").open("wb") as target:
            write_archive(target, world.store, world.services, views)
        with open_archive(tmp_path / "one") as archive:
            brought = archive.take_in(copy.store, copy.world, anywhere)
        copy.restore(copy.world.record(brought))
        assert copy.client("s3").get_object(Bucket="goods", Key="../../evil")["Body"].read() == b"fine"
        assert not compare(world.snapshot(), copy.snapshot())


# -- archives that somebody made -----------------------------------------------------------------------------------


def packed(entries: dict[str, bytes], compression: int = zipfile.ZIP_STORED) -> bytes:
    target = BytesIO()
    with zipfile.ZipFile(target, "w", compression) as archive:
        for name, body in entries.items():
            archive.writestr(zipfile.ZipInfo(name), body, compression)
    return target.getvalue()


def digest(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()


def view_of(resources: dict[str, Any], **more: Any) -> bytes:
    view = {"service": "directory", "version": 1, "resources": resources, "not_captured": []} | more
    return json.dumps(view, sort_keys=True, separators=(",", ":")).encode()


def sound(view: bytes, bodies: tuple[bytes, ...] = (), **more: Any) -> dict[str, bytes]:
    """The entries of an archive with one view."""
    held = {
        "service": "directory",
        "account_id": "acme",
        "region": "north",
        "resources": len(json.loads(view)["resources"]),
        "digest": digest(view),
    } | more
    path = f"views/{held['service']}/{held['account_id']}/{held['region']}.json"
    manifest = json.dumps({"format": 1, "views": [held]}).encode()
    return {"manifest.json": manifest, path: view} | {f"bodies/{digest(body)}": body for body in bodies}


def file_of(body: bytes) -> dict[str, Any]:
    return {"type": "file", "mode": 420, "size": len(body), "digest": digest(body)}


VIEW = view_of({"a": file_of(b"x")})
HELD = json.loads(sound(VIEW)["manifest.json"])["views"][0]


def manifest(**more: Any) -> dict[str, bytes]:
    return sound(VIEW, (b"x",)) | {"manifest.json": json.dumps({"format": 1, "views": [HELD]} | more).encode()}


HOSTILE: dict[str, tuple[bytes, type[HoldfastError]]] = {
    "nothing": (b"", InvalidWorldArchive),
    "no zip": (b"PK\x03\x04 no zip at all", InvalidWorldArchive),
    "cut off": (packed(sound(VIEW, (b"x",)))[:-30], InvalidWorldArchive),
    "no manifest": (packed({"views/directory/acme/north.json": VIEW}), InvalidWorldArchive),
    "manifest of another format": (packed(manifest(format=2)), InvalidWorldArchive),
    "manifest that is no JSON": (packed({"manifest.json": b"{"}), InvalidWorldArchive),
    "manifest with more in it": (packed(manifest(extra=1)), InvalidWorldArchive),
    "manifest that names a view twice": (packed(manifest(views=[HELD, HELD])), InvalidWorldArchive),
    "manifest with a name that climbs": (packed(manifest(views=[HELD | {"region": ".."}])), InvalidWorldArchive),
    "manifest that counts wrong": (packed(manifest(views=[HELD | {"resources": 7}])), InvalidWorldArchive),
    "deep manifest": (packed({"manifest.json": b"[" * 100_000}), InvalidWorldArchive),
    "missing view": (packed({"manifest.json": manifest()["manifest.json"]}), InvalidWorldArchive),
    "view that was changed": (
        packed(manifest() | {"views/directory/acme/north.json": VIEW.replace(b"420", b"511")}),
        InvalidWorldArchive,
    ),
    "path that climbs": (packed(manifest() | {"../../evil": b""}), InvalidWorldArchive),
    "absolute path": (packed(manifest() | {"/etc/passwd": b""}), InvalidWorldArchive),
    "folder": (packed(manifest() | {"bodies/": b""}), InvalidWorldArchive),
    "body of no digest": (packed(manifest() | {"bodies/x": b""}), InvalidWorldArchive),
    "body of another digest": (packed(manifest() | {f"bodies/{digest(b'x')}": b"y"}), InvalidWorldArchive),
    "compressed": (
        packed(manifest() | {"bodies/" + "0" * 64: bytes(10_000_000)}, zipfile.ZIP_DEFLATED),
        InvalidWorldArchive,
    ),
    "no body": (packed(sound(VIEW)), MissingBlob),
    "view of another service": (packed(sound(view_of({}, service="lambda"), service="lambda")), UnknownService),
    "view of another service than told": (packed(sound(view_of({}, service="lambda"))), InvalidView),
    "view of another version": (packed(sound(view_of({}, version=99))), ViewVersion),
    "view that climbs": (packed(sound(view_of({"../x": file_of(b"x")}), (b"x",))), InvalidView),
    "view of another place": (packed(sound(VIEW, (b"x",), region="south")), InvalidScope),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_a_hostile_archive_changes_nothing(case: str, store: Store, tmp_path: Path) -> None:
    files, world = site(store, tmp_path / "here")
    files.write(*SCOPE, "mine", b"mine")
    before = {part: encode_view(view) for part, view in world.snapshot().items()}
    body, error = HOSTILE[case]
    (tmp_path / "file").write_bytes(body)

    def here(part: Part) -> None:
        if part[1] != SCOPE:
            raise InvalidScope("elsewhere")

    with pytest.raises(error) as refused, open_archive(tmp_path / "file") as archive:
        archive.take_in(store, world, here)
    assert refused.value.remedy
    assert {part: encode_view(view) for part, view in world.snapshot().items()} == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "here"]


def test_a_missing_body_is_named(store: Store, tmp_path: Path) -> None:
    _, world = site(store, tmp_path / "here")
    (tmp_path / "file").write_bytes(packed(sound(VIEW)))
    with pytest.raises(MissingBlob) as refused, open_archive(tmp_path / "file") as archive:
        archive.take_in(store, world, anywhere)
    assert refused.value.digests == [digest(b"x")]


def test_entries_that_claim_the_same_bytes_are_refused(tmp_path: Path) -> None:
    """Each of a thousand names could lead to the same gigabyte."""
    target = BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        for name, body in manifest().items():
            archive.writestr(zipfile.ZipInfo(name), body)
        archive.writestr("bodies/" + "0" * 64, bytes(1_000_000))
        big = archive.infolist()[-1]
        for number in range(1, 10):
            again = zipfile.ZipInfo(f"bodies/{number:064}")
            again.header_offset, again.CRC = big.header_offset, big.CRC
            again.compress_size = again.file_size = big.file_size
            archive.filelist.append(again)
        archive._didModify = True  # type: ignore[attr-defined]
    (tmp_path / "file").write_bytes(target.getvalue())
    with pytest.raises(InvalidWorldArchive, match="claim more bytes"), open_archive(tmp_path / "file"):
        pass


def test_two_entries_of_one_name_are_refused(tmp_path: Path) -> None:
    target = BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        for name, body in [*manifest().items(), *manifest().items()][:5]:
            archive.filelist.append(archive.filelist[0]) if name in archive.namelist() else archive.writestr(name, body)
    (tmp_path / "file").write_bytes(target.getvalue())
    with pytest.raises(InvalidWorldArchive, match="two entries"), open_archive(tmp_path / "file"):
        pass


@pytest.mark.parametrize("flag", [0x1, 0x40, 0x2000])
def test_what_is_encrypted_is_refused(flag: int, tmp_path: Path) -> None:
    target = BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        for name, body in manifest().items():
            archive.writestr(name, body)
        archive.filelist[0].flag_bits |= flag
    (tmp_path / "file").write_bytes(target.getvalue())
    with pytest.raises(InvalidWorldArchive), open_archive(tmp_path / "file"):
        pass


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "nothing", Path("/dev/zero"), Path("a\0b")):
        with pytest.raises(UnreadableArchive), open_archive(path):
            pass


# -- on the command line -------------------------------------------------------------------------------------------


def test_a_directory_goes_to_another_machine(run: Run, tmp_path: Path) -> None:
    here, there, file = tmp_path / "here", tmp_path / "there", tmp_path / "site.hfworld"
    (here / "css").mkdir(parents=True)
    (here / "css" / "a.css").write_text("a")
    there.mkdir()
    (there / "old.txt").write_text("old")
    first, second = (("--store", f"sqlite:///{tmp_path / name}.db", "world") for name in ("first", "second"))
    assert run(*first, "export", str(here), str(file)).out == f"Wrote 2 resources and 1 body of {here} to {file}.\n"
    assert run(*second, "import", str(there), str(file), "--only-checkpoint", "brought").code == 0
    assert (there / "old.txt").exists()
    done = run(*second, "import", str(there), str(file), "--json").json
    assert sorted(path.name for path in there.iterdir() if path.name != ".holdfast") == ["css"]
    assert (there / "css" / "a.css").read_text() == "a"
    assert run(*second, "restore", str(there), done["before"]).code == 0
    assert (there / "old.txt").read_text() == "old"
    told = run(*second, "export", str(there), str(tmp_path / "again"), "--checkpoint", "brought", "--json").json
    assert (told["resources"], told["bodies"]) == (2, 1)
    assert (tmp_path / "again").read_bytes() == file.read_bytes()


def test_an_archive_of_another_account_and_region_is_refused(run: Run, tmp_path: Path) -> None:
    folder, file = tmp_path / "site", tmp_path / "site.hfworld"
    (folder / "acme" / "north").mkdir(parents=True)
    store = ("--store", f"sqlite:///{tmp_path / 'h.db'}", "world")
    assert run(*store, "export", str(folder), str(file), "--account", "acme", "--region", "north").code == 0
    refused = run(*store, "import", str(folder), str(file), "--json")
    assert (refused.code, refused.error["code"]) == (2, "invalid_scope")
    assert "--account acme --region north" in refused.error["remedy"]
