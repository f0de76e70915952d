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
from engine.books.case import Facts, LineFacts, OriginalFacts, Transfer, VoucherFacts
from engine.books.tables import Ledger, operation
from engine.recharge.tables import BatchState, VoucherState, voucher
from engine.storage.bulk import Statement, arrays, unfolded
from engine.storage.sharding import shard_of
from engine.words import Answer, Bucket, Code, LineStatus, Operation, Recharge, Refund, Unit

Row = tuple[Any, ...]
Connection = AsyncConnection[Row]

#: How long a key is remembered. An intent older than that is refused, never run again.
RETENTION = timedelta(days=90)

#: How far another process's clock may run ahead of ours. With the bound, next months' partitions need not be searched.
CLOCK_SKEW = timedelta(days=1)

_ASKED = unfolded(operation, ["shard", "account_id", "key", "line_id"], numbered=True)
_REFUNDED = unfolded(operation, ["shard", "account_id", "key"], numbered=True)

# Rows answer with the place of their operation in the batch, from 1: nothing that was sent has to come back.
LOCK_ACCOUNTS = f"""
    SELECT v.place, a.currency, a.frozen_at IS NOT NULL
    FROM {_ASKED} JOIN account a USING (shard, account_id)
    ORDER BY a.shard, a.account_id FOR NO KEY UPDATE OF a"""

READ_STORED = f"""
    SELECT v.place, o.request_hash, o.answer::text
    FROM {_ASKED} JOIN operation o USING (shard, account_id, key)
    WHERE o.booked_at > %(since)s AND o.booked_at <= %(until)s"""

# Spent buckets are read for refunds only: they give back to them.
READ_HOLDINGS = f"""
    SELECT v.place, l.line_id, l.status, l.voucher_failures, l.voucher_window_from, l.voucher_locked_until,
           b.bucket_id, b.unit, b.product, b.amount, b.reserved, b.initial, b.categories, b.priority,
           b.starts_at, b.expires_at
    FROM {_ASKED}
    LEFT JOIN line l USING (shard, account_id, line_id)
    LEFT JOIN bucket b ON b.shard = v.shard AND b.account_id = v.account_id
              AND (b.amount > 0 OR b.product = '{AIRTIME}' OR v.place = ANY (%(refunding)s::bigint[]))"""

LOCK_VOUCHERS = f"""
    SELECT c.shard, c.digest, c.state, b.state, b.face_value, b.currency, b.validity_days, b.expires_at,
           c.redeemed_account
    FROM {unfolded(voucher, ["shard", "digest"])}
    JOIN voucher c USING (shard, digest) JOIN voucher_batch b USING (batch_id)
    ORDER BY c.shard, c.digest FOR NO KEY UPDATE OF c"""

READ_ORIGINALS = f"""
    SELECT v.place, o.kind, o.code,
           EXISTS (SELECT FROM operation r WHERE r.shard = o.shard AND r.account_id = o.account_id
                   AND r.reverses = o.key AND r.code = '{Code.OK}')
    FROM {_REFUNDED} JOIN operation o USING (shard, account_id, key)"""

READ_TRANSFERS = f"""
    SELECT v.place, t.debit, t.credit, t.unit, t.amount, t.bucket_id
    FROM {_REFUNDED} JOIN transfer t USING (shard, account_id, key) ORDER BY v.place, t.leg"""

_UNITS = {str(unit): unit for unit in Unit}
_STATUSES = {str(status): status for status in LineStatus}
_VOUCHER_STATES = {str(state): state for state in VoucherState}
_BATCH_STATES = {str(state): state for state in BatchState}


class Seen(NamedTuple):
    """What was found for one operation: None for an unknown account, the stored answer of its key, or its facts."""

    facts: Facts | None
    stored: tuple[bytes, Answer] | None = None


