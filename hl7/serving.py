"""An endpoint in a thread of its own, for whoever is not asyncio's."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import Future

from hl7.endpoint import Endpoint


class ServingThread:
    """Serves from `start` to `stop`.

    Args:
        endpoint: What is served.
        name: Of the thread.
        start_seconds: How long the start may take.
    """

    def __init__(self, endpoint: Endpoint, name: str, *, start_seconds: float = 30.0) -> None:
        self._endpoint = endpoint
        self._start_seconds = start_seconds
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._started: Future[int] = Future()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None

    @property
    def port(self) -> int:
        """The port that is listened on; waits for the start.

        Raises:
            OSError: The port is taken, or the address is not ours.
        """
        return self._started.result(self._start_seconds)

    def start(self) -> int:
        """Listen; return the port.

        Raises:
            OSError: The port is taken, or the address is not ours.
        """
        self._thread.start()
        return self.port

    def stop(self) -> None:
        """Close the connections and end."""
        if self._loop is not None and self._stop is not None:
            self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except OSError as error:
            # Told to whoever waits for the start.
            self._started.set_exception(error)

    async def _serve(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        async with self._endpoint as endpoint:
            self._started.set_result(endpoint.port)
            await self._stop.wait()
