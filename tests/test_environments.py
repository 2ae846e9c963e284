"""Environments of locked dependencies: installed by uv and by pip alike, whole or not there at all, one builder at a
time, kept as long as somebody uses them."""

from __future__ import annotations

import http.server
import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest

from holdfast.hosting.environments import Environments, environment_key
from holdfast.hosting.errors import VersionNotLoadable
from holdfast.hosting.installers import Installer, pip, uv
from holdfast.hosting.wheels import NoWheelLocked, WheelMismatch
from holdfast.packages.archive.errors import InvalidLock, LockUnsatisfied
from tests.lock_kit import HeldUp, hashes, locked, make_lock, make_wheel, saying

UNREACHED = saying("raise SystemExit('nothing is to be installed')")
BUILDER = """
import sys
from pathlib import Path
from holdfast.hosting.environments import Environments
from tests.lock_kit import HeldUp
root, unpacked, folder = map(Path, sys.argv[1:])
environments = Environments(root, installer=HeldUp(folder).installer)
print(environments.interpreter(unpacked, (unpacked / "pylock.toml").read_bytes()))
"""


@pytest.fixture(params=[uv, pip], ids=["uv", "pip"])
def installer(request: pytest.FixtureRequest) -> Installer:
    found: Installer | None = request.param()
    if found is None:
        pytest.skip(f"{request.param.__name__} is not installed")
    return found


@pytest.fixture
def unpacked(tmp_path: Path) -> Path:
    """A package whose lock selects holdfast alone."""
    folder = tmp_path / "a package"
    (folder / "pylock.toml").parent.mkdir()
    (folder / "pylock.toml").write_bytes(make_lock(locked(make_wheel(folder))))
    return folder


@pytest.fixture
def lock(unpacked: Path) -> bytes:
    return (unpacked / "pylock.toml").read_bytes()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "environments"


@pytest.fixture
def quick() -> Installer:
    found = uv() or pip()
    assert found is not None
    return found


@pytest.fixture
def served(unpacked: Path) -> Iterator[str]:
    """The URL of the package's wheels on a server here."""
    handler = partial(Silent, directory=str(unpacked / "wheels"))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,)).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


