"""The four layers that stand before a payment, by batches: facts from Postgres and Redis, decisions, their rows."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable, Sequence
from typing import Any

from bench.figures import Chapter, Ratio, Sample, Series, sample, within
from bench.house import House
from bench.machine import spending
from bench.people import Person, settle_people
from channels.sessions import connect
from engine.api import open_engine
from engine.guard.payments import Intent, PaymentGuard
from engine.payments.opening import MOST
from engine.storage.database import open_database
from engine.storage.sharding import new_id
from engine.storage.steady import SteadyConnection
from engine.words import PaymentMethod
from runtime.keyring import Keyring
from runtime.metrics import Metrics
from settings import FraudRules, Operator

#: payments that are asked for at the same time
BATCHES = (1, 10, MOST)
#: all layers of a batch together, ms of clock time, and ms of CPU time for each payment
P99_WITHIN_MS, CPU_WITHIN_MS = 10.0, 1.0
#: windows of everything that attempts are counted for
WINDOWS = [
    {"of": of, "minutes": minutes, "most": 1000, "weight": 1}
    for of in ("subscriber", "payer", "device")
    for minutes in (10, 1440)
]


async def measure(
    house: House, operator: Operator, *, runs: int, seconds: int, lines: int, tell: Callable[[str], None]
) -> Chapter:
    """Batches one after another, each decided over other people, and committed, as with the payments that follow."""
    url, keyring = await house.create_database("validation"), Keyring({1: os.urandom(32)})
    engine = await open_engine(url, operator, keyring)
    try:
        people = await settle_people(engine, url, keyring, lines)
    finally:
        await engine.close()
    await house.settle(url)
    tell(f"{lines:,} lines, windows for {len(WINDOWS)} rules")
    fraud = FraudRules.model_validate(
        {"velocity": WINDOWS, "outlier_times": 10, "review_at": 10_000, "refuse_at": 10_000}
    )
    redis, database = connect(house.redis.url), open_database(url, connections=2)
    guard = PaymentGuard(operator.model_copy(update={"fraud": fraud}), keyring, Metrics(), redis)
    steady = SteadyConnection(database)
    series = {size: Series(subject="four layers", load=size, samples=[]) for size in BATCHES}
    try:
        for run in range(runs):
            tell(f"run {run + 1} of {runs}")
            for size, told in series.items():
                told.samples.append(await _decided(house, guard, steady, people, size=size, seconds=seconds))
    finally:
        await steady.let_go()
        await database.dispose()
        await redis.aclose()
    ratios = [
        Ratio(name=f"{P99_WITHIN_MS:g} ms / p99 of a batch of {size}", values=within(P99_WITHIN_MS, told), target=1.0)
        for size, told in series.items()
    ]
    cpu = [CPU_WITHIN_MS * 1000 / sum(one.cpu_us.values()) for one in series[BATCHES[-1]].samples]
    ratios.append(Ratio(name=f"{CPU_WITHIN_MS:g} ms / CPU time of one payment", values=cpu, target=1.0))
    return Chapter(series=list(series.values()), ratios=ratios, facts={"lines": lines})


async def _decided(
    house: House, guard: PaymentGuard, steady: SteadyConnection, people: Sequence[Person], *, size: int, seconds: int
) -> Sample:
    waits: list[float] = []
    began = time.perf_counter()
    with spending(house.processes(os.getpid())) as spent:
        while time.perf_counter() - began < seconds:
            batch = [_intent(person) for person in random.sample(people, size)]
            started = time.perf_counter()
            connection: Any = await steady.driver()
            looked = await guard.decide(connection, batch)
            waits.append(time.perf_counter() - started)
            await connection.commit()
            if not all(one.ruling is not None and one.known is not None for one in looked):
                raise RuntimeError("a payment was not ruled on")
    each = {("layers" if name == "server" else name): cpu / size for name, cpu in spent.items()}
    return sample(time.perf_counter() - began, waits, each)


def _intent(person: Person) -> Intent:
    return Intent(
        account=person.account,
        line_id=person.line_id,
        payment_id=new_id(),
        method=PaymentMethod.MOBILE_MONEY,
        amount=5_000,
        source="bench",
        payer=person.msisdn,
        device=person.msisdn,
    )