async def fetch(connection: Connection, batch: Sequence[Operation], now: datetime) -> list[Seen]:
    """Lock the accounts and vouchers of a batch and read what its decisions need, in one round trip."""
    cursors: dict[str, AsyncCursor[Row]] = {}
    async with connection.pipeline():
        for name, (sql, parameters) in _questions(batch, now).items():
            cursors[name] = connection.cursor(binary=True)
            await cursors[name].execute(sql, parameters)
    rows = {name: await cursor.fetchall() for name, cursor in cursors.items()}
    facts: list[Facts | None] = [None] * len(batch)
    for place, currency, frozen in rows["accounts"]:
        facts[place - 1] = Facts(currency=currency, frozen=frozen)
    stored = {place - 1: (asked, msgspec.json.decode(answer, type=Answer)) for place, asked, answer in rows["stored"]}
    _add_holdings(facts, rows["holdings"])
    if "vouchers" in rows:
        _add_vouchers(facts, batch, rows["vouchers"])
    if "originals" in rows:
        refunds = [place for place, asked in enumerate(batch) if isinstance(asked, Refund)]
        _add_originals([facts[place] for place in refunds], rows["originals"], rows["transfers"])
    return [Seen(found, stored.get(place)) for place, found in enumerate(facts)]


def _questions(batch: Sequence[Operation], now: datetime) -> dict[str, Statement]:
    asked = arrays(
        operation,
        ["shard", "account_id", "key", "line_id"],
        [(*one.account, one.key, one.line_id) for one in batch],
    )
    refunding = [place for place, one in enumerate(batch, start=1) if isinstance(one, Refund)]
    statements: dict[str, Statement] = {
        "accounts": (LOCK_ACCOUNTS, asked),
        "stored": (READ_STORED, asked | {"since": now - RETENTION, "until": now + CLOCK_SKEW}),
        "holdings": (READ_HOLDINGS, asked | {"refunding": refunding}),
    }
    digests = [digest for one in batch if isinstance(one, Recharge) for digest in one.voucher.digests]
    if digests:
        sealed = arrays(voucher, ["shard", "digest"], [(shard_of(digest), digest) for digest in digests])
        statements["vouchers"] = (LOCK_VOUCHERS, sealed)
    if refunding:
        keys = [(*one.account, one.refunded_key) for one in batch if isinstance(one, Refund)]
        refunded = arrays(operation, ["shard", "account_id", "key"], keys)
        statements["originals"] = (READ_ORIGINALS, refunded)
        statements["transfers"] = (READ_TRANSFERS, refunded)
    return statements


def _add_holdings(facts: Sequence[Facts | None], rows: Sequence[Row]) -> None:
    """One row for each bucket of an account, its line beside it; one row with neither where there is nothing."""
    for place, line_id, status, failures, window_from, locked_until, bucket_id, unit, *rest in rows:
        found = facts[place - 1]
        if found is None:
            continue
        if line_id is not None and found.line is None:
            found.line = LineFacts(line_id, _STATUSES[status], failures, window_from, locked_until)
        if bucket_id is None:
            continue
        product, amount, reserved, initial, categories, priority, starts_at, expires_at = rest
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
            )
        )


def _add_vouchers(facts: Sequence[Facts | None], batch: Sequence[Operation], rows: Sequence[Row]) -> None:
    vouchers = {
        digest: VoucherFacts(shard, digest, _VOUCHER_STATES[state], _BATCH_STATES[batch_state], *rest)
        for shard, digest, state, batch_state, *rest in rows
    }
    for found, one in zip(facts, batch, strict=True):
        if found is not None and isinstance(one, Recharge):
            known = (vouchers.get(digest) for digest in one.voucher.digests)
            found.voucher = next((voucher for voucher in known if voucher is not None), None)


def _add_originals(facts: Sequence[Facts | None], originals: Sequence[Row], transfers: Sequence[Row]) -> None:
    legs: dict[int, list[Transfer]] = {}
    for place, debit, credit, unit, amount, bucket_id in transfers:
        legs.setdefault(place, []).append(Transfer(Ledger(debit), Ledger(credit), Unit(unit), amount, bucket_id))
    for place, kind, code, reversed_already in originals:
        found = facts[place - 1]
        if found is not None:
            found.original = OriginalFacts(kind, code, tuple(legs.get(place, ())), reversed_already)
