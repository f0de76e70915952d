"""The bills of postpaid accounts, made once a local month."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from uuid import NAMESPACE_OID, UUID, uuid5

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncEngine

from engine.accounts.tables import AccountKind, account, line
from engine.balances.rules import promised_end
from engine.books.service import Door
from engine.notices.tables import watermark
from engine.usage.meters import month_of
from engine.words import AccountRef, MakeBill
from settings import Operator

#: The watermark up to which bills are made.
BILLED = "bills"
#: Accounts that are billed at a time.
PAGE = 500
_FIRST = UUID(int=0)


class Bills:
    """The bills of one operator."""

    def __init__(self, database: AsyncEngine, operator: Operator, door: Door) -> None:
        """Bills go through ``door``: made once, in all books at once."""
        self._database = database
        self._reads = database.execution_options(isolation_level="AUTOCOMMIT")
        self._operator = operator
        self._door = door

    async def bill_last_month(self) -> int:
        """Make the bills of the local month that ended last, unless that is done. Returns how many were made.

        The schedule's job: it costs one look at a watermark until the next month is over.
        """
        until = month_of(datetime.now(UTC), self._operator.timezone)
        async with self._reads.connect() as connection:
            done = await connection.scalar(sa.select(watermark.c.at).where(watermark.c.name == BILLED))
        if done is not None and done >= until:
            return 0
        made = await self.make_bills(month_of(until - timedelta(days=1), self._operator.timezone), until)
        async with self._database.begin() as connection:
            write = insert(watermark).values(name=BILLED, at=until, id=_FIRST)
            await connection.execute(write.on_conflict_do_update(index_elements=["name"], set_={"at": until}))
        return made

    async def make_bills(self, period_from: datetime, period_to: datetime) -> int:
        """Bill every postpaid account for what it used from ``period_from`` up to ``period_to``. Returns how many.

        Safe to run twice and to be killed: an account's bill of a period has one key. Raises ``ValueError`` for a
        period that is not over.
        """
        if not period_from < period_to <= datetime.now(UTC):
            raise ValueError("only a period that is over can be billed")
        made, last = 0, (-1, _FIRST)
        while page := await self._accounts(last):
            operations = [self._bill(AccountRef(*row[:2]), row[2], period_from, period_to) for row in page]
            answers = await asyncio.gather(*(self._door.post(one) for one in operations))
            made += sum(answer.ok and answer.details["amount"] > 0 for answer in answers)
            last = page[-1][:2]
        return made

    async def _accounts(self, last: tuple[int, UUID]) -> list[tuple[int, UUID, UUID | None]]:
        one_line = (
            sa.select(line.c.line_id)
            .where(line.c.shard == account.c.shard, line.c.account_id == account.c.account_id)
            .order_by(line.c.line_id)
            .limit(1)
            .scalar_subquery()
        )
        query = (
            sa.select(account.c.shard, account.c.account_id, one_line)
            .where(
                account.c.kind == AccountKind.POSTPAID,
                sa.tuple_(account.c.shard, account.c.account_id) > sa.tuple_(sa.literal(last[0]), sa.literal(last[1])),
            )
            .order_by(account.c.shard, account.c.account_id)
            .limit(PAGE)
        )
        async with self._reads.connect() as connection:
            return [(row[0], row[1], row[2]) for row in await connection.execute(query)]

    def _bill(self, owner: AccountRef, line_id: UUID | None, period_from: datetime, period_to: datetime) -> MakeBill:
        now = datetime.now(UTC)
        return MakeBill(
            account=owner,
            key=uuid5(NAMESPACE_OID, f"bill|{owner.account_id}|{period_from.isoformat()}|{period_to.isoformat()}"),
            asked_at=now,
            source="schedule:bills",
            line_id=line_id,
            period_from=period_from,
            period_to=period_to,
            due_at=promised_end(period_to, self._operator.bill_due_days, self._operator.timezone),
        )