class Silent(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        pass


def remnants(root: Path) -> list[str]:
    """What could be taken for an environment, or be left of one."""
    return sorted(entry.name for entry in root.glob("*") if entry.suffix not in {".lock", ".log"})


def start_builder(root: Path, unpacked: Path, folder: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", BUILDER, str(root), str(unpacked), str(folder)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


# -- what is installed ---------------------------------------------------------------------------------------------


def test_without_a_lock_it_is_this_python(root: Path, unpacked: Path) -> None:
    assert Environments(root, installer=UNREACHED).interpreter(unpacked, None) == Path(sys.executable)
    assert not root.exists()


def test_it_has_what_the_lock_selects_and_its_scripts_run(root: Path, unpacked: Path, installer: Installer) -> None:
    own = make_wheel(unpacked)
    script = {"tool.py": "import sys\ndef main(): print(sys.prefix)\n"}
    entry = {"tool-2.0.dist-info/entry_points.txt": "[console_scripts]\ntool = tool:main\n"}
    tool = make_wheel(unpacked, "tool", script | entry, version="2.0")
    other = make_wheel(unpacked, "other", {"other.py": ""})
    lock = make_lock(locked(own), locked(tool), locked(other, extra="marker = \"sys_platform == 'win32'\""))
    python = Environments(root, installer=installer).interpreter(unpacked, lock)

    told = subprocess.run([python.parent / "tool"], capture_output=True, text=True, check=True).stdout.strip()
    assert Path(told) == python.parent.parent
    code = "import importlib.metadata as m; print(sorted(d.name + ' ' + d.version for d in m.distributions()))"
    listed = subprocess.run([python, "-I", "-c", code], capture_output=True, text=True, check=True).stdout
    assert listed.strip() == "['holdfast 1.0', 'tool 2.0']"

    record = json.loads((root / f"{environment_key(lock)}.json").read_text())
    assert [entry["name"] for entry in record["installed"]] == ["holdfast", "tool"]
    assert record["installer"] == installer.name


def test_wheels_come_from_where_the_lock_says(root: Path, unpacked: Path, installer: Installer, served: str) -> None:
    wheel = make_wheel(unpacked)
    lock = make_lock(locked(wheel, url=f"{served}/{wheel.name}"))
    assert Environments(root, installer=installer).interpreter(unpacked, lock).exists()


def test_a_wheel_that_was_changed_where_it_comes_from_is_refused(
    root: Path, unpacked: Path, installer: Installer, served: str
) -> None:
    wheel = make_wheel(unpacked)
    lock = make_lock(locked(wheel, url=f"{served}/{wheel.name}"))
    make_wheel(unpacked, files={"holdfast/__init__.py": "print('other')"})
    with pytest.raises(VersionNotLoadable, match=r"(?i)hash"):
        Environments(root, installer=installer).interpreter(unpacked, lock)
    assert remnants(root) == []


def test_it_is_built_once(root: Path, unpacked: Path, lock: bytes, quick: Installer) -> None:
    built = Environments(root, installer=quick).interpreter(unpacked, lock)
    again = Environments(root, installer=UNREACHED)
    assert again.interpreter(unpacked, lock) == again.interpreter(unpacked, lock) == built
    with pytest.raises(VersionNotLoadable, match="nothing is to be installed"):
        again.interpreter(unpacked, lock + b"\n# another lock")


def test_one_that_was_damaged_is_built_anew(root: Path, unpacked: Path, lock: bytes, quick: Installer) -> None:
    environments = Environments(root, installer=quick, seconds=20)
    environments.interpreter(unpacked, lock).unlink()
    assert environments.interpreter(unpacked, lock).exists()
    (root / f"{environment_key(lock)}.json").unlink()
    assert environments.interpreter(unpacked, lock).exists()
    assert len(remnants(root)) == 2  # the record and the directory that it names


# -- what is refused -----------------------------------------------------------------------------------------------


def test_a_lock_that_is_for_others(root: Path, unpacked: Path) -> None:
    own = make_wheel(unpacked)
    environments = Environments(root, installer=UNREACHED)
    foreign = 'name = "holdfast"\nversion = "1.0"\nwheels = [{ path = "wheels/holdfast-1.0-cp39-cp39-win32.whl",'
    refused = {
        make_lock(locked(own), head='requires-python = ">=4"'): (LockUnsatisfied, "requirement"),
        make_lock(locked(own, extra="marker = \"sys_platform == 'win32'\"")): (LockUnsatisfied, "holdfast"),
        make_lock(f"[[packages]]\n{foreign} {hashes(own)} }}]"): (LockUnsatisfied, "holdfast"),
        make_lock(locked(make_wheel(unpacked, "tool", {}))): (InvalidLock, "holdfast"),
        b"no = lock": (InvalidLock, "lock"),
    }
    for lock, (error, told) in refused.items():
        with pytest.raises(error, match=told):
            environments.interpreter(unpacked, lock)
    assert not root.exists()


def test_a_source_distribution_is_never_built(root: Path, unpacked: Path) -> None:
    source = 'sdist = { url = "https://example.com/tool-2.0.tar.gz", hashes = { sha256 = "00" } }'
    lock = make_lock(locked(make_wheel(unpacked)), f'[[packages]]\nname = "tool"\nversion = "2.0"\n{source}')
    with pytest.raises(NoWheelLocked, match="tool") as refused:
        Environments(root, installer=UNREACHED).interpreter(unpacked, lock)
    assert refused.value.package == "tool"
    assert not root.exists()


@pytest.mark.parametrize("start", ["file:///etc", "https://example.com/${HOME}", "https://example.com/a b", "//host"])
def test_a_url_that_is_not_plain(root: Path, unpacked: Path, start: str) -> None:
    wheel = make_wheel(unpacked)
    with pytest.raises(InvalidLock, match="URL"):
        Environments(root, installer=UNREACHED).interpreter(
            unpacked, make_lock(locked(wheel, url=f"{start}/{wheel.name}"))
        )


def test_an_unpacked_wheel_that_is_not_the_locked_one(root: Path, unpacked: Path, lock: bytes) -> None:
    wheel = make_wheel(unpacked, files={"holdfast/__init__.py": "raise SystemExit"})
    environments = Environments(root, installer=UNREACHED)
    with pytest.raises(WheelMismatch, match="sha256"):
        environments.interpreter(unpacked, lock)
    wheel.unlink()
    with pytest.raises(WheelMismatch, match="No such file"):
        environments.interpreter(unpacked, lock)
    assert not root.exists()


def test_what_cannot_be_installed_is_told_and_leaves_its_log(root: Path, unpacked: Path, installer: Installer) -> None:
    wheel = make_wheel(unpacked)
    wheel.write_bytes(b"no zip at all")
    lock = make_lock(locked(wheel))
    with pytest.raises(VersionNotLoadable, match=r"(?is)installing by (uv|pip) failed.*(zip|wheel)"):
        Environments(root, installer=installer).interpreter(unpacked, lock)
    assert remnants(root) == []
    assert "holdfast" in (root / f"{environment_key(lock)}.log").read_text()


def test_a_holdfast_that_cannot_be_hosted(root: Path, unpacked: Path, quick: Installer) -> None:
    told = {"": "holdfast 1.0 is too old to be hosted", "import msgspec_": "cannot be imported.*msgspec_"}
    for content, message in told.items():
        lock = make_lock(locked(make_wheel(unpacked, files={"holdfast/__init__.py": content})))
        with pytest.raises(VersionNotLoadable, match=message):
            Environments(root, installer=quick).interpreter(unpacked, lock)
    assert remnants(root) == []


# -- who builds ----------------------------------------------------------------------------------------------------


def test_a_build_takes_no_longer_than_it_may(root: Path, unpacked: Path, lock: bytes) -> None:
    slow = Environments(root, installer=saying("import time; time.sleep(60)"), seconds=1.5)
    with pytest.raises(VersionNotLoadable, match="took longer than"):
        slow.interpreter(unpacked, lock)
    assert remnants(root) == []


def test_a_build_is_stopped_by_close(root: Path, unpacked: Path, lock: bytes, tmp_path: Path) -> None:
    held_up = HeldUp(tmp_path)
    environments = Environments(root, installer=held_up.installer)
    with ThreadPoolExecutor(1) as pool:
        building = pool.submit(environments.interpreter, unpacked, lock)
        held_up.started()
        environments.close()
        with pytest.raises(VersionNotLoadable, match="was stopped"):
            building.result()
    assert remnants(root) == []


def test_of_two_processes_one_builds(root: Path, unpacked: Path, lock: bytes, tmp_path: Path) -> None:
    held_up = HeldUp(tmp_path)
    builders = [start_builder(root, unpacked, tmp_path) for _ in range(2)]
    held_up.started()
    with pytest.raises(VersionNotLoadable, match="Another process"):
        Environments(root, installer=UNREACHED, seconds=0).interpreter(unpacked, lock)
    held_up.go()
    told = [builder.communicate()[0].strip() for builder in builders]
    assert told == [str(Environments(root, installer=UNREACHED).interpreter(unpacked, lock))] * 2
    assert held_up.calls == 1


@pytest.fixture
def killed(root: Path, unpacked: Path, tmp_path: Path) -> Iterator[HeldUp]:
    """A builder was killed while its installer was at work; that one lives on."""
    held_up = HeldUp(tmp_path)
    builder = start_builder(root, unpacked, tmp_path)
    held_up.started()
    builder.kill()
    builder.communicate()
    yield held_up
    if held_up.calls == 1:
        held_up.go()


def test_a_build_that_was_killed_is_done_again(
    root: Path, unpacked: Path, lock: bytes, quick: Installer, killed: HeldUp
) -> None:
    (left,) = remnants(root)
    python = Environments(root, installer=quick).interpreter(unpacked, lock)
    assert python.exists()
    assert left not in remnants(root)
    assert python.parent.parent.name in remnants(root)


def test_what_a_killed_build_left_is_removed(root: Path, killed: HeldUp, lock: bytes) -> None:
    assert remnants(root)
    assert Environments(root).remove_unused(set()) == [environment_key(lock)]
    assert list(root.iterdir()) == []


# -- how long they are kept ----------------------------------------------------------------------------------------


def test_those_that_nobody_uses_are_removed(root: Path, unpacked: Path, lock: bytes, quick: Installer) -> None:
    kept, used, unused = (lock + f"\n# {name}".encode() for name in ("kept", "used", "unused"))
    one, two = Environments(root, installer=quick), Environments(root, installer=quick)
    mine, theirs, gone = (env.interpreter(unpacked, lock) for env, lock in ((one, kept), (two, used), (one, unused)))

    assert one.remove_unused({environment_key(kept)}) == [environment_key(unused)]
    assert [python.exists() for python in (mine, theirs, gone)] == [True, True, False]
    two.close()
    assert one.remove_unused({environment_key(kept)}) == [environment_key(used)]
    assert {entry.name[:32] for entry in root.iterdir()} == {environment_key(kept)}
    assert one.interpreter(unpacked, unused).exists()


def test_of_a_root_that_is_not_there_nothing_is_removed(root: Path) -> None:
    assert Environments(root).remove_unused(set()) == []
