"""One commit of a batch, however many databases its books live in.

In one database a batch is one statement and a plain commit. With books elsewhere it is a distributed transaction: the
other databases prepare their part under names of ours, then billing commits last, in one phase, with the decision; what
is prepared is then committed. Whoever finds a prepared part without a decision decides ``abort`` under the same key
(see ``recovery``): the first to insert has decided, so a coordinator that was only slow fails on the key and runs its
batch again. That the others are not reached any more after the decision harms nothing: recovery finishes for them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from datetime import UTC, datetime
from uuid import UUID

import psycopg
import structlog
from sqlalchemy.exc import SQLAlchemyError

from engine.books.databases import Books, Home
from engine.books.decisions import Decided
from engine.books.journal import Statement, statements
from engine.books.sheets import SHEETS
from engine.books.store import Connection
from engine.books.tables import BatchVerdict, decision
from engine.storage.sharding import new_id, shard_of
from engine.storage.steady import SteadyConnection

log = structlog.get_logger(__name__)

#: What the names of our prepared transactions begin with.
PREFIX = "rasid."

#: Told the step that a batch has come to and the database that it concerns; tests stop the world here.
Witness = Callable[[str, str], Awaitable[None]]

#: What reaching a database may raise.
UNREACHABLE = (psycopg.Error, SQLAlchemyError, OSError)

DECIDE = """
    INSERT INTO decision (shard, batch_id, verdict, decided_at)
    VALUES (%(shard)s, %(batch_id)s, %(verdict)s, %(decided_at)s)"""
DECIDED = "SELECT verdict FROM decision WHERE shard = %(shard)s AND batch_id = %(batch_id)s"


class Overruled(Exception):
    """A recovery decided that this batch is not to be: nothing of it took effect, and it may be run again."""


class BookUnreachable(Exception):
    """A database of a book cannot be reached. ``keys`` are of the operations that cannot do without other books."""

    def __init__(self, reason: str, keys: frozenset[UUID] = frozenset()) -> None:
        super().__init__(reason)
        self.keys = keys


def name_of(batch_id: UUID, home: Home) -> str:
    """What a batch's part in one database is prepared as: unique for the server, which several databases may share."""
    return f"{PREFIX}{batch_id.hex}.{home.name}"


def batch_of(name: str) -> UUID | None:
    """The batch of a prepared transaction; None for a name that is not of ours."""
    digits, dot, _ = name.removeprefix(PREFIX).partition(".")
    try:
        return UUID(hex=digits) if dot and name.startswith(PREFIX) else None
    except ValueError:
        return None


async def decide(billing: Connection, batch_id: UUID) -> BatchVerdict:
    """What was decided of a batch; if nothing yet, it is aborted hereby. Waits for whoever is deciding right now."""
    given = _deciding(batch_id, BatchVerdict.ABORT)
    await billing.execute(f"{DECIDE} ON CONFLICT DO NOTHING", given)
    row = await (await billing.execute(DECIDED, given)).fetchone()
    await billing.commit()
    if row is None:
        raise LookupError(f"no decision of batch {batch_id}, just made")
    return BatchVerdict(row[0])


async def finish(connection: Connection, name: str, verdict: BatchVerdict) -> bool:
    """Carry out in one database what was decided. Returns False where others did, do, or nothing was prepared."""
    verb = "COMMIT" if verdict is BatchVerdict.COMMIT else "ROLLBACK"
    try:
        await connection.execute(f"{verb} PREPARED '{name}'".encode(), prepare=False)
    except (psycopg.errors.UndefinedObject, psycopg.errors.ObjectNotInPrerequisiteState):
        return False
    return True


def _deciding(batch_id: UUID, verdict: BatchVerdict) -> dict[str, object]:
    return {
        "shard": shard_of(batch_id.bytes),
        "batch_id": batch_id,
        "verdict": verdict,
        "decided_at": datetime.now(UTC),
    }


async def unwatched(_step: str, _home: str) -> None:
    """Nobody looks on."""


