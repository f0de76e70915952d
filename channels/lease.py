"""A lease in Redis: of several processes one does the work; when it dies, another takes over.

A lease is a courtesy, not a guard: whoever was held up past its life may find two holders for a moment. What stands on
it must be harmless when done twice.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable
from typing import Any

import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

log = structlog.get_logger(__name__)

#: seconds that a lease outlives its holder, and seconds between renewals
LEASE_SECONDS, RENEW_SECONDS = 15.0, 5.0

# KEYS: lease. ARGV: token, life in ms. Renews the own lease or takes a free one.
HOLD = """
local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
"""

# KEYS: lease. ARGV: token.
LEAVE = """
if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end
return 0
"""


class Lease:
    """One holder among processes for what ``name`` stands for."""

    def __init__(
        self, redis: Redis, name: str, *, lease_seconds: float = LEASE_SECONDS, renew_seconds: float = RENEW_SECONDS
    ) -> None:
        self._redis = redis
        self._key = f"lease:{name}"
        self._token = secrets.token_hex(8)
        self._lease_ms = int(lease_seconds * 1000)
        self._renew_seconds = renew_seconds

    async def run(self, work: Callable[[], Awaitable[None]], stop: asyncio.Event) -> None:
        """Wait for the lease, do ``work`` for as long as it is held, and again until ``stop``.

        ``work`` is cancelled when the lease is lost, when Redis is away, and when ``stop`` is set.
        """
        while not stop.is_set():
            if await self._hold():
                await self._while_held(work, stop)
            await self._pause(stop)

    async def _while_held(self, work: Callable[[], Awaitable[None]], stop: asyncio.Event) -> None:
        working = asyncio.ensure_future(work())
        try:
            while not working.done() and not stop.is_set():
                await self._pause(stop, working)
                if not working.done() and not await self._hold():
                    log.warning("lease_lost", lease=self._key)
                    break
        finally:
            if working.cancel():
                await asyncio.wait([working])
            await self._leave()
        if not working.cancelled() and (error := working.exception()) is not None:
            log.error("leased_work_failed", lease=self._key, error=type(error).__name__)

    async def _hold(self) -> bool:
        try:
            return bool(await self._redis.eval(HOLD, 1, self._key, self._token, self._lease_ms))
        except (RedisError, OSError) as error:
            log.warning("lease_unknown", lease=self._key, error=type(error).__name__)
            return False

    async def _leave(self) -> None:
        try:
            await self._redis.eval(LEAVE, 1, self._key, self._token)
        except (RedisError, OSError):
            log.info("lease_left_to_run_out", lease=self._key)

    async def _pause(self, stop: asyncio.Event, *others: asyncio.Future[Any]) -> None:
        stopped: asyncio.Future[Any] = asyncio.ensure_future(stop.wait())
        await asyncio.wait([stopped, *others], timeout=self._renew_seconds, return_when=asyncio.FIRST_COMPLETED)
        stopped.cancel()
