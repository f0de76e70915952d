"""Renewals, advances and gifts from outside an operation: schedules, and what may be asked for."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import NAMESPACE_OID, UUID, uuid5

import msgspec
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from engine.accounts.owning import known_to
from engine.accounts.tables import AccountKind, account, line
from engine.balances import advances, transfers
from engine.balances.facts import StandingFacts
from engine.balances.tables import RenewalState, advance, renewal
from engine.books.service import Door
from engine.books.tables import operation
from engine.notices.outbox import write_message
from engine.words import AccountRef, AdvanceOffer, Answer, Code, Gift, Renew, Subscriber, Unit
from settings import Operator

#: How long a renewal waits that the account or its line may not have now.
REFUSED_WAIT = timedelta(hours=1)

#: Gifts of the last day that are looked through for one that can be taken back.
GIFTS = 50


def _is(row: sa.Row[Any]) -> sa.ColumnElement[bool]:
    return sa.and_(
        renewal.c.shard == row.shard,
        renewal.c.account_id == row.account_id,
        renewal.c.line_id == row.line_id,
        renewal.c.product == row.product,
    )


class Agreements:
    """Renewals, advances and gifts of one operator."""

    def __init__(self, database: AsyncEngine, operator: Operator, door: Door) -> None:
        """Renewals go through ``door`` like every other money effect."""
        self._database = database
        self._reads = database.execution_options(isolation_level="AUTOCOMMIT")
        self._operator = operator
        self._door = door

    async def renew_due(self, limit: int = 1000) -> int:
        """Renew at most ``limit`` products whose time has come. Returns how many were looked at.

        Safe to run twice and by several processes at once: each cycle and attempt has one key.
        """
        due = (
            sa.select(renewal)
            .where(renewal.c.state == RenewalState.ACTIVE, renewal.c.next_at <= datetime.now(UTC))
            .order_by(renewal.c.next_at)
            .limit(limit)
        )
        async with self._reads.connect() as connection:
            rows = (await connection.execute(due)).all()
        now = datetime.now(UTC)
        answers = await asyncio.gather(
            *(
                self._door.post(
                    Renew(
                        account=AccountRef(row.shard, row.account_id),
                        key=uuid5(
                            NAMESPACE_OID, f"renew|{row.line_id}|{row.product}|{row.next_at.isoformat()}|{row.attempt}"
                        ),
                        asked_at=now,
                        source="schedule:renew",
                        line_id=row.line_id,
                        product=row.product,
                        price=row.price,
                        cycle=row.cycle,
                        attempt=row.attempt,
                    )
                )
                for row in rows
            )
        )
        async with self._database.begin() as connection:
            for row, answer in zip(rows, answers, strict=True):
                if answer.ok:
                    continue
                # A line that may not spend now is looked at again later; its cycle and its attempts stand still.
                after: dict[str, Any] = {"next_at": now + REFUSED_WAIT}
                if answer.code == Code.LINE_TERMINATED:
                    after = {"state": RenewalState.STOPPED}
                await connection.execute(
                    renewal.update().where(_is(row), renewal.c.next_at == row.next_at).values(after)
                )
        return len(rows)

    async def tell_renewals(self, limit: int = 500) -> int:
        """Announce renewals that come within the notice time, each once. Returns how many, up to ``limit``."""
        ahead = timedelta(hours=self._operator.renewals.notice_hours)
        if not ahead:
            return 0
        now = datetime.now(UTC)
        soon = (
            sa.select(renewal)
            .where(
                renewal.c.state == RenewalState.ACTIVE,
                renewal.c.attempt == 0,
                renewal.c.next_at > now,
                renewal.c.next_at <= now + ahead,
                renewal.c.noticed.is_distinct_from(renewal.c.cycle),
            )
            .limit(limit)
            .with_for_update(skip_locked=True)
        )
        async with self._database.begin() as connection:
            rows = (await connection.execute(soon)).all()
            for row in rows:
                ends = row.cycle.isoformat()
                await write_message(
                    connection,
                    AccountRef(row.shard, row.account_id),
                    row.line_id,
                    uuid5(NAMESPACE_OID, f"renewal.notice|{row.line_id}|{row.product}|{ends}"),
                    topic="renewal.notice",
                    body={"product": row.product, "price": row.price, "expires_at": ends},
                )
                await connection.execute(renewal.update().where(_is(row)).values(noticed=row.cycle))
        return len(rows)

    async def renewals(self, subscriber: Subscriber) -> list[tuple[str, int, datetime]]:
        """The products that renew themselves on this line: code, price in minor units, when next."""
        query = sa.select(renewal.c.product, renewal.c.price, renewal.c.next_at).where(
            renewal.c.shard == subscriber.account.shard,
            renewal.c.account_id == subscriber.account.account_id,
            renewal.c.line_id == subscriber.line_id,
            renewal.c.state == RenewalState.ACTIVE,
        )
        async with self._reads.connect() as connection:
            return [(row[0], row[1], row[2]) for row in await connection.execute(query.order_by(renewal.c.next_at))]

    async def advance_offer(self, subscriber: Subscriber) -> AdvanceOffer:
        """What this line may borrow now, and what it pays back: as (amount, fee). The operation decides again."""
        rules = self._operator.advances
        if rules is None:
            return AdvanceOffer(refused=Code.ADVANCE_NOT_ELIGIBLE)
        shard, account_id = subscriber.account
        owed = sa.select(sa.func.coalesce(sa.func.sum(advance.c.open_amount + advance.c.open_fee), 0)).where(
            advance.c.shard == shard, advance.c.account_id == account_id
        )
        stands = (
            sa.select(line.c.opened_at, account.c.kind)
            .join(account, sa.and_(account.c.shard == line.c.shard, account.c.account_id == line.c.account_id))
            .where(line.c.shard == shard, line.c.account_id == account_id, line.c.line_id == subscriber.line_id)
        )
        recharged = sa.select(operation.c.booked_at).where(
            operation.c.shard == shard,
            operation.c.account_id == account_id,
            operation.c.kind.in_(("recharge", "settle")),
            operation.c.code == Code.OK,
            operation.c.booked_at > datetime.now(UTC) - timedelta(days=rules.recharge_days),
        )
        async with self._reads.connect() as connection:
            open_now = int((await connection.execute(owed)).scalar_one())
            opened_at, kind = (await connection.execute(stands)).one()
            standing = StandingFacts(opened_at, tuple((await connection.execute(recharged)).scalars()))
        if open_now:
            return AdvanceOffer(owed=open_now, refused=Code.ADVANCE_OPEN)
        rich = kind == AccountKind.POSTPAID or subscriber.total(Unit.MONEY) >= rules.balance_below
        if rich or not advances.in_good_standing(rules, standing, datetime.now(UTC)):
            return AdvanceOffer(refused=Code.ADVANCE_NOT_ELIGIBLE)
        return AdvanceOffer(amounts=tuple((amount, rules.fee_for(amount)) for amount in rules.amounts))

    def gift_fee(self, unit: Unit, amount: int) -> int:
        """Minor units that a gift costs its sender now; 0 where none may be given. The operation decides again."""
        rules = transfers.rules_of(self._operator, unit)
        return 0 if rules is None else rules.fee_for(amount)

    async def last_gift(self, subscriber: Subscriber) -> Gift | None:
        """The latest gift that can still be taken back, as far as time goes; None if there is none.

        A line sees its own, the account's owner those of all its lines.
        """
        shard, account_id = subscriber.account
        undone = operation.alias()
        query = (
            sa.select(sa.cast(operation.c.answer, sa.Text))
            .where(
                operation.c.shard == shard,
                operation.c.account_id == account_id,
                operation.c.kind == "transfer",
                operation.c.code == Code.OK,
                operation.c.booked_at > datetime.now(UTC) - timedelta(days=1),
                known_to(subscriber, operation.c.line_id),
                ~sa.exists().where(
                    undone.c.shard == shard,
                    undone.c.account_id == account_id,
                    undone.c.reverses == operation.c.key,
                    undone.c.code == Code.OK,
                ),
            )
            .order_by(operation.c.booked_at.desc())
            .limit(GIFTS)
        )
        async with self._reads.connect() as connection:
            answers = [msgspec.json.decode(stored, type=Answer) for stored in await connection.scalars(query)]
        # The time in which one can be taken back differs from unit to unit.
        return next((gift for answer in answers if (gift := self._gift(answer)) is not None), None)

    def _gift(self, answer: Answer) -> Gift | None:
        details = answer.details
        unit = Unit(details["unit"])
        rules = transfers.rules_of(self._operator, unit)
        until = answer.booked_at + timedelta(minutes=0 if rules is None else rules.undo_minutes)
        if until <= datetime.now(UTC):
            return None
        return Gift(
            key=answer.key,
            unit=unit,
            amount=details["amount"],
            receiver=AccountRef(details["receiver_shard"], UUID(details["receiver_account"])),
            receiver_line=UUID(details["receiver_line"]),
            receiver_shown=details["receiver"],
            given_at=answer.booked_at,
            until=until,
        )
