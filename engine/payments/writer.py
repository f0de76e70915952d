"""Concurrent reads and writes of one kind, grouped into transactions."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Hashable, Iterable, Sequence
from time import monotonic
from typing import Generic, TypeVar

import psycopg
import structlog
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine

from engine.payments.store import Connection
from engine.storage.driver import driver_of
from engine.storage.steady import SteadyConnection
from engine.words import EngineUnavailable
from runtime.batching import Batcher

log = structlog.get_logger(__name__)

In = TypeVar("In")
Out = TypeVar("Out")

#: seconds that Postgres is tried to be reached before callers are told
PATIENCE = 8.0


class Writer(Generic[In, Out]):
    """Turns concurrent single calls into one transaction with many, done again where it broke.

    ``work`` reads or writes a batch and returns one result for each item. What it leaves open is committed; it commits
    by itself where that saves a round trip. It has to be idempotent: after a lost connection nobody knows whether the
    commit happened, and it is called again.
    """

    def __init__(
        self,
        database: AsyncEngine,
        work: Callable[[Connection, Sequence[In]], Awaitable[Sequence[Out]]],
        *,
        touches: Callable[[In], Iterable[Hashable]] | None = None,
        kept: bool = False,
        most: int = 250,
    ) -> None:
        """Of items that touch the same thing a batch holds one, and of all no more than ``most``.

        ``kept``: on a connection of its own, for hot ones.
        """
        self._database = database
        self._connection = SteadyConnection(database) if kept else None
        self._work = work
        self._batcher = Batcher[In, Out](self._run, most=most, touches=touches)

    async def __call__(self, item: In) -> Out:
        """Have one item written. Raises ``EngineUnavailable`` while Postgres cannot be reached."""
        return await self._batcher(item)

    async def close(self) -> None:
        """Finish what waits, then let the connection go."""
        await self._batcher.drain()
        if self._connection is not None:
            await self._connection.let_go()

    async def _once(self, batch: Sequence[In]) -> Sequence[Out]:
        if self._connection is not None:
            try:
                return await self._committed(await self._connection.driver(), batch)
            except BaseException:
                # Nobody may find a transaction open on it.
                await self._connection.let_go()
                raise
        async with self._database.connect() as connection:
            driver = await driver_of(connection)
            try:
                return await self._committed(driver, batch)
            except BaseException:
                await connection.invalidate()
                raise

    async def _committed(self, driver: Connection, batch: Sequence[In]) -> Sequence[Out]:
        results = await self._work(driver, batch)
        # After reading, too: with a ROLLBACK psycopg forgets every statement that it has prepared on the connection.
        await driver.commit()
        return results

    async def _run(self, batch: Sequence[In]) -> Sequence[Out | BaseException]:
        deadline = monotonic() + PATIENCE
        pause = 0.02
        while True:
            try:
                return await self._once(batch)
            except (psycopg.OperationalError, psycopg.InterfaceError, SQLAlchemyError, OSError) as error:
                if monotonic() > deadline:
                    log.exception("payments.unavailable", items=len(batch))
                    return [EngineUnavailable(str(error))] * len(batch)
                log.warning("payments.retry", items=len(batch), reason=type(error).__name__)
            except Exception as error:
                # One of them cannot be written: come closer to it, all others go through.
                if len(batch) == 1:
                    log.exception("payments.failed")
                    return [error]
                middle = len(batch) // 2
                return [*await self._run(batch[:middle]), *await self._run(batch[middle:])]
            await asyncio.sleep(pause * random.uniform(0.5, 1.5))
            pause = min(pause * 2, 0.5)
