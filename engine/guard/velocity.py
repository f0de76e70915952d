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

# KEYS: one window. ARGV: now in ms, member, longest window in ms, windows to count in ms. The same payment counts once;
# no rule counts beyond a thousand, so no more are kept.
_SEEN = """
redis.call('ZADD', KEYS[1], 'NX', ARGV[1], ARGV[2])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', ARGV[1] - ARGV[3])
redis.call('ZREMRANGEBYRANK', KEYS[1], 0, -1002)
redis.call('PEXPIRE', KEYS[1], ARGV[3])
local counts = {}
for place = 4, #ARGV do counts[#counts + 1] = redis.call('ZCOUNT', KEYS[1], ARGV[1] - ARGV[place], '+inf') end
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
        asked = [
            (place, kind, one.payment_id, one.digests[kind])
            for place, one in enumerate(batch)
            for kind in self._minutes
            if kind in one.digests
        ]
        if self._redis is None or not asked:
            return counts
        pipeline = self._redis.pipeline(transaction=False)
        for _, kind, payment_id, digest in asked:
            self._count(pipeline, kind, payment_id, digest, int(now.timestamp() * 1000))
        try:
            async with asyncio.timeout(PATIENCE):
                answers = await pipeline.execute(raise_on_error=False)
        except (RedisError, OSError, TimeoutError) as error:
            log.warning("guard.velocity_unknown", payments=len(batch), reason=type(error).__name__)
            return [None] * len(batch)
        for (place, kind, *_), answer in zip(asked, answers, strict=True):
            known = counts[place]
            if isinstance(answer, Exception):
                log.warning("guard.velocity_unknown", payments=1, reason=type(answer).__name__)
                counts[place] = None
            elif known is not None:
                known |= {
                    (kind, minutes): int(count) for minutes, count in zip(self._minutes[kind], answer, strict=True)
                }
        return counts

    def _count(self, pipeline: Any, kind: str, payment_id: UUID, digest: bytes, now_ms: int) -> None:
        windows = [minutes * 60_000 for minutes in self._minutes[kind]]
        name = f"velocity:{{{digest[:16].hex()}}}:{kind}"
        pipeline.eval(_SEEN, 1, name, now_ms, payment_id.bytes, windows[-1], *windows)
