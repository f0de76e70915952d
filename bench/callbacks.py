"""Payment callbacks over HTTP to their commit: ``ussd_server.py`` as deployed, with the books in one and in three.

Each callback is signed, comes on its payment's own path, is stored, changes its payment, and is answered once the
settlement is committed in all books. The floor is TPC-B on the same Postgres. With ``bot.py`` beside it, each is
followed further: until the network is told what it may serve the line that has paid.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import statistics
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AbstractContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import psycopg

from bench import tpcb
from bench.door import BooksBroken, check_books
from bench.figures import Chapter, Ratio, Sample, Series, over, sample, within
from bench.house import House
from bench.load import Driven, Exchange, drive
from bench.machine import resident_mb, spending
from bench.paced import send_steadily
from bench.payers import GATEWAY, SECRET, lay_out
from bench.people import Person, settle_people
from bench.pushes import Network, open_network
from bench.serving import SERVER, Served, environment, serving
from bench.settlements import ARRANGEMENTS as HOMES
from engine.api import open_engine
from engine.books.databases import migrate_books
from runtime.embedded import process
from runtime.keyring import Keyring
from settings import Operator

#: callers at once, and connections of a burst
CALLERS, BURSTING = 256, 1024
#: payments laid out for each second of a measurement; when they run out, it ends early
MOST = 4_000
#: callback to commit, ms, at half of the rate that was reached
P99_WITHIN_MS = 500.0
#: callback to the network's push, ms, at half of the rate too
PUSHED_WITHIN_MS = 1000.0
#: a burst is so many times the rate, for a second
BURST = 10
#: seconds within which what was answered early is settled
SETTLED_WITHIN = 60.0
#: lines that pay once and have nothing before, for each that pays again and again
NEWCOMERS = 2
#: arrangement → the ratio to TPC-B to be reached
TARGETS = {"one database": 1.0, "three databases": 0.4}


@dataclass(frozen=True, slots=True, kw_only=True)
class Counter:
    """A server in one arrangement of the books, and the lines whose payments are called back."""

    house: House
    url: str
    elsewhere: dict[str, str]
    keyring: Keyring
    served: Served
    people: Sequence[Person]
    #: who has nothing before they pay, each once: the network has to be told of them
    newcomers: Iterator[Person]
    currency: str
    #: all that the processes are told
    env: dict[str, str]

    async def measure(self, seconds: float) -> Sample:
        """Callbacks of fresh payments from all callers, each with one under way."""
        requests = iter(await self._lay_out(self._anybody(int(MOST * seconds))))
        asked = (Exchange(request, b"{}", b"") for request in requests)
        return await self._told(drive(self.served.port, CALLERS, seconds, lambda: asked))

    async def steady(self, rate: float, seconds: float) -> Sample:
        """Callbacks at a rate, timed from when they were due."""
        requests = await self._lay_out(self._anybody(int(rate * seconds)))
        return await self._told(send_steadily(self.served.port, CALLERS, rate, requests))

    async def burst(self, rate: float) -> Sample:
        """A second's callbacks at a rate that cannot be kept up with. Raises ``BooksBroken`` where one is lost."""
        requests = await self._lay_out(self._anybody(int(rate)))
        told = await self._told(send_steadily(self.served.port, BURSTING, rate, requests))
        await self.check()
        return told

    async def pushed(self, rate: float, seconds: float, network: Network) -> Sample:
        """From when a callback was due to when the network has been told. Raises ``NotTold``."""
        paying = list(islice(self.newcomers, int(rate * seconds)))
        requests = await self._lay_out(paying)
        with self._spending() as spent:
            driven = await send_steadily(self.served.port, CALLERS, rate, requests)
            told = await network.until_told([person.account.account_id for person in paying])
        due = (driven.began + place / rate for place in range(len(paying)))
        return sample(driven.seconds, [at - then for at, then in zip(told, due, strict=True)], spent)

    async def _told(self, load: Any) -> Sample:
        stored, _ = await self._stand()
        with self._spending() as spent:
            driven: Driven = await load
        await self._wait_for(stored + len(driven.latencies))
        return sample(driven.seconds, driven.latencies, spent)

    def _spending(self) -> AbstractContextManager[dict[str, float]]:
        return spending({"server": self.served.process.pid, "postgres": self.house.postgres.pid})

    async def _wait_for(self, callbacks: int) -> None:
        """Raises ``BooksBroken`` unless all callbacks that were answered are stored, and each has settled a payment.

        What was answered before its commit, because that took too long, is waited for.
        """
        deadline = time.monotonic() + SETTLED_WITHIN
        while (standing := await self._stand()) != (callbacks, callbacks):
            if time.monotonic() > deadline:
                raise BooksBroken(f"{callbacks} callbacks were answered; stored and settled: {standing}")
            await asyncio.sleep(0.05)

    async def _stand(self) -> tuple[int, int]:
        """How many callbacks are stored, and how many payments settled."""
        async with await psycopg.AsyncConnection.connect(self.url) as connection:
            cursor = await connection.execute(
                "SELECT (SELECT count(*) FROM gateway_event), count(*) FROM payment WHERE state = 'settled'"
            )
            ((stored, settled),) = await cursor.fetchall()
        return int(stored), int(settled)

    async def check(self) -> None:
        """Raises ``BooksBroken`` unless all books agree."""
        await check_books(self.url, self.elsewhere)

    def _anybody(self, count: int) -> list[Person]:
        return random.choices(self.people, k=count)

    async def _lay_out(self, paying: Sequence[Person]) -> list[bytes]:
        """Payments whose payers were asked, and the callback of each."""
        requests = await lay_out(self.url, self.keyring, paying, self.currency)
        for url in {self.url, *self.elsewhere.values()}:
            await self.house.settle(url)
        return requests


