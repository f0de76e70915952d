"""Waiting for what other tasks and processes bring about."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable

import psycopg


async def until(true: Callable[[], object], seconds: float = 90.0) -> None:
    """Wait until what ``true`` returns, or awaits, is true. Raises ``TimeoutError`` after so many seconds."""
    async with asyncio.timeout(seconds):
        while True:
            found = true()
            if await found if inspect.isawaitable(found) else found:
                return
            await asyncio.sleep(0.01)


async def somebody_waits_for_a_lock(database_url: str) -> None:
    """Return once a session of this database waits for another one's row."""
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    with psycopg.connect(database_url, autocommit=True) as watcher:
        await until(lambda: watcher.execute(waiting).fetchone() != (0,))
