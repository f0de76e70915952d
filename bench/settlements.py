"""Settlements through the one door: in one database, and as distributed transactions with the books in three.

A settlement changes bucket and payment, the receivables ledger, the payment history and the provisioning rules, and
writes receipt, message and events. Its floor is TPC-B on the same server, which hosts all databases.
"""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NamedTuple
from uuid import UUID, uuid5

import psycopg

from bench import tpcb
from bench.door import LANES, check_books
from bench.figures import Chapter, Ratio, Sample, Series, over
from bench.house import House
from bench.people import Person, copy_rows, settle_people
from bench.posting import post_all
from bench.several import PROCESSES, Job, post_from_several
from engine.api import Engine, open_engine
from engine.books.databases import migrate_books
from engine.payments.tables import payment
from engine.storage.sharding import new_id
from engine.words import PaymentMethod, PaymentState, Settle
from runtime.keyring import Keyring
from settings import Operator

CALLERS = 256
#: payments laid out for each second; when they run out, a measurement ends early
MOST = 20_000
AMOUNT = 5_000
GATEWAY = "sandbox"
#: arrangement → the database of each book that does not live with billing, and the ratio to TPC-B to be reached by an
#: installation, which runs a process for each core
ARRANGEMENTS: dict[str, tuple[dict[str, str], float]] = {
    "one database": ({}, 3.0),
    "three databases": ({"receivables": "owed", "history": "owed", "provisioning": "served"}, 1.0),
}


class Due(NamedTuple):
    """A captured payment."""

    person: Person
    payment_id: UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class Till:
    """An open engine in one arrangement of the books, with lines whose payments are settled."""

    house: House
    url: str
    elsewhere: dict[str, str]
    key: bytes
    engine: Engine
    people: Sequence[Person]

    async def measure(self, seconds: float) -> Sample:
        """Settle fresh payments of random lines from all callers at once."""
        settlements = self._settlements(await self._laid_out(seconds))
        return await post_all(self.house, self.engine, settlements, CALLERS, seconds)

    async def measure_several(self, seconds: float) -> Sample:
        """The same from callers in several processes, each with an engine of its own."""
        due = list(self._settlements(await self._laid_out(seconds)))
        job = Job(self.url, self.elsewhere, self.engine.operator, self.key, LANES, due, CALLERS, seconds)
        return await post_from_several(self.house, job)

    async def _laid_out(self, seconds: float) -> list[Due]:
        due = [Due(random.choice(self.people), new_id()) for _ in range(int(MOST * seconds))]
        async with await psycopg.AsyncConnection.connect(self.url) as connection:
            await copy_rows(connection, payment, self._rows(due))
        for url in {self.url, *self.elsewhere.values()}:
            await self.house.settle(url)
        return due

    async def check(self) -> None:
        """Raises ``BooksBroken`` unless all books agree."""
        await check_books(self.url, self.elsewhere)

    def _rows(self, due: Sequence[Due]) -> Iterator[dict[str, Any]]:
        now = datetime.now(UTC)
        for person, payment_id in due:
            yield {
                **person.account._asdict(),
                "payment_id": payment_id,
                "line_id": person.line_id,
                "gateway": GATEWAY,
                "method": PaymentMethod.MOBILE_MONEY.value,
                "amount": AMOUNT,
                "currency": self.engine.operator.currency,
                "state": PaymentState.CAPTURED.value,
                "reference": "BENCH",
                "source": "ussd:bench",
                "created_at": now,
                "changed_at": now,
                "next_check_at": now,
            }

    def _settlements(self, due: Sequence[Due]) -> Iterator[Settle]:
        currency = self.engine.operator.currency
        for person, payment_id in due:
            yield Settle(
                account=person.account,
                line_id=person.line_id,
                key=uuid5(payment_id, "settle"),
                asked_at=datetime.now(UTC),
                source="ussd:bench",
                payment_id=payment_id,
                captured=AMOUNT,
                currency=currency,
            )


@asynccontextmanager
async def open_till(house: House, operator: Operator, name: str, accounts: int) -> AsyncIterator[Till]:
    """Databases for one arrangement with ``accounts`` lines, and an engine on them."""
    prefix = name.split(maxsplit=1)[0]
    homes, _ = ARRANGEMENTS[name]
    url = await house.create_database(f"{prefix}_billing", migrated=False)
    made = {home: await house.create_database(f"{prefix}_{home}", migrated=False) for home in set(homes.values())}
    elsewhere = {book: made[home] for book, home in homes.items()}
    await asyncio.to_thread(migrate_books, url, elsewhere)
    key = os.urandom(32)
    keyring = Keyring({1: key})
    engine = await open_engine(url, operator, keyring, lanes=LANES, books=elsewhere)
    try:
        people = await settle_people(engine, url, keyring, accounts)
        yield Till(house=house, url=url, elsewhere=elsewhere, key=key, engine=engine, people=people)
    finally:
        await engine.close()


async def measure(
    house: House, operator: Operator, *, runs: int, seconds: int, accounts: int, tell: Callable[[str], None]
) -> Chapter:
    """Both arrangements and all of the floor, taking turns. Raises ``BooksBroken``."""
    tell(f"{accounts:,} accounts in each arrangement, pgbench scale {tpcb.SCALE}")
    floor_url = await tpcb.set_up(house)
    floors = {clients: Series(subject="tpc-b", load=clients, samples=[]) for clients in tpcb.CLIENTS}
    subjects = {name: Series(subject=name, load=CALLERS, samples=[]) for name in ARRANGEMENTS}
    several = {
        name: Series(subject=f"{name}, {PROCESSES} processes", load=CALLERS, samples=[]) for name in ARRANGEMENTS
    }
    async with AsyncExitStack() as stack:
        tills = {
            name: await stack.enter_async_context(open_till(house, operator, name, accounts)) for name in ARRANGEMENTS
        }
        for run in range(runs):
            tell(f"run {run + 1} of {runs}")
            for clients, series in floors.items():
                await house.settle(floor_url)
                series.samples.append(await tpcb.measure(house, clients, seconds))
                # A slow minute of the machine hits both sides.
                if clients in (tpcb.CLIENTS[1], tpcb.CLIENTS[-2]):
                    name = list(ARRANGEMENTS)[clients == tpcb.CLIENTS[-2]]
                    subjects[name].samples.append(await tills[name].measure(seconds))
                    several[name].samples.append(await tills[name].measure_several(seconds))
        tell("checking the books")
        for till in tills.values():
            await till.check()
    ratios = [
        Ratio(name=f"settlement, {series.subject} / best tpc-b", values=over(series, *floors.values()), target=target)
        for name, (_, aim) in ARRANGEMENTS.items()
        for series, target in ((subjects[name], None), (several[name], aim))
    ]
    facts = {"accounts": accounts, "tpcb_scale": tpcb.SCALE, "lanes": LANES, "violations": 0}
    return Chapter(series=[*floors.values(), *subjects.values(), *several.values()], ratios=ratios, facts=facts)
