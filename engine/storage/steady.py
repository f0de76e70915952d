"""A connection of one's own, for whoever sends the same few statements all the time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import psycopg
from psycopg import AsyncConnection as Driver
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from engine.storage.driver import driver_of

#: Statements that look up rows by key need one plan, whatever the batch: planning each batch anew took longer than
#: running it (measured). The price: a plan made for an empty table has to be replaced once the table has grown.
#:
#: Nothing here takes longer than some milliseconds unless something is wrong, and then everybody waits behind it: a row
#: that somebody keeps locked, a server that no longer answers. Hence the limits, in milliseconds.
HABITS = """
    SELECT set_config('plan_cache_mode', 'force_generic_plan', false),
           set_config('lock_timeout', '500', false), set_config('statement_timeout', '5000', false)"""

#: Plans are made anew after 1, 2, 4, … batches, then every so many.
REPLAN_EVERY = 1024

#: After a restart of Postgres the kept connection is dead, and the pool's next one may be: the third is new.
READ_TRIES = 3


class SteadyConnection:
    """One connection out of the pool, kept, and used without SQLAlchemy: for one user with one batch under way."""

    def __init__(self, database: AsyncEngine) -> None:
        """The connection is opened when first needed; ``database`` says whether it commits by itself."""
        self._database = database
        self._connection: AsyncConnection | None = None
        self._driver: Driver[tuple[Any, ...]] | None = None
        self._batches = 0

    async def driver(self) -> Driver[tuple[Any, ...]]:
        """The driver's connection, for one batch. Raises what connecting raises; after any error, ``let_go``."""
        driver = self._driver or await self._open()
        self._batches += 1
        if self._batches % REPLAN_EVERY == 0 or self._batches & (self._batches - 1) == 0:
            await driver.execute("DISCARD PLANS")
            # Whoever asks for the connection begins a transaction when there is something to say.
            await driver.commit()
        return driver

    async def let_go(self) -> None:
        """Close the connection, whatever state it is in; the next batch opens another."""
        connection, self._connection, self._driver = self._connection, None, None
        if connection is not None:
            await connection.invalidate()
            await connection.close()

    async def _open(self) -> Driver[tuple[Any, ...]]:
        self._connection = await self._database.connect()
        # Asked through SQLAlchemy: if Postgres was restarted it finds out here, and empties its whole pool.
        await self._connection.exec_driver_sql(HABITS)
        await self._connection.commit()
        self._driver, self._batches = await driver_of(self._connection), 0
        return self._driver


class SteadyReads(SteadyConnection):
    """The same for reads of one statement each, which need no transaction opened and closed around them."""

    def __init__(self, database: AsyncEngine) -> None:
        super().__init__(database.execution_options(isolation_level="AUTOCOMMIT"))

    async def rows(self, statement: str, values: Mapping[str, Any]) -> list[tuple[Any, ...]]:
        """What it finds, asked again where the connection turned out to be dead: reading twice does no harm."""
        tries = 0
        while True:
            try:
                cursor = await (await self.driver()).cursor(binary=True).execute(statement, values)
                return await cursor.fetchall()
            except (psycopg.Error, DBAPIError, OSError) as error:
                await self.let_go()
                tries += 1
                # What took too long is no dead connection: asked again, it would take as long once more.
                if tries == READ_TRIES or isinstance(error, psycopg.errors.QueryCanceled):
                    raise
