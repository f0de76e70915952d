"""What a line's home shows beside its balances, in one read: what it uses, and why its balances went down.

It runs for every look at a page, so it goes to the driver itself, and concurrent looks share a statement.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import msgspec
from sqlalchemy.ext.asyncio import AsyncEngine

from engine.accounts.owning import OWNER
from engine.accounts.tables import line
from engine.storage.bulk import array
from engine.storage.steady import SteadyReads
from engine.usage.advice import outlook
from engine.usage.facts import MeterFacts
from engine.usage.history import deductions, meter_of
from engine.usage.meters import meter_now
from engine.words import Answer, Deduction, Outlook, Subscriber, Unit
from runtime.batching import Batcher
from settings import Operator

#: how far back deductions are looked for
DAYS = timedelta(days=7)
#: deductions that are looked for
MOST = 5

_OVERVIEW = f"""
    SELECT (SELECT json_agg(json_build_array(
                       m.unit, m.day_from, m.today, m.day_cap, m.month_from, m.this_month, m.month_cap, m.usual)
                       ORDER BY m.unit)
            FROM meter m WHERE m.shard = v.shard AND m.account_id = v.account_id AND m.line_id = v.line_id)::text,
           ARRAY(SELECT o.answer::text FROM operation o
                 WHERE o.shard = v.shard AND o.account_id = v.account_id AND o.code = 'ok' AND o.booked_at > %(since)s
                   AND (o.line_id = v.line_id OR v.line_id = {OWNER})
                   AND EXISTS (SELECT FROM transfer t
                               WHERE t.shard = o.shard AND t.account_id = o.account_id AND t.key = o.key
                                 AND t.booked_at = o.booked_at AND t.debit = 'balance')
                 ORDER BY o.booked_at DESC LIMIT %(most)s)
    FROM unnest(%(shards)s::smallint[], %(accounts)s::uuid[], %(lines)s::uuid[])
         WITH ORDINALITY AS v (shard, account_id, line_id, place)
    ORDER BY v.place"""

_meters = msgspec.json.Decoder(list[tuple[Unit, datetime, int, int | None, datetime, int, int | None, int | None]])
_answer = msgspec.json.Decoder(Answer)


class Seen(NamedTuple):
    """How long what is left lasts, by unit, and the latest deductions, the latest first."""

    outlooks: list[Outlook]
    deductions: list[Deduction]


class Overviews:
    """The overviews of one operator's lines."""

    def __init__(self, database: AsyncEngine, operator: Operator) -> None:
        """Reads go to the writer: a replica may not know yet what a person just did."""
        self._hot = SteadyReads(database)
        self._operator = operator
        self._read = Batcher(self._read_batch, most=100)

    async def close(self) -> None:
        """Answer what is waiting and let the connection go."""
        await self._read.drain()
        await self._hot.let_go()

    async def overview(self, subscriber: Subscriber) -> Seen:
        """What a line uses and what was taken from its account lately, as far as that is its to know."""
        return await self._read(subscriber)

    async def _read_batch(self, asked: Sequence[Subscriber]) -> list[Seen]:
        now = datetime.now(UTC)
        wanted: dict[str, Any] = {
            "shards": array(line, "shard", [one.account.shard for one in asked]),
            "accounts": array(line, "account_id", [one.account.account_id for one in asked]),
            "lines": array(line, "line_id", [one.line_id for one in asked]),
            "since": now - DAYS,
            "most": MOST,
        }
        rows = await self._hot.rows(_OVERVIEW, wanted)
        return [self._seen(one, meters, answers, now) for one, (meters, answers) in zip(asked, rows, strict=True)]

    def _seen(self, subscriber: Subscriber, meters: str | None, answers: Sequence[str], now: datetime) -> Seen:
        known = [MeterFacts(*row) for row in _meters.decode(meters)] if meters else []
        zone = self._operator.timezone
        outlooks = [
            outlook(self._operator, subscriber, meter_of(meter_now(one, one.unit, now, zone)), now)
            for one in known
            if one.unit is not Unit.MONEY
        ]
        taken = [one for answer in answers for one in deductions(_answer.decode(answer))]
        return Seen(outlooks, taken[:MOST])