class Writer:
    """The connections of one lane, and the commit of its batches over all of them."""

    def __init__(self, books: Books, witness: Witness = unwatched) -> None:
        """Connections are opened when first needed."""
        self._books = books
        self._witness = witness
        self._billing = SteadyConnection(books.billing)
        # What prepares and finishes cannot itself run inside a transaction that the driver has begun.
        self._others = {
            home: SteadyConnection(home.database.execution_options(isolation_level="AUTOCOMMIT"))
            for home in books.homes
        }
        #: the batch whose parts may be prepared, and of which we do not know that it is decided
        self._open: UUID | None = None

    async def billing(self) -> Connection:
        """Billing's connection, for one batch. Raises what connecting raises; after any error, ``let_go``."""
        if self._open is not None:
            await self._settle()
        return await self._billing.driver()

    async def write(self, billing: Connection, decided: Sequence[Decided], now: datetime) -> None:
        """Write what was decided and commit, in one round trip to each database and one more to finish.

        Raises ``Overruled``, ``BookUnreachable``, and whatever a database refuses: then nothing was done, or the answer
        was lost after the commit. ``let_go`` must follow; running the batch again is right in both cases.
        """
        batch_id = new_id()
        parts = statements(decided, now, batch_id, self._books.home)
        own = parts.pop(None)
        others = {home: part for home, part in parts.items() if home is not None}
        if not others:
            async with billing.pipeline():
                await own.run(billing)
                await billing.commit()
            return
        self._open = batch_id
        try:
            await _all(self._prepare(home, batch_id, part) for home, part in others.items())
        except BookUnreachable as error:
            raise BookUnreachable(str(error), self._needing_others(decided)) from error
        await self._witness("prepared", "billing")
        await _commit(billing, own, batch_id)
        await self._witness("committed", "billing")
        await self._finish(batch_id, BatchVerdict.COMMIT, others)
        self._open = None

    async def let_go(self) -> None:
        """After an error: close billing's connection, and take back what may be prepared, if that can be done now."""
        await self._billing.let_go()
        if self._open is None:
            return
        for other in self._others.values():
            await other.let_go()
        try:
            await self._settle()
        except UNREACHABLE as error:
            # Tried again before the next batch; should there be none, recovery does it.
            await self._billing.let_go()
            log.warning("batch.undecided", batch=self._open.hex, reason=str(error))

    async def close(self) -> None:
        """Give all connections back."""
        await self.let_go()
        for one in (self._billing, *self._others.values()):
            await one.let_go()

    async def _prepare(self, home: Home, batch_id: UUID, part: Statement) -> None:
        await self._witness("preparing", home.name)
        prepare = f"PREPARE TRANSACTION '{name_of(batch_id, home)}'".encode()
        try:
            connection = await self._others[home].driver()
            async with connection.pipeline():
                await connection.execute("BEGIN", prepare=False)
                await part.run(connection)
                prepared = await connection.execute(prepare, prepare=False)
        except psycopg.errors.LockNotAvailable:
            raise
        except (psycopg.OperationalError, psycopg.InterfaceError, SQLAlchemyError, OSError) as error:
            raise BookUnreachable(f"{home.name}: {error}") from error
        if prepared.statusmessage != "PREPARE TRANSACTION":
            # Postgres answers so, and not with an error, where the transaction had failed before.
            raise psycopg.OperationalError(f"{home.name} did not prepare: {prepared.statusmessage}")
        await self._witness("prepared", home.name)

    def _needing_others(self, decided: Sequence[Decided]) -> frozenset[UUID]:
        return frozenset(
            case.operation.key
            for case, _ in decided
            if any(self._books.home(SHEETS[sheet].book) is not None for sheet in case.rows)
        )

    async def _settle(self) -> None:
        """Learn or decide what became of the open batch, and carry it out. Raises where billing cannot be asked."""
        batch_id = self._open
        if batch_id is not None:
            verdict = await decide(await self._billing.driver(), batch_id)
            await self._finish(batch_id, verdict, self._others)
            self._open = None

    async def _finish(self, batch_id: UUID, verdict: BatchVerdict, homes: Iterable[Home]) -> None:
        await _all(self._finish_one(batch_id, verdict, home) for home in homes)

    async def _finish_one(self, batch_id: UUID, verdict: BatchVerdict, home: Home) -> None:
        """Carry out one part. The decision stands: what cannot be reached now is left to recovery."""
        name = name_of(batch_id, home)
        try:
            await finish(await self._others[home].driver(), name, verdict)
        except UNREACHABLE as error:
            await self._others[home].let_go()
            log.warning("book.unfinished", name=name, verdict=verdict, reason=str(error))
            return
        await self._witness("finished", home.name)


async def _commit(billing: Connection, own: Statement, batch_id: UUID) -> None:
    """Billing's part and the decision. The decision goes last: whoever waits for it waits for little more."""
    try:
        async with billing.pipeline():
            await own.run(billing)
            await billing.execute(DECIDE, _deciding(batch_id, BatchVerdict.COMMIT))
            await billing.commit()
    except psycopg.errors.UniqueViolation as error:
        if error.diag.table_name == decision.name:
            raise Overruled(f"batch {batch_id.hex} was aborted") from error
        raise


async def _all(steps: Iterable[Awaitable[None]]) -> None:
    """Take steps at the same time and see all of them end; then raise the first error there was."""
    results = await asyncio.gather(*steps, return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException):
            raise result
