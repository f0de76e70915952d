"""The one door: everything that changes a balance is posted here, in batches, each one commit.

A lane keeps one batch in flight; what queues meanwhile is the next batch. What is in flight touches an account or a
voucher at most once, so its arithmetic needs no order. Every process runs lanes of its own over all shards:
correctness rests on row locks and stored answers in Postgres, never on what a process has in flight.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Hashable, Iterable, Sequence
from datetime import UTC, datetime
from time import monotonic, perf_counter
from uuid import UUID

import psycopg
import structlog
from sqlalchemy.exc import SQLAlchemyError

from engine.books import store
from engine.books.databases import Books
from engine.books.decisions import Asked, decide, reference_of, request_hash
from engine.books.distributed import BookUnreachable, Overruled, Witness, Writer, unwatched
from engine.words import Answer, Code, EngineUnavailable, Operation, Recharge
from runtime.batching import Batcher
from runtime.metrics import Metrics
from settings import Operator

log = structlog.get_logger(__name__)

#: Past about 250 operations a batch hurts the slowest caller more than it helps the sum.
LARGEST_BATCH = 250

#: How long a lane tries to reach Postgres again before it tells its callers, in seconds.
PATIENCE = 8.0

#: How long a lane tries an operation whose account somebody else keeps locked, or whose book is away, in seconds.
LOCK_PATIENCE = 3.0

Result = Answer | BaseException


def touches(operation: Operation) -> Iterable[Hashable]:
    """What only one operation in flight may touch: its accounts, and the voucher that it claims."""
    yield operation.account
    other = operation.other()
    if other is not None:
        yield other.account
    if isinstance(operation, Recharge):
        yield from operation.voucher.digests


def _keys(operation: Operation) -> set[UUID]:
    """The keys that an operation books under: its own, and that of what it does to a second account."""
    other = operation.other()
    return {operation.key} if other is None else {operation.key, other.key}


def answer_without_effect(operation: Operation, code: Code, now: datetime) -> Answer:
    """An answer that is given but not stored, because nothing may be remembered under this key."""
    kind = str(type(operation).__struct_config__.tag)
    return Answer(kind=kind, code=code, key=operation.key, reference=reference_of(operation), booked_at=now)


class Lane:
    """One writer with one batch in flight."""

    def __init__(self, writer: Writer, operator: Operator, metrics: Metrics) -> None:
        """A lane of ``operator`` on connections of its own."""
        self._writer = writer
        self._operator = operator
        self._metrics = metrics

    async def close(self) -> None:
        """Give the connections back."""
        await self._writer.close()

    async def run(self, batch: Sequence[Operation]) -> Sequence[Result]:
        """Post a batch of which no two operations touch the same, and say what became of each."""
        started = perf_counter()
        results = await self._persist(batch)
        self._metrics.batch_size.observe(len(batch))
        self._metrics.lane_seconds.observe(perf_counter() - started)
        outcomes = Counter((result.kind, result.code) for result in results if isinstance(result, Answer))
        for (kind, code), count in outcomes.items():
            self._metrics.operations.labels(kind, code).inc(count)
            if code == Code.VOUCHER_UNKNOWN:
                self._metrics.wrong_vouchers.inc(count)
        return results

    def _observe(self, layer: str, seconds: float) -> None:
        self._metrics.validation_seconds.labels(layer).observe(seconds)

    async def _persist(self, batch: Sequence[Operation]) -> Sequence[Result]:
        """Commit a batch, whatever it takes: again after a lost connection, in halves around a poisoned operation.

        After a lost connection nobody knows whether the commit happened. Sending the batch again is always right: what
        was committed is found under its key and answered from there. After any error the connection is let go, so
        that no transaction is left open on it.
        """
        started = monotonic()
        deadline = started + PATIENCE
        pause = 0.02
        while True:
            try:
                return await self._commit(batch)
            except psycopg.errors.LockNotAvailable as error:
                await self._writer.let_go()
                if len(batch) > 1:
                    return await self._halve(batch)
                # Others wait behind this one in the lane, so it is not given all of their patience.
                deadline = min(deadline, started + LOCK_PATIENCE)
                reason: Exception = error
            except BookUnreachable as error:
                await self._writer.let_go()
                needing = [one for one in batch if _keys(one) & error.keys]
                if 0 < len(needing) < len(batch):
                    return await self._separate(batch, needing)
                deadline = min(deadline, started + LOCK_PATIENCE)
                reason = error
            except (psycopg.OperationalError, psycopg.InterfaceError, SQLAlchemyError, OSError, Overruled) as error:
                await self._writer.let_go()
                reason = error
            except Exception:
                await self._writer.let_go()
                if len(batch) > 1:
                    return await self._halve(batch)
                log.exception("operation.failed", operation=batch[0].key.hex, source=batch[0].source)
                return [answer_without_effect(batch[0], Code.FAILED, datetime.now(UTC))]
            if monotonic() > deadline:
                log.error("lane.unavailable", operations=len(batch), reason=str(reason))
                return [EngineUnavailable(str(reason))] * len(batch)
            log.warning("lane.retry", operations=len(batch), reason=str(reason))
            await asyncio.sleep(pause * random.uniform(0.5, 1.5))
            pause = min(pause * 2, 0.5)

    async def _halve(self, batch: Sequence[Operation]) -> Sequence[Result]:
        """Come closer to the operation that cannot be done; all others go through."""
        middle = len(batch) // 2
        return [*await self._persist(batch[:middle]), *await self._persist(batch[middle:])]

    async def _separate(self, batch: Sequence[Operation], late: Sequence[Operation]) -> Sequence[Result]:
        """Whoever needs no book that is away goes first and does not wait for it."""
        delayed = {id(one) for one in late}
        soon = [one for one in batch if id(one) not in delayed]
        results = dict(zip(map(id, soon), await self._persist(soon), strict=True))
        results |= dict(zip(map(id, late), await self._persist(late), strict=True))
        return [results[id(one)] for one in batch]

    async def _commit(self, batch: Sequence[Operation]) -> Sequence[Result]:
        connection = await self._writer.billing()
        now = datetime.now(UTC)
        others = {place: other for place, one in enumerate(batch) if (other := one.other()) is not None}
        seen = await store.fetch(connection, [*batch, *others.values()], now)
        beside = dict(zip(others, seen[len(batch) :], strict=True))
        answers = [_known(operation, found, now) for operation, found in zip(batch, seen, strict=False)]
        fresh = [
            Asked(operation, found.facts, beside[place].facts if place in beside else None)
            for place, (operation, found, known) in enumerate(zip(batch, seen, answers, strict=False))
            if known is None and found.facts is not None
        ]
        if not fresh:
            # Not a ROLLBACK: with that psycopg forgets every statement that it has prepared on the connection.
            await connection.commit()
            return [answer for answer in answers if answer is not None]
        decided = decide(fresh, self._operator, now, self._observe)
        await self._writer.write(connection, decided, now)
        new = iter(decided)
        return [next(new).answer if answer is None else answer for answer in answers]


def _known(operation: Operation, seen: store.Seen, now: datetime) -> Answer | None:
    """The answer of an operation that is not to be run: stored before, in conflict, too old, or of no account."""
    if seen.stored is not None:
        asked, answer = seen.stored
        return answer if asked == request_hash(operation) else answer_without_effect(operation, Code.KEY_CONFLICT, now)
    if operation.asked_at < now - store.RETENTION:
        return answer_without_effect(operation, Code.KEY_EXPIRED, now)
    if seen.facts is None:
        return answer_without_effect(operation, Code.ACCOUNT_UNKNOWN, now)
    return None


class Door:
    """All lanes of this process."""

    def __init__(
        self, books: Books, operator: Operator, metrics: Metrics, lanes: int, witness: Witness = unwatched
    ) -> None:
        """``lanes`` writers. ``witness`` sees how batches come along."""
        self._lanes = [Lane(Writer(books, witness), operator, metrics) for _ in range(lanes)]
        runs = (lane.run for lane in self._lanes)
        self._queue = Batcher[Operation, Answer](*runs, most=LARGEST_BATCH, touches=touches)

    async def post(self, operation: Operation) -> Answer:
        """Do this once, ever, and say what became of it. Concurrent calls share a commit.

        The same key with the same request returns the stored answer, with another request ``key_conflict``; refusals
        are answers too. Raises ``EngineUnavailable`` when Postgres cannot be reached: ask again with the same key.
        """
        return await self._queue(operation)

    async def close(self) -> None:
        """Answer what waits, as long as that takes less than everybody's patience, then let the connections go."""
        try:
            async with asyncio.timeout(PATIENCE):
                await self._queue.drain()
        except TimeoutError:
            log.exception("door.not_drained", waiting=len(self._queue))
        for lane in self._lanes:
            await lane.close()
