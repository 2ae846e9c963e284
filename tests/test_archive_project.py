"""Projects: the same files give the same archive; wrong values are named by their key."""

from __future__ import annotations

import os
import shutil
from hashlib import sha256
from pathlib import Path

import pytest

from holdfast.packages.archive import make_manifest, open_archive, pack
from holdfast.packages.archive.errors import (
    InvalidArchive,
    InvalidLock,
    InvalidProject,
    InvalidSource,
    ModuleNotInSource,
    ProjectNotFound,
)
from holdfast.packages.project import Project, collect
from tests.test_archive_locks import LOCK, NAME, WHEEL

TABLE = "[tool.holdfast.package]\n"


def write(root: Path, files: dict[str, str | bytes]) -> Path:
    """A directory with these files."""
    for name, body in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(body.encode() if isinstance(body, str) else body)
    return root


def project(root: Path, table: str = 'name = "shop"', **files: str | bytes) -> Path:
    named = {name.replace("__", "/").replace("_py", ".py"): body for name, body in files.items()}
    return write(
        root, {"pyproject.toml": TABLE + table, "src/shop/__init__.py": "", "src/shop/orders.py": "X = 1\n"} | named
    )


def names(found: Project) -> list[str]:
    return sorted(found.files)


def built(found: Project) -> bytes:
    content = {"name": found.name, "label": found.label, "python": "3.11", "modules": found.modules, "lock": found.lock}
    return pack(make_manifest(content), found.files)


def test_a_project(tmp_path: Path) -> None:
    found = collect(project(tmp_path, 'name = "shop"\nlabel = "1.2"'))
    assert (found.name, found.label, found.modules, found.lock) == ("shop", "1.2", ("shop",), None)
    assert found.source == tmp_path / "src"
    assert found.files == {"source/shop/__init__.py": b"", "source/shop/orders.py": b"X = 1\n"}


