"""The one door's reading: one round trip that locks and reads all that the decisions of a batch need.

Locks are taken in one order everywhere (accounts by (shard, account), then vouchers by (shard, digest)), each in a
statement of its own, so that what the next statements read is what the last winner left. The account's lock is also
what makes an idempotency key unique over all partitions of ``operation``: two operations of one account never look for
their key at the same time.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import msgspec
from psycopg import AsyncConnection, AsyncCursor

from engine.balances.tables import AIRTIME
from engine.books.asking import Question
from engine.books.facts import Facts, LineFacts
from engine.books.questions import questions
from engine.books.tables import operation
from engine.receivables.rules import CREDIT_LINE
from engine.storage.bulk import arrays, unfolded
from engine.usage.paying import OVERRUN
from engine.words import SERVED, Answer, Bucket, LineStatus, Operation, Unit

Row = tuple[Any, ...]
Connection = AsyncConnection[Row]

#: How long a key is remembered. An intent older than that is refused, never run again.
RETENTION = timedelta(days=90)

#: How far another process's clock may run ahead of ours. With the bound, next months' partitions need not be searched.
CLOCK_SKEW = timedelta(days=1)

_LINE = """l.line_id, l.status, l.voucher_failures, l.voucher_window_from, l.voucher_locked_until, l.policy,
           l.out_of_bundle"""

_ASKED = unfolded(operation, ["shard", "account_id", "key", "line_id"], numbered=True)

# Rows answer with the place of their operation in the batch, from 1: nothing that was sent has to come back.
LOCK_ACCOUNTS = f"""
    SELECT v.place, a.currency, a.frozen_at IS NOT NULL, a.kind = 'postpaid',
           EXISTS (SELECT FROM line l WHERE l.shard = v.shard AND l.account_id = v.account_id
                   AND l.line_id IS DISTINCT FROM v.line_id)
    FROM {_ASKED} JOIN account a USING (shard, account_id)
    ORDER BY a.shard, a.account_id FOR NO KEY UPDATE OF a"""

READ_STORED = f"""
    SELECT v.place, o.request_hash, o.answer::text
    FROM {_ASKED} JOIN operation o USING (shard, account_id, key)
    WHERE o.booked_at > %(since)s AND o.booked_at <= %(until)s"""

# Spent buckets are read for refunds, which give back to them, and where they are used again.
READ_HOLDINGS = f"""
    SELECT v.place, {_LINE}, b.bucket_id, b.unit, b.product, b.amount, b.reserved, b.initial, b.categories,
           b.priority, b.starts_at, b.expires_at, b.rolled_from, b.rolled
    FROM {_ASKED}
    LEFT JOIN line l USING (shard, account_id, line_id)
    LEFT JOIN bucket b ON b.shard = v.shard AND b.account_id = v.account_id
              AND (b.amount > 0 OR b.product IN ('{AIRTIME}', '{CREDIT_LINE}', '{OVERRUN}')
                   OR v.place = ANY (%(refunding)s::bigint[]))"""

# Few accounts have more than one line: only for them is this asked, in a round trip of its own.
READ_SIBLINGS = f"""
    SELECT v.place, {_LINE} FROM {_ASKED} JOIN line l USING (shard, account_id)
    WHERE l.line_id IS DISTINCT FROM v.line_id AND l.status = ANY ('{{{",".join(SERVED)}}}')
    ORDER BY l.line_id"""

_UNITS = {str(unit): unit for unit in Unit}
_STATUSES = {str(status): status for status in LineStatus}
#: where the bucket begins in a row of holdings: behind the place and the line
_BUCKET = 1 + len(LineFacts._fields)


class Seen(NamedTuple):
    """What was found for one operation: None for an unknown account, the stored answer of its key, or its facts."""

    facts: Facts | None
    stored: tuple[bytes, Answer] | None = None


async def fetch(connection: Connection, batch: Sequence[Operation], now: datetime) -> list[Seen]:
    """Lock the accounts and what else a batch touches, and read what its decisions need, in one round trip.

    Accounts of several lines cost a second one.
    """
    asked = _asked(batch)
    refunding = [place for place, one in enumerate(batch, start=1) if one.looks_at() is not None]
    sparse = list(questions(batch))
    async with connection.pipeline():
        accounts = await _ask(connection, LOCK_ACCOUNTS, asked)
        beside = [await _ask(connection, question.sql, _sent(question, rows)) for question, rows in sparse]
        answers = await _ask(connection, READ_STORED, asked | {"since": now - RETENTION, "until": now + CLOCK_SKEW})
        holdings = await _ask(connection, READ_HOLDINGS, asked | {"refunding": refunding})
    facts: list[Facts | None] = [None] * len(batch)
    shared: list[int] = []
    for place, currency, frozen, postpaid, siblings in await accounts.fetchall():
        facts[place - 1] = Facts(currency=currency, frozen=frozen, postpaid=postpaid)
        if siblings:
            shared.append(place - 1)
    _add_holdings(facts, await holdings.fetchall())
    for (question, _), cursor in zip(sparse, beside, strict=True):
        for place, *row in await cursor.fetchall():
            found = facts[place]
            if found is not None:
                question.add(found, tuple(row))
    stored = {
        place - 1: (asked, msgspec.json.decode(answer, type=Answer))
        for place, asked, answer in await answers.fetchall()
    }
    if shared:
        lines = await _ask(connection, READ_SIBLINGS, _asked([batch[place] for place in shared]))
        for place, *row in await lines.fetchall():
            found = facts[shared[place - 1]]
            if found is not None:
                found.siblings.append(_line(row))
    return [Seen(found, stored.get(place)) for place, found in enumerate(facts)]


def _asked(batch: Sequence[Operation]) -> dict[str, Any]:
    names = ("shard", "account_id", "key", "line_id")
    return dict(arrays(operation, names, [(*one.account, one.key, one.line_id) for one in batch]))


def _line(row: Sequence[Any]) -> LineFacts:
    line_id, status, failures, window_from, locked_until, policy, consent = row
    return LineFacts(line_id, _STATUSES[status], failures, window_from, locked_until, tuple(policy), consent)


async def _ask(connection: Connection, sql: str, parameters: dict[str, Any]) -> AsyncCursor[Row]:
    cursor = connection.cursor(binary=True)
    await cursor.execute(sql, parameters)
    return cursor


def _sent(question: Question, rows: Sequence[Row]) -> dict[str, Any]:
    places = [row[-1] for row in rows]
    return arrays(question.table, question.columns, [row[:-1] for row in rows]) | {"place": places}


def _add_holdings(facts: Sequence[Facts | None], rows: Sequence[Row]) -> None:
    """One row for each bucket of an account, its line beside it; one row with neither where there is nothing."""
    for row in rows:
        found = facts[row[0] - 1]
        if found is None:
            continue
        if row[1] is not None and found.line is None:
            found.line = _line(row[1:_BUCKET])
        bucket_id, unit, *rest = row[_BUCKET:]
        if bucket_id is None:
            continue
        product, amount, reserved, initial, categories, priority, starts_at, expires_at, rolled_from, rolled = rest
        found.buckets.append(
            Bucket(
                bucket_id=bucket_id,
                unit=_UNITS[unit],
                product=product,
                amount=amount,
                reserved=reserved,
                initial=initial,
                categories=tuple(categories),
                priority=priority,
                starts_at=starts_at,
                expires_at=expires_at,
                rolled_from=rolled_from,
                rolled=rolled,
            )
        )
