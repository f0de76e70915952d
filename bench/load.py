"""The load generator: keep-alive connections, each asking, reading and checking, and asking again.

Closed loop: a connection has one request under way, as a gateway's worker has. It does as little as it can, because it
shares the machine with what it measures: requests are joined from ready-made bytes, answers are cut by their
``Content-Length``, and every answer is compared with what it must hold.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Iterator
from time import perf_counter
from typing import NamedTuple, cast

#: seconds that an answer may take before the whole measurement is called off
ANSWER_WITHIN = 20.0

_LENGTH = re.compile(rb"\r\ncontent-length: *([0-9]+)\r\n", re.IGNORECASE)


class Exchange(NamedTuple):
    """A whole HTTP/1.1 request as bytes, and what the body of its answer must begin with and hold."""

    request: bytes
    begins: bytes
    holds: bytes


class WrongAnswer(Exception):
    """An answer that is not what the exchange expects: a benchmark of wrong answers is none."""


class Driven(NamedTuple):
    """What came of it: seconds from the first request to the last answer, and each answer's seconds."""

    seconds: float
    latencies: list[float]
    #: of a steady load: when the first request was due, by ``perf_counter``
    began: float = 0.0


class _Connection(asyncio.Protocol):
    """One keep-alive connection, asking until ``until`` or until it has no more to ask."""

    def __init__(self, exchanges: Iterator[Exchange], until: float, latencies: list[float]) -> None:
        self._exchanges = exchanges
        self._until = until
        self._latencies = latencies
        self._received = b""
        self._transport: asyncio.Transport | None = None
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask for the first time."""
        self._transport = cast(asyncio.Transport, transport)  # uvloop's transports are no subclass of it
        self._ask()

    def data_received(self, data: bytes) -> None:
        """Check an answer once it is whole, and ask again."""
        received = self._received + data if self._received else data
        end = received.find(b"\r\n\r\n")
        length = _LENGTH.search(received, 0, end + 2) if end >= 0 else None
        if length is None or len(received) < end + 4 + int(length[1]):
            self._received = received
            return
        now = perf_counter()
        self._received = b""
        self._latencies.append(now - self._asked)
        body = received[end + 4 :]
        wanted = self._wanted
        if not (received.startswith(b"HTTP/1.1 200 ") and body.startswith(wanted.begins) and wanted.holds in body):
            self._finish(
                WrongAnswer(f"{received.decode(errors='replace')!r}, not {wanted.begins!r} … {wanted.holds!r}")
            )
        elif now < self._until:
            self._ask()
        else:
            self._finish()

    def connection_lost(self, exc: Exception | None) -> None:
        """The end of the measurement, unless that was over."""
        self._finish(WrongAnswer(f"the server closed the connection: {exc}"))

    def _ask(self) -> None:
        wanted = next(self._exchanges, None)
        if wanted is None or self._transport is None:
            self._finish()
            return
        self._wanted = wanted
        self._asked = perf_counter()
        self._transport.write(wanted.request)

    def _finish(self, error: Exception | None = None) -> None:
        if self.done.done():
            return
        if error is None:
            self.done.set_result(None)
        else:
            self.done.set_exception(error)
        if self._transport is not None:
            self._transport.close()


async def drive(port: int, connections: int, seconds: float, ask: Callable[[], Iterator[Exchange]]) -> Driven:
    """Ask ``127.0.0.1:port`` for ``seconds`` over so many connections; ``ask`` is called once for each of them.

    Raises ``WrongAnswer`` at the first answer that is not the expected one, ``TimeoutError`` when one does not
    come, and ``OSError`` when nobody listens.
    """
    loop = asyncio.get_running_loop()
    latencies: list[float] = []
    started = perf_counter()
    opened = await asyncio.gather(
        *(
            loop.create_connection(lambda: _Connection(ask(), started + seconds, latencies), "127.0.0.1", port)
            for _ in range(connections)
        )
    )
    async with asyncio.timeout(seconds + ANSWER_WITHIN):
        await asyncio.gather(*(connection.done for _, connection in opened))
    return Driven(perf_counter() - started, latencies)
