"""``holdfast worker module:hf``: serve the workflows of a module until told to stop."""

from __future__ import annotations

import importlib
import os
import signal
import sys
import threading
import traceback
from pathlib import Path
from types import FrameType, ModuleType
from typing import Annotated, Any

import typer

from holdfast.app import Holdfast
from holdfast.cli.output import Output
from holdfast.cli.session import JsonOption, StoreOption, session
from holdfast.errors import HoldfastError, InvalidInput

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
    target: Annotated[str, typer.Argument(metavar="MODULE:HF", help="A module of yours and its Holdfast object.")],
    store: StoreOption = None,
    json: JsonOption = False,
) -> None:
    """Serve the workflows of a module; SIGTERM or Ctrl-C drains and ends it."""
    asked = session(context, store, json)
    hf = load(target)
    if asked.given:
        hf.url = asked.given
    stop = threading.Event()
    _stop_on_signals(stop)
    with hf:
        _announce(asked.out, hf, target)
        while not stop.wait(ALIVE_SECONDS):
            if not hf.serving:
                raise WorkerDied("The worker ended by itself.")
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


def _stop_on_signals(stop: threading.Event) -> None:
    """The first signal drains; a second one ends the process at once."""

    def asked(number: int, frame: FrameType | None) -> None:
        stop.set()
        for each in (signal.SIGTERM, signal.SIGINT):
            signal.signal(each, signal.SIG_DFL)

    for each in (signal.SIGTERM, signal.SIGINT):
        signal.signal(each, asked)


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
