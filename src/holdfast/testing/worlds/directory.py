"""Directory worlds as subjects of the suite."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from holdfast.errors import HoldfastError
from holdfast.ids import new_id
from holdfast.store import Store, open_store
from holdfast.testing.conformance import expect_raises
from holdfast.testing.worlds.samples import with_resources
from holdfast.worlds import StateView
from holdfast.worlds.directory import DirectoryWorld, Entry, File, Folder, Link
from holdfast.worlds.model import path_of

_KINDS = 3
_FILE, _NESTED, _LINK = range(_KINDS)


class DirectorySubject:
    """A client of a directory world: numbers are files, files in folders of their own, and links."""

    def __init__(self, service: DirectoryWorld) -> None:
        self.service = service

    def put(self, account_id: str, region: str, n: int, variant: int) -> None:
        if n % _KINDS == _LINK:
            fresh = new_id().hex  # a link is not overwritten, but another one takes its place
            self.service.symlink(account_id, region, fresh, f"target {variant}")
            self.service.rename(account_id, region, fresh, _path(n))
        else:
            mode = 0o600 if variant % 2 else 0o755
            self.service.write(account_id, region, _path(n), f"{n} {variant}".encode(), mode=mode)

    def put_pair(self, account_id: str, region: str, n: int, m: int, variant: int) -> None:
        for number in (n, m):
            self.put(account_id, region, number, variant)

    def remove(self, account_id: str, region: str, n: int) -> None:
        self.service.remove(account_id, region, _path(n).partition("/")[0], recursive=True)

    def read(self, account_id: str, region: str, n: int) -> None:
        self.service.listdir(account_id, region)
        self.service.walk(account_id, region)
        for ask in (self.service.read, self.service.listdir, self.service.walk):
            with suppress(HoldfastError):
                ask(account_id, region, _path(n))

    def refused(self, account_id: str, region: str, n: int) -> None:
        service, path = self.service, _path(n)
        absent = f"absent {n}"
        tries: list[tuple[str, Callable[[], object]]] = [
            ("a path above the root", lambda: service.write(account_id, region, f"../{path}", b"")),
            ("a body that is a text", lambda: service.write(account_id, region, path, "text")),  # type: ignore[arg-type]
            ("a link out of the root", lambda: service.symlink(account_id, region, absent, f"../{path}")),
            ("removing nothing", lambda: service.remove(account_id, region, absent)),
            ("moving nothing", lambda: service.rename(account_id, region, absent, path)),
            ("a setuid bit", lambda: service.chmod(account_id, region, path, 0o4755)),
        ]
        for what, act in tries:
            expect_raises(HoldfastError, what, act)

    def spoilt(self, view: StateView[Entry]) -> Iterable[tuple[StateView[Entry], str | None]]:
        added: list[tuple[str, Entry, str]] = [
            ("../above", Folder(0o755), ""),
            ("/absolute", Folder(0o755), ""),
            (".holdfast", Folder(0o755), ""),
            ("no folder/above", Folder(0o755), ""),
            ("mode", Folder(0o1777), ".mode"),
            ("out", Link("../above"), ".target"),
            ("digest", File(0o644, 1, "../../above"), ".digest"),
        ]
        for name, entry, field in added:
            yield with_resources(view, {**view.resources, name: entry}), path_of(name) + field
        yield with_resources(view, {**view.resources, "missing": File(0o644, 1, "0" * 64)}), None


@contextmanager
def directory_subject(
    url: str, root: Path, make: Callable[[Path, Store], DirectoryWorld] = DirectoryWorld
) -> Iterator[DirectorySubject]:
    """A client of the directory world that ``make`` makes below ``root``, with its bodies in the store at ``url``."""
    with open_store(url) as store:
        yield DirectorySubject(make(root, store))


def _path(n: int) -> str:
    return {_FILE: f"файл {n}", _NESTED: f"folder {n}/a/file", _LINK: f"link {n}"}[n % _KINDS]
