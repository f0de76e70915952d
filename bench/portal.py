"""The self-care portal's home over real HTTP at a steady rate, signed in as many lines, beside a fixed page."""

from __future__ import annotations

import json
import os
import random
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path

from redis.asyncio import Redis

from bench.figures import Chapter, Ratio, Sample, Series, sample
from bench.house import House
from bench.machine import ROOT, cpu_seconds, resident_mb
from bench.paced import send_steadily
from bench.people import Person, settle_people
from bench.turns import Served, environment, serving
from engine.api import open_engine
from portal.base.sessions import Kept, Sessions
from runtime.embedded import process
from runtime.keyring import Keyring
from settings import Operator

#: requests a second, and connections that they share
RATE, CONNECTIONS = 200, 64
#: milliseconds that the slowest of a hundred may take
MOST_MS = 100.0
#: people who are signed in at once: each request is one of them, drawn at random from all lines
SIGNED_IN = 5_000
#: how every page ends
ENDS = b"</html>"
WARM_UP = 200


async def measure(
    house: House,
    operator: Operator,
    operator_file: Path,
    *,
    lines: int,
    runs: int,
    seconds: float,
    tell: Callable[[str], None],
) -> Chapter:
    """Home of Rasid and the fixed page, taking turns, at ``RATE`` requests a second over ``lines`` lines."""
    tell(f"{lines:,} lines")
    key = os.urandom(32)
    keyring = Keyring({1: key})
    url = await house.create_database("portal")
    engine = await open_engine(url, operator, keyring)
    try:
        people = await settle_people(engine, url, keyring, lines)
    finally:
        await engine.close()
    await house.settle(url)
    port, fixed_port = process.free_port(), process.free_port()
    env = environment(house, url, json.dumps({"1": key.hex()}), operator_file, port) | {"RASID_PORTAL": "{}"}
    bare = {"PATH": os.environ.get("PATH", os.defpath), "PYTHONPATH": str(ROOT)}
    async with AsyncExitStack() as stack:
        ours = serving([ROOT / "ussd_server.py"], port, "/health/ready", env, house.folder / "server.log")
        theirs = serving(["-m", "bench.floor", str(fixed_port)], fixed_port, "/", bare, house.folder / "floor.log")
        subjects = {
            "fixed page": await stack.enter_async_context(theirs),
            "portal home": await stack.enter_async_context(ours),
        }
        pages = await _requests(house, keyring, people)
        for served in subjects.values():
            await send_steadily(served.port, CONNECTIONS, RATE, pages[:WARM_UP], ends=ENDS)
        series = {name: Series(subject=name, load=CONNECTIONS, samples=[]) for name in subjects}
        for run in range(runs):
            for name, served in subjects.items():
                tell(f"run {run + 1} of {runs}: {name} at {RATE} requests/s")
                asked = random.choices(pages, k=int(RATE * seconds))
                series[name].samples.append(await _measured(house, served, asked))
        memory = {"server after load": resident_mb(subjects["portal home"].process.pid)}
    slowest = [one.p99_ms or MOST_MS for one in series["portal home"].samples]
    ratio = Ratio(name=f"{MOST_MS:g} ms / home's p99 at {RATE}/s", values=[MOST_MS / one for one in slowest], target=1)
    return Chapter(series=list(series.values()), ratios=[ratio], memory_mb=memory, facts={"lines": lines})


async def _requests(house: House, keyring: Keyring, people: list[Person]) -> list[bytes]:
    """A request for home of each of ``SIGNED_IN`` people, who have signed in."""
    requests = []
    async with Redis.from_url(house.redis.socket_url) as redis:
        sessions = Sessions(redis, keyring, "portal", Kept(began_at=0))
        for person in random.sample(people, min(SIGNED_IN, len(people))):
            visit = await sessions.begin(
                Kept(began_at=time.time(), msisdn=person.msisdn, signed_in=True, line_id=person.line_id)
            )
            cookie = f"rasid_portal={visit.cookie}"
            head = f"GET /portal HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: text/html\r\nCookie: {cookie}\r\n\r\n"
            requests.append(head.encode())
    return requests


async def _measured(house: House, served: Served, requests: list[bytes]) -> Sample:
    """Send them, and tell what the server, Postgres and Redis spent on each."""
    pids = {"server": served.process.pid, "postgres": house.postgres.pid, "redis": house.redis.pid}
    before = {name: cpu_seconds(pid) for name, pid in pids.items()}
    driven = await send_steadily(served.port, CONNECTIONS, RATE, requests, ends=ENDS)
    spent = {name: cpu_seconds(pid) - before[name] for name, pid in pids.items()}
    return sample(driven.seconds, driven.latencies, spent)
