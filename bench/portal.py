"""The self-care portal's home over real HTTP at a steady rate, signed in as many lines, beside a fixed page."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from redis.asyncio import Redis

from bench.figures import Chapter, Ratio, Sample, Series, Subject, sample, take_turns, within
from bench.house import House
from bench.machine import resident_mb, spending
from bench.paced import send_steadily
from bench.serving import Served, Town, fixed_answers, settle
from portal.base.sessions import Kept, Sessions
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
    town = await settle(house, operator, "portal", lines)
    await house.settle(town.url)
    async with fixed_answers(house) as fixed, town.server(operator_file, RASID_PORTAL="{}") as home:
        pages = await _requests(town)
        for served in (fixed, home):
            await send_steadily(served.port, CONNECTIONS, RATE, pages[:WARM_UP], ends=ENDS)
        series = {name: Series(subject=name, load=CONNECTIONS, samples=[]) for name in ("fixed page", "portal home")}
        subjects = [
            Subject(one, f"{name} at {RATE} requests/s", partial(_measured, house, served, pages, seconds))
            for (name, one), served in zip(series.items(), (fixed, home), strict=True)
        ]
        await take_turns(runs, subjects, tell)
        memory = {"server after load": resident_mb(home.process.pid)}
    slowest = within(MOST_MS, series["portal home"])
    ratio = Ratio(name=f"{MOST_MS:g} ms / home's p99 at {RATE}/s", values=slowest, target=1)
    return Chapter(series=list(series.values()), ratios=[ratio], memory_mb=memory, facts={"lines": lines})


async def _requests(town: Town) -> list[bytes]:
    """A request for home of each of ``SIGNED_IN`` people, who have signed in."""
    requests = []
    async with Redis.from_url(town.house.redis.socket_url) as redis:
        sessions = Sessions(redis, town.keyring, "portal", Kept(began_at=0))
        for person in random.sample(town.people, min(SIGNED_IN, len(town.people))):
            visit = await sessions.begin(
                Kept(began_at=time.time(), msisdn=person.msisdn, signed_in=True, line_id=person.line_id)
            )
            cookie = f"rasid_portal={visit.cookie}"
            head = f"GET /portal HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: text/html\r\nCookie: {cookie}\r\n\r\n"
            requests.append(head.encode())
    return requests


async def _measured(house: House, served: Served, pages: Sequence[bytes], seconds: float) -> Sample:
    """Ask for pages of anybody, and tell what the server, Postgres and Redis spent on each."""
    requests = random.choices(pages, k=int(RATE * seconds))
    with spending(house.processes(served.process.pid)) as spent:
        driven = await send_steadily(served.port, CONNECTIONS, RATE, requests, ends=ENDS)
    return sample(driven.seconds, driven.latencies, spent)
