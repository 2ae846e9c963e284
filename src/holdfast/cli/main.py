"""``holdfast``: the commands, and how their errors become exit codes.

Exit codes: 0 done, 1 failed, 2 usage, 3 not found, 4 conflict, 130 interrupted, 141 nobody reads on.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import Annotated

import typer

import holdfast
from holdfast.cli import audit, demos, doctor, flow, message, package, prune, queue, schedule, worker, world
from holdfast.cli import rewinding as _rewinding  # noqa: F401 (it adds commands to those of flows)
from holdfast.cli import starting as _starting  # noqa: F401 (the same)
from holdfast.cli.output import INTERRUPTED, UNHEARD, USAGE, Output, exit_code
from holdfast.cli.session import Common, JsonOption, StoreOption
from holdfast.errors import HoldfastError

app = typer.Typer(
    name="holdfast",
    help="Durable workflows in Python: they survive kill -9.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
)
app.add_typer(flow.app, name="flow")
app.add_typer(message.event, name="event")
app.add_typer(message.signal, name="signal")
app.add_typer(message.approval, name="approval")
app.add_typer(queue.app, name="queue")
app.add_typer(schedule.app, name="schedule")
app.add_typer(package.app, name="package")
app.add_typer(world.app, name="world")
app.add_typer(audit.app, name="audit")
app.add_typer(demos.app, name="demo")
app.command("worker")(worker.serve)
app.command("doctor")(doctor.examine)
app.command("prune")(prune.run)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"holdfast {holdfast.__version__}")
        raise typer.Exit


@app.callback()
def common(
    context: typer.Context,
    store: StoreOption = None,
    json: JsonOption = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Options that every command takes, before or after its name."""
    context.obj = Common(store, json)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line ``argv`` (the process's own by default); returns the exit code."""
    args = sys.argv[1:] if argv is None else list(argv)
    out = Output("--json" in args)
    try:
        code = typer.main.get_command(app).main(args=args, prog_name="holdfast", standalone_mode=False)
        sys.stdout.flush()
    except HoldfastError as error:
        out.fail(error.code, error.message, error.remedy)
        return exit_code(error)
    except (KeyboardInterrupt, typer.Abort):
        code = INTERRUPTED
    except BrokenPipeError:
        return _unheard()
    except SystemExit as ended:
        if isinstance(ended.__context__, BrokenPipeError):  # what Typer makes of it
            return _unheard()
        raise
    except Exception as error:
        return _refused(out, error)
    if code == INTERRUPTED:
        _tell_interrupted(out)
    return code if isinstance(code, int) else 0


def _tell_interrupted(out: Output) -> None:
    if out.json:
        out.fail("interrupted", "Interrupted.", "Run it again.")
    else:
        typer.echo("Interrupted.", err=True)


def _unheard() -> int:
    """Whoever read the answer has heard enough, as ``head`` does: quiet, like programs that SIGPIPE ends."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return UNHEARD


def _refused(out: Output, error: Exception) -> int:
    """The command line itself made no sense; anything else is a bug and keeps its traceback."""
    told = getattr(error, "format_message", None)
    if told is None:
        raise error
    context = getattr(error, "ctx", None)
    path = context.command_path if context else "holdfast"
    if type(error).__name__ == "NoArgsIsHelpError":
        typer.echo(told(), err=True)
    else:
        out.fail("usage", " ".join(told().split()), f"See `{path} --help`.")
    return USAGE
