"""What a world's services are made by: factories, since the store is the worker's."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from holdfast.store import Store, Transaction
from holdfast.worlds import StatefulService
from holdfast.worlds.aws.accounts import DEFAULT_ACCOUNT, check_account
from holdfast.worlds.directory import DirectoryWorld
from holdfast.worlds.directory.naming import world_name
from holdfast.worlds.model import Scope

if TYPE_CHECKING:
    from holdfast.worlds.aws import AwsWorld


class ServiceFactory(Protocol):
    """Makes a service of a world: any callable, and always the same service."""

    def __call__(self, store: Store, /) -> StatefulService[Any]: ...


@dataclass(frozen=True, slots=True)
class Directory:
    """Makes a :class:`~holdfast.worlds.directory.DirectoryWorld`; see :func:`directory`.

    Attributes:
        alone: the files of ``root`` itself are the tree.
    """

    root: Path
    exclude: tuple[str, ...]
    alone: bool

    def __call__(self, store: Store, /) -> DirectoryWorld:
        if self.alone:
            return DirectoryWorld.at(self.root, store, exclude=self.exclude)
        return DirectoryWorld(self.root, store, exclude=self.exclude)


@dataclass(frozen=True, slots=True)
class Aws:
    """Makes a mock AWS, all services of it; see :func:`aws`."""

    account: str
    regions: tuple[str, ...]

    @property
    def scopes(self) -> tuple[Scope, ...]:
        """What a world of it covers: the account's regions, and what is global in it."""
        return tuple(Scope(self.account, region) for region in (*self.regions, "global"))

    def open(self, store: Store, world: str, rightful: Callable[[Transaction], None] | None) -> AwsWorld:
        """The world of that name, attached to the store; the one that is open already, where there is one.

        Args:
            rightful: of a world of one flow, which the flow's worker may have, whoever else still does: raises where
                this process is not that worker (any more).

        Raises:
            WorldAttached: another process has it.
            UnsupportedEmulator: the extra is not installed.
        """
        from holdfast.worlds.aws import AwsWorld  # takes a second to import

        return AwsWorld.shared(store, world, account=self.account, region=self.regions[0], takeover=rightful)


def single_place(factories: Iterable[object]) -> str | None:
    """What the store calls a world of one directory alone, after its path: whoever calls it what, whoever else has that
    directory has this world. ``None`` where there is no such directory."""
    return next((world_name(one.root) for one in factories if isinstance(one, Directory) and one.alone), None)


def directory(root: str | Path, *, exclude: Iterable[str] = (), alone: bool = False) -> Directory:
    """A directory of files as a service of a world.

    Args:
        root: holds a tree for each flow (for each scope); made if it is not there. Workers in different working
            directories need an absolute path.
        exclude: patterns of names that are neither captured nor touched.
        alone: the files of ``root`` itself are the tree. One flow at a time can have it, and no fork a copy.
    """
    return Directory(Path(root), tuple(exclude), alone)


def aws(*regions: str, account: str = DEFAULT_ACCOUNT) -> Aws:
    """A mock AWS as a world: S3, DynamoDB, SQS, SNS, Secrets Manager, SSM, IAM, KMS, EventBridge and CloudWatch Logs.

    Args:
        regions: that go back with the flow, besides what is global; the first is that of clients which name none.
            ``us-east-1`` by default.
        account: 12 digits.

    Raises:
        InvalidAccount: no 12 digits.
    """
    check_account(account)
    return Aws(account, regions or ("us-east-1",))
