"""Wheels made by hand, locks that name them, and installers that a test holds up."""

from __future__ import annotations

import base64
import hashlib
import os
import sys
import zipfile
from collections.abc import Mapping
from pathlib import Path

from holdfast.hosting.installers import TARGET, Installer

HOSTED = {"holdfast/__init__.py": "", "holdfast/hosting/__init__.py": "", "holdfast/hosting/child.py": ""}
"""What of holdfast an environment needs, as far as these tests go."""
_HELD_UP = """
import os, sys
with open(sys.argv[1], "a") as count: count.write("called\\n")
open(sys.argv[1] + ".started", "w").close()
open(sys.argv[1] + ".go").read()
os.execv(sys.executable, [sys.executable, "-m", "pip", "--python", sys.argv[2], "install", *sys.argv[3:]])
"""


def make_wheel(
    unpacked: Path, name: str = "holdfast", files: Mapping[str, str] = HOSTED, *, version: str = "1.0"
) -> Path:
    """A pure wheel in ``unpacked/wheels``."""
    about = f"{name}-{version}.dist-info"
    content = dict(files) | {
        f"{about}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{about}/WHEEL": "Wheel-Version: 1.0\nGenerator: hand\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(f"{path},sha256={_digest(text)},{len(text)}\n" for path, text in content.items())
    wheel = unpacked / "wheels" / f"{name}-{version}-py3-none-any.whl"
    wheel.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(wheel, "w") as archive:
        for path, text in content.items():
            archive.writestr(path, text)
        archive.writestr(f"{about}/RECORD", f"{record}{about}/RECORD,,\n")
    return wheel


def make_lock(*packages: str, head: str = "") -> bytes:
    return "\n".join(['lock-version = "1.0"', 'created-by = "hand"', head, *packages]).encode()


def locked(wheel: Path, *, url: str | None = None, extra: str = "") -> str:
    """The entry of a lock for ``wheel``, by its path or by ``url``."""
    name, version = wheel.name.split("-")[:2]
    at = f'path = "wheels/{wheel.name}"' if url is None else f'url = "{url}"'
    return f'[[packages]]\nname = "{name}"\nversion = "{version}"\n{extra}\nwheels = [{{ {at}, {hashes(wheel)} }}]'


def hashes(file: Path) -> str:
    return f'hashes = {{ sha256 = "{hashlib.sha256(file.read_bytes()).hexdigest()}" }}'


def saying(code: str) -> Installer:
    """One that does ``code`` in place of installing."""
    return Installer("saying", (sys.executable, "-c", code, TARGET))


class HeldUp:
    """An installer that says when it was started and waits until it may go on; other processes can have it too."""

    def __init__(self, folder: Path) -> None:
        self._calls = folder / "calls"
        self._calls.touch()
        for suffix in (".started", ".go"):
            if not self._pipe(suffix).exists():
                os.mkfifo(self._pipe(suffix))
        self.installer = Installer("held up", (sys.executable, "-c", _HELD_UP, str(self._calls), TARGET))

    @property
    def calls(self) -> int:
        return len(self._calls.read_text().splitlines())

    def started(self) -> None:
        """Wait until it was started."""
        self._pipe(".started").read_bytes()

    def go(self) -> None:
        """Let it go on."""
        self._pipe(".go").write_bytes(b"")

    def _pipe(self, suffix: str) -> Path:
        return self._calls.with_name(self._calls.name + suffix)


def _digest(text: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
