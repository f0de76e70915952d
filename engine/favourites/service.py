"""Favourites: the bundle that a line buys most, the last numbers that it sent to, its last recharge."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Protocol
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncEngine

from engine.favourites import store
from engine.words import AccountRef, LineRef, Payment, PaymentMethod, PaymentState

#: older habits are none
SINCE = timedelta(days=90)
#: longer than somebody stays in a session
SETTLES = timedelta(minutes=10)
#: how many of the latest payments are looked at for one to repeat
LOOKS_BACK = 5
#: refused or taken back, it is not offered again
_REPEATED = frozenset({PaymentState.SETTLED, PaymentState.CAPTURED})


class Found(Protocol):
    """Where payments are found: ``engine.payments.finding.Finder`` has the meanings."""

    async def payment(self, payment_id: UUID) -> Payment | None:
        """By its id."""
        ...

    async def payments_of(self, account: AccountRef, *, limit: int) -> list[Payment]:
        """The latest of an account."""
        ...


class Favourites:
    """What the lines of one installation did before."""

    def __init__(self, database: AsyncEngine, payments: Found) -> None:
        """Reads go to the writer: a replica may not know yet what a person just did."""
        self._reads = database.execution_options(isolation_level="AUTOCOMMIT")
        self._payments = payments

    async def bought(self, line: LineRef) -> list[str]:
        """Codes of the products that a line bought lately, the one bought most first; they may be on sale no more."""
        async with self._reads.connect() as connection:
            found = await connection.execute(store.bought(line, datetime.now(UTC) - SINCE))
            return [row.product for row in found]

    async def receivers(self, line: LineRef, *, most: int = 3) -> list[LineRef]:
        """The last lines that a line gave to or paid for, the latest first; they may have ended since.

        Those of the last minutes come behind: a session that is lost and played again finds the others where they were.
        """
        now = datetime.now(UTC)
        async with self._reads.connect() as connection:
            rows = (await connection.execute(store.receivers(line, now - SINCE))).all()
        found = [(LineRef(int(row.shard), UUID(row.account), UUID(row.line)), row.at < now - SETTLES) for row in rows]
        before = [one for one, settled in found if settled]
        lately = [one for one, settled in reversed(found) if not settled]
        return list(dict.fromkeys((*before, *lately)))[:most]

    async def last_recharge(
        self, line: LineRef, methods: frozenset[PaymentMethod]
    ) -> tuple[Payment, LineRef | None] | None:
        """The last recharge of a line, or one that it paid for another, by one of ``methods``; nothing that failed.

        With it the line that it was for, where that is another one.
        """
        latest = await self._payments.payments_of(line.account, limit=LOOKS_BACK)
        mine = (one for one in latest if one.line_id == line.line_id and _repeats(one, methods))
        own = next(mine, None)
        async with self._reads.connect() as connection:
            rows = (await connection.execute(store.recharged(line, LOOKS_BACK))).all()
        for payment_id, asked_at, *other in rows:
            if own is not None and own.created_at >= asked_at:
                break
            payment = await self._payments.payment(payment_id)
            if payment is not None and _repeats(payment, methods):
                return payment, LineRef(*other)
        return None if own is None else (own, None)

    async def has_recharged(self, line: LineRef, payment_id: UUID) -> bool:
        """Whether a line has asked for this payment for another one."""
        async with self._reads.connect() as connection:
            return (await connection.execute(store.asked_for(line, payment_id))).first() is not None


def _repeats(payment: Payment, methods: frozenset[PaymentMethod]) -> bool:
    return payment.product is None and payment.state in _REPEATED and payment.method in methods
