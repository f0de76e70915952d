"""Settlements over four databases on three servers, while everything dies: ``python -m tests.engine.books.ordeal``.

In each round a coordinator, a process of its own, settles payments and takes settlements back; at one step of its batch
it is killed, or put to sleep until a recovery has aborted its batch, or a database server is killed or restarted. What
was not answered is posted again, as callers do. At the end nothing may be lost or doubled, the books must agree, and
nothing may be left prepared. The same seed makes the same rounds.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import logging
import random
import shutil
import signal
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Sequence
from itertools import product
from pathlib import Path
from typing import NamedTuple
from uuid import uuid5

import msgspec
import uvloop

from engine.api import open_engine
from engine.books.databases import Books, migrate_books, open_books
from engine.books.distributed import UNREACHABLE
from engine.books.invariants import check_all
from engine.books.recovery import Recovery
from engine.books.sheets import Book
from engine.words import Code, Operation, Reverse, Subscriber, Unit
from runtime.embedded.postgres import EmbeddedPostgres
from runtime.keyring import Keyring
from runtime.logs import configure_logs
from settings import load_operator
from tests.engine.books.apart import BOOKS, capture, make_database, settling
from tests.engine.books.coordinator import ROOT, Arrangement, Coordinator
from tests.engine.shop import asking, open_line

OPERATOR = ROOT / "examples" / "kenya.toml"
AMOUNT = 700

#: A killed server must keep what it has answered; a power cut is not tried, so nothing needs to reach the disk.
SERVER = {"fsync": "off", "full_page_writes": "off", "shared_buffers": "32MB", "autovacuum": "off"}

#: book → its server; billing has one to itself
SERVERS = {"billing": 0, "receivables": 1, "history": 1, "provisioning": 2}

STEPS = (
    *product(("preparing", "prepared", "finished"), BOOKS),
    ("prepared", "billing"),
    ("committed", "billing"),
)
FAULTS = ("kill", "sleep", "server 0", "server 1", "server 2")

#: Seconds that a batch without a decision is left alone: far less than in production, so that recovery gets in the way.
GRACE = 1.0


class Fault(NamedTuple):
    """What happens, at which step, and how long after the coordinator went on from there (0: while it waits)."""

    step: tuple[str, str]
    what: str
    delay: float
    clean: bool


class Payment(NamedTuple):
    """A payment and the operation that comes next for it."""

    line: Subscriber
    operation: Operation


def faults(seed: int, rounds: int) -> Iterator[Fault]:
    """Every fault at every step before any comes again, in an order of the seed."""
    dice = random.Random(seed)
    every: list[tuple[tuple[str, str], str]] = []
    for _ in range(rounds):
        if not every:
            every = list(product(STEPS, FAULTS))
            dice.shuffle(every)
        step, what = every.pop()
        delay = dice.choice((0.0, dice.uniform(0, 0.02)))
        yield Fault(step, what, delay, dice.random() < 0.3)


class Ordeal:
    """The servers, the lines, and what was done to them."""

    def __init__(self, servers: Sequence[EmbeddedPostgres], where: Arrangement, books: Books, keyring: Keyring) -> None:
        self.servers, self.where, self.books, self.keyring = servers, where, books, keyring
        self.lines: list[Subscriber] = []
        #: line → its payment that is credited right now
        self.credited: dict[Subscriber, Operation] = {}
        self.settled = self.reversed = self.faults = 0
        self.happened: Counter[str] = Counter()
        self._coordinator: Coordinator | None = None
        self._recovery = Recovery(books, grace=GRACE)

    async def open_lines(self, count: int) -> None:
        """Lines to credit, opened as in one process."""
        engine = await open_engine(
            self.where.billing, load_operator(OPERATOR), self.keyring, books=self.where.elsewhere
        )
        self.lines = [await open_line(engine) for _ in range(count)]
        await engine.close()

    def batch(self, dice: random.Random, size: int) -> list[Payment]:
        """Settle for lines that have nothing, take back from the others: all books change each time."""
        lines = dice.sample(self.lines, size)
        fresh = [line for line in lines if line not in self.credited]
        ids = capture(self.where.billing, fresh, AMOUNT) if fresh else []
        settle = [Payment(line, settling(line, one, AMOUNT)) for line, one in zip(fresh, ids, strict=True)]
        back = [Payment(line, self._reverse(line)) for line in lines if line in self.credited]
        return settle + back

    def _reverse(self, line: Subscriber) -> Operation:
        payment_id = self.credited[line].payment_id  # type: ignore[attr-defined]
        return asking(Reverse, line, key=uuid5(payment_id, "reverse"), payment_id=payment_id, reason="ordeal")

    async def round(self, payments: Sequence[Payment], fault: Fault) -> None:
        """Post until everything is answered, with one fault on the way."""
        waiting = list(payments)
        left: Fault | None = fault
        for _ in range(20):
            codes, left = await self._post([one.operation for one in waiting], left)
            strange = set(codes) - {Code.OK, "unavailable"}
            if strange:
                raise AssertionError(f"{fault}: answered {strange}")
            waiting = [one for one, code in zip(waiting, codes, strict=True) if code != Code.OK]
            if not waiting:
                break
        else:
            raise AssertionError(f"{fault}: {len(waiting)} operations are never answered")
        for line, operation in payments:
            if isinstance(operation, Reverse):
                del self.credited[line]
                self.reversed += 1
            else:
                self.credited[line] = operation
                self.settled += 1

    async def _post(self, operations: Sequence[Operation], fault: Fault | None) -> tuple[list[str], Fault | None]:
        """The code of each operation, and the fault if it is still to come."""
        if self._coordinator is None:
            self._coordinator = await Coordinator.start(self.where)
        coordinator = self._coordinator
        await coordinator.say(msgspec.json.encode(operations))
        while said := await coordinator.hear():
            if said[0] == "done":
                return said[1].split(","), fault
            if fault is not None and (said[1], said[2]) == fault.step:
                await self._happen(fault, coordinator)
                fault = None
            else:
                await coordinator.say(b"go")
        await self._bury()
        return ["unavailable"] * len(operations), fault

    async def _bury(self) -> None:
        if self._coordinator is not None:
            await self._coordinator.stop()
            self._coordinator = None

    async def _happen(self, fault: Fault, coordinator: Coordinator) -> None:
        self.happened[fault.what] += 1
        if fault.delay:
            await coordinator.say(b"go")
            await asyncio.sleep(fault.delay)
        if fault.what == "kill":
            coordinator.signal(signal.SIGKILL)
        elif fault.what == "sleep":
            coordinator.signal(signal.SIGSTOP)
            impatient = Recovery(self.books, grace=0)
            await _until_done(impatient)
            await impatient.close()
            coordinator.signal(signal.SIGCONT)
        else:
            server = self.servers[int(fault.what.split()[1])]
            await server.stop() if fault.clean else server.kill()
            await server.start()
        if not fault.delay:
            await coordinator.say(b"go")

    async def recover(self) -> None:
        """What the bot does all the time."""
        while True:
            with contextlib.suppress(*UNREACHABLE):
                await self._recovery.run()
            await asyncio.sleep(0.1)

    async def verdict(self) -> list[str]:
        """Everything that is wrong once all is quiet: nothing."""
        await self._bury()
        await _until_done(self._recovery)
        wrong = [f"left prepared: {one.name}" for one in await self._recovery.prepared()]
        wrong += [str(violation) for violation in await check_all(self.books)]
        events: Counter[str] = Counter()
        async with self.books[Book.HISTORY].connect() as connection:
            counted = "SELECT event, count(*), count(DISTINCT payment_id) FROM payment_history GROUP BY event"
            for event, count, payments in await connection.exec_driver_sql(counted):
                events[event] = count
                if count != payments:
                    wrong.append(f"{event}: {count} for {payments} payments")
        if (events["settled"], events["reversed"]) != (self.settled, self.reversed):
            wrong.append(f"answered {self.settled} settled, {self.reversed} reversed, but the history has {events}")
        wrong += await self._wrong_balances()
        return wrong

    async def _wrong_balances(self) -> list[str]:
        engine = await open_engine(
            self.where.billing, load_operator(OPERATOR), self.keyring, books=self.where.elsewhere
        )
        seen = [(line, (await engine.subscriber(line.msisdn)).total(Unit.MONEY)) for line in self.lines]
        await engine.close()
        return [f"a line holds {held}" for line, held in seen if held != (AMOUNT if line in self.credited else 0)]

    async def close(self) -> None:
        await self._bury()
        await self._recovery.close()


async def _until_done(recovery: Recovery) -> None:
    """Recover until nothing is prepared any more; a server that was just killed may need a moment."""
    async with asyncio.timeout(60):
        while True:
            with contextlib.suppress(*UNREACHABLE):
                await recovery.run()
                if not await recovery.prepared():
                    return
            await asyncio.sleep(0.05)


@contextlib.asynccontextmanager
async def arranged(lines: int) -> AsyncIterator[Ordeal]:
    """Three servers, four migrated databases, and lines."""
    folder = Path(tempfile.mkdtemp(prefix="rasid-ordeal-"))
    folder.chmod(0o711)
    servers = [EmbeddedPostgres(folder / str(number), SERVER) for number in range(3)]
    try:
        await asyncio.gather(*(server.start() for server in servers))
        urls = {
            book: await asyncio.to_thread(make_database, servers[n].url, "template0") for book, n in SERVERS.items()
        }
        billing = urls.pop("billing")
        await asyncio.to_thread(migrate_books, billing, urls)
        books = open_books(billing, urls, connections=4, writers=2)
        ordeal = Ordeal(servers, Arrangement(str(OPERATOR), billing, urls), books, Keyring({1: bytes(range(32))}))
        try:
            await ordeal.open_lines(lines)
            yield ordeal
        finally:
            await ordeal.close()
            await books.dispose()
    finally:
        await asyncio.gather(*(server.stop() for server in servers))
        shutil.rmtree(folder, ignore_errors=True)


async def run(seed: int, rounds: int, size: int, tell: bool = False) -> Ordeal:
    """All rounds and the verdict. Raises ``AssertionError`` that says the seed and what is wrong."""
    dice = random.Random(seed)
    async with arranged(lines=2 * size) as ordeal:
        recovering = asyncio.create_task(ordeal.recover())
        try:
            for number, fault in enumerate(faults(seed, rounds), start=1):
                await ordeal.round(ordeal.batch(dice, size), fault)
                if tell:
                    print(f"{number:>5} of {rounds}: {fault.what} at {' '.join(fault.step)}", flush=True)  # noqa: T201
        finally:
            recovering.cancel()
            await asyncio.gather(recovering, return_exceptions=True)
        wrong = await ordeal.verdict()
        if wrong:
            raise AssertionError(f"seed {seed}: " + "\n".join(wrong[:20]))
    return ordeal


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=110, help="faults in all; 55 are every one at every step")
    parser.add_argument("--operations", type=int, default=40, help="operations in each round")
    parser.add_argument("--seed", type=int, default=random.randrange(2**32))
    given = parser.parse_args()
    configure_logs("ordeal", logging.CRITICAL)
    print(f"seed {given.seed}", flush=True)  # noqa: T201
    ordeal = uvloop.run(run(given.seed, given.rounds, given.operations, tell=True))
    did = ", ".join(f"{count} × {what}" for what, count in sorted(ordeal.happened.items()))
    print(f"{ordeal.settled} settled, {ordeal.reversed} taken back; {did}; nothing lost, nothing doubled")  # noqa: T201


if __name__ == "__main__":
    main()
