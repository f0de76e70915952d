"""Batches over several databases: what was decided of them, and one that nobody finishes."""

from __future__ import annotations

import asyncio

from engine.books.databases import Books
from engine.books.service import Door
from engine.words import Operation
from runtime.metrics import Metrics
from settings import Operator

AMOUNT = 700


async def decisions(books: Books) -> list[str]:
    """The verdicts on all batches, in order."""
    async with books.billing.connect() as connection:
        return list((await connection.exec_driver_sql("SELECT verdict FROM decision ORDER BY decided_at")).scalars())


async def left_behind(books: Books, operator: Operator, operation: Operation, step: str, home: str = "billing") -> None:
    """Post, and die at this step: nothing is finished and nothing taken back, only connections end."""
    there = asyncio.Event()
    seen: set[tuple[str, str]] = set()
    # The others get as far as they can.
    expected = {("prepared", one.name) for one in books.homes} | {(step, home)}

    async def witness(now: str, where: str) -> None:
        seen.add((now, where))
        if seen >= expected:
            there.set()
        if (now, where) == (step, home):
            await asyncio.Event().wait()

    door = Door(books, operator, Metrics(), 1, witness)
    lane = door._lanes[0]
    posting = asyncio.create_task(door.post(operation))
    async with asyncio.timeout(20):
        await there.wait()
    working = list(door._queue._working)
    for one in (*working, posting):
        one.cancel()
    await asyncio.gather(*working, posting, return_exceptions=True)
    for one in (lane._writer._billing, *lane._writer._others.values()):
        await one.let_go()
