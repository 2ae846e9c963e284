"""The world of real files."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import NamedTuple

from holdfast.errors import InvalidInput
from holdfast.store import Store
from holdfast.worlds.base import Plan, ResourceService, changes
from holdfast.worlds.directory.bodies import Bodies, Intake
from holdfast.worlds.directory.change import Changer
from holdfast.worlds.directory.edits import Edit, changing_mode, found, making, removing, renaming, writing
from holdfast.worlds.directory.errors import (
    DirectoryUnusable,
    InvalidPath,
    NestedRoot,
    StoreInside,
    UnsupportedFile,
    WrongKind,
    translate,
)
from holdfast.worlds.directory.exclusions import Exclusions
from holdfast.worlds.directory.folders import list_names
from holdfast.worlds.directory.index import Index
from holdfast.worlds.directory.journal import Journal
from holdfast.worlds.directory.leaving import check_excluded, discard, expect_not_holding, without_holding
from holdfast.worlds.directory.nesting import inner_root, outer_root
from holdfast.worlds.directory.paths import (
    below,
    check_mode,
    check_path,
    check_target,
    check_tree,
    parents,
)
from holdfast.worlds.directory.records import KINDS, Entry, File, Folder, Link, Survey, TreeView
from holdfast.worlds.directory.scan import Present, Tree
from holdfast.worlds.directory.site import Site, open_site
from holdfast.worlds.directory.staging import Probe
from holdfast.worlds.errors import InvalidScope, MissingBlob
from holdfast.worlds.model import Change, Delta, Scope, apply_delta, check_scope, diff


class _Opened(NamedTuple):
    """An account and region that is open and locked."""

    site: Site
    tree: Tree
    known: Index
    changer: Changer


class DirectoryWorld(ResourceService[Entry]):
    """Trees of real files: ``root/<account>/<region>/`` is the state of that account and region.

    Resources are named by POSIX paths relative to it. Whoever runs may write the files directly: the next snapshot
    sees it (each file as a whole; a cut through all files at one moment is given only against those who write through
    a world). Views name bodies by digest; the bodies are in ``store``, before the view that names them exists.

    Several processes may use one root. Safe to use from any thread, but not inside a unit of work of ``store``. What
    is private to the service is in ``root/.holdfast/``.

    Args:
        root: made if it is not there; on one local file system.
        store: for the bodies. Worlds of one root have one store.
        exclude: patterns of names that are neither captured, looked into nor touched (:class:`Exclusions`); a folder
            that holds such a thing is never removed.
        only: keeps this account and region alone, and has ``root`` itself as its tree.
        probe: called at each write point, with its name; a crash explorer ends the process there.

    Raises:
        DirectoryUnusable: ``root`` is no directory and cannot be made one.
        InvalidPattern: one of ``exclude`` names nothing.
    """

    service_name = "directory"
    version = 1
    view_type = TreeView
    not_captured: tuple[str, ...] = (
        "access, modification and change times",
        "extended attributes and access control lists",
        "owners and groups",
        "setuid, setgid and sticky bits",
        "the mode of the root folder",
        "which names are hard links of one file, and which parts of a file are holes",
    )

    LOCAL = Scope("local", "local")
    """The account and region of a directory that is nobody else's (:meth:`at`)."""

    def __init__(
        self,
        root: str | Path,
        store: Store,
        *,
        exclude: Iterable[str] = (),
        only: Scope | None = None,
        probe: Probe = lambda point: None,
    ) -> None:
        super().__init__()
        self._exclusions = Exclusions(exclude)
        self.not_captured = (*type(self).not_captured, *self._exclusions.described())
        self._only = only and check_scope(*only)
        self.root = Path(root).absolute()
        self._bodies = Bodies(store)
        self._store_path = store.backend.path
        self._probe = probe
        self._indexes: dict[Scope, Index] = {}
        self._noted: dict[Scope, dict[str, Entry]] = {}
        try:
            self.root.mkdir(parents=True, exist_ok=True)
        except (OSError, ValueError) as error:
            raise DirectoryUnusable(f"{self.root} cannot be the root of a world: {error}.") from error

    @classmethod
    def at(
        cls, path: str | Path, store: Store, *, exclude: Iterable[str] = (), probe: Probe = lambda point: None
    ) -> DirectoryWorld:
        """The files of ``path`` itself, as the account and region :attr:`LOCAL`; raises as the class does."""
        return cls(path, store, exclude=exclude, only=cls.LOCAL, probe=probe)

    def place(self, account_id: str, region: str) -> Path:
        """The folder that is the tree of this account and region; it is there once it was seen or written.

        Raises:
            InvalidScope: names that cannot be, or another scope than the only one.
        """
        scope = check_scope(account_id, region)
        self._refuse_elsewhere(scope)
        return self.root if self._only else self.root.joinpath(*scope)

    def write(self, account_id: str, region: str, path: str, body: bytes, *, mode: int = 0o644) -> None:
        """Create a file, or replace its body and mode at once; missing parents are made.

        Raises:
            InvalidPath, InvalidMode: nothing can be there.
            PathTaken: a link or folder is there, or a parent is none. Links are not followed.
            StateViewError, StoreError: it cannot be done; nothing was changed.
        """
        self._checked(path)
        check_mode(mode)
        if not isinstance(body, bytes | bytearray | memoryview):
            raise InvalidInput(f"The body of {path!r} is a {type(body).__name__}.", remedy="Give bytes; encode texts.")
        scope = check_scope(account_id, region)
        intake = Intake(self._bodies)
        record = intake.take(mode, BytesIO(body).read)
        intake.flush()
        self._mutate(scope, writing(path, record))

    def read(self, account_id: str, region: str, path: str) -> bytes:
        """The body of a file.

        Raises:
            InvalidPath: nothing can be there.
            PathNotFound: nothing is there.
            WrongKind: it is no file. Links are not followed.
            StateViewError: it cannot be read.
        """
        self._checked(path)
        with self._gate, self._open(check_scope(account_id, region)) as opened:
            entry = found(Present(opened.tree, opened.tree.scan), path)
            if not isinstance(entry, File):
                raise WrongKind(path, KINDS[type(entry)], "a file")
            return b"".join(piece for _, _, pieces in self._bodies.of([(path, entry)]) for piece in pieces)

    def remove(self, account_id: str, region: str, path: str, *, recursive: bool = False) -> None:
        """Remove a file, a link (never what it points at) or a folder.

        Args:
            recursive: with all that is in it; else only an empty folder.

        Raises:
            InvalidPath: nothing can be there.
            PathNotFound: nothing is there.
            WrongKind: the folder is not empty.
            StateViewError: it cannot be done; nothing was changed.
        """
        self._mutate(check_scope(account_id, region), removing(self._checked(path), recursive=recursive))

    def mkdir(self, account_id: str, region: str, path: str, *, mode: int = 0o755) -> None:
        """Make a folder; missing parents are made.

        Raises:
            InvalidPath, InvalidMode: nothing can be there.
            PathTaken: something is there, or a parent is no folder.
            StateViewError: it cannot be done; nothing was changed.
        """
        self._checked(path)
        self._mutate(check_scope(account_id, region), making(path, Folder(check_mode(mode))))

    def symlink(self, account_id: str, region: str, path: str, target: str) -> None:
        """Make a symbolic link; missing parents are made.

        Args:
            target: relative to the link's folder, within the root; need not be there.

        Raises:
            InvalidPath: nothing can be there, or that cannot be a target.
            LinkEscapes: it may lead out of the root.
            PathTaken: something is there, or a parent is no folder.
            StateViewError: it cannot be done; nothing was changed.
        """
        self._checked(path)
        self._mutate(check_scope(account_id, region), making(path, Link(check_target(path, target))))

    def chmod(self, account_id: str, region: str, path: str, mode: int) -> None:
        """Set the permission bits of a file or folder.

        Raises:
            InvalidPath, InvalidMode: that cannot be.
            PathNotFound: nothing is there.
            WrongKind: a link has no mode.
            StateViewError: it cannot be done; nothing was changed.
        """
        self._checked(path)
        self._mutate(check_scope(account_id, region), changing_mode(path, check_mode(mode)))

    def rename(self, account_id: str, region: str, origin: str, path: str) -> None:
        """Move what is at ``origin``, with all below it, to ``path``; a file or link takes the place of another.

        Raises:
            InvalidPath: one of them cannot be, or ``path`` is below ``origin``.
            LinkEscapes: a link, moved there, would lead out of the root.
            PathNotFound: nothing is at ``origin``.
            PathTaken: what is at ``path`` cannot be replaced, or a parent of it is no folder.
            StateViewError: it cannot be done; nothing was changed.
        """
        self._mutate(check_scope(account_id, region), renaming(self._checked(origin), self._checked(path)))

    def listdir(self, account_id: str, region: str, path: str = "") -> list[str]:
        """Names in a folder (empty: the root), in order.

        Raises:
            InvalidPath: nothing can be there.
            PathNotFound: nothing is there.
            WrongKind: it is no folder. Links are not followed.
            StateViewError: it cannot be read.
        """
        with self._gate, self._open(check_scope(account_id, region)) as opened:
            if path:
                entry = found(Present(opened.tree, opened.tree.scan), self._checked(path))
                if not isinstance(entry, Folder):
                    raise WrongKind(path, KINDS[type(entry)], "a folder")
            names = list_names(opened.tree.folders.at(path))
            hidden = opened.site.hidden if not path else frozenset[str]()
            prefix = f"{path}/" if path else ""
            return sorted(n for n in names if n not in hidden and not self._exclusions.match(prefix + n, n))

    def walk(self, account_id: str, region: str, path: str = "") -> dict[str, Entry]:
        """All resources at or below ``path`` (empty: all), by name, in order.

        Raises:
            InvalidPath: nothing can be there.
            StateViewError: it cannot be read.
        """
        resources = self.snapshot(account_id, region).resources
        return {name: resources[name] for name in below(self._checked(path), iter(resources))} if path else resources

    def bodies_of(self, view: TreeView) -> set[str]:
        """Digests of the blobs that hold the bodies of the files of ``view``."""
        return {digest for entry in view.resources.values() if isinstance(entry, File) for digest in entry.blobs}

    def survey(self, account_id: str, region: str) -> Survey:
        """What is there, also when there is what no view can hold.

        Raises:
            StateViewError: it cannot be read.
        """
        scope = check_scope(account_id, region)
        with self._gate, self._open(scope) as opened:
            view = self._view(opened.tree.scan(lenient=True))
            opened.known.save(opened.site.private)
            return Survey(view, tuple(sorted(opened.tree.obstacles.values())), frozenset(opened.tree.holding))

    def discard(self, account_id: str, region: str, view: TreeView) -> list[str]:
        """Remove the links, pipes and sockets that no view can hold, so that ``view`` can be restored; nobody can put
        them back. Returns their paths. Done again after a crash, it removes the rest.

        Raises:
            UnsupportedFile: there are others that no view can hold, or ``view`` has something of that name; nothing
                was removed.
            FileChanged: something else took the place of one of them; nothing was removed.
            InvalidView, ViewVersion, MissingBlob: the view is refused.
        """
        scope = check_scope(account_id, region)
        target = self._accepted(view).resources
        with self._gate, self._open(scope) as opened:
            opened.tree.scan(lenient=True)
            return discard(opened.tree, target)

    def _checked(self, path: object) -> str:
        """Raises:
        InvalidPath: nothing can be there, or it is excluded.
        """
        checked = check_path(path)
        if covering := self._exclusions.covering(checked):
            raise InvalidPath(path, f"{covering!r} is excluded from the world")
        return checked

    def _read(self, scope: Scope) -> dict[str, Entry]:
        with self._open(scope) as opened:
            return dict(self._scan(scope, opened))

    def _change(self, scope: Scope, plan: Plan[Entry]) -> Delta[Entry]:
        with self._open(scope) as opened:
            if isinstance(plan, Edit):
                return self._edit(scope, opened, plan)
            present = self._scan(scope, opened)
            delta = without_holding(plan(present), opened.tree.holding)
            self._carry_out(scope, opened, delta, present)
            return delta

    def _edit(self, scope: Scope, opened: _Opened, edit: Edit) -> Delta[Entry]:
        present = Present(opened.tree, lambda: self._scan(scope, opened))
        delta = edit(present)
        expect_not_holding(delta, opened.tree.holding)
        for change in delta:
            self._checked(change.resource)  # what was moved may be excluded where it came to be
        self._note_some(scope, present.looked_at)
        self._carry_out(scope, opened, delta, present, edit.moved)
        return delta

    def _carry_out(
        self,
        scope: Scope,
        opened: _Opened,
        delta: Delta[Entry],
        present: Mapping[str, Entry],
        moved: tuple[str, str] | None = None,
    ) -> None:
        if delta:
            opened.changer.carry_out(delta, present, moved)
            if scope in self._noted:
                apply_delta(self._noted[scope], delta)

    def _check(self, view: TreeView) -> None:
        check_tree(self.service_name, view.resources)
        check_excluded(self.service_name, view, self._exclusions)
        if missing := self._bodies.missing(entry for entry in view.resources.values() if isinstance(entry, File)):
            raise MissingBlob(missing)

    def _obstacle(self, resources: Mapping[str, Entry], name: str, record: Entry) -> str | None:
        for above in parents(name):
            if above in resources and not isinstance(resources[above], Folder):
                return above
        present = resources.get(name)
        if isinstance(present, Folder) and not isinstance(record, Folder):  # one that holds something is no leaf
            prefix = f"{name}/"
            return min((other for other in resources if other.startswith(prefix)), default=name)
        return None if present is None else name

    @contextmanager
    def _open(self, scope: Scope) -> Iterator[_Opened]:
        """Lock a scope, and finish what was cut off there; called inside the gate.

        Raises:
            InvalidScope: this directory keeps another one alone.
            StoreInside: the store is in the tree.
            NestedRoot: the root is in that of another world, or another's is in the tree.
        """
        self._refuse_elsewhere(scope)
        if scope not in self._indexes:
            self._refuse_store_inside(scope)
            self._refuse_nested()
        try:
            with open_site(self.root, scope, Journal.name, alone=self._only is not None) as site:
                index = self._indexes.get(scope)
                if index is None:
                    index = self._indexes[scope] = Index(site.private)
                tree = Tree(site.root, index, self._bodies, site.clock, site.hidden, self._exclusions)
                with tree.folders:
                    changer = Changer(site, tree, self._bodies, self._probe)
                    changer.recover()
                    yield _Opened(site, tree, index, changer)
        except UnsupportedFile as error:
            if inner := inner_root(self.place(*scope), error.obstacles):
                raise NestedRoot(inner, self.root) from error
            raise
        except OSError as error:
            raise translate(error) from error

    def _refuse_nested(self) -> None:
        if outer := outer_root(self.root):
            raise NestedRoot(self.root, outer)

    def _refuse_elsewhere(self, scope: Scope) -> None:
        if self._only not in (None, scope):
            raise InvalidScope(
                f"{self.root} has no account {scope.account_id!r} and region {scope.region!r}.",
                remedy="It holds the files of one account and region alone; open DirectoryWorld(root) for many.",
            )

    def _refuse_store_inside(self, scope: Scope) -> None:
        tree = self.root if self._only else self.root.joinpath(*scope)
        if self._store_path and self._store_path.resolve().is_relative_to(tree.resolve()):
            raise StoreInside(self._store_path, tree, self.root)

    def _scan(self, scope: Scope, opened: _Opened) -> dict[str, Entry]:
        resources = opened.tree.scan()
        opened.known.save(opened.site.private)
        noted = self._noted.get(scope)
        if noted is not None:
            self._note_others(scope, diff(noted, resources))
        self._noted[scope] = resources
        return resources

    def _note_some(self, scope: Scope, looked_at: dict[str, Entry | None]) -> None:
        """Note what others did at the paths that were looked at."""
        noted = self._noted.get(scope)
        if noted is not None:
            missed: Delta[Entry] = changes(*(Change(path, noted.get(path), entry) for path, entry in looked_at.items()))
            self._note_others(scope, missed)
            apply_delta(noted, missed)

    def _note_others(self, scope: Scope, missed: Delta[Entry]) -> None:
        if missed:
            self._catch_up(scope, (self._known(scope) or 0) + 1, missed)
