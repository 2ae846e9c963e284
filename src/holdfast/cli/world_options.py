"""What the commands of ``holdfast world`` have in common on the command line."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, NamedTuple

import typer

from holdfast.cli.world_aws import AwsPlace, Only
from holdfast.cli.world_directory import DirectoryPlace
from holdfast.cli.world_place import Place
from holdfast.errors import InvalidInput
from holdfast.worlds import Scope
from holdfast.worlds.directory import DirectoryWorld
from holdfast.worlds.directory.naming import world_name
from holdfast.worlds.model import check_name

_AWS = "aws:"


class Named(NamedTuple):
    """A place, as it was written: a directory, or the name of a mock AWS."""

    directory: Path | None = None
    aws: str | None = None

    @property
    def world(self) -> str:
        """The world's name, where none is given by an option."""
        return self.aws if self.directory is None else world_name(self.directory)  # type: ignore[return-value]


def _named(text: str) -> Named:
    if text.startswith(_AWS):
        return Named(aws=check_name(text.removeprefix(_AWS), "a world"))
    path = Path(text)
    try:
        if path.is_dir():
            return Named(path)
        fault = "is a file" if path.exists() else "does not exist"
    except ValueError:
        fault = "is no path"
    raise typer.BadParameter(f"Directory {text!r} {fault}. A mock AWS is named aws:NAME.")


Where = Annotated[
    Named,
    typer.Argument(
        metavar="DIR|aws:NAME",
        parser=_named,
        help="A directory, whose files are the world; or a mock AWS of the store, such as aws:shop.",
    ),
]
MaybeWhere = Annotated[
    Named | None,
    typer.Argument(metavar="[DIR|aws:NAME]", parser=_named, help="Only this directory's or mock AWS's checkpoints."),
]
Wanted = Annotated[str, typer.Argument(metavar="NAME|FILE", help="A checkpoint's name or id, or a view in a file.")]
WorldOption = Annotated[
    str | None, typer.Option("--world", metavar="NAME", help="The world's name; made from DIR's path by default.")
]
AccountOption = Annotated[
    str | None,
    typer.Option(
        "--account", help="Of a mock AWS: this account alone. With --region: the files of DIR/ACCOUNT/REGION."
    ),
]
RegionOption = Annotated[
    str | None, typer.Option("--region", help="Of a mock AWS: this region alone; what IAM has is in 'global'.")
]
ServiceOption = Annotated[
    str | None, typer.Option("--service", help="Of a mock AWS: this service alone, such as s3 or dynamodb.")
]
ExcludeOption = Annotated[
    list[str] | None,
    typer.Option(
        "--exclude",
        metavar="PATTERN",
        help="Of a directory: leave such names alone: .venv, *.pyc, docs/build. May be given several times.",
    ),
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only say what would change.")]
Discard = Annotated[
    bool, typer.Option("--discard", help="First remove, for good, links that leave DIR, pipes and sockets.")
]


def place_of(
    named: Named,
    account: str | None = None,
    region: str | None = None,
    world: str | None = None,
    exclude: Iterable[str] | None = None,
    service: str | None = None,
) -> Place:
    """Raises:
    InvalidInput: options that do not go with the place, or with one another.
    """
    if named.directory is None:
        if world is not None or exclude:
            raise InvalidInput(
                "--world and --exclude are for directories.", remedy="Name a mock AWS by aws:NAME alone."
            )
        return AwsPlace(named.world, Only(account, region, service))
    if service is not None:
        raise InvalidInput("--service is for a mock AWS; a directory has one service.", remedy="Leave it out.")
    return _directory(named.directory, account, region, world, tuple(exclude or ()))


def _directory(
    path: Path, account: str | None, region: str | None, world: str | None, exclude: tuple[str, ...]
) -> DirectoryPlace:
    if (account is None) != (region is None):
        raise InvalidInput("--account and --region go together.", remedy="Give both, or neither for DIR itself.")
    name = world or world_name(path)
    if account is None or region is None:
        return DirectoryPlace(path, name, DirectoryWorld.LOCAL, plain=True, exclude=exclude)
    return DirectoryPlace(path, name, Scope(account, region), plain=False, exclude=exclude)
