"""Serving packages: a supervisor over a store, in a thread of its own."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import Future
from types import TracebackType

from holdfast.clock import SystemClock
from holdfast.hosting.supervisor import HostingOptions, Supervisor
from holdfast.store import Store


class Hosting:
    """``with Hosting(store):`` serves whatever flows of the store are pinned to packages.

    Leaving the block drains the processes: running steps end and are recorded, unfinished flows are freed.

    Args:
        store: an open store.
        options: see :class:`~holdfast.hosting.supervisor.HostingOptions`.
    """

    def __init__(self, store: Store, options: HostingOptions | None = None) -> None:
        self._store = store
        self._options = options or HostingOptions()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[None] | None = None
        self._supervisor: Supervisor | None = None
        self._thread: threading.Thread | None = None
        self._death: BaseException | None = None

    @property
    def alive(self) -> bool:
        """It serves."""
        return self._task is not None and not self._task.done()

    @property
    def running(self) -> dict[str, int]:
        """Process ids by content hash, of the versions whose process serves now."""
        return self._supervisor.running if self._supervisor is not None else {}

    def __enter__(self) -> Hosting:
        started: Future[None] = Future()
        self._thread = threading.Thread(target=self._serve, args=(started,), name="holdfast-hosting", daemon=True)
        self._thread.start()
        started.result()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._loop is not None
        assert self._task is not None
        assert self._thread is not None
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._task.cancel)
        self._thread.join()
        if self._death is not None and error is None:
            raise self._death

    def _serve(self, started: Future[None]) -> None:
        async def main() -> None:
            self._loop = asyncio.get_running_loop()
            self._supervisor = Supervisor(self._store, SystemClock(), self._options)
            self._task = asyncio.ensure_future(self._supervisor.run(lambda: started.set_result(None)))
            await self._task

        try:
            asyncio.run(main())
        except asyncio.CancelledError:
            pass
        except BaseException as error:
            if started.done():
                self._death = error
            else:
                started.set_exception(error)
