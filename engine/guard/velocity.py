"""How often somebody tried to pay lately: sliding windows in Redis, found by keyed digests.

They make a payment suspicious, they move no money: losing them loses nothing but that. While Redis cannot be reached
nobody knows, and the fraud layer treats that as unknown risk.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

from settings import FraudRules

log = structlog.get_logger(__name__)

#: seconds that Redis may take; a payment that waits longer is one whose risk nobody knows
PATIENCE = 0.3

# KEYS: windows of one kind. ARGV: now in ms, how many windows are counted, each in ms with the longest last, and the
# member of each key. The same payment counts once; no rule counts beyond a thousand, so no more are kept. Answers the
# counts of the first key, then those of the next …
_SEEN = """
local windows = tonumber(ARGV[2])
local longest = ARGV[2 + windows]
local counts = {}
for place, key in ipairs(KEYS) do
    redis.call('ZADD', key, 'NX', ARGV[1], ARGV[2 + windows + place])
    redis.call('ZREMRANGEBYSCORE', key, '-inf', ARGV[1] - longest)
    redis.call('ZREMRANGEBYRANK', key, 0, -1002)
    redis.call('PEXPIRE', key, longest)
    for one = 3, 2 + windows do counts[#counts + 1] = redis.call('ZCOUNT', key, ARGV[1] - ARGV[one], '+inf') end
end
return counts
"""


class Seen(NamedTuple):
    """One attempt to pay: what it counts for, as ``kind → keyed digest``."""

    payment_id: UUID
    digests: Mapping[str, bytes]


class Windows:
    """The windows of one operator's rules."""

    def __init__(self, redis: Redis | None, rules: FraudRules) -> None:
        """Without ``redis`` nothing is counted: for tools that ask nobody for money."""
        self._redis = redis
        minutes: dict[str, set[int]] = {}
        for one in rules.velocity:
            minutes.setdefault(one.of, set()).add(one.minutes)
        self._minutes = {kind: sorted(windows) for kind, windows in minutes.items()}

    async def seen(self, batch: Sequence[Seen], now: datetime) -> list[dict[tuple[str, int], int] | None]:
        """Count each attempt once, and say how many its windows now hold; None where Redis did not say."""
        counts: list[dict[tuple[str, int], int] | None] = [{} for _ in batch]
        asked = {kind: [place for place, one in enumerate(batch) if kind in one.digests] for kind in self._minutes}
        asked = {kind: places for kind, places in asked.items() if places}
        if self._redis is None or not asked:
            return counts
        pipeline = self._redis.pipeline(transaction=False)
        for kind, places in asked.items():
            self._count(pipeline, kind, [batch[place] for place in places], int(now.timestamp() * 1000))
        try:
            async with asyncio.timeout(PATIENCE):
                answers = await pipeline.execute(raise_on_error=False)
        except (RedisError, OSError, TimeoutError) as error:
            log.warning("guard.velocity_unknown", payments=len(batch), reason=type(error).__name__)
            return [None] * len(batch)
        for (kind, places), answer in zip(asked.items(), answers, strict=True):
            if isinstance(answer, Exception):
                log.warning("guard.velocity_unknown", payments=len(places), reason=type(answer).__name__)
                for place in places:
                    counts[place] = None
                continue
            for rank, place in enumerate(places):
                known = counts[place]
                if known is not None:
                    known |= self._told(kind, answer, rank)
        return counts

    def _told(self, kind: str, answer: Sequence[int], rank: int) -> dict[tuple[str, int], int]:
        """What the windows of one key hold."""
        minutes = self._minutes[kind]
        begins = rank * len(minutes)
        return {
            (kind, window): int(count)
            for window, count in zip(minutes, answer[begins : begins + len(minutes)], strict=True)
        }

    def _count(self, pipeline: Any, kind: str, seen: Sequence[Seen], now_ms: int) -> None:
        # One call for all of a kind: packing a call for each took longer than counting (measured).
        windows = [minutes * 60_000 for minutes in self._minutes[kind]]
        keys = [f"velocity:{{{one.digests[kind][:16].hex()}}}:{kind}" for one in seen]
        members = [one.payment_id.bytes for one in seen]
        pipeline.eval(_SEEN, len(keys), *keys, now_ms, len(windows), *windows, *members)
