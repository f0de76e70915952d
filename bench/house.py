"""The servers that a benchmark runs on: a Postgres as durable as production's and a Redis, in a temporary folder."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg
import sqlalchemy as sa
from psycopg import sql

from bench.machine import memory_mb
from engine.storage.database import migrate
from runtime.embedded.postgres import EmbeddedPostgres
from runtime.embedded.redis import EmbeddedRedis

#: what makes a commit durable; stated here so that no default of the embedded server can weaken a measurement
DURABLE = {"fsync": "on", "synchronous_commit": "on", "full_page_writes": "on"}
#: what a small machine's Postgres keeps in memory
SHARED_BUFFERS = "256MB"


@dataclass(frozen=True, slots=True, kw_only=True)
class House:
    """Running servers. ``idle_mb`` is what each held before anybody connected, in MB."""

    folder: Path
    postgres: EmbeddedPostgres
    redis: EmbeddedRedis
    idle_mb: dict[str, float]

    def url(self, database: str) -> sa.URL:
        """The owner's address of a database, over the unix socket."""
        return sa.make_url(self.postgres.socket_url).set(database=database)

    def processes(self, server: int) -> dict[str, int | None]:
        """Whose CPU time a measurement over HTTP costs: the server's, by its pid, and both databases'."""
        return {"server": server, "postgres": self.postgres.pid, "redis": self.redis.pid}

    async def create_database(self, name: str, *, migrated: bool = True) -> str:
        """A new database, with Rasid's schema unless told otherwise. Returns the owner's address."""
        url = self.url(name).render_as_string(hide_password=False)
        async with await psycopg.AsyncConnection.connect(self.postgres.socket_url, autocommit=True) as connection:
            await connection.execute(sql.SQL("CREATE DATABASE {} TEMPLATE template0").format(sql.Identifier(name)))
        if migrated:
            await asyncio.to_thread(migrate, url)
        return url

    async def settle(self, url: str) -> None:
        """Bring a database to the state in which every measurement starts: vacuumed, analysed, all pages written."""
        async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
            await connection.execute("VACUUM ANALYZE")
            await connection.execute("CHECKPOINT")

    async def durability(self) -> dict[str, str]:
        """The settings of the running server that say what a commit is worth, asked of the server itself."""
        async with await psycopg.AsyncConnection.connect(self.postgres.socket_url) as connection:
            shown = {}
            for name in (*DURABLE, "wal_sync_method", "shared_buffers"):
                row = await (await connection.execute(f"SHOW {name}".encode())).fetchone()
                shown[name] = str(row[0]) if row is not None else ""
            return shown


@asynccontextmanager
async def open_house(shared_buffers: str = SHARED_BUFFERS) -> AsyncIterator[House]:
    """Start both servers, and remove all they wrote when done. Raises ``EmbeddedError``.

    ``shared_buffers``: Postgres's own cache, as its configuration writes sizes (``4GB``).
    """
    folder = Path(tempfile.mkdtemp(prefix="rasid-bench-"))
    try:
        async with (
            EmbeddedPostgres(folder, DURABLE | {"shared_buffers": shared_buffers}) as postgres,
            EmbeddedRedis(folder) as redis,
        ):
            await asyncio.sleep(0.2)  # the servers' own start is not what idle means
            idle = {"postgres": memory_mb(postgres.pid), "redis": memory_mb(redis.pid)}
            yield House(folder=folder, postgres=postgres, redis=redis, idle_mb=idle)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
