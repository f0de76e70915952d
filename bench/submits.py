"""SMPP: texts over one connection with a window of 50, beside a bare socket that writes ready-made PDUs."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import cast
from uuid import uuid4

from redis.asyncio import Redis

from bench.figures import Sample, sample
from bench.house import House
from bench.machine import ROOT
from channels.smpp.codec import encode
from channels.smpp.names import Command
from channels.smpp.pdu import Bind, ShortMessage
from channels.sms.contract import Outgoing, Tools
from channels.sms.smpp.carrier import Carrier
from runtime.embedded import process
from runtime.embedded.process import EmbeddedError
from runtime.keyring import Keyring

WINDOW = 50
#: submit_sm a second
TARGET = 2_000
READY_WITHIN = 30.0
TEXT = "Your balance is KES 8.50. Dial *123# to recharge."
TO = "+254712000001"


@asynccontextmanager
async def centre(house: House) -> AsyncIterator[int]:
    """The port of a message centre that others wrote, in a process of its own."""
    port, log = process.free_port(), house.folder / "centre.log"
    env = {"PATH": os.environ.get("PATH", os.defpath), "PYTHONPATH": str(ROOT)}
    with log.open("ab") as output:
        child = process.spawn([sys.executable, "-m", "bench.centre", str(port)], output=output, env=env)
    try:
        deadline = time.monotonic() + READY_WITHIN
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                if child.poll() is not None or time.monotonic() > deadline:
                    raise EmbeddedError(f"the message centre does not start:\n{process.last_lines(log, 20)}") from None
                await asyncio.sleep(0.05)
            else:
                writer.close()
                break
        yield port
    finally:
        await process.stop(child)


async def submit(port: int, seconds: float) -> Sample:
    """The adapter as delivery uses it, its window always full."""
    options: dict[str, str | int | bool] = {
        "host": "127.0.0.1",
        "port": port,
        "system_id": "rasid",
        "password": "secret",
        "window": WINDOW,
    }
    # Nothing is delivered to it, so Redis, where parts of long texts would lie, is never asked.
    carrier = Carrier("bench", options, Tools(redis=Redis(), keyring=Keyring({1: os.urandom(32)})))
    await carrier.start()
    try:
        if not await carrier.bound(READY_WITHIN):
            raise EmbeddedError("the message centre takes no bind")
        latencies: list[float] = []
        cpu, started = time.process_time(), time.monotonic()

        async def send() -> None:
            """One of as many as the window holds."""
            while (asked := time.monotonic()) < started + seconds:
                now = datetime.now(UTC)
                await carrier.send(Outgoing(message_id=uuid4(), to=TO, sender="Rasid", text=TEXT, at=now))
                latencies.append(time.monotonic() - asked)

        await asyncio.gather(*(send() for _ in range(WINDOW)))
        return sample(time.monotonic() - started, latencies, {"client": time.process_time() - cpu})
    finally:
        await carrier.close()


class _Bare(asyncio.Protocol):
    """Writes the same PDU again for each answer that comes; only its sequence number is new."""

    def __init__(self, frame: bytes, seconds: float) -> None:
        self._frame = frame
        self._seconds = seconds
        self._transport: asyncio.Transport | None = None
        self._rest = b""
        self._sequence = 1
        self._asked: dict[bytes, float] = {}
        self.started = 0.0
        self.latencies: list[float] = []
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Bind; what comes back begins the rest."""
        # uvloop's transports are none of asyncio's by class.
        self._transport = cast(asyncio.Transport, transport)
        body = Bind(system_id="bare", password="secret", interface_version=0x34)
        self._transport.write(encode(Command.BIND_TRANSMITTER, body, sequence=1))

    def data_received(self, data: bytes) -> None:
        """Take the answers that are whole, and write as many new requests."""
        data = self._rest + data
        at, now = 0, time.monotonic()
        room = 0
        while len(data) - at >= 16 and len(data) - at >= (length := int.from_bytes(data[at : at + 4])):
            if data[at + 8 : at + 12] != b"\0\0\0\0":
                self.done.set_exception(EmbeddedError("the message centre refuses"))
                return
            asked = self._asked.pop(data[at + 12 : at + 16], None)
            if asked is None:  # the bind's
                self.started, room = now, WINDOW
            else:
                self.latencies.append(now - asked)
                room += 1
            at += length
        self._rest = data[at:]
        if now < self.started + self._seconds:
            self._write(room, now)
        elif not self._asked and not self.done.done():
            self.done.set_result(None)

    def connection_lost(self, exc: Exception | None) -> None:
        """It ends before it should."""
        if not self.done.done():
            self.done.set_exception(exc or EmbeddedError("the message centre hung up"))

    def _write(self, count: int, now: float) -> None:
        frames = []
        for _ in range(count):
            self._sequence += 1
            number = self._sequence.to_bytes(4)
            self._asked[number] = now
            frames.append(self._frame[:12] + number + self._frame[16:])
        assert self._transport is not None
        self._transport.write(b"".join(frames))


async def bare_submit(port: int, seconds: float) -> Sample:
    """The floor: a socket with the same window that makes, keeps and times nothing but its answers."""
    body = ShortMessage(
        source_addr_ton=5,
        source_addr="Rasid",
        dest_addr_ton=1,
        dest_addr_npi=1,
        destination_addr=TO.removeprefix("+"),
        registered_delivery=1,
        short_message=TEXT.encode("ascii"),
    )
    frame = encode(Command.SUBMIT_SM, body, sequence=1)
    loop = asyncio.get_running_loop()
    cpu = time.process_time()
    transport, bare = await loop.create_connection(lambda: _Bare(frame, seconds), "127.0.0.1", port)
    try:
        async with asyncio.timeout(seconds + READY_WITHIN):
            await bare.done
        ended = time.monotonic()
    finally:
        transport.close()
    return sample(ended - bare.started, bare.latencies, {"client": time.process_time() - cpu})


#: what is measured → how
SUBJECTS: dict[str, Callable[[int, float], Awaitable[Sample]]] = {
    "submit_sm": submit,
    "submit_sm, bare socket": bare_submit,
}
