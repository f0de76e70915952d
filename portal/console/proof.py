"""Whether the books are right, as the dashboard shows it: proved in the background, once for all processes.

Whoever looks at a dashboard has the proof made when the last one is older than a minute; a lock in Redis lets one
process make it. Each proof takes on where the last one ended, and what it found stays named until a later proof over
the same time does not find it any more. ``manage.py doctor`` proves all books from their beginning.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import msgspec
import structlog
from redis.asyncio import Redis

from engine.api import Engine
from engine.words import AccountRef

log = structlog.get_logger(__name__)

KEY, LOCK = "console:proof", "console:proof:lock"
#: the first proof looks so far back; later ones begin a little before the one before
FIRST, OVERLAP = timedelta(hours=24), timedelta(minutes=5)
#: seconds after which a proof is made again, and after which a process that makes one is given up
EVERY_SECONDS, LONGEST_SECONDS = 60.0, 600
#: broken rules that are named
MOST = 50


class Broken(msgspec.Struct, frozen=True):
    """A rule that does not hold, and where. ``account`` is None where no single one can be named."""

    check: str
    account: AccountRef | None
    subject: str
    expected: str
    found: str


class Proof(msgspec.Struct, frozen=True):
    """What a proof came to."""

    #: bookings from this time on were looked at, last at ``at``
    since: datetime
    at: datetime
    seconds: float
    broken: tuple[Broken, ...] = ()

    @property
    def holds(self) -> bool:
        """Whether every rule holds."""
        return not self.broken


class Prover:
    """Keeps the proof of one installation fresh while somebody looks."""

    def __init__(self, engine: Engine, redis: Redis) -> None:
        self._engine = engine
        self._redis = redis
        self._under_way: asyncio.Task[None] | None = None

    async def close(self) -> None:
        """Finish, or leave it to others."""
        if self._under_way is not None:
            self._under_way.cancel()
            await asyncio.wait([self._under_way])

    async def latest(self) -> Proof | None:
        """The last proof; where that is old a new one is begun. None: it is the first. Raises ``RedisError``."""
        known = await self._known()
        old = known is None or (datetime.now(UTC) - known.at).total_seconds() > EVERY_SECONDS
        idle = self._under_way is None or self._under_way.done()
        if old and idle and await self._redis.set(LOCK, b"1", nx=True, ex=LONGEST_SECONDS):
            self._under_way = asyncio.create_task(self._prove(known))
        return known

    async def _known(self) -> Proof | None:
        kept = await self._redis.get(KEY)
        return None if kept is None else msgspec.json.decode(kept, type=Proof)

    async def _prove(self, known: Proof | None) -> None:
        try:
            await self._redis.set(KEY, msgspec.json.encode(await self._proved(known)))
        except Exception:
            # Nobody waits for it: whoever looks next begins anew.
            log.exception("proof_failed")
        finally:
            await self._redis.delete(LOCK)

    async def _proved(self, known: Proof | None) -> Proof:
        began = datetime.now(UTC)
        # What is named is looked for again from the beginning, until it is right.
        fresh = known is None or not known.holds
        since = began - FIRST if known is None else known.since
        found = await self._engine.broken_rules(since if fresh or known is None else known.at - OVERLAP)
        broken = tuple(Broken(*one) for one in found[:MOST])
        if broken:
            log.critical("books_wrong", rules=_rules(broken), accounts=len({one.account for one in broken}))
        ended = datetime.now(UTC)
        return Proof(since, began, (ended - began).total_seconds(), broken)


def _rules(broken: Sequence[Broken]) -> str:
    return ", ".join(sorted({one.check for one in broken}))
