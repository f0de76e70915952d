"""The bills of postpaid accounts, made once a local month."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from uuid import NAMESPACE_OID, UUID, uuid5

import sqlalchemy as sa
import structlog
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncEngine

from engine.accounts.owning import owner_line
from engine.accounts.tables import AccountKind, account
from engine.balances.rules import promised_end
from engine.books.service import Door
from engine.events.alarms import Alarms
from engine.notices.tables import watermark
from engine.usage.meters import month_of
from engine.words import AccountRef, Code, EngineError, MakeBill
from settings import Operator

log = structlog.get_logger(__name__)

#: The watermark up to which bills are made.
BILLED = "bills"
#: A month is billed so long after its end: what is booked into it last is committed by then.
SETTLED = timedelta(minutes=5)
#: Accounts that are billed at a time.
PAGE = 500
_FIRST = UUID(int=0)


class NotAllBilled(EngineError):
    """Some accounts have no bill of a period, because of a fault; making bills again tries them again."""


class Bills:
    """The bills of one operator."""

    def __init__(self, database: AsyncEngine, operator: Operator, door: Door, alarms: Alarms | None = None) -> None:
        """Bills go through ``door``: made once, in all books at once. ``alarms``: of what the schedule cannot bill."""
        self._alarms = alarms
        self._database = database
        self._reads = database.execution_options(isolation_level="AUTOCOMMIT")
        self._operator = operator
        self._door = door

    async def bill_last_month(self) -> int:
        """Make the bills of the local months that ended since this was last done. Returns how many were made.

        The schedule's job: it costs one look at a watermark until the next month is over. The watermark stays before a
        month in which an account could not be billed: that is tried again, and keeps nobody else from theirs.
        """
        until = month_of(datetime.now(UTC) - SETTLED, self._operator.timezone)
        async with self._reads.connect() as connection:
            done = await connection.scalar(sa.select(watermark.c.at).where(watermark.c.name == BILLED))
        made, whole = 0, True
        for since, end in self._months(done, until):
            bills, failed = await self._make(since, end)
            made += bills
            if failed:
                log.error("bills.failed", accounts=failed, period_to=end.isoformat())
                if self._alarms is not None:
                    await self._alarms.raise_alarm("bills.failed", accounts=failed, period_to=end.isoformat())
            whole = whole and not failed
            if whole:
                await self._keep(end)
        return made

    def _months(self, done: datetime | None, until: datetime) -> list[tuple[datetime, datetime]]:
        """The local months from ``done`` to ``until``, the oldest first; the last one alone if none was ever billed."""
        months: list[tuple[datetime, datetime]] = []
        end = until
        while (done is None and not months) or (done is not None and end > done):
            since = month_of(end - timedelta(days=1), self._operator.timezone)
            months.insert(0, (since, end))
            end = since
        return months

    async def _keep(self, until: datetime) -> None:
        write = insert(watermark).values(name=BILLED, at=until, id=_FIRST)
        # Never backwards, should two processes do this at once.
        later = {"at": sa.func.greatest(watermark.c.at, write.excluded.at)}
        async with self._database.begin() as connection:
            await connection.execute(write.on_conflict_do_update(index_elements=["name"], set_=later))

    async def make_bills(
        self, period_from: datetime, period_to: datetime, progress: Callable[[int], None] = lambda _: None
    ) -> int:
        """Bill every postpaid account for what it used up to ``period_to`` and was not billed. Returns how many.

        ``progress`` hears of accounts that were looked at.

        Safe to run twice and to be killed: an account's bill of a period has one key. Raises ``ValueError`` for a
        period that is not over, and ``NotAllBilled`` if accounts failed: all others have their bills then.
        """
        if not period_from < period_to <= datetime.now(UTC):
            raise ValueError("only a period that is over can be billed")
        made, failed = await self._make(period_from, period_to, progress)
        if failed:
            raise NotAllBilled(f"{failed} accounts could not be billed and {made} were: run it again")
        return made

    async def _make(
        self, period_from: datetime, period_to: datetime, progress: Callable[[int], None] = lambda _: None
    ) -> tuple[int, int]:
        """How many bills were made, and how many accounts failed. A refusal is stored, so it is no failure."""
        made, failed, last = 0, 0, (-1, _FIRST)
        while page := await self._accounts(last):
            operations = [self._bill(AccountRef(*row[:2]), row[2], period_from, period_to) for row in page]
            answers = await asyncio.gather(*(self._door.post(one) for one in operations))
            made += sum(answer.ok and answer.details["amount"] > 0 for answer in answers)
            failed += sum(answer.code is Code.FAILED for answer in answers)
            last = page[-1][:2]
            progress(len(page))
        return made, failed

    async def _accounts(self, last: tuple[int, UUID]) -> list[tuple[int, UUID, UUID | None]]:
        query = (
            sa.select(account.c.shard, account.c.account_id, owner_line(account.c.shard, account.c.account_id))
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