def test_two_directories_at_two_times_give_the_same_bytes(tmp_path: Path) -> None:
    one = project(tmp_path / "one", 'name = "shop"\nmodules = ["shop", "shop.orders"]')
    other = tmp_path / "far" / "other"
    for name in sorted((path.relative_to(one) for path in one.rglob("*") if path.is_file()), reverse=True):
        (other / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(one / name, other / name)
        os.utime(other / name, (1_000_000_000, 1_000_000_000))
        (other / name).chmod(0o700)
    write(other, {"src/shop/__pycache__/orders.cpython-311.pyc": b"x", "old.hfpkg": b"x"})
    body = built(collect(one))
    assert built(collect(other)) == body
    assert open_archive(body).manifest.modules == ("shop", "shop.orders")


def test_what_is_left_out(tmp_path: Path) -> None:
    root = project(tmp_path, 'name = "shop"\nexclude = ["tests", "*.csv", "/data", "shop/old/*.py", "shop/gone/"]')
    kept = {"src/shop/data/x.txt": "", "src/shop/old/y.txt": "", "src/other/tests.txt": ""}
    skipped = (
        *(
            "src/shop/.env",
            "src/.git/config",
            "src/shop/__pycache__/x.pyc",
            "src/shop/x.pyc",
            "src/a.egg-info/PKG-INFO",
        ),
        *("src/shop.hfpkg", "src/shop.hfpkg.sig", "src/venv/pyvenv.cfg", "src/venv/lib/x.py", "src/shop/tests/x.py"),
        *("src/x.csv", "src/shop/x.csv", "src/data/x.py", "src/shop/old/x.py", "src/shop/gone/x.py"),
    )
    write(root, kept | dict.fromkeys(skipped, ""))
    assert names(collect(root)) == sorted(
        ["source/shop/__init__.py", "source/shop/orders.py", *(name.replace("src", "source", 1) for name in kept)]
    )


def test_the_directory_itself_as_the_source(tmp_path: Path) -> None:
    """Neither lock nor wheels nor what was built before are in it twice."""
    lock = LOCK.replace(b"../dist/", b"wheels/")
    files = {"pyproject.toml": TABLE + 'name = "shop"', "shop.py": "", "setup.py": "exit(1)", "pylock.toml": lock}
    root = write(tmp_path, files | {f"wheels/{NAME}": WHEEL, "shop-1.hfpkg": b"x", "tools/x.py": ""})
    found = collect(root)
    assert found.modules == ("shop",)
    assert names(found) == sorted(
        [
            *(f"source/{name}" for name in ("pyproject.toml", "setup.py", "shop.py", "tools/x.py")),
            "pylock.toml",
            f"wheels/{NAME}",
        ]
    )
    assert open_archive(built(found)).lock == lock


def test_lock_and_wheels(tmp_path: Path) -> None:
    root = project(tmp_path / "project", 'name = "shop"\nlock = "locks/pylock.prod.toml"')
    lock = LOCK.replace(b"../dist/", b"../../dist/")
    write(tmp_path, {"project/locks/pylock.prod.toml": lock, f"dist/{NAME}": WHEEL})
    found = collect(root)
    assert found.lock == sha256(lock).hexdigest()
    assert found.files["pylock.toml"] == lock
    assert found.files[f"wheels/{NAME}"] == WHEEL
    assert open_archive(built(found))
    (tmp_path / "dist" / NAME).unlink()
    with pytest.raises(InvalidLock, match="is not there"):
        collect(root)


@pytest.mark.parametrize("module", ["shop", "shop.orders", "native", "names.pace", "shop.inner.deep"])
def test_modules_that_are_there(module: str, tmp_path: Path) -> None:
    root = project(tmp_path, f'name = "shop"\nmodules = ["{module}"]')
    write(
        root,
        {
            "src/native.cpython-311-x86_64-linux-gnu.so": "",
            "src/names/pace/x.py": "",
            "src/shop/inner/deep/__init__.py": "",
        },
    )
    assert collect(root).modules == (module,)


@pytest.mark.parametrize("module", ["shopp", "shop.order", "orders", "shop.orders.fulfil", "src.shop"])
def test_modules_that_are_nowhere(module: str, tmp_path: Path) -> None:
    with pytest.raises(ModuleNotInSource, match=module) as refused:
        collect(project(tmp_path, f'name = "shop"\nmodules = ["{module}"]'))
    assert refused.value.key == "tool.holdfast.package.modules"


@pytest.mark.parametrize(
    ("table", "key"),
    [
        ("", "name"),
        ("name = 7", "name"),
        ('name = "Shop"', "name"),
        ('name = ""', "name"),
        ('name = "shop"\nnmae = "x"', "nmae"),
        ('name = "shop"\nsource = 1', "source"),
        ('name = "shop"\nsource = "nowhere"', "source"),
        ('name = "shop"\nsource = ".."', "source"),
        ('name = "shop"\nsource = "/etc"', "source"),
        ('name = "shop"\nsource = "a\\u0000b"', "source"),
        ('name = "shop"\nmodules = "shop"', "modules"),
        ('name = "shop"\nmodules = []', "modules"),
        ('name = "shop"\nmodules = ["shop", 1]', "modules[1]"),
        ('name = "shop"\nmodules = ["shop", "a-b"]', "modules[1]"),
        ('name = "shop"\nmodules = ["shop", "shop"]', "modules[1]"),
        ('name = "shop"\nlabel = ""', "label"),
        ('name = "shop"\nlabel = 1.2', "label"),
        ('name = "shop"\nlock = "nowhere.toml"', "lock"),
        ('name = "shop"\nlock = "src"', "lock"),
        ('name = "shop"\nlock = "../pylock.toml"', "lock"),
        ('name = "shop"\nexclude = "tests"', "exclude"),
        ('name = "shop"\nexclude = ["tests", ""]', "exclude[1]"),
        ('name = "shop"\nexclude = ["tests", 1]', "exclude[1]"),
    ],
)
def test_wrong_values_are_named(table: str, key: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidProject) as refused:
        collect(project(tmp_path, table))
    shown = f"tool.holdfast.package.{key}" if table else "tool.holdfast.package"
    assert refused.value.key == shown
    assert key.partition("[")[0] in refused.value.message


def test_a_key_that_is_spelled_wrongly(tmp_path: Path) -> None:
    with pytest.raises(InvalidProject, match="exclude may be meant"):
        collect(project(tmp_path, 'name = "shop"\nexcludes = []'))


@pytest.mark.parametrize("text", [b"", b"\xff", b"x =", b"tool = 1", b"[tool]\nholdfast = 1", b"x = " + b"[" * 50_000])
def test_no_such_table(text: bytes, tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_bytes(text)
    with pytest.raises(InvalidProject):
        collect(tmp_path)


def test_no_project(tmp_path: Path) -> None:
    for directory in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(ProjectNotFound):
            collect(directory)


def test_a_source_without_modules(tmp_path: Path) -> None:
    with pytest.raises(InvalidProject, match="no module"):
        collect(write(tmp_path, {"pyproject.toml": TABLE + 'name = "shop"', "x-y.py": "", "src/data/x.txt": ""}))


def test_links_within_the_source_are_followed(tmp_path: Path) -> None:
    root = project(tmp_path)
    (root / "src/alias.py").symlink_to("shop/orders.py")
    (root / "src/again").symlink_to("shop")
    found = collect(root)
    assert found.files["source/alias.py"] == found.files["source/again/orders.py"] == b"X = 1\n"
    assert found.modules == ("again", "alias", "shop")


def test_links_that_lead_elsewhere(tmp_path: Path) -> None:
    for target in ("/etc/passwd", "../pyproject.toml", "../..", "nowhere", ".", "shop/loop"):
        root = project(tmp_path / target.replace("/", "_"))
        (root / "src/shop/loop").symlink_to("loop")
        (root / "src/link").symlink_to(target)
        with pytest.raises(InvalidSource) as refused:
            collect(root)
        assert refused.value.key in {"link", "shop/loop"}
    (root / "src/shop/loop").unlink()
    (root / "src/link").unlink()
    (root / "src/shop/inner").mkdir()
    (root / "src/shop/inner/up").symlink_to("..")
    with pytest.raises(InvalidSource, match="shop/inner/up"):
        collect(root)


def test_an_excluded_link_may_lead_anywhere(tmp_path: Path) -> None:
    root = project(tmp_path, 'name = "shop"\nexclude = ["link"]')
    (root / "src/link").symlink_to("/etc")
    assert len(collect(root).files) == 2


def test_pipes_and_folders_in_the_place_of_files(tmp_path: Path) -> None:
    root = project(tmp_path)
    os.mkfifo(root / "src/pipe")
    with pytest.raises(InvalidSource, match="pipe"):
        collect(root)


def test_two_files_that_are_one_elsewhere(tmp_path: Path) -> None:
    with pytest.raises(InvalidArchive) as refused:
        collect(project(tmp_path / "case", src__shop__Orders_py=""))
    assert refused.value.rule == "duplicate"
    root = write(project(tmp_path / "forms"), {"src/e\u0301.txt": ""})
    assert "source/\u00e9.txt" in collect(root).files
    with pytest.raises(InvalidSource, match="NFC"):
        collect(write(root, {"src/\u00e9.txt": ""}))


def test_names_and_sizes_that_no_archive_can_have(tmp_path: Path) -> None:
    root = project(tmp_path / "large")
    with (root / "src/large").open("wb") as file:
        file.truncate(40 << 20)
    for path, rule in ((root, "file-size"), (write(project(tmp_path / "name"), {"src/a\nb": ""}), "path")):
        with pytest.raises(InvalidArchive) as refused:
            collect(path)
        assert refused.value.rule == rule
