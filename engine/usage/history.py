"""What people ask about their use: why a balance went down, how long it will last, what limits they set."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from engine.accounts.owning import known_to
from engine.accounts.tables import line
from engine.books.tables import operation, transfer
from engine.usage.advice import outlook
from engine.usage.facts import MeterFacts
from engine.usage.meters import meter_now
from engine.usage.tables import meter
from engine.words import Answer, Code, Deduction, Meter, Outlook, SpendingRules, Subscriber, Unit, UsageDay
from settings import Operator

#: how far back somebody is told why a balance went down
EXPLAINED = timedelta(days=7)

# Sessions and usage records tell group by group what was charged; a single charge is one group by itself.
_HISTORY = sa.text("""
    SELECT coalesce((g->>'day')::date,
                    (coalesce((o.answer->'details'->>'used_at')::timestamptz, o.booked_at) AT TIME ZONE :zone)::date)
           AS day, g->>'category' AS category,
           g->>'unit' AS unit, sum((g->>'charged')::bigint)::bigint AS used,
           coalesce(sum((g->>'money')::bigint), 0)::bigint AS money,
           coalesce(sum((g->>'overrun')::bigint), 0)::bigint AS overrun
    FROM operation o
    CROSS JOIN LATERAL jsonb_array_elements(
        CASE WHEN o.kind = 'charge'
             THEN jsonb_build_array(jsonb_build_object(
                 'category', o.answer->'details'->'category', 'unit', o.answer->'effects'->0->'unit',
                 'charged', o.answer->'details'->'amount', 'money', o.answer->'details'->'money'))
             ELSE o.answer->'details'->'groups' END) AS g
    WHERE o.shard = :shard AND o.account_id = :account_id AND o.line_id = :line_id AND o.code = 'ok'
      AND o.kind IN ('session', 'usage', 'charge') AND o.booked_at >= :since
      AND coalesce((g->>'charged')::bigint, 0) + coalesce((g->>'overrun')::bigint, 0) > 0
      AND coalesce(g->>'unit', 'money') <> 'money'
    GROUP BY 1, 2, 3 ORDER BY 1 DESC, 2, 3""")

#: What a deduction was for stands under one of these in an answer's details.
_WHAT = ("category", "product", "receiver", "reason")


class Usage:
    """The use of lines, as the books have it."""

    def __init__(self, database: AsyncEngine, operator: Operator) -> None:
        """Reads go to the writer: a replica may not know yet what a person just did."""
        self._reads = database.execution_options(isolation_level="AUTOCOMMIT")
        self._operator = operator

    async def explain_usage(self, subscriber: Subscriber, most: int = 20) -> list[Deduction]:
        """Why balances of the account went down, the latest first: what, when, which bucket, which rule, how much.

        To the account's owner of all its lines, to another line of itself.
        """
        since = datetime.now(UTC) - EXPLAINED
        query = (
            sa.select(sa.cast(operation.c.answer, sa.Text))
            .where(
                operation.c.shard == subscriber.account.shard,
                operation.c.account_id == subscriber.account.account_id,
                operation.c.booked_at > since,
                operation.c.code == Code.OK,
                known_to(subscriber, operation.c.line_id),
                operation.c.key.in_(
                    sa.select(transfer.c.key).where(
                        transfer.c.shard == subscriber.account.shard,
                        transfer.c.account_id == subscriber.account.account_id,
                        transfer.c.booked_at > since,
                        transfer.c.debit == "balance",
                    )
                ),
            )
            .order_by(operation.c.booked_at.desc())
            .limit(most)
        )
        async with self._reads.connect() as connection:
            stored = (await connection.execute(query)).scalars().all()
        told = [one for answer in stored for one in deductions(msgspec.json.decode(answer, type=Answer))]
        return told[:most]

    async def usage_history(self, subscriber: Subscriber, days: int = 30) -> list[UsageDay]:
        """What the line used, day by day (the operator's local days), the latest first, of each category.

        What was used earlier and booked in the last ``days`` stands under its own day.
        """
        asked = {
            "shard": subscriber.account.shard,
            "account_id": subscriber.account.account_id,
            "line_id": subscriber.line_id,
            "since": datetime.now(UTC) - timedelta(days=days),
            "zone": self._operator.timezone,
        }
        async with self._reads.connect() as connection:
            rows = (await connection.execute(_HISTORY, asked)).mappings().all()
        return [UsageDay(**dict(row) | {"unit": Unit(row["unit"])}) for row in rows]

    async def spending_rules(self, subscriber: Subscriber) -> SpendingRules:
        """Whether money pays when this line's bundles are used up, and what it used against its own limits."""
        meters = await self._meters(subscriber)
        said = sa.select(line.c.out_of_bundle).where(
            line.c.shard == subscriber.account.shard,
            line.c.account_id == subscriber.account.account_id,
            line.c.line_id == subscriber.line_id,
        )
        async with self._reads.connect() as connection:
            allowed = (await connection.execute(said)).scalar_one()
        return SpendingRules(
            out_of_bundle=self._operator.policy.out_of_bundle if allowed is None else allowed,
            meters=tuple(meter_of(one) for one in meters),
        )

    async def outlook(self, subscriber: Subscriber) -> list[Outlook]:
        """How long what is left lasts at the line's usual pace, by unit, and what would be cheaper."""
        meters = await self._meters(subscriber)
        now = datetime.now(UTC)
        return [outlook(self._operator, subscriber, meter_of(one), now) for one in meters if one.unit is not Unit.MONEY]

    async def _meters(self, subscriber: Subscriber) -> list[MeterFacts]:
        columns = ("unit", "day_from", "today", "day_cap", "month_from", "this_month", "month_cap", "usual")
        query = (
            sa.select(*(meter.c[name] for name in columns))
            .where(
                meter.c.shard == subscriber.account.shard,
                meter.c.account_id == subscriber.account.account_id,
                meter.c.line_id == subscriber.line_id,
            )
            .order_by(meter.c.unit)
        )
        async with self._reads.connect() as connection:
            rows = (await connection.execute(query)).all()
        now, zone = datetime.now(UTC), self._operator.timezone
        return [meter_now(MeterFacts(Unit(row.unit), *row[1:]), Unit(row.unit), now, zone) for row in rows]


def meter_of(known: MeterFacts) -> Meter:
    """A meter as callers know it."""
    return Meter(
        unit=known.unit,
        today=known.today,
        day_cap=known.day_cap,
        this_month=known.this_month,
        month_cap=known.month_cap,
        # Before the first day is over, today is all that is known.
        usual=known.today if known.usual is None else known.usual,
    )


def deductions(answer: Answer) -> list[Deduction]:
    """What an answer took from buckets, bucket by bucket."""
    what, tariff = _reason(answer)
    return [
        Deduction(
            at=answer.booked_at,
            kind=answer.kind,
            reference=answer.reference,
            what=what,
            product=effect.product,
            unit=effect.unit,
            amount=effect.before - effect.after,
            before=effect.before,
            after=effect.after,
            tariff=tariff if effect.unit is Unit.MONEY else None,
        )
        for effect in answer.effects
        if effect.after < effect.before
    ]


def purpose_of(answer: Answer) -> str | None:
    """What a booking was for: a traffic category, or a product's code; None where it says neither."""
    return _reason(answer)[0]


def _reason(answer: Answer) -> tuple[str | None, str | None]:
    """What it was for, and the tariff that was applied."""
    # A session's request tells it group by group; those that cost something are the reason.
    groups: list[dict[str, Any]] = answer.details.get("groups", [])
    paid = [group for group in groups if group.get("charged")]
    if paid:
        categories = [str(group["category"]) for group in paid if "category" in group]
        tariffs = [str(group["tariff"]) for group in paid if "tariff" in group]
        return ", ".join(dict.fromkeys(categories)) or None, ", ".join(dict.fromkeys(tariffs)) or None
    said = next((str(answer.details[name]) for name in _WHAT if answer.details.get(name)), None)
    return said, answer.details.get("tariff")
