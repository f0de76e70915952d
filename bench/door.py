"""The one door: recharges per second, voucher claim included, beside TPC-B on the same server."""

from __future__ import annotations

import os
import random
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import uuid4

from bench import tpcb
from bench.figures import Chapter, Ratio, Sample, Series, over
from bench.house import House
from bench.people import Person, fresh_vouchers, settle_people
from bench.posting import post_all
from bench.several import PROCESSES, Job, post_from_several
from engine.api import Engine, open_engine
from engine.books.databases import open_books
from engine.books.invariants import check_all
from engine.words import Recharge, VoucherToken
from runtime.keyring import Keyring
from settings import Operator, Settings

#: concurrent callers of the door
CALLERS = (1, 16, 64, 256)
#: recharges at 256 callers over the best TPC-B: of an installation, which runs a process for each core
TARGET = 2.5
#: vouchers laid out for each caller and second, and at most: when they run out, a measurement ends early
PER_CALLER, MOST = 3_000, 20_000
FACE_VALUE = 5_000
LANES: int = Settings.model_fields["lanes"].default


class BooksBroken(Exception):
    """The invariants failed after a measurement: ``args`` are the violations. Its figures are worth nothing."""


async def check_books(url: str, elsewhere: Mapping[str, str] | None = None) -> None:
    """Raise ``BooksBroken`` unless all books agree; ``elsewhere``: those that do not live at ``url``."""
    books = open_books(url, elsewhere, connections=2)
    try:
        violations = await check_all(books)
    finally:
        await books.dispose()
    if violations:
        raise BooksBroken(*violations[:10])


@dataclass(frozen=True, slots=True, kw_only=True)
class Shop:
    """An open engine with lines to recharge."""

    house: House
    url: str
    key: bytes
    engine: Engine
    people: Sequence[Person]

    async def measure(self, callers: int, seconds: float) -> Sample:
        """Recharge random lines with fresh vouchers from so many callers at once."""
        return await self.recharge(await self._laid_out(callers, seconds), callers, seconds)

    async def measure_several(self, callers: int, seconds: float) -> Sample:
        """The same from callers in several processes, each with an engine of its own."""
        recharges = list(self._recharges(await self._laid_out(callers, seconds)))
        job = Job(self.url, {}, self.engine.operator, self.key, LANES, recharges, callers, seconds)
        return await post_from_several(self.house, job)

    async def _laid_out(self, callers: int, seconds: float) -> list[VoucherToken]:
        count = int(min(callers * PER_CALLER, MOST) * seconds)
        vouchers = await fresh_vouchers(self.engine, FACE_VALUE, count)
        await self.house.settle(self.url)
        return vouchers

    async def recharge(self, vouchers: Sequence[VoucherToken], callers: int, seconds: float) -> Sample:
        """The measured part: every voucher is new, every answer must be ok."""
        return await post_all(self.house, self.engine, self._recharges(vouchers), callers, seconds)

    def _recharges(self, vouchers: Sequence[VoucherToken]) -> Iterator[Recharge]:
        for voucher in vouchers:
            person = random.choice(self.people)
            yield Recharge(
                account=person.account,
                line_id=person.line_id,
                key=uuid4(),
                asked_at=datetime.now(UTC),
                source="ussd:bench",
                voucher=voucher,
            )


@asynccontextmanager
async def open_shop(house: House, operator: Operator, accounts: int) -> AsyncIterator[Shop]:
    """A database of its own with ``accounts`` lines, and an engine on it."""
    url, key = await house.create_database("door"), os.urandom(32)
    keyring = Keyring({1: key})
    engine = await open_engine(url, operator, keyring, lanes=LANES)
    try:
        people = await settle_people(engine, url, keyring, accounts)
        yield Shop(house=house, url=url, key=key, engine=engine, people=people)
    finally:
        await engine.close()


async def measure(
    house: House, operator: Operator, *, runs: int, seconds: int, accounts: int, tell: Callable[[str], None]
) -> Chapter:
    """All loads of the door and all of the floor, taking turns. Raises ``BooksBroken``."""
    tell(f"{accounts:,} accounts, pgbench scale {tpcb.SCALE}")
    floor_url = await tpcb.set_up(house)
    floors = {clients: Series(subject="tpc-b", load=clients, samples=[]) for clients in tpcb.CLIENTS}
    subjects = {callers: Series(subject="recharge", load=callers, samples=[]) for callers in CALLERS}
    several = Series(subject=f"recharge, {PROCESSES} processes", load=CALLERS[-1], samples=[])
    async with open_shop(house, operator, accounts) as shop:
        for run in range(runs):
            for kind, load in _interleaved():
                tell(f"run {run + 1} of {runs}: {kind} at {load}")
                if kind == "tpc-b":
                    await house.settle(floor_url)
                    floors[load].samples.append(await tpcb.measure(house, load, seconds))
                else:
                    subjects[load].samples.append(await shop.measure(load, seconds))
            several.samples.append(await shop.measure_several(several.load, seconds))
        tell("checking the books")
        await check_books(shop.url)
    ratios = [
        Ratio(
            name=f"{series.subject}, {series.load} at once / best tpc-b",
            values=over(series, *floors.values()),
            target=TARGET if series is several else None,
        )
        for series in (*subjects.values(), several)
    ]
    facts = {"accounts": accounts, "tpcb_scale": tpcb.SCALE, "lanes": LANES, "violations": 0}
    return Chapter(series=[*floors.values(), *subjects.values(), several], ratios=ratios, facts=facts)


def _interleaved() -> list[tuple[str, int]]:
    """Both sides' loads in turns, so that a slow minute of the machine hits both."""
    order: list[tuple[str, int]] = []
    for place in range(max(len(tpcb.CLIENTS), len(CALLERS))):
        order += [("tpc-b", clients) for clients in tpcb.CLIENTS[place : place + 1]]
        order += [("recharge", callers) for callers in CALLERS[place : place + 1]]
    return order