@asynccontextmanager
async def open_counter(
    house: House,
    operator: Operator,
    operator_file: Path,
    *,
    name: str,
    accounts: int,
    argv: Sequence[str | Path] = SERVER,
) -> AsyncIterator[Counter]:
    """A server on databases of its own, in one arrangement, with ``accounts`` lines."""
    homes, _ = HOMES[name]
    prefix = f"callbacks_{name.split(maxsplit=1)[0]}"
    url = await house.create_database(f"{prefix}_billing", migrated=False)
    made = {home: await house.create_database(f"{prefix}_{home}", migrated=False) for home in set(homes.values())}
    elsewhere = {book: made[home] for book, home in homes.items()}
    await asyncio.to_thread(migrate_books, url, elsewhere)
    key = os.urandom(32)
    keyring = Keyring({1: key})
    engine = await open_engine(url, operator, keyring, books=elsewhere)
    try:
        people = await settle_people(engine, url, keyring, accounts)
        newcomers = await settle_people(engine, url, keyring, accounts * NEWCOMERS, first=accounts, penniless=True)
    finally:
        await engine.close()
    port = process.free_port()
    options = {"base_url": "http://127.0.0.1:9", "api_key": "none", "webhook_secrets": [SECRET]}
    env = environment(house, url, json.dumps({"1": key.hex()}), operator_file, port) | {
        "RASID_PAYMENT_GATEWAYS": json.dumps({GATEWAY: {"adapter": "sandbox", "options": options}}),
        "RASID_BOOKS": json.dumps(elsewhere),
    }
    async with serving(argv, port, "/health/ready", env, house.folder / f"{prefix}.log") as served:
        yield Counter(
            house=house,
            url=url,
            elsewhere=elsewhere,
            keyring=keyring,
            served=served,
            people=people,
            newcomers=iter(newcomers),
            currency=operator.currency,
            env=env,
        )


async def measure(
    house: House,
    operator: Operator,
    operator_file: Path,
    *,
    runs: int,
    seconds: int,
    accounts: int,
    tell: Callable[[str], None],
) -> Chapter:
    """Both arrangements and the floor, taking turns. Raises ``BooksBroken``."""
    tell(f"{accounts:,} accounts in each arrangement, pgbench scale {tpcb.SCALE}")
    floor_url = await tpcb.set_up(house)
    floors = {clients: Series(subject="tpc-b", load=clients, samples=[]) for clients in tpcb.CLIENTS}
    at_once = {name: Series(subject=name, load=CALLERS, samples=[]) for name in TARGETS}
    halves = {name: Series(subject=f"{name}, half the rate", load=CALLERS, samples=[]) for name in TARGETS}
    bursts = {name: Series(subject=f"{name}, burst", load=BURSTING, samples=[]) for name in TARGETS}
    pushes = {name: Series(subject=f"{name}, to the network's push", load=CALLERS, samples=[]) for name in TARGETS}
    memory = {}
    async with AsyncExitStack() as stack:
        counters = {}
        for name in TARGETS:
            one = open_counter(house, operator, operator_file, name=name, accounts=accounts)
            counters[name] = await stack.enter_async_context(one)
            await counters[name].measure(1.0)
        for run in range(runs):
            tell(f"run {run + 1} of {runs}")
            for clients, series in floors.items():
                await house.settle(floor_url)
                series.samples.append(await tpcb.measure(house, clients, seconds))
            for name, counter in counters.items():
                reached = await counter.measure(seconds)
                at_once[name].samples.append(reached)
                halves[name].samples.append(await counter.steady(reached.rate / 2, seconds))
        for name, counter in counters.items():
            tell(f"burst, {name}")
            bursts[name].samples.append(await counter.burst(at_once[name].samples[-1].rate * BURST))
            memory[f"server after load, {name}"] = resident_mb(counter.served.process.pid)
            tell(f"to the network's push, {name}")
            half = statistics.median(one.rate for one in at_once[name].samples) / 2
            async with open_network(house, counter.url, counter.keyring, operator, counter.env) as network:
                for _ in range(runs):
                    pushes[name].samples.append(await counter.pushed(half, seconds, network))
    ratios = _ratios(floors, at_once, halves, pushes)
    facts = {"accounts": accounts, "tpcb_scale": tpcb.SCALE, "violations": 0, "callbacks lost": 0}
    told = [*floors.values(), *at_once.values(), *halves.values(), *bursts.values(), *pushes.values()]
    return Chapter(series=told, ratios=ratios, memory_mb=memory, facts=facts)


def _ratios(
    floors: dict[int, Series], at_once: dict[str, Series], halves: dict[str, Series], pushes: dict[str, Series]
) -> list[Ratio]:
    rates = [
        Ratio(
            name=f"callback to commit, {name} / best tpc-b",
            values=over(at_once[name], *floors.values()),
            target=target,
        )
        for name, target in TARGETS.items()
    ]
    waits = [
        Ratio(
            name=f"{bound:g} ms / p99 from callback to {what} at half the rate, {name}",
            values=within(bound, told[name]),
            target=1.0,
        )
        for bound, what, told in ((P99_WITHIN_MS, "commit", halves), (PUSHED_WITHIN_MS, "the network's push", pushes))
        for name in TARGETS
    ]
    return [*rates, *waits]
