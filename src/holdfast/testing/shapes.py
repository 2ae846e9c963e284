"""What a suite's ``open`` has to yield, and how one that yields something else is told from a broken contract."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

from holdfast.errors import InvalidInput

_CONTEXT = "`open` takes nothing and gives a context manager: put @contextmanager (contextlib) above a generator of it."


class BackendUnusable(InvalidInput, TypeError):
    """A suite was not given what it can be run against; no check was, so that no clause is held or broken."""

    code = "backend_unusable"
    remedy = _CONTEXT


@dataclass(frozen=True, slots=True)
class Shape:
    """What a suite needs of a backend.

    Attributes:
        yields: how it is made, as the remedy of a :class:`BackendUnusable`.
        backend: attributes of what ``open`` yields, as dotted paths.
        port: attributes of what a unit is given; with none, the backend runs no units.
    """

    yields: str = ""
    backend: tuple[str, ...] = ()
    port: tuple[str, ...] = ()


def units_of(yields: str, *port: str) -> Shape:
    """The shape of a :class:`~holdfast.testing.units.UnitRunner` whose units are given something with these."""
    return Shape(yields, ("run",), port)


def parts_of(protocol: type[Any], under: str = "") -> tuple[str, ...]:
    """The public names of a protocol, as dotted paths below ``under``."""
    return tuple(f"{under}.{name}" if under else name for name in vars(protocol) if not name.startswith("_"))


def check_backend(open: Callable[[], AbstractContextManager[Any]], shape: Shape) -> None:
    """Open a backend once and see that a suite can be run against it. Whatever opening it, and running a unit that
    does nothing, raise by themselves is raised as it is.

    Raises:
        BackendUnusable: ``open`` cannot be called, gives no context manager, or this yields something else.
    """
    if not callable(open):
        raise BackendUnusable(f"`open` is to be called for each check, {type(open).__name__} cannot be.")
    opened = open()
    if not (hasattr(type(opened), "__enter__") and hasattr(type(opened), "__exit__")):
        raise BackendUnusable(f"`open` gives {type(opened).__name__}, which is no context manager.")
    with opened as backend:
        _check("What `open` yields", backend, shape.backend, shape)
        if shape.port:
            backend.run(lambda port: _check("What a unit is given", port, shape.port, shape))


def _check(what: str, found: object, needed: Iterable[str], shape: Shape) -> None:
    """Raises:
    BackendUnusable: ``found`` lacks some of what is needed.
    """
    missing = list(dict.fromkeys(filter(None, (_first_missing(found, path) for path in needed))))
    if missing:
        raise BackendUnusable(f"{what}, {type(found).__name__}, has no {', '.join(missing)}.", remedy=shape.yields)


def _first_missing(found: object, path: str) -> str | None:
    """The beginning of ``path`` up to the first name that is not there; ``None``: all are."""
    names = path.split(".")
    for place, name in enumerate(names, 1):
        if not hasattr(found, name):
            return ".".join(names[:place])
        found = getattr(found, name)
    return None
