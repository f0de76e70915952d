"""What measurements over HTTP stand on: lines on a database, the server over them, and the fixed answer beside it."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp

from bench.house import House
from bench.machine import ROOT
from bench.people import Person, settle_people
from engine.api import open_engine
from runtime.embedded import process
from runtime.embedded.process import EmbeddedError
from runtime.keyring import Keyring
from settings import Operator

GATEWAY = "bench"
READY_WITHIN = 60.0
#: what is measured, unless it is to be profiled
SERVER: tuple[str | Path, ...] = (ROOT / "ussd_server.py",)


@dataclass(frozen=True, slots=True)
class Served:
    """A server process that answers on ``port``."""

    port: int
    process: subprocess.Popen[bytes]


@dataclass(frozen=True, slots=True)
class Town:
    """Lines on a database of their own, with money on each."""

    house: House
    url: str
    key: bytes
    people: list[Person]

    @property
    def keyring(self) -> Keyring:
        """What opens the numbers of its lines."""
        return Keyring({1: self.key})

    def server(
        self, operator_file: Path, *, argv: Sequence[str | Path] = SERVER, **settings: str
    ) -> AbstractAsyncContextManager[Served]:
        """The server over it; ``settings`` beside those that every server is given, by the variable's name."""
        port = process.free_port()
        env = environment(self.house, self.url, json.dumps({"1": self.key.hex()}), operator_file, port) | settings
        return serving(argv, port, "/health/ready", env, self.house.folder / "server.log")


async def settle(house: House, operator: Operator, name: str, lines: int) -> Town:
    """A town of so many lines on a new database called ``name``."""
    key = os.urandom(32)
    url = await house.create_database(name)
    engine = await open_engine(url, operator, Keyring({1: key}))
    try:
        return Town(house, url, key, await settle_people(engine, url, Keyring({1: key}), lines))
    finally:
        await engine.close()


def fixed_answers(house: House) -> AbstractAsyncContextManager[Served]:
    """The floor's server: handlers that answer whatever they are asked with one text."""
    port = process.free_port()
    return serving(["-m", "bench.floor", str(port)], port, "/", bare(), house.folder / "floor.log")


def bare() -> dict[str, str]:
    """What a process of the benchmark itself is told."""
    return {"PATH": os.environ.get("PATH", os.defpath), "PYTHONPATH": str(ROOT)}


def environment(house: House, url: str, keys: str, operator_file: Path, port: int) -> dict[str, str]:
    """All that ``ussd_server.py`` is told: nothing of what the caller's own environment sets reaches it."""
    return bare() | {
        "RASID_DATABASE_URL": url,
        "RASID_REDIS_URL": house.redis.socket_url,
        "RASID_OPERATOR": str(operator_file),
        "RASID_KEYS": keys,
        "RASID_HOST": "127.0.0.1",
        "RASID_PORT": str(port),
        "RASID_SIMULATOR": "false",
        "RASID_GATEWAYS": json.dumps({GATEWAY: {"adapter": "africastalking"}}),
    }


@asynccontextmanager
async def serving(
    argv: Sequence[str | Path], port: int, path: str, env: dict[str, str], log: Path
) -> AsyncIterator[Served]:
    """Run a server until it is no longer needed; ``path`` answers with a status below 500 once it is ready."""
    with log.open("ab") as output:
        child = process.spawn([sys.executable, *argv], output=output, env=env)
    try:
        await _wait_until_ready(child, port, path, log)
        yield Served(port, child)
    finally:
        await process.stop(child)


async def _wait_until_ready(child: subprocess.Popen[bytes], port: int, path: str, log: Path) -> None:
    deadline = asyncio.get_running_loop().time() + READY_WITHIN
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=2)) as client:
        while child.poll() is None and asyncio.get_running_loop().time() < deadline:
            try:
                async with client.get(f"http://127.0.0.1:{port}{path}") as answer:
                    if answer.status < 500:
                        return
            except (aiohttp.ClientError, TimeoutError):
                pass  # not listening yet
            await asyncio.sleep(0.05)
    raise EmbeddedError(f"a server of the benchmark does not get ready:\n{process.last_lines(log, 20)}")
