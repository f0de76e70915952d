"""An open-loop load: requests leave at a steady rate, whatever comes back, and are timed from when they were due."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from time import perf_counter

from bench.load import Driven, WrongAnswer

#: seconds that the last answer may take after the last request has left
ANSWERS_WITHIN = 60.0
#: seconds between two looks at the clock
TICK = 0.002


class _Connection(asyncio.Protocol):
    """One keep-alive connection: one request under way, whose answer must be a 200 that ends with ``ends``."""

    def __init__(self, ends: bytes) -> None:
        self._ends = ends
        self._transport: asyncio.Transport | None = None
        self._answer: asyncio.Future[None] | None = None
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Nothing is asked yet: what leaves when is not the connection's to say."""
        self._transport = transport  # type: ignore[assignment] # uvloop's transports are no subclass of it

    def data_received(self, data: bytes) -> None:
        """Let who asked go on once the answer is whole."""
        self._received += data
        if self._answer is None or not self._received.endswith(self._ends):
            return
        received, self._received = self._received, b""
        if received.startswith(b"HTTP/1.1 200 "):
            self._answer.set_result(None)
        else:
            self._answer.set_exception(WrongAnswer(received.decode(errors="replace")))

    def connection_lost(self, exc: Exception | None) -> None:
        """Who waits for an answer hears that there will be none."""
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(WrongAnswer(f"the server closed the connection: {exc}"))

    async def ask(self, request: bytes) -> None:
        """Send a request and wait for its answer. Raises ``WrongAnswer``."""
        assert self._transport is not None
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        await self._answer

    def close(self) -> None:
        """Let it go, whatever is under way."""
        if self._transport is not None:
            self._transport.close()


async def send_steadily(
    port: int, connections: int, rate: float, requests: Sequence[bytes], *, ends: bytes = b"\r\n\r\n{}"
) -> Driven:
    """Send ``requests`` to ``127.0.0.1:port``, ``rate`` a second. Each answer's seconds count from when it was due.

    Where all ``connections`` wait for an answer, requests queue here, and their time runs. Raises ``WrongAnswer`` for
    an answer that is no 200, and ``TimeoutError``; ``ends`` is how every answer ends.
    """
    loop = asyncio.get_running_loop()
    opened = await asyncio.gather(
        *(loop.create_connection(lambda: _Connection(ends), "127.0.0.1", port) for _ in range(connections))
    )
    free: asyncio.Queue[_Connection] = asyncio.Queue()
    for _, connection in opened:
        free.put_nowait(connection)
    latencies: list[float] = []

    async def send(request: bytes, due: float) -> None:
        """On the next connection that is free."""
        connection = await free.get()
        await connection.ask(request)
        latencies.append(perf_counter() - due)
        free.put_nowait(connection)

    started, sent = perf_counter(), 0
    try:
        async with asyncio.timeout(len(requests) / rate + ANSWERS_WITHIN), asyncio.TaskGroup() as group:
            while sent < len(requests):
                now = perf_counter()
                while sent < len(requests) and started + sent / rate <= now:
                    group.create_task(send(requests[sent], started + sent / rate))
                    sent += 1
                await asyncio.sleep(TICK)
    finally:
        for _, connection in opened:
            connection.close()
    return Driven(perf_counter() - started, latencies, started)
