"""What a service's adapter does: the emulator's objects into typed records, and back."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Set
from typing import Any, ClassVar, Generic, NamedTuple, Protocol, TypeVar

from holdfast.worlds.aws.resource import Resource
from holdfast.worlds.aws.shapes import Coverage
from holdfast.worlds.model import StateView

R = TypeVar("R", bound=Resource)
Group = tuple[str, ...]
"""Resources that are read together, since one thing done by a client may change any of them: a table, an item, a queue
with its messages, all versions of an object."""


class Elsewhere(NamedTuple):
    """A group of another of the service's backends, which a method changes too.

    Attributes:
        account_id, region: of that backend.
    """

    account_id: str
    region: str
    group: Group


Touch = Callable[..., Iterable[Group | Elsewhere]]
"""Of a method's arguments (the backend first), the groups that it may change."""
READS = ("get_", "list_", "describe_", "head_", "iter_", "_")
"""How the names of methods that change nothing begin, unless an adapter says otherwise."""


class Bodies(Protocol):
    """Where the large parts of resources are, by digest."""

    def put(self, body: bytes) -> str:
        """Keep ``body``; returns its SHA-256 in hex."""
        ...

    def get(self, digest: str) -> bytes:
        """Raises:
        MissingBlob: it is not there.
        """
        ...

    def missing(self, digests: Iterable[str]) -> set[str]:
        """Those of the ``digests`` that are not there."""
        ...


class Part(NamedTuple, Generic[R]):
    """What a group is now.

    Attributes:
        region: where it is.
        resources: its records by name, in the order in which the emulator lists them. Their rank is the caller's to
            give.
    """

    region: str
    resources: dict[str, R]


class Fault(NamedTuple):
    """What is wrong with a view whose values are of the right types: the resource, where in it, and what."""

    resource: str
    field: str
    fault: str


class Adapter(ABC, Generic[R]):
    """One service of the emulator.

    Called inside the gate alone. Names of resources are texts, the same in every account and region, and say to which
    group a resource belongs.

    Attributes:
        service_name, version, view_type, not_captured: as :class:`~holdfast.worlds.base.ResourceService` has them.
        is_global: it has one state for each account, in the region ``global``.
        merged_below: the first words of groups whose present resources stay the latest when others are merged in: older
            versions of an object.
        coverage: of the emulator's classes, the backend's included (WO-8).
        touches: by the name of a backend's method, what it may change. A method that is not among them and does not
            begin as :data:`READS` do is taken to change anything.
        always: groups that the emulator has in any state: :meth:`install` makes those that no resource is of.
    """

    service_name: ClassVar[str]
    version: ClassVar[int] = 1
    view_type: ClassVar[type[StateView[Any]]]
    is_global: ClassVar[bool] = False
    merged_below: ClassVar[frozenset[str]] = frozenset()
    coverage: ClassVar[tuple[Coverage, ...]]
    touches: ClassVar[Mapping[str, Touch]]
    extra_not_captured: ClassVar[tuple[str, ...]] = ()
    always: ClassVar[tuple[Group, ...]] = ()

    def __init__(self, bodies: Bodies) -> None:
        self.bodies = bodies

    @property
    def not_captured(self) -> tuple[str, ...]:
        """What views leave out (WO-8)."""
        return tuple(sorted({*self.extra_not_captured, *(why for one in self.coverage for why in one.left.values())}))

    @property
    @abstractmethod
    def backends(self) -> Any:
        """The emulator's ``BackendDict`` of the service."""

    def place(self, region: str) -> str:
        """The backend's region that holds the state of ``region``."""
        return region

    @abstractmethod
    def groups(self, backend: Any, region: str | None = None) -> Iterable[Group]:
        """All groups of a region that are there, in the order in which the emulator lists them; of all regions that the
        backend holds where ``region`` is ``None``."""

    @abstractmethod
    def read(self, backend: Any, group: Group) -> Part[R] | None:
        """What a group is now; ``None`` when it is not there."""

    @abstractmethod
    def group_of(self, name: str) -> Group:
        """The group of the resource of that name."""

    @abstractmethod
    def install(self, backend: Any, region: str, resources: Mapping[str, R]) -> None:
        """Make these the whole state of ``region``, in the order given: all is built beside, then put in place.

        Args:
            resources: checked, and in the order of their ranks.
        """

    def check(self, resources: Mapping[str, R]) -> Iterator[Fault]:
        """What is wrong with resources whose values are of the right types: references that lead nowhere, names that
        are not those of their records. Pure."""
        return iter(())

    def beside(self, present: Mapping[str, R], record: R) -> R:
        """A record that a merge adds to a group, as it is to stand beside ``present``, what is there of it: reads that
        name neither of them are answered as before (WO-3)."""
        return record

    def digests(self, record: R) -> Iterable[str]:
        """The bodies that a record names."""
        return ()

    def claims(self, resources: Mapping[str, R]) -> Mapping[str, str]:
        """Names that one scope alone may have, whatever the account, each with the resource that has it."""
        return {}

    def without(self, resources: Mapping[str, R], claimed: Set[str]) -> dict[str, R]:
        """``resources`` but for those that have such names, and what belongs to them."""
        return dict(resources)

    def obstacle(self, account_id: str, region: str, resources: Mapping[str, R]) -> Fault | None:
        """Why the resources cannot be in that account and region, whatever is there now: another holds their names."""
        return None
