"""Balance turns over real HTTP between processes: ``ussd_server.py`` beside a handler with a fixed answer."""

from __future__ import annotations

import asyncio
import gc
import itertools
import json
import os
import random
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import aiohttp

from bench import floor
from bench.figures import Chapter, Ratio, Sample, Series, sample
from bench.house import House
from bench.load import Exchange, drive
from bench.machine import ROOT, cpu_seconds, resident_mb
from bench.people import Person, settle_people
from dialogs.texts import money
from engine.api import open_engine
from runtime.embedded import process
from runtime.embedded.process import EmbeddedError
from runtime.keyring import Keyring
from settings import Operator

CONNECTIONS = (32, 128)
#: a balance turn per second over the fixed answer's, one process each
TARGET = 0.25
GATEWAY = "bench"
READY_WITHIN = 60.0
WARM_UP_SECONDS = 1.0

#: one gateway session in every request: never used twice, also not over the runs of one server
_sessions = itertools.count()

Script = Callable[[], Iterator[Exchange]]


@dataclass(frozen=True, slots=True)
class Served:
    """A server process that answers on ``port``."""

    port: int
    process: subprocess.Popen[bytes]


class Requests:
    """Ready-made bytes of the Africa's Talking form for every line; only the session id is put in for each hop."""

    def __init__(self, people: Sequence[Person], operator: Operator) -> None:
        self._menus = [_tail(person, operator, "") for person in people]
        self._balances = [_tail(person, operator, "1") for person in people]

    def balance(self) -> Iterator[Exchange]:
        """``*123*1#``, again and again: each a new session whose first hop shows the balance."""
        for session in _sessions:
            yield random.choice(self._balances).exchange(session)

    def menu_then_balance(self) -> Iterator[Exchange]:
        """``*123#``, then ``1``: sessions of two hops, the menu and the balance, each with the amount in it."""
        for session in _sessions:
            place = random.randrange(len(self._menus))
            yield self._menus[place].exchange(session)
            yield self._balances[place].exchange(session)

    def floor(self) -> Iterator[Exchange]:
        """The same requests as ``balance``, for a server that answers all of them with one text."""
        shown = floor.SCREEN.partition("KES")[2].partition("\n")[0].encode()
        for exchange in self.balance():
            yield exchange._replace(holds=shown)


class _Tail(NamedTuple):
    """A line's request: what goes before and after the session id, and the amount that the answer must hold."""

    head: bytes
    rest: bytes
    shown: bytes

    def exchange(self, session: int) -> Exchange:
        return Exchange(self.head + _session_id(session) + self.rest, b"CON ", self.shown)


def _tail(person: Person, operator: Operator, text: str) -> _Tail:
    rest = (
        f"&phoneNumber=%2B{person.msisdn[1:]}&networkCode=63902&serviceCode=%2A{operator.service_code}%23&text={text}"
    ).encode()
    length = len(b"sessionId=") + len(_session_id(0)) + len(rest)
    head = (
        f"POST /ussd/{GATEWAY} HTTP/1.1\r\nHost: 127.0.0.1\r\n"
        f"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {length}\r\n\r\nsessionId="
    ).encode()
    shown = money(person.balance, operator.currency, operator.languages[0])
    return _Tail(head, rest, shown.encode())


def _session_id(number: int) -> bytes:
    return b"ATUid_%032x" % number


def environment(house: House, url: str, keys: str, operator_file: Path, port: int) -> dict[str, str]:
    """All that ``ussd_server.py`` is told: nothing of what the caller's own environment sets reaches it."""
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        "PYTHONPATH": str(ROOT),
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


async def measure_once(house: House, served: Served, script: Script, connections: int, seconds: float) -> Sample:
    """Drive one server, and tell what it, Postgres and Redis spent on each turn."""
    pids = {"server": served.process.pid, "postgres": house.postgres.pid, "redis": house.redis.pid}
    gc.collect()
    gc.freeze()
    before = {name: cpu_seconds(pid) for name, pid in pids.items()}
    driven = await drive(served.port, connections, seconds, script)
    spent = {name: cpu_seconds(pid) - before[name] for name, pid in pids.items()}
    gc.unfreeze()
    return sample(driven.seconds, driven.latencies, spent)


@asynccontextmanager
async def open_subject(
    house: House, operator: Operator, operator_file: Path, *, lines: int, argv: Sequence[str | Path]
) -> AsyncIterator[tuple[Served, Requests, str]]:
    """Rasid's server on a database of its own with ``lines`` lines. Yields it, its requests and the owner's address."""
    key = os.urandom(32)
    keyring = Keyring({1: key})
    url = await house.create_database("turns")
    engine = await open_engine(url, operator, keyring)
    try:
        people = await settle_people(engine, url, keyring, lines)
    finally:
        await engine.close()
    port = process.free_port()
    env = environment(house, url, json.dumps({"1": key.hex()}), operator_file, port)
    async with serving(argv, port, "/health/ready", env, house.folder / "server.log") as served:
        yield served, Requests(people, operator), url


async def measure(
    house: House,
    operator: Operator,
    operator_file: Path,
    *,
    runs: int,
    seconds: float,
    lines: int,
    tell: Callable[[str], None],
) -> Chapter:
    """Turns of Rasid and of the floor, taking turns, at each number of connections."""
    tell(f"{lines:,} lines")
    argv = [ROOT / "ussd_server.py"]
    async with open_subject(house, operator, operator_file, lines=lines, argv=argv) as (rasid, requests, url):
        port = process.free_port()
        command = ["-m", "bench.floor", str(port)]
        env = {"PATH": os.environ.get("PATH", os.defpath), "PYTHONPATH": str(ROOT)}
        async with serving(command, port, "/", env, house.folder / "floor.log") as fixed:
            scripts: dict[str, tuple[Served, Script]] = {
                "fixed answer": (fixed, requests.floor),
                "balance turn": (rasid, requests.balance),
                "menu, then balance": (rasid, requests.menu_then_balance),
            }
            memory = {"server idle": resident_mb(rasid.process.pid), "floor idle": resident_mb(fixed.process.pid)}
            await house.settle(url)
            for served, script in scripts.values():
                await drive(served.port, CONNECTIONS[0], min(WARM_UP_SECONDS, seconds), script)
            series = await _measured(house, scripts, runs=runs, seconds=seconds, tell=tell)
            memory |= {
                "server after load": resident_mb(rasid.process.pid),
                "floor after load": resident_mb(fixed.process.pid),
            }
    return Chapter(series=list(series.values()), ratios=_ratios(series), memory_mb=memory, facts={"lines": lines})


async def _measured(
    house: House,
    scripts: dict[str, tuple[Served, Script]],
    *,
    runs: int,
    seconds: float,
    tell: Callable[[str], None],
) -> dict[tuple[str, int], Series]:
    series = {
        (name, connections): Series(subject=name, load=connections, samples=[])
        for connections in CONNECTIONS
        for name in scripts
    }
    for run in range(runs):
        for (name, connections), one in series.items():
            tell(f"run {run + 1} of {runs}: {name} on {connections} connections")
            served, script = scripts[name]
            one.samples.append(await measure_once(house, served, script, connections, seconds))
    return series


def _ratios(series: dict[tuple[str, int], Series]) -> list[Ratio]:
    return [
        Ratio(
            name=f"{name} on {connections} connections / fixed answer",
            values=[
                one.rate / fixed.rate
                for one, fixed in zip(subject.samples, series["fixed answer", connections].samples, strict=True)
            ],
            target=TARGET if name == "balance turn" else None,
        )
        for (name, connections), subject in series.items()
        if name != "fixed answer"
    ]
