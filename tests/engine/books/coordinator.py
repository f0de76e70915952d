"""A coordinator as a process of its own, stopped at every step: ``python -m tests.engine.books.coordinator``.

Its first line of input says where the books are, every further line which payments to settle. At each step of a batch
it tells the step and waits for leave to go on; so whoever drives it can kill it, put it to sleep or restart a database
exactly there. What it says: ``ready``, ``at STEP HOME``, ``done CODE,CODE…``. What it hears: JSON, and ``go``.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import sys
from pathlib import Path
from typing import Any

import msgspec
import uvloop

from engine.books.databases import open_books
from engine.books.service import Door
from engine.words import Answer, Operation, Reverse, Settle
from runtime.logs import configure_logs
from runtime.metrics import Metrics
from settings import load_operator

ROOT = Path(__file__).resolve().parents[3]


class Arrangement(msgspec.Struct):
    """Where the books are."""

    operator: str
    billing: str
    elsewhere: dict[str, str]


class Wire:
    """Lines to and from whoever drives this process."""

    def __init__(self, reader: asyncio.StreamReader) -> None:
        self._reader = reader
        self._turn = asyncio.Lock()

    def say(self, line: str) -> None:
        sys.stdout.write(line + "\n")
        sys.stdout.flush()

    async def hear(self) -> bytes:
        return await self._reader.readline()

    async def witness(self, step: str, home: str) -> None:
        """One step at a time: several databases come to theirs at once."""
        async with self._turn:
            self.say(f"at {step} {home}")
            await self.hear()


class Coordinator:
    """This process, for whoever drives it."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    @classmethod
    async def start(cls, where: Arrangement) -> Coordinator:
        argv = (sys.executable, "-m", "tests.engine.books.coordinator")
        pipe, nothing = asyncio.subprocess.PIPE, asyncio.subprocess.DEVNULL
        made = cls(
            await asyncio.create_subprocess_exec(*argv, cwd=ROOT, stdin=pipe, stdout=pipe, stderr=nothing, limit=2**20)
        )
        await made.say(msgspec.json.encode(where))
        said = await made.hear()
        if said != ["ready"]:
            raise RuntimeError(f"the coordinator did not start: {said}")
        return made

    async def say(self, line: bytes) -> None:
        with contextlib.suppress(ConnectionError):
            assert self._process.stdin is not None
            self._process.stdin.write(line + b"\n")
            await self._process.stdin.drain()

    async def hear(self) -> list[str]:
        """The words of the next line; none: it is dead."""
        assert self._process.stdout is not None
        async with asyncio.timeout(60):
            return (await self._process.stdout.readline()).decode().split()

    def signal(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    async def stop(self) -> None:
        if self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
        await self._process.communicate()


def asked_of(line: bytes) -> list[Operation]:
    """What to post: settlements, and settlements to take back."""
    return msgspec.json.decode(line, type=list[Settle | Reverse])  # type: ignore[return-value]


def told(results: list[Answer | BaseException]) -> str:
    """A code for each operation; ``unavailable`` where it was not answered."""
    return ",".join(result.code if isinstance(result, Answer) else "unavailable" for result in results)


async def work() -> None:
    """Serve batches until the input ends."""
    reader = asyncio.StreamReader(limit=2**24)
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    wire = Wire(reader)
    where = msgspec.json.decode(await wire.hear(), type=Arrangement)
    books = open_books(where.billing, where.elsewhere, connections=4, writers=2)
    door = Door(books, load_operator(where.operator), Metrics(), 1, wire.witness)
    wire.say("ready")
    while line := await wire.hear():
        results: list[Any] = await asyncio.gather(*map(door.post, asked_of(line)), return_exceptions=True)
        wire.say(f"done {told(results)}")
    await door.close()
    await books.dispose()


if __name__ == "__main__":
    configure_logs("coordinator", logging.CRITICAL)
    uvloop.run(work())
