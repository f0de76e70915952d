"""Charges through the one door, from lines with three buckets: beside TPC-B, and with few lines beside many."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from itertools import islice
from typing import Any
from uuid import UUID, uuid4, uuid5

import psycopg

from bench import tpcb
from bench.door import LANES, check_books
from bench.figures import Chapter, Ratio, Sample, Series, over, within
from bench.house import House
from bench.people import Person, settle_people
from bench.posting import post_all
from bench.several import PROCESSES, Job, post_from_several
from engine.api import Engine, open_engine
from engine.words import AccountRef, Adjust, Charge, Operation, Purchase, Unit
from runtime.keyring import Keyring
from settings import Operator

#: concurrent callers; clients of pgbench, of which the best counts
CALLERS, CLIENTS = (64, 256), (4, 8, 16)
#: charges at 256 callers over the best TPC-B, of an installation, which runs a process for each core; milliseconds
#: within which 99 of 100 are done at 64, in one process
TARGET, PATIENCE_MS = 3.5, 30.0
#: what the rate with many lines must be of that with few
SCALED = 0.8
#: master key of these lines
KEY = bytes(range(32))
#: charges made ready for each second, where several processes share them
MOST = 20_000
#: octets of a charge
USED = 1_000
#: products of one bucket of octets each, and what is topped up to pay for them, in minor units
PRODUCTS, MONEY = ("data_day_100mb", "data_week_1gb", "data_month_5gb"), 200_000
#: lines that are furnished at the same time
FURNISHERS = 250
#: lines that rate is compared with
FEW = 100_000


async def measure(
    house: House, operator: Operator, *, runs: int, seconds: int, lines: int, tell: Callable[[str], None]
) -> Chapter:
    """Charges from ``lines`` lines with three buckets of octets, and TPC-B, taking turns. Raises ``BooksBroken``."""
    tell(f"{lines:,} lines with three buckets each, pgbench scale {tpcb.SCALE}")
    floor_url = await tpcb.set_up(house)
    floors = {clients: Series(subject="tpc-b", load=clients, samples=[]) for clients in CLIENTS}
    charges = {callers: Series(subject="charge", load=callers, samples=[]) for callers in CALLERS}
    several = Series(subject=f"charge, {PROCESSES} processes", load=CALLERS[-1], samples=[])
    url = await house.create_database("charges")
    keyring = Keyring({1: KEY})
    engine = await open_engine(url, operator, keyring, lanes=LANES)
    try:
        people = await settle_people(engine, url, keyring, lines)
        waiting = iter(people)
        await asyncio.gather(*(_furnish(engine, waiting) for _ in range(FURNISHERS)))
        for run in range(runs):
            for clients, floor in floors.items():
                tell(f"run {run + 1} of {runs}: tpc-b at {clients}")
                await house.settle(floor_url)
                floor.samples.append(await tpcb.measure(house, clients, seconds))
            for callers, series in charges.items():
                tell(f"run {run + 1} of {runs}: charges at {callers}")
                await house.settle(url)
                series.samples.append(await post_all(house, engine, _charges(people), callers, seconds))
            await house.settle(url)
            most = list(islice(_charges(people), MOST * seconds))
            job = Job(url, {}, operator, KEY, LANES, most, several.load, seconds)
            several.samples.append(await post_from_several(house, job))
        await check_books(url)
    finally:
        await engine.close()
    ratios = [
        Ratio(
            name=f"{series.subject}, {series.load} at once / best tpc-b",
            values=over(series, *floors.values()),
            target=TARGET if series is several else None,
        )
        for series in (*charges.values(), several)
    ]
    name = f"{PATIENCE_MS:.0f} ms / p99 of a charge at {CALLERS[0]}"
    ratios.append(Ratio(name=name, values=within(PATIENCE_MS, charges[CALLERS[0]]), target=1.0))
    facts = {"lines": lines, "buckets": len(PRODUCTS) + 1, "lanes": LANES, "violations": 0}
    return Chapter(series=[*floors.values(), *charges.values(), several], ratios=ratios, facts=facts)


async def _furnish(engine: Engine, waiting: Iterator[Person]) -> None:
    """Money, and the products that it buys: three buckets of octets with different ends."""
    prices = {product.code: product.price for product in engine.products()}
    for person in waiting:
        asked: list[Operation] = [
            Adjust(**_of(person, "money"), unit=Unit.MONEY, amount=MONEY, reason="money of the benchmark")
        ]
        asked += [Purchase(**_of(person, code), product=code, price=prices[code]) for code in PRODUCTS]
        for operation in asked:
            answer = await engine.post(operation)
            if not answer.ok:
                raise RuntimeError(f"a {answer.kind} was refused: {answer.code}")


def _of(person: Person, what: str) -> dict[str, Any]:
    return {
        "account": person.account,
        "line_id": person.line_id,
        "key": uuid5(person.line_id, what),
        "asked_at": datetime.now(UTC),
        "source": "console:bench",
    }


def _charges(people: Sequence[Person]) -> Iterator[Charge]:
    while True:
        person = random.choice(people)
        yield _charge(person.account, person.line_id)


def _charge(account: AccountRef, line_id: UUID) -> Charge:
    return Charge(
        account=account,
        line_id=line_id,
        key=uuid4(),
        asked_at=datetime.now(UTC),
        source="nchf:bench",
        unit=Unit.OCTETS,
        amount=USED,
        category="internet",
    )


# -- few lines and many -----------------------------------------------------------------------------------------------

#: Lines without a person: the charging of an account needs neither number nor name. Ids are made of the place.
_CROWD = """
    INSERT INTO account (shard, account_id, currency, key_id, opened_at)
        SELECT place %% 64, {account}, %(currency)s, 1, now()
        FROM generate_series(%(first)s::bigint, %(last)s::bigint) AS place;
    INSERT INTO line (shard, account_id, line_id, status, language, opened_at)
        SELECT place %% 64, {account}, {line}, 'active', 'en', now()
        FROM generate_series(%(first)s::bigint, %(last)s::bigint) AS place;
    INSERT INTO bucket (shard, account_id, bucket_id, unit, product, initial, amount, priority, starts_at, expires_at)
        SELECT place %% 64, {account}, gen_random_uuid(), 'octets', 'data_month_5gb', 5000000000, 5000000000, 100,
               now(), now() + make_interval(days => 9 + number)
        FROM generate_series(%(first)s::bigint, %(last)s::bigint) AS place, generate_series(1, 3) AS number
