"""How fast texts may go to one carrier: a bucket in this process, and one in Redis for the sum of all processes.

The bucket of the process alone already keeps one process within the rate; Redis makes it hold for all together. When
Redis is lost, each process keeps its own bucket: the sum may then be exceeded, nothing else changes.
"""

from __future__ import annotations

import asyncio
import math
import time

import structlog
from redis.asyncio import Redis
from redis.exceptions import NoScriptError, RedisError

log = structlog.get_logger(__name__)

#: seconds' worth of texts that may go at once after a pause
BURST_SECONDS = 0.25
#: seconds' worth that a process takes out of the common bucket at a time, and how long it may keep what it took
BLOCK_SECONDS, BLOCK_LIFE = 0.05, 1.0
#: seconds without a try after Redis failed
REST_SECONDS = 1.0

# The generic cell rate algorithm (ITU-T I.371, Annex A) for a block of cells: what is stored is the theoretical arrival
# time of the next one. KEYS: bucket. ARGV: microseconds per text, microseconds of burst, texts wanted.
# Returns how many may go, and the microseconds until the next one may.
TAKE = """
local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]
local each, burst, wanted = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local at = tonumber(redis.call('GET', KEYS[1]) or '0')
if at < now - burst then at = now - burst end
local free = math.floor((now - at) / each)
if free > wanted then free = wanted end
at = at + free * each
redis.call('SET', KEYS[1], string.format('%.0f', at), 'PX', 60000)
return {free, math.max(math.ceil(at + each - now), 0)}
"""


class RateLimit:
    """The rate of one carrier."""

    def __init__(self, name: str, per_second: float, redis: Redis | None) -> None:
        """``name``: the carrier's in the settings. Without ``redis`` only this process is counted."""
        self._key = f"rate:{{{name}}}"
        self._name = name
        self._each = 1.0 / per_second
        self._burst = max(BURST_SECONDS, self._each)
        self._block = max(1, math.ceil(per_second * BLOCK_SECONDS))
        self._redis = redis
        self._script = ""
        # When the next text is due in a steady stream; what lies further back than the burst is forgotten.
        self._next = time.monotonic() - self._burst
        self._taken, self._taken_at = 0, 0.0
        self._taking = asyncio.Lock()
        self._resting_until = 0.0

    def headroom(self, seconds: float) -> int:
        """How many texts could go within the next ``seconds``."""
        now = time.monotonic()
        return max(0, int((now + seconds - max(self._next, now - self._burst)) / self._each))

    def pause(self, seconds: float) -> None:
        """Let nothing go for so long: the carrier has asked for it."""
        self._next = max(self._next, time.monotonic() + seconds)

    async def acquire(self, most_seconds: float) -> float:
        """Wait for this text's turn. 0 when it has come; else, without waiting, the seconds until it would."""
        now = time.monotonic()
        at = max(self._next, now - self._burst) + self._each
        if at - now > most_seconds:
            return at - now
        self._next = at
        if at > now:
            await asyncio.sleep(at - now)
        return await self._take(now + most_seconds)

    async def _take(self, until: float) -> float:
        """One text out of what was taken of the common bucket; more is taken when that is used up or old."""
        if self._redis is None:
            return 0.0
        async with self._taking:
            while True:
                now = time.monotonic()
                if self._taken > 0 and now < self._taken_at + BLOCK_LIFE:
                    self._taken -= 1
                    return 0.0
                if now < self._resting_until:
                    return 0.0
                try:
                    free, wait_us = await self._ask(self._redis)
                except (RedisError, OSError) as error:
                    log.warning("rate_is_own_only", carrier=self._name, error=type(error).__name__)
                    self._resting_until = time.monotonic() + REST_SECONDS
                    return 0.0
                if free > 0:
                    self._taken, self._taken_at = free, time.monotonic()
                    continue
                wait = wait_us / 1e6
                if now + wait > until:
                    return wait
                await asyncio.sleep(wait)

    async def _ask(self, redis: Redis) -> tuple[int, int]:
        arguments = (self._key, int(self._each * 1e6), int(self._burst * 1e6), self._block)
        if not self._script:
            self._script = str(await redis.script_load(TAKE))
        try:
            free, wait = await redis.evalsha(self._script, 1, *arguments)
        except NoScriptError:  # Redis was started anew
            self._script = str(await redis.script_load(TAKE))
            free, wait = await redis.evalsha(self._script, 1, *arguments)
        return int(free), int(wait)
