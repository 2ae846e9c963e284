"""A proxy before PostgreSQL that cuts connections at the moment of commit.

It reads the wire protocol as it passes (PostgreSQL documentation, "Frontend/Backend Protocol"), so that it knows which
messages make writes durable: a ``COMMIT`` of a transaction that wrote, or a writing statement outside of one.
"""

from __future__ import annotations

import asyncio
import random
import re
import struct
import threading
from collections import Counter
from pathlib import Path
from types import TracebackType
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

from psycopg.conninfo import conninfo_to_dict

MANNERS = ("unsent", "raced", "unheard")
"""How a connection is cut: before the commit reaches the server; right behind it; or once the server has answered
it, so that the commit has happened and only its answer is lost."""
_WRITES = re.compile(rb"\b(INSERT|UPDATE|DELETE)\b", re.IGNORECASE)
_PORT = 5432


class CuttingProxy:
    """Listens on a Unix socket in ``folder`` and forwards to the server of ``url``.

    Args:
        url: a store URL of a PostgreSQL.
        folder: with a short path.
        chance: of a cut at each commit, while there are ``cuts`` to make.

    Attributes:
        url: the store URL through the proxy.
        made: cuts, by their manner.
    """

    def __init__(self, url: str, folder: Path, *, cuts: int, chance: float = 0.2) -> None:
        parts = urlsplit(url)
        options = dict(parse_qsl(parts.query))
        schema = options.pop("schema")
        upstream = conninfo_to_dict(parts._replace(query=urlencode(options, quote_via=quote)).geturl())
        self._host = str(upstream.get("host") or "localhost")
        self._upstream_port = int(upstream.get("port") or _PORT)
        login = {key: str(upstream[key]) for key in ("user", "password", "dbname") if key in upstream}
        through = login | {"host": str(folder), "port": str(_PORT), "schema": schema}
        self.url = f"postgresql:///?{urlencode(through, quote_via=quote)}"
        self.made: Counter[str] = Counter()
        self._cuts = cuts
        self._chance = chance
        self._path = folder / f".s.PGSQL.{_PORT}"
        self._sessions: set[asyncio.Task[None]] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._serve, name="proxy")
        self._ready = threading.Event()
        self._ended: asyncio.Event

    @property
    def done(self) -> bool:
        """Whether all cuts were made."""
        return self.made.total() >= self._cuts

    def manner(self) -> str | None:
        """How to cut at this commit, if at all."""
        if self.done or random.random() >= self._chance:
            return None
        manner = random.choice(MANNERS)
        self.made[manner] += 1
        return manner

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A connection to the server itself."""
        if self._host.startswith("/"):
            return await asyncio.open_unix_connection(f"{self._host}/.s.PGSQL.{self._upstream_port}")
        return await asyncio.open_connection(self._host, self._upstream_port)

    def _serve(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._listen())

    async def _listen(self) -> None:
        self._ended = asyncio.Event()
        server = await asyncio.start_unix_server(self._accept, self._path)
        self._ready.set()
        async with server:
            await self._ended.wait()
            for session in list(self._sessions):
                session.cancel()
            await asyncio.gather(*self._sessions, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        session = asyncio.current_task()
        assert session is not None
        self._sessions.add(session)
        try:
            await _Session(self, reader, writer).run()
        except asyncio.CancelledError:
            pass  # the streams' own callback would log it
        finally:
            self._sessions.discard(session)

    def __enter__(self) -> CuttingProxy:
        self._thread.start()
        self._ready.wait()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._loop.call_soon_threadsafe(self._ended.set)
        self._thread.join()


class _Session:
    """One connection through the proxy."""

    def __init__(self, proxy: CuttingProxy, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._proxy = proxy
        self._reader = reader
        self._writer = writer
        self._statements: dict[bytes, bytes] = {}
        self._in_transaction = False
        self._wrote = False
        self._unheard = False

    async def run(self) -> None:
        """Until either side ends, or the connection is cut."""
        try:
            from_server, to_server = await self._proxy.connect()
        except OSError:
            return self._writer.close()
        pumps = [
            asyncio.ensure_future(self._requests(to_server)),
            asyncio.ensure_future(self._answers(from_server)),
        ]
        try:
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for pump in pumps:
                pump.cancel()
            to_server.close()
            self._writer.close()
            await asyncio.gather(*pumps, to_server.wait_closed(), self._writer.wait_closed(), return_exceptions=True)

    async def _requests(self, server: asyncio.StreamWriter) -> None:
        """Forward what the client says, a request at a time."""
        (length,) = struct.unpack("!I", first := await self._reader.readexactly(4))
        server.write(first + await self._reader.readexactly(length - 4))
        request, texts = b"", []
        while True:
            kind, message, body = await _message(self._reader)
            request += message
            texts.append(self._text(kind, body))
            if kind not in b"QSXp":
                continue
            manner = self._proxy.manner() if self._commits(b" ".join(texts)) else None
            if manner == "unsent":
                return
            self._unheard = manner == "unheard"
            server.write(request)
            await server.drain()
            if manner == "raced":
                return
            request, texts = b"", []

    async def _answers(self, server: asyncio.StreamReader) -> None:
        """Forward what the server says."""
        while True:
            kind, message, body = await _message(server)
            if kind == b"Z":
                if self._unheard:
                    return
                self._in_transaction = body != b"I"
                self._wrote = self._wrote and self._in_transaction
            if not self._unheard:
                self._writer.write(message)
                await self._writer.drain()

    def _text(self, kind: bytes, body: bytes) -> bytes:
        """The SQL that a message runs."""
        if kind == b"Q":
            return body
        if kind == b"P":
            name, text, _ = body.split(b"\0", 2)
            self._statements[name] = text
        elif kind == b"B":
            return self._statements.get(body.split(b"\0", 2)[1], b"")
        return b""

    def _commits(self, text: bytes) -> bool:
        """Whether the request makes writes durable."""
        writes = bool(_WRITES.search(text))
        if not self._in_transaction:
            return writes
        self._wrote = self._wrote or writes
        return self._wrote and text.strip().upper().startswith(b"COMMIT")


async def _message(reader: asyncio.StreamReader) -> tuple[bytes, bytes, bytes]:
    """Type, all bytes and body of the next message.

    Raises:
        asyncio.IncompleteReadError: the other side has ended.
    """
    head = await reader.readexactly(5)
    (length,) = struct.unpack("!I", head[1:])
    body = await reader.readexactly(length - 4)
    return head[:1], head + body, body
