"""Finishing what coordinators left prepared: they died, a database was away, or they sleep.

Nothing here needs to know which. A part whose batch is decided is carried out at once; a part without a decision is
given some seconds, then its batch is aborted under the batch's own key, and a coordinator that wakes later fails on it.
Any number of processes may recover at the same time.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from time import monotonic
from typing import NamedTuple
from uuid import UUID

import structlog

from engine.books.databases import Books, Home
from engine.books.distributed import PREFIX, UNREACHABLE, batch_of, decide, finish
from engine.books.tables import BatchVerdict
from engine.storage.steady import SteadyConnection
from runtime.metrics import Metrics

log = structlog.get_logger(__name__)

#: How long a batch may be on its way, in seconds, before it is aborted: far above what one takes.
GRACE = 5.0

#: How long decisions are kept. A coordinator's transaction in billing ends after seconds without a word
#: (``idle_in_transaction_session_timeout``), so nobody can decide anew what is this old.
RETENTION = timedelta(days=30)

#: Seconds between two looks for decisions that are no longer needed.
PRUNE_EVERY = 3600.0

LIST = f"""
    SELECT gid, extract(epoch FROM clock_timestamp() - prepared)::float8
    FROM pg_prepared_xacts WHERE database = current_database() AND gid LIKE '{PREFIX}%' ORDER BY prepared, gid"""
VERDICTS = "SELECT batch_id, verdict FROM decision WHERE batch_id = ANY (%(batches)s)"
PRUNE = "DELETE FROM decision WHERE decided_at < %(until)s AND batch_id <> ALL (%(held)s)"


class Prepared(NamedTuple):
    """A prepared transaction of ours."""

    home: Home
    name: str
    batch_id: UUID
    #: seconds since it was prepared
    age: float
    #: None: nobody has decided yet
    verdict: BatchVerdict | None = None


class Recovery:
    """Looks for prepared transactions in the databases of the books, and finishes them."""

    def __init__(
        self,
        books: Books,
        metrics: Metrics | None = None,
        *,
        grace: float = GRACE,
        retention: timedelta = RETENTION,
    ) -> None:
        """``grace``: seconds that a batch without a decision is left alone. ``metrics`` are told what waits."""
        self._books = books
        self._metrics = metrics
        self._grace = grace
        self._retention = retention
        self._billing = SteadyConnection(books.billing)
        self._others = {
            home: SteadyConnection(home.database.execution_options(isolation_level="AUTOCOMMIT"))
            for home in books.homes
        }
        self._pruned_at: float | None = None

    async def run(self) -> int:
        """Finish what can be finished now. Returns how many prepared transactions that were.

        A database that cannot be reached is left for the next time. Raises where billing cannot be reached.
        """
        if not self._books.homes:
            return 0
        found, complete = await self._list()
        try:
            finished = sum([await self._finish(one) for one in await self._with_verdicts(found)])
            if complete and (self._pruned_at is None or monotonic() - self._pruned_at > PRUNE_EVERY):
                await self._prune([one.batch_id for one in found])
        except UNREACHABLE:
            await self._billing.let_go()
            raise
        return finished

    async def prepared(self) -> list[Prepared]:
        """What is prepared right now, oldest first in each database, with what was decided of it.

        Raises where a database cannot be reached: an orphan may hide there.
        """
        found: list[Prepared] = []
        for home in self._books.homes:
            found += await self._of(home)
        return await self._with_verdicts(found)

    async def close(self) -> None:
        """Give the connections back."""
        for one in (self._billing, *self._others.values()):
            await one.let_go()

    async def _list(self) -> tuple[list[Prepared], bool]:
        """What is prepared in the databases that can be reached, and whether these are all."""
        found: list[Prepared] = []
        complete = True
        for home in self._books.homes:
            try:
                waiting = await self._of(home)
                found += waiting
                if self._metrics is not None:
                    self._metrics.prepared_seconds.labels(home.name).set(max((one.age for one in waiting), default=0.0))
            except UNREACHABLE as error:
                complete = False
                log.warning("recovery.unreachable", home=home.name, reason=str(error))
        return found, complete

    async def _of(self, home: Home) -> list[Prepared]:
        try:
            rows = await (await (await self._others[home].driver()).execute(LIST)).fetchall()
        except UNREACHABLE:
            await self._others[home].let_go()
            raise
        named = ((name, batch_of(name), age) for name, age in rows)
        return [Prepared(home, name, batch_id, age) for name, batch_id, age in named if batch_id is not None]

    async def _with_verdicts(self, found: Sequence[Prepared]) -> list[Prepared]:
        if not found:
            return []
        billing = await self._billing.driver()
        rows = await (await billing.execute(VERDICTS, {"batches": [one.batch_id for one in found]})).fetchall()
        await billing.commit()
        verdicts = {batch_id: BatchVerdict(verdict) for batch_id, verdict in rows}
        return [one._replace(verdict=verdicts.get(one.batch_id)) for one in found]

    async def _finish(self, one: Prepared) -> bool:
        verdict = one.verdict
        if verdict is None:
            if one.age < self._grace:
                return False
            verdict = await decide(await self._billing.driver(), one.batch_id)
        try:
            finished = await finish(await self._others[one.home].driver(), one.name, verdict)
        except UNREACHABLE as error:
            await self._others[one.home].let_go()
            log.warning("recovery.unfinished", name=one.name, verdict=verdict, reason=str(error))
            return False
        if finished:
            log.warning("recovery.finished", name=one.name, verdict=verdict, age_seconds=round(one.age, 1))
        return finished

    async def _prune(self, held: Sequence[UUID]) -> None:
        """Forget old decisions, except those of batches that are still prepared somewhere.

        Only after all databases were asked: a part is prepared before its batch is decided, so what a list taken now
        does not hold was carried out.
        """
        billing = await self._billing.driver()
        await billing.execute(PRUNE, {"until": datetime.now(UTC) - self._retention, "held": list(held)})
        await billing.commit()
        self._pruned_at = monotonic()
