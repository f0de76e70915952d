"""The line to the bank: kept open, signed on, tried when it is silent; many requests on their way at once."""

from __future__ import annotations

import asyncio
import random
import ssl
import time
from collections.abc import Callable
from contextlib import suppress

import structlog

from engine.recharge.gateways.acquirer.messages import (
    ECHO,
    LENGTH_BYTES,
    MESSAGE_LIMIT,
    SIGN_OFF,
    SIGN_ON,
    Message,
    Speaker,
    Unreadable,
    answer_type,
    pack,
    unpack,
)
from engine.recharge.gateways.http import NoAnswer, NotSent

log = structlog.get_logger(__name__)

#: seconds to connect and to be signed on
CONNECT_SECONDS = 5.0
#: seconds that a request waits for a line that is just coming up
READY_SECONDS = 2.0
#: seconds between two attempts to connect: the first time, and at most; each drawn from its upper half
AGAIN_FIRST, AGAIN_LONGEST = 0.2, 30.0

#: type of the answer, field 11, field 37
Key = tuple[str, str, str]


class Link:
    """One TCP connection and its successors. Made anywhere, used in one event loop."""

    def __init__(
        self,
        host: str,
        port: int,
        speaker: Speaker,
        *,
        tls: bool = False,
        echo_seconds: float = 60.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._host, self._port, self._tls = host, port, tls
        self._speaker = speaker
        self._echo_seconds = echo_seconds
        self._clock = clock
        self._ready = asyncio.Event()
        self._writer: asyncio.StreamWriter | None = None
        self._waiting: dict[Key, asyncio.Future[Message]] = {}
        self._number = random.randrange(999_999)
        self._keeper: asyncio.Task[None] | None = None
        self._heard_at = 0.0

    def start(self) -> None:
        """Begin to connect; returns at once."""
        if self._keeper is None:
            self._keeper = asyncio.create_task(self._keep())

    async def stop(self) -> None:
        """Sign off and hang up."""
        if self._keeper is None:
            return
        if self._ready.is_set():
            with suppress(NotSent, NoAnswer):
                await self.ask(self._network(SIGN_OFF), 1.0)
        self._keeper.cancel()
        with suppress(asyncio.CancelledError):
            await self._keeper
        self._keeper = None

    async def ask(self, message: Message, seconds: float) -> Message:
        """The answer to a request.

        Raises ``NotSent`` while there is no line, and ``NoAnswer`` once the request has been written and the line broke
        or ``seconds`` have passed. What comes later than that is no answer, even if this process slept through it.
        """
        deadline = self._clock() + seconds
        try:
            async with asyncio.timeout(min(READY_SECONDS, seconds)):
                await self._ready.wait()
        except TimeoutError:
            raise NotSent("unreachable") from None
        return await self._exchange(message, deadline)

    async def _exchange(self, message: Message, deadline: float) -> Message:
        if self._writer is None:
            raise NotSent("unreachable")
        key = (answer_type(message["t"]), message["11"], message.get("37", ""))
        answer = self._waiting.get(key)
        if answer is None:
            # The same request asked twice at once goes out once.
            packed = pack(message)
            answer = self._waiting[key] = asyncio.get_running_loop().create_future()
            answer.add_done_callback(lambda _done: self._waiting.pop(key, None))
            self._writer.write(packed)
        try:
            async with asyncio.timeout(max(deadline - self._clock(), 0.001)):
                await self._writer.drain()
                said = await asyncio.shield(answer)
        except (TimeoutError, OSError):
            answer.cancel()
            raise NoAnswer("no_answer") from None
        except asyncio.CancelledError:
            if answer.cancelled() and not _cancelling():
                raise NoAnswer("line_broken") from None
            raise
        if self._clock() > deadline:
            raise NoAnswer("late_answer")
        return said

    async def _keep(self) -> None:
        wait = AGAIN_FIRST
        while True:
            try:
                began = self._clock()
                await self._session()
            except (OSError, TimeoutError, NotSent, NoAnswer, Unreadable, asyncio.IncompleteReadError) as error:
                log.info("acquirer_line_down", host=self._host, reason=type(error).__name__)
            if self._clock() - began > AGAIN_LONGEST:
                wait = AGAIN_FIRST
            # Not all our processes at the same instant when the bank comes back.
            await asyncio.sleep(random.uniform(wait / 2, wait))
            wait = min(wait * 2, AGAIN_LONGEST)

    async def _session(self) -> None:
        """One connection, from connect to its end."""
        async with asyncio.timeout(CONNECT_SECONDS):
            context = ssl.create_default_context() if self._tls else None
            reader, writer = await asyncio.open_connection(self._host, self._port, ssl=context)
        self._writer = writer
        reading = asyncio.create_task(self._read(reader))
        try:
            said = await self._exchange(self._network(SIGN_ON), self._clock() + CONNECT_SECONDS)
            if said.get("39") != "00":
                raise NotSent(f"sign_on_{said.get('39')}")
            self._ready.set()
            while not reading.done():
                await asyncio.wait({reading}, timeout=self._echo_seconds)
                if not reading.done() and self._clock() - self._heard_at >= self._echo_seconds:
                    await self._exchange(self._network(ECHO), self._clock() + CONNECT_SECONDS)
            await reading
        finally:
            self._ready.clear()
            self._writer = None
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)
            writer.transport.abort()
            for answer in list(self._waiting.values()):
                answer.cancel()

    async def _read(self, reader: asyncio.StreamReader) -> None:
        while True:
            length = int.from_bytes(await reader.readexactly(LENGTH_BYTES))
            if length > MESSAGE_LIMIT:
                raise Unreadable(f"{length} bytes")
            raw = await reader.readexactly(length)
            self._heard_at = self._clock()
            if raw:
                self._take(raw)

    def _take(self, raw: bytes) -> None:
        try:
            message = unpack(raw)
        except Unreadable as error:
            # Its length was right, so the next one is found; whoever waits for this one hears nothing.
            log.warning("acquirer_message_unreadable", reason=str(error))
            return
        if message["t"] == "0800" and self._writer is not None:
            echoed = {field: message[field] for field in ("7", "11", "70") if field in message}
            self._writer.write(pack({"t": "0810", "39": "00"} | echoed))
            return
        waiting = self._waiting.get((message["t"], message.get("11", ""), message.get("37", "")))
        if waiting is None or waiting.done():
            log.info("acquirer_answer_late", type=message["t"], response=message.get("39"))
            return
        waiting.set_result(message)

    def _network(self, what: str) -> Message:
        self._number += 1
        return self._speaker.network(what, self._number)


def _cancelling() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
