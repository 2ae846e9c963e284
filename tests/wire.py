"""A wire to PostgreSQL that can be cut exactly before, or exactly after, the server commits."""

from __future__ import annotations

import contextlib
import shutil
import socket
import tempfile
import threading
from pathlib import Path
from types import TracebackType
from typing import Literal
from urllib.parse import quote

from psycopg.conninfo import conninfo_to_dict

Cut = Literal["before", "after"]
_READY = b"Z\x00\x00\x00\x05"
_PORT = 5432


class Wire:
    """Forwards connections to a server. ``cut`` arms it for the next commit of whichever connection.

    Args:
        server: the server's URL.
        schema: the store's schema.

    Attributes:
        url: the store's URL through this wire.
        cuts: how many connections were cut at a commit.
    """

    def __init__(self, server: str, schema: str) -> None:
        target = conninfo_to_dict(server)
        self._target = str(target.get("host") or "localhost"), int(target.get("port") or _PORT)
        self._folder = Path(tempfile.mkdtemp(prefix="hf-"))
        self.cuts = 0
        self._armed: Cut | None = None
        self._lock = threading.Lock()
        self._sockets: list[socket.socket] = []
        user = quote(str(target.get("user") or "postgres"), safe="")
        password = quote(str(target.get("password") or ""), safe="")
        database = quote(str(target.get("dbname") or "postgres"), safe="")
        where = f"host={quote(str(self._folder), safe='')}&port={_PORT}&sslmode=disable&gssencmode=disable"
        self.url = f"postgresql://{user}:{password}@/{database}?{where}&schema={schema}"
        self.connect()

    def connect(self) -> None:
        """Take connections."""
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(self._folder / f".s.PGSQL.{_PORT}"))
        self._listener.listen()
        threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def disconnect(self) -> None:
        """Cut everything, and take no more."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        (self._folder / f".s.PGSQL.{_PORT}").unlink()
        with self._lock:
            sockets, self._sockets = self._sockets, []
        for end in sockets:
            _close(end)

    def cut(self, when: Cut) -> None:
        """Cut the connection that commits next: its COMMIT never arrives, or is never answered."""
        self._armed = when

    def __enter__(self) -> Wire:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.disconnect()
        shutil.rmtree(self._folder)

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            server = self._reach()
            with self._lock:
                self._sockets += [client, server]
            silenced = threading.Event()
            threading.Thread(target=self._upstream, args=(client, server, silenced), daemon=True).start()
            threading.Thread(target=self._downstream, args=(client, server, silenced), daemon=True).start()

    def _reach(self) -> socket.socket:
        host, port = self._target
        if not host.startswith("/"):
            return socket.create_connection((host, port))
        server = socket.socket(socket.AF_UNIX)
        server.connect(f"{host}/.s.PGSQL.{port}")
        return server

    def _upstream(self, client: socket.socket, server: socket.socket, silenced: threading.Event) -> None:
        with contextlib.suppress(OSError):
            while data := client.recv(1 << 16):
                if b"COMMIT" in data and (when := self._disarm()):
                    if when == "before":
                        break
                    silenced.set()
                server.sendall(data)
        if not silenced.is_set():
            _close(client)
            _close(server)

    def _downstream(self, client: socket.socket, server: socket.socket, silenced: threading.Event) -> None:
        with contextlib.suppress(OSError):
            while data := server.recv(1 << 16):
                if silenced.is_set():
                    if _READY in data:
                        break
                    continue
                client.sendall(data)
        _close(client)
        _close(server)

    def _disarm(self) -> Cut | None:
        with self._lock:
            when, self._armed = self._armed, None
            self.cuts += when is not None
            return when


def _close(end: socket.socket) -> None:
    with contextlib.suppress(OSError):
        end.shutdown(socket.SHUT_RDWR)
    end.close()
