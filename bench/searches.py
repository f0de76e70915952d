"""The console's search over real HTTP at a steady rate, by every kind of key, beside a fixed page."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from time import perf_counter
from uuid import uuid4

import aiohttp
from redis.asyncio import Redis

from bench.figures import Chapter, Ratio, Sample, Series, Subject, sample, take_turns, within
from bench.house import House
from bench.machine import spending
from bench.people import Person, fresh_vouchers
from bench.serving import Served, Town, fixed_answers, settle
from engine.api import Engine, open_engine
from engine.words import Role
from portal.base.sessions import Sessions, Visit
from portal.console.desk import Present
from settings import Operator

#: searches a second: some hundred people on telephones
RATE = 20
#: milliseconds that the slowest of a hundred may take
MOST_MS = 100.0
#: references that are looked for, and vouchers of the batch whose serials are
REFERENCES, VOUCHERS = 500, 10_000
WARM_UP = 20

Ask = tuple[str, dict[str, str]]


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
    """Searches of Rasid and the fixed page, taking turns, at ``RATE`` requests a second over ``lines`` lines."""
    tell(f"{lines:,} lines")
    town = await settle(house, operator, "console", lines)
    wanted, visit, token = await _furnish(town, operator)
    await house.settle(town.url)
    async with AsyncExitStack() as stack:
        floor = await stack.enter_async_context(fixed_answers(house))
        console = await stack.enter_async_context(town.server(operator_file, RASID_CONSOLE="{}"))
        cookie = {"Cookie": f"rasid_console={visit.cookie}"}
        session = aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar(), headers=cookie)
        client = await stack.enter_async_context(session)
        asked: dict[str, tuple[Served, list[Ask]]] = {
            "fixed page": (floor, [(f"http://127.0.0.1:{floor.port}/portal", {})])
        }
        where = f"http://127.0.0.1:{console.port}/console/find"
        for kind, said in wanted.items():
            asked[f"by {kind}"] = (console, [(where, {"form": token, "wanted": one}) for one in said])
        for _, asks in asked.values():
            await _send(client, random.choices(asks, k=WARM_UP))
        series = {name: Series(subject=name, load=RATE, samples=[]) for name in asked}
        subjects = [
            Subject(one, f"{name} at {RATE} requests/s", partial(_measured, house, client, *asked[name], seconds))
            for name, one in series.items()
        ]
        await take_turns(runs, subjects, tell)
    ratios = [
        Ratio(name=f"{MOST_MS:g} ms / p99 {name}", values=within(MOST_MS, series[name]), target=1)
        for name in list(series)[1:]
    ]
    return Chapter(series=list(series.values()), ratios=ratios, memory_mb={}, facts={"lines": lines, "rate": RATE})


async def _furnish(town: Town, operator: Operator) -> tuple[dict[str, list[str]], Visit[Present], str]:
    """Vouchers, what is looked for, and somebody signed in who looks."""
    engine = await open_engine(town.url, operator, town.keyring)
    try:
        await fresh_vouchers(engine, 5_000, VOUCHERS)
        return await _wanted(engine, town.people), *(await _signed_in(town, engine))
    finally:
        await engine.close()


async def _wanted(engine: Engine, people: list[Person]) -> dict[str, list[str]]:
    """What is looked for, by kind of key. Payments are not there: a probe that finds nothing costs the same."""
    some = random.sample(people, min(REFERENCES, len(people)))
    booked = [await engine.operations(one.account, most=1) for one in some]
    references = [done.answer.reference for page in booked for done in page]
    return {
        "number": [one.msisdn for one in random.sample(people, min(5_000, len(people)))],
        "reference": references,
        "voucher serial": [str(one) for one in range(1, VOUCHERS)],
        "payment id": [str(uuid4()) for _ in range(1_000)],
    }


async def _signed_in(town: Town, engine: Engine) -> tuple[Visit[Present], str]:
    """Somebody of the staff, signed in, and the token of their forms."""
    await engine.staff.add("bench", Role.SUPPORT, by="bench", why="benchmark")
    (member,) = await engine.staff.members()
    async with Redis.from_url(town.house.redis.socket_url) as redis:
        sessions = Sessions(redis, town.keyring, "console", Present(began_at=0))
        visit = await sessions.begin(Present(began_at=time.time(), staff_id=member.staff_id.hex, epoch=member.epoch))
        return visit, sessions.form_token(visit)


async def _send(client: aiohttp.ClientSession, asks: Sequence[Ask]) -> list[float]:
    """Seconds of each answer, from when its request was due: ``RATE`` a second, however slow the answers."""
    latencies: list[float] = []
    started = perf_counter()

    async def send(ask: Ask, due: float) -> None:
        """One request, however long it has had to wait."""
        url, fields = ask
        method = "POST" if fields else "GET"
        async with client.request(method, url, data=fields or None, allow_redirects=False) as answer:
            await answer.read()
            if answer.status not in {200, 303}:
                raise RuntimeError(f"{url}: {answer.status}")
        latencies.append(perf_counter() - due)

    async with asyncio.TaskGroup() as group:
        for place, ask in enumerate(asks):
            due = started + place / RATE
            await asyncio.sleep(max(0.0, due - perf_counter()))
            group.create_task(send(ask, due))
    return latencies


async def _measured(
    house: House, client: aiohttp.ClientSession, served: Served, asks: Sequence[Ask], seconds: float
) -> Sample:
    """Ask for some of them, and tell what the server, Postgres and Redis spent on each."""
    asked = random.choices(asks, k=int(RATE * seconds))
    started = perf_counter()
    with spending(house.processes(served.process.pid)) as spent:
        latencies = await _send(client, asked)
    return sample(perf_counter() - started, latencies, spent)
