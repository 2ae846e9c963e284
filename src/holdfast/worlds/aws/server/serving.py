"""The server of a world: where it listens, and how it ends."""

from __future__ import annotations

import errno
import logging
import socket
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from types import TracebackType
from typing import Any

from moto.moto_server import werkzeug_app
from werkzeug.serving import ThreadedWSGIServer, WSGIRequestHandler

from holdfast.worlds.aws.server.app import WorldApp
from holdfast.worlds.aws.server.changes import Changes
from holdfast.worlds.aws.server.errors import AddressUnusable, PortInUse
from holdfast.worlds.aws.server.guarding import check_listening
from holdfast.worlds.aws.world import AwsWorld

log = logging.getLogger("holdfast.worlds.aws.server")
SILENT_SECONDS = 60.0
"""A client that neither sends nor reads for so long has gone."""
DRAIN_SECONDS = 5.0
_BACKLOG = 128
_POLL_SECONDS = 0.05
_Emulators: Any = getattr(werkzeug_app, "MotoRequestHandler", WSGIRequestHandler)
"""Reads requests as the emulator wants them; up to moto 5.2.4 it asked for nothing special."""


class WorldServer:
    """Serves a world over HTTP until it is closed.

    Programs of this machine alone can reach it by default. Beyond that a token guards the state of the world, but
    nothing guards its AWS endpoints: any credentials will do there, as nobody checks them.

    Args:
        world: is closed with the server, since long polls end with it.
        host: the address to listen on.
        port: 0: any that is free.
        token: that requests for ``/_world`` must bear.

    Raises:
        TokenNeeded: others can reach ``host``, and there is no token.
        PortInUse, AddressUnusable: nobody can listen there.

    Attributes:
        endpoint: its URL.
    """

    def __init__(self, world: AwsWorld, host: str = "127.0.0.1", port: int = 0, *, token: str | None = None) -> None:
        check_listening(host, token)
        with closing(_listening(host, port)) as listener:
            self._world = world
            self._changes = Changes(world)
            self._server = _Server(host, port, WorldApp(world, self._changes, token), _Handler, fd=listener.fileno())
        shown = f"[{host}]" if ":" in host else host
        self.endpoint = f"http://{shown}:{self._server.port}"
        world.served_at(self.endpoint)
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(_POLL_SECONDS,), name="holdfast-world-server", daemon=True
        )
        self._thread.start()

    def close(self) -> None:
        """Take no more requests, end those that wait, let the others end, and close the world."""
        self._server.shutdown()
        self._thread.join()
        self._changes.close()
        self._world.close()
        if not self._server.drain(DRAIN_SECONDS):
            log.warning("requests were still under way after %s seconds", DRAIN_SECONDS)

    def __enter__(self) -> WorldServer:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()


class _Server(ThreadedWSGIServer):
    """Knows whether requests are under way; logs, and writes nothing to the terminal."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._moved = threading.Condition()
        self._under_way = 0

    @contextmanager
    def answering(self) -> Iterator[None]:
        """While a request is under way, its answer's last byte included."""
        self._count(1)
        try:
            yield
        finally:
            self._count(-1)

    def drain(self, seconds: float) -> bool:
        """Wait until no request is under way; false if some are after so long."""
        with self._moved:
            return self._moved.wait_for(lambda: not self._under_way, seconds)

    def _count(self, change: int) -> None:
        with self._moved:
            self._under_way += change
            self._moved.notify_all()

    def log(self, type: str, message: str, *args: Any) -> None:
        log.log(logging.getLevelNamesMapping().get(type.upper(), logging.INFO), message.rstrip(), *args)

    def handle_error(self, request: Any, client_address: Any) -> None:
        log.exception("a request of %s failed", client_address)


class _Handler(_Emulators):  # type: ignore[misc]
    protocol_version = "HTTP/1.1"
    timeout = SILENT_SECONDS
    server: _Server

    def run_wsgi(self) -> None:
        with self.server.answering():
            super().run_wsgi()

    def log(self, type: str, message: str, *args: Any) -> None:
        level = logging.DEBUG if type == "info" else logging.WARNING
        log.log(level, "%s %s", self.address_string(), message % args if args else message)


def _listening(host: str, port: int) -> socket.socket:
    """Raises:
    PortInUse, AddressUnusable: nobody can listen there.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=_BACKLOG)
    except (OSError, OverflowError, UnicodeError) as error:
        if getattr(error, "errno", None) == errno.EADDRINUSE:
            raise PortInUse(f"Another program listens on port {port} of {host}.") from error
        raise AddressUnusable(f"Nobody can listen on port {port} of {host}: {error}.") from error
