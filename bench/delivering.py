"""What measurements of delivery stand on: a database with lines, the carrier's double, and ``bot.py`` as deployed."""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import msgspec
import psycopg

from bench.house import House
from bench.machine import ROOT
from bench.people import Person, settle_people
from bench.serving import Served, bare, environment, serving
from engine.api import Engine, open_engine
from runtime.embedded import process
from runtime.embedded.process import last_lines
from runtime.keyring import Keyring
from settings import Operator, load_operator

#: texts a second that the settings allow: more than anybody reaches
PER_SECOND = 10_000
CARRIER = "bench"


class TextsMissing(Exception):
    """Texts did not come to the carrier, or their outcome was not kept: ``args`` say how many of how many."""


@dataclass(frozen=True, slots=True)
class Counter:
    """The other end of the carrier's double."""

    port: int
    client: aiohttp.ClientSession

    async def count(self) -> int:
        """How many texts came so far."""
        async with self.client.get(f"http://127.0.0.1:{self.port}/") as answer:
            return int(await answer.text())

    async def heard(self) -> list[tuple[str, float]]:
        """For whom each text was, and when it came."""
        async with self.client.get(f"http://127.0.0.1:{self.port}/heard") as answer:
            return msgspec.json.decode(await answer.read(), type=list[tuple[str, float]])

    async def forget(self) -> None:
        """Begin to count anew."""
        async with self.client.delete(f"http://127.0.0.1:{self.port}/heard") as answer:
            await answer.read()

    async def until(self, count: int, seconds: float) -> None:
        """Wait for so many texts. Raises ``TextsMissing``."""
        deadline = time.monotonic() + seconds
        while (came := await self.count()) < count:
            if time.monotonic() > deadline:
                raise TextsMissing(f"{came} of {count} texts came within {seconds:.0f} s")
            await asyncio.sleep(0.05)


@dataclass(frozen=True, slots=True, kw_only=True)
class Office:
    """An installation that has somebody to write to."""

    house: House
    url: str
    engine: Engine
    operator_file: Path
    people: list[Person]
    counter: Counter
    #: all that the processes are told
    env: dict[str, str]
    bot_port: int

    def worker(self) -> AbstractAsyncContextManager[Served]:
        """One ``bot.py``, ready."""
        return serving([ROOT / "bot.py"], self.bot_port, "/health/ready", self.env, self.house.folder / "bot.log")

    async def waiting(self) -> int:
        """How many messages are still to be sent, or their outcome to be kept."""
        async with await psycopg.AsyncConnection.connect(self.url) as connection:
            row = await (await connection.execute("SELECT count(*) FROM outbox WHERE state = 'due'")).fetchone()
            return int(row[0]) if row is not None else 0

    async def until_kept(self, seconds: float) -> None:
        """Wait until every message has its outcome. Raises ``TextsMissing``."""
        deadline = time.monotonic() + seconds
        while left := await self.waiting():
            if time.monotonic() > deadline:
                said = last_lines(self.house.folder / "bot.log")
                raise TextsMissing(f"{left} messages have no outcome after {seconds:.0f} s; the worker said:\n{said}")
            await asyncio.sleep(0.2)


@asynccontextmanager
async def open_office(house: House, operator_file: Path, name: str, lines: int) -> AsyncIterator[Office]:
    """A database of its own with ``lines`` lines, and the carrier's double. No worker runs yet."""
    key = os.urandom(32)
    own, operator = _unbounded(house, operator_file)
    url = await house.create_database(name)
    engine = await open_engine(url, operator, Keyring({1: key}))
    try:
        people = await settle_people(engine, url, Keyring({1: key}), lines)
        port, bot_port = process.free_port(), process.free_port()
        log = house.folder / "carrier.log"
        async with (
            serving(["-m", "bench.carrier", str(port)], port, "/", bare(), log),
            aiohttp.ClientSession() as client,
        ):
            env = environment(house, url, json.dumps({"1": key.hex()}), own, process.free_port())
            env |= {"RASID_CARRIERS": json.dumps(carriers_of(port)), "RASID_BOT_PORT": str(bot_port)}
            yield Office(
                house=house,
                url=url,
                engine=engine,
                operator_file=own,
                people=people,
                counter=Counter(port, client),
                env=env,
                bot_port=bot_port,
            )
    finally:
        await engine.close()


def _unbounded(house: House, operator_file: Path) -> tuple[Path, Operator]:
    """The operator, but for the cap a day: a line gets more texts in a measurement than people would stand."""
    own = house.folder / "operator.toml"
    own.write_text(operator_file.read_text().replace("\nper_day = 5 ", "\nper_day = 1000 "))
    return own, load_operator(own)


def carriers_of(port: int) -> dict[str, object]:
    """As the settings have it: the carrier's double on a port."""
    options = {"username": "bench", "api_key": "bench", "base_url": f"http://127.0.0.1:{port}"}
    return {CARRIER: {"adapter": "africastalking", "options": options, "per_second": PER_SECOND}}


Tell = Callable[[str], None]
