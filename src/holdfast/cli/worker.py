"""``holdfast worker``: serve the packages of a store, or the workflows of a module, until told to stop."""

from __future__ import annotations

import importlib
import logging
import os
import sys
import threading
import traceback
from pathlib import Path
from types import ModuleType
from typing import Annotated, Any

import typer

from holdfast.app import Holdfast
from holdfast.audit.keys import environment_signer
from holdfast.cli.output import Output, counted
from holdfast.cli.session import JsonOption, Session, StoreOption, session
from holdfast.cli.signals import stop_on_signals
from holdfast.errors import HoldfastError, InvalidInput
from holdfast.flows.engine.options import WorkerOptions
from holdfast.hosting.serving import Hosting
from holdfast.hosting.supervisor import HostingOptions
from holdfast.packages.files import supplied_archives
from holdfast.packages.reloading import reload
from holdfast.store import open_store

ALIVE_SECONDS = 0.5


class WorkerTargetInvalid(InvalidInput):
    """What ``holdfast worker`` was given names no Holdfast object."""

    code = "worker_target_invalid"
    remedy = "Name a module and its Holdfast object, e.g. `holdfast worker my_module:hf` for `hf = Holdfast()`."


class WorkerDied(HoldfastError):
    """The worker ended by itself."""

    code = "worker_died"
    remedy = "Its flows are safe and go on with the next worker; the log above says why it ended."


def serve(
    context: typer.Context,
    target: Annotated[
        str | None, typer.Argument(metavar="[MODULE:HF]", help="A module of yours and its Holdfast object.")
    ] = None,
    packages: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Archives that you supply as files, besides those deployed.")
    ] = None,
    concurrency: Annotated[int, typer.Option(min=1, help="Flows in memory at once, of each version.")] = 1000,
    idle: Annotated[
        float, typer.Option(min=0, metavar="SECONDS", help="Stop a version's idle process after so long.")
    ] = 60,
    lease: Annotated[
        float, typer.Option(min=0.2, metavar="SECONDS", help="A process that is silent for so long loses its flows.")
    ] = 10,
    store: StoreOption = None,
    json: JsonOption = False,
) -> None:
    """Serve the packages that are deployed, each version in a process of its own; or, if one is named, the workflows of
    a module. SIGTERM or Ctrl-C drains and ends it."""
    asked = session(context, store, json)
    if target is not None:
        _serve_module(asked, target)
    else:
        supplied = supplied_archives(packages) if packages is not None else {}
        _host(asked, HostingOptions(WorkerOptions(concurrency=concurrency), lease, idle, supplied=supplied))


def _serve_module(asked: Session, target: str) -> None:
    hf = load(target)
    if asked.given:
        hf.url = asked.given
    stop = threading.Event()
    stop_on_signals(stop)
    with hf:
        _announce(asked.out, hf, target)
        while not stop.wait(ALIVE_SECONDS):
            if not hf.serving:
                raise WorkerDied("The worker ended by itself.")
        asked.out.say("Draining: running steps end and are recorded; a second signal ends it at once.")
    asked.out.say("Drained.")


def _host(asked: Session, options: HostingOptions) -> None:
    stop = threading.Event()
    stop_on_signals(stop)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    with open_store(asked.url, signer=environment_signer()) as store:
        reloaded = reload(store, options.supplied)
        sound = len({content_hash for _, content_hash in reloaded.ok})
        with Hosting(store, options) as hosting:
            told = f"Serving packages of {store.url} (pid {os.getpid()}): {counted(sound, 'version')} sound"
            told += f", {len(reloaded.quarantined):,} quarantined." if reloaded.quarantined else "."
            asked.out.one({"store": store.url, "pid": os.getpid(), "versions": sound}, told)
            sys.stdout.flush()
            while not stop.wait(ALIVE_SECONDS):
                if not hosting.alive:
                    raise WorkerDied("The supervisor ended by itself.")
            asked.out.say("Draining: running steps end and are recorded; a second signal ends it at once.")
    asked.out.say("Drained.")


def load(target: str) -> Holdfast:
    """The Holdfast object that ``target`` names, its module imported from the working directory or ``sys.path``.

    Raises:
        WorkerTargetInvalid: there is no such module, attribute or object.
    """
    name, _, attribute = target.partition(":")
    if not name or not attribute:
        raise WorkerTargetInvalid(f"{target!r} names no object of a module.")
    found: Any = _import(name)
    for part in attribute.split("."):
        if not hasattr(found, part):
            raise WorkerTargetInvalid(f"The module {name} has no {attribute}.")
        found = getattr(found, part)
    if not isinstance(found, Holdfast):
        raise WorkerTargetInvalid(f"{target} is a {type(found).__name__}, not a Holdfast.")
    return found


def _import(name: str) -> ModuleType:
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is not None and (name == error.name or name.startswith(f"{error.name}.")):
            raise WorkerTargetInvalid(f"There is no module {name} in {here} or on sys.path.") from error
        problem: Exception = error
    except Exception as error:  # whatever a user's module raises
        problem = error
    where = traceback.extract_tb(problem.__traceback__)[-1]
    told = f"{type(problem).__name__}: {problem} ({where.filename}, line {where.lineno})"
    raise WorkerTargetInvalid(f"Importing {name} failed: {told}.", remedy="Mend the module.") from problem


def _announce(out: Output, hf: Holdfast, target: str) -> None:
    served = hf.serving
    if not served:
        raise WorkerTargetInvalid(
            f"{target} serves nothing.",
            remedy="Give it workflows, by @workflow at the top level of an imported module, and leave worker=True.",
        )
    told = f"Serving {', '.join(served)} on {hf.store.url} (pid {os.getpid()})."
    out.one({"serving": served, "store": hf.store.url, "pid": os.getpid()}, told)
    sys.stdout.flush()
