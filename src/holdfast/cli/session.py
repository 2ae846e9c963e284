"""What all commands share: their common options, and opening the store they ask for."""

from __future__ import annotations

import getpass
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Annotated, NamedTuple, TypeVar
from uuid import UUID

import typer
from rich.text import Text

from holdfast.app import DEFAULT_URL
from holdfast.audit.keys import environment_signer
from holdfast.cli.output import Output, clean, human_console
from holdfast.flows.prefixes import find_id
from holdfast.store import Store, Transaction, check_store, open_store

R = TypeVar("R")
PATIENCE_SECONDS = 5.0

StoreOption = Annotated[
    str | None,
    typer.Option("--store", metavar="URL", help="The store; else HOLDFAST_URL, else sqlite:///holdfast.db."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Answer in JSON.")]
LimitOption = Annotated[int, typer.Option("--limit", min=1, max=10_000, help="How many at most.")]
AfterOption = Annotated[str | None, typer.Option("--after", metavar="CURSOR", help="Go on from here.")]
FlowId = Annotated[str, typer.Argument(metavar="ID", help="The flow's id, or its first 8 hex digits or more.")]


class Common(NamedTuple):
    """Options given before the command's name."""

    store: str | None
    json: bool


class Session(NamedTuple):
    """How one command was called.

    Attributes:
        given: the store URL of ``--store``, if any.
        out: where its answer goes.
    """

    given: str | None
    out: Output

    @property
    def url(self) -> str:
        """The store URL: the option's, else the environment's, else the default."""
        return self.given or os.environ.get("HOLDFAST_URL") or DEFAULT_URL

    @contextmanager
    def store(self, *, create: bool = False) -> Iterator[Store]:
        """The existing store, opened without creating or migrating anything; it signs where HOLDFAST_AUDIT_KEY is set.

        Args:
            create: make it where there is none, and migrate it, as a worker does.

        Raises:
            StoreMissing, StoreTooNew, StoreOutdated, StoreError: it cannot be used.
            KeyNotFound, KeyInvalid, SigningUnavailable: that key cannot be.
        """
        signer = environment_signer()
        with open_store(self.url, signer=signer, migrate=create, patience=PATIENCE_SECONDS) as store:
            check_store(store)
            yield store

    def act(self, verb: Callable[[Transaction], R], *, create: bool = False) -> R:
        """Run a verb that workers should hear of, under the name of who is at the command line; see :meth:`store`."""
        with self.store(create=create) as opened:

            def work(tx: Transaction) -> R:
                opened.backend.announce(tx)
                return verb(tx)

            return opened.run(work, actor=actor())


def hint_unknown(asked: Session, workflow: str, near: Sequence[str]) -> None:
    """Tell people that nobody has served that workflow yet, and which ones are near."""
    if not asked.out.json:
        meant = f" Did you mean {' or '.join(map(clean, near))}?" if near else ""
        hint = f"hint: no worker has served {clean(workflow)} yet.{meant}"
        human_console(sys.stderr).print(Text(hint, style="yellow"), soft_wrap=True)


def session(context: typer.Context, store: str | None, json: bool) -> Session:
    """The session of a command that was called with these options, before or after its name."""
    common = context.find_root().obj
    assert isinstance(common, Common)
    return Session(store or common.store, Output(json or common.json))


def flow_named(opened: Store, text: str) -> UUID:
    """The flow that an argument names, by its id or the beginning of it.

    Raises:
        InvalidId, NoFlowBegins, AmbiguousId: it names none, or several.
    """
    return opened.read(lambda tx: find_id(tx, text))


def actor() -> str:
    """Who is at the command line."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's numeric user has no name
        return f"uid {os.getuid()}"
