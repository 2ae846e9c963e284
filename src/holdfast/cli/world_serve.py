"""``holdfast world serve``: a mock AWS over HTTP."""

from __future__ import annotations

import logging
import os
import sys
import threading
from contextlib import closing, nullcontext
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from holdfast.cli.output import Output, clean
from holdfast.cli.session import JsonOption, StoreOption, session
from holdfast.cli.signals import stop_on_signals
from holdfast.cli.world_place import store_of
from holdfast.errors import InvalidInput
from holdfast.store import Store
from holdfast.worlds.aws.emulator import check_emulator

if TYPE_CHECKING:
    from holdfast.worlds.aws.server import WorldServer

TOKEN_VARIABLE = "HOLDFAST_WORLD_TOKEN"  # noqa: S105 - the name of one
_EXAMPLE_ACCOUNT = "111111111111"
_BEARER = f'-H "Authorization: Bearer ${TOKEN_VARIABLE}" '


class _Wanted(NamedTuple):
    """What is to be served, and where."""

    world: str
    account: str
    region: str
    host: str
    port: int
    token: str | None


def serve(
    context: typer.Context,
    port: Annotated[int, typer.Option(min=0, max=65535, help="Where to listen; 0: any that is free.")] = 4566,
    host: Annotated[
        str, typer.Option(help="The address to listen on. Beyond this machine only with a token.")
    ] = "127.0.0.1",
    name: Annotated[str, typer.Option(help="The world's name.")] = "aws",
    detached: Annotated[
        bool, typer.Option("--detached", help="Keep nothing: as fast as memory, and gone with the process.")
    ] = False,
    account: Annotated[
        str, typer.Option(metavar="DIGITS", help="The account of credentials that name none.")
    ] = "123456789012",
    region: Annotated[str, typer.Option(help="The region of clients that name none.")] = "us-east-1",
    token: Annotated[
        str | None,
        typer.Option(envvar=TOKEN_VARIABLE, help="What requests for /_world must bear: Authorization: Bearer TOKEN."),
    ] = None,
    store: StoreOption = None,
    json: JsonOption = False,
) -> None:
    """Serve a mock AWS until SIGTERM or Ctrl-C. What a client has its answer for is in the store.

    The account is that of the credentials: an access key of 12 digits is the account itself, and one that IAM gave out
    belongs to its account. Nobody checks secrets or signatures: whoever reaches the port may use all of its AWS.

    Clients find it by AWS_ENDPOINT_URL, or by an option: version 1 of the AWS CLI needs --endpoint-url for SQS.

    The state of the world is under /_world. /_world/ACCOUNT/REGION/SERVICE: GET, PUT (restore) and PATCH (merge;
    ?policy=keep|fail|replace, &dry_run=true). /_world/checkpoints: GET, POST; /_world/checkpoints/NAME/restore: POST.
    /_world/diff?before=NAME&after=NAME: GET. /_world/changes: GET (Server-Sent Events). /_world/bodies/SHA256: GET,
    PUT. /_world/reset: POST. A token guards it all; without one, only programs of this machine get at it.
    """
    asked = session(context, store, json)
    check_emulator()
    if detached and asked.given:
        raise InvalidInput("A detached world has no store.", remedy="Give --store or --detached, not both.")
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    stop = threading.Event()
    stop_on_signals(stop)
    wanted = _Wanted(name, account, region, host, port, token)
    with nullcontext() if detached else store_of(asked, create=True) as opened:
        _serve(asked.out, opened, wanted, stop)


def _serve(out: Output, store: Store | None, wanted: _Wanted, stop: threading.Event) -> None:
    from holdfast.worlds.aws import AwsWorld
    from holdfast.worlds.aws.server import WorldServer
    from holdfast.worlds.aws.server.guarding import check_listening

    check_listening(wanted.host, wanted.token)  # before the world is opened, which may take a while
    world = AwsWorld(store, wanted.world, account=wanted.account, region=wanted.region)
    with closing(world), WorldServer(world, wanted.host, wanted.port, token=wanted.token) as server:
        _announce(out, server, wanted, store)
        stop.wait()
        out.say("Ending.")
    out.say("Ended.")


def _announce(out: Output, server: WorldServer, wanted: _Wanted, store: Store | None) -> None:
    kept = f"attached to {clean(store.url)}" if store else "detached: gone with this process"
    environment = f"AWS_ENDPOINT_URL={server.endpoint} AWS_ACCESS_KEY_ID={_EXAMPLE_ACCOUNT} AWS_SECRET_ACCESS_KEY=any"
    out.one(
        {"endpoint": server.endpoint, "world": wanted.world, "store": store.url if store else None, "pid": os.getpid()},
        f"Serving the world {clean(wanted.world)} at {server.endpoint} (pid {os.getpid()}), {kept}.",
        f"Use it: {environment} AWS_DEFAULT_REGION={wanted.region} aws s3 ls",
        f"Its state: curl {_BEARER if wanted.token else ''}{server.endpoint}/_world",
    )
    sys.stdout.flush()