"""
_PORTION = 100_000


def _id(kind: int, place: int) -> UUID:
    return UUID(int=kind << 96 | place)


async def measure_scale(
    house: House, operator: Operator, *, runs: int, seconds: int, lines: int, tell: Callable[[str], None]
) -> Chapter:
    """Charges from 256 callers with ``FEW`` lines and with ``lines``, each line as likely as any other, in turns.

    Buckets are put there by the owner, not through the door: only the rate is looked at.
    """
    sizes = (min(FEW, lines // 2), lines)
    series = [Series(subject=f"charge, {size:,} lines", load=CALLERS[-1], samples=[]) for size in sizes]
    async with (
        _crowd(house, operator, sizes[0], tell) as (few, small),
        _crowd(house, operator, lines, tell) as (many, large),
    ):
        for run in range(runs):
            for one, engine, url, size in ((series[0], few, small, sizes[0]), (series[1], many, large, lines)):
                tell(f"run {run + 1} of {runs}: {one.subject}")
                await house.settle(url)
                one.samples.append(await _uniform(house, engine, size, seconds))
    name = f"charges with {lines:,} lines / with {sizes[0]:,}"
    ratio = Ratio(name=name, values=over(series[1], series[0]), target=SCALED)
    return Chapter(series=series, ratios=[ratio], facts={"lines": lines, "few": sizes[0], "lanes": LANES})


async def _uniform(house: House, engine: Engine, size: int, seconds: int) -> Sample:
    def charges() -> Iterator[Charge]:
        """Of lines anywhere, for ever."""
        while True:
            place = random.randrange(size)
            yield _charge(AccountRef(place % 64, _id(1, place)), _id(2, place))

    return await post_all(house, engine, charges(), CALLERS[-1], seconds)


@asynccontextmanager
async def _crowd(
    house: House, operator: Operator, size: int, tell: Callable[[str], None]
) -> AsyncIterator[tuple[Engine, str]]:
    """A database with so many lines, three buckets each, and an engine on it."""
    tell(f"{size:,} lines")
    url = await house.create_database(f"crowd_{size}")
    ids = {
        name: f"('{kind:08x}-0000-0000-0000-' || lpad(to_hex(place), 12, '0'))::uuid"
        for name, kind in (("account", 1), ("line", 2))
    }
    async with await psycopg.AsyncConnection.connect(url) as connection:
        for first in range(0, size, _PORTION):
            given = {"currency": operator.currency, "first": first, "last": min(first + _PORTION, size) - 1}
            for statement in _CROWD.format(**ids).split(";"):
                await connection.execute(statement.encode(), given)
            await connection.commit()
    engine = await open_engine(url, operator, Keyring({1: KEY}), lanes=LANES)
    try:
        yield engine, url
    finally:
        await engine.close()
