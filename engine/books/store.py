"""The one door's reading: one round trip that locks and reads all that the decisions of a batch need.

Locks are taken in one order everywhere (accounts by (shard, account), then vouchers by (shard, digest)), each in a
statement of its own, so that what the next statements read is what the last winner left. The account's lock is also
what makes an idempotency key unique over all partitions of ``operation``: two operations of one account never look for
their key at the same time.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec
from psycopg import AsyncConnection, AsyncCursor

from engine.accounts.tables import account, line
from engine.balances.tables import AIRTIME
from engine.books.case import Facts, LineFacts, OriginalFacts, Transfer, VoucherFacts
from engine.books.tables import Ledger, operation
from engine.recharge.tables import BatchState, VoucherState, voucher
from engine.storage.bulk import Statement, array, arrays, unfolded
from engine.storage.sharding import shard_of
from engine.words import AccountRef, Answer, Bucket, Code, LineStatus, Operation, Recharge, Refund, Unit

Rows = list[tuple[Any, ...]]
Connection = AsyncConnection[tuple[Any, ...]]

#: How long a key is remembered. An intent older than that is refused, never run again.
RETENTION = timedelta(days=90)

#: How far another process's clock may run ahead of ours. With the bound, next months' partitions need not be searched.
CLOCK_SKEW = timedelta(days=1)

#: Statements that look up rows by key need one plan, whatever the batch: planning each batch anew took longer than
#: running it (measured). The price: a plan made for an empty table has to be replaced once the table has grown.
PLAN_ONCE = "SET plan_cache_mode = force_generic_plan"

_ACCOUNT = unfolded(account, ["shard", "account_id"])
_KEY = unfolded(operation, ["shard", "account_id", "key"])

LOCK_ACCOUNTS = f"""
    SELECT a.shard, a.account_id, a.currency, a.frozen_at IS NOT NULL
    FROM {_ACCOUNT} JOIN account a USING (shard, account_id)
    ORDER BY a.shard, a.account_id FOR NO KEY UPDATE OF a"""

READ_OPERATIONS = f"""
    SELECT o.shard, o.account_id, o.key, o.request_hash, o.answer::text
    FROM {_KEY} JOIN operation o USING (shard, account_id, key)
    WHERE o.booked_at > %(since)s AND o.booked_at <= %(until)s"""

# Spent buckets are read for refunds only: they give back to them.
READ_HOLDINGS = f"""
    SELECT v.shard, v.account_id, l.line_id, l.status, l.voucher_failures, l.voucher_window_from,
           l.voucher_locked_until, b.bucket_id, b.unit, b.product, b.amount, b.reserved, b.initial, b.categories,
           b.priority, b.starts_at, b.expires_at
    FROM {unfolded(line, ["shard", "account_id", "line_id"])}
    LEFT JOIN line l USING (shard, account_id, line_id)
    LEFT JOIN bucket b ON b.shard = v.shard AND b.account_id = v.account_id
              AND (b.amount > 0 OR b.product = '{AIRTIME}' OR v.account_id = ANY (%(refunding)s::uuid[]))"""

LOCK_VOUCHERS = f"""
    SELECT c.shard, c.digest, c.state, b.state, b.face_value, b.currency, b.validity_days, b.expires_at,
           c.redeemed_account
    FROM {unfolded(voucher, ["shard", "digest"])}
    JOIN voucher c USING (shard, digest) JOIN voucher_batch b USING (batch_id)
    ORDER BY c.shard, c.digest FOR NO KEY UPDATE OF c"""

READ_ORIGINALS = f"""
    SELECT o.shard, o.account_id, o.key, o.kind, o.code,
           EXISTS (SELECT FROM operation r WHERE r.shard = o.shard AND r.account_id = o.account_id
                   AND r.reverses = o.key AND r.code = '{Code.OK}')
    FROM {_KEY} JOIN operation o USING (shard, account_id, key)"""

READ_TRANSFERS = f"""
    SELECT t.shard, t.account_id, t.key, t.debit, t.credit, t.unit, t.amount, t.bucket_id
    FROM {_KEY} JOIN transfer t USING (shard, account_id, key) ORDER BY t.leg"""


class Fetched:
    """What one round trip read for a batch, by account, key, line and voucher."""

    def __init__(self) -> None:
        """Start with nothing read."""
        self.accounts: dict[AccountRef, tuple[str, bool]] = {}
        self.answered: dict[tuple[AccountRef, UUID], tuple[bytes, Answer]] = {}
        self.buckets: dict[AccountRef, list[Bucket]] = {}
        self.lines: dict[UUID, LineFacts] = {}
        self.vouchers: dict[bytes, VoucherFacts] = {}
        self.originals: dict[tuple[AccountRef, UUID], OriginalFacts] = {}

    def facts(self, asked: Operation) -> Facts:
        """The facts of one operation."""
        currency, frozen = self.accounts[asked.account]
        facts = Facts(currency=currency, frozen=frozen, buckets=self.buckets.get(asked.account, []))
        if asked.line_id is not None:
            facts.line = self.lines.get(asked.line_id)
        if isinstance(asked, Recharge):
            found = (self.vouchers.get(digest) for digest in asked.voucher.digests)
            facts.voucher = next((one for one in found if one is not None), None)
        elif isinstance(asked, Refund):
            facts.original = self.originals.get((asked.account, asked.refunded_key))
        return facts


async def fetch(connection: Connection, batch: Sequence[Operation], now: datetime) -> Fetched:
    """Lock the accounts and vouchers of a batch and read what its decisions need, in one round trip."""
    statements = _questions(batch, now)
    cursors: dict[str, AsyncCursor[tuple[Any, ...]]] = {}
    async with connection.pipeline():
        for name, (sql, parameters) in statements.items():
            cursors[name] = connection.cursor(binary=True)
            await cursors[name].execute(sql, parameters)
    rows: dict[str, Rows] = {name: await cursor.fetchall() for name, cursor in cursors.items()}
    fetched = Fetched()
    fetched.accounts = {
        AccountRef(shard, owner): (currency, frozen) for shard, owner, currency, frozen in rows["accounts"]
    }
    fetched.answered = {
        (AccountRef(shard, owner), key): (asked, msgspec.json.decode(answer, type=Answer))
        for shard, owner, key, asked, answer in rows["operations"]
    }
    _read_holdings(fetched, rows["holdings"])
    for shard, digest, state, batch_state, *rest in rows.get("vouchers", ()):
        fetched.vouchers[digest] = VoucherFacts(shard, digest, VoucherState(state), BatchState(batch_state), *rest)
    _read_originals(fetched, rows.get("originals", []), rows.get("transfers", []))
    return fetched


def _questions(batch: Sequence[Operation], now: datetime) -> dict[str, Statement]:
    whose = arrays(line, ["shard", "account_id", "line_id"], [(*asked.account, asked.line_id) for asked in batch])
    keys = array(operation, "key", [asked.key for asked in batch])
    refunds = [asked for asked in batch if isinstance(asked, Refund)]
    refunding = array(account, "account_id", [asked.account.account_id for asked in refunds])
    statements: dict[str, Statement] = {
        "accounts": (LOCK_ACCOUNTS, whose),
        "operations": (READ_OPERATIONS, whose | {"key": keys, "since": now - RETENTION, "until": now + CLOCK_SKEW}),
        "holdings": (READ_HOLDINGS, whose | {"refunding": refunding}),
    }
    digests = [digest for asked in batch if isinstance(asked, Recharge) for digest in asked.voucher.digests]
    if digests:
        sealed = arrays(voucher, ["shard", "digest"], [(shard_of(digest), digest) for digest in digests])
        statements["vouchers"] = (LOCK_VOUCHERS, sealed)
    if refunds:
        refunded = arrays(
            operation, ["shard", "account_id", "key"], [(*asked.account, asked.refunded_key) for asked in refunds]
        )
        statements["originals"] = (READ_ORIGINALS, refunded)
        statements["transfers"] = (READ_TRANSFERS, refunded)
    return statements


def _read_holdings(fetched: Fetched, rows: Rows) -> None:
    """One row for each bucket of an account, its line beside it; one row with neither where there is nothing."""
    for shard, owner, line_id, status, failures, window_from, locked_until, bucket_id, unit, *rest in rows:
        if line_id is not None and line_id not in fetched.lines:
            fetched.lines[line_id] = LineFacts(line_id, LineStatus(status), failures, window_from, locked_until)
        if bucket_id is None:
            continue
        product, amount, reserved, initial, categories, priority, starts_at, expires_at = rest
        fetched.buckets.setdefault(AccountRef(shard, owner), []).append(
            Bucket(
                bucket_id=bucket_id,
                unit=Unit(unit),
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


def _read_originals(fetched: Fetched, originals: Rows, transfers: Rows) -> None:
    legs: dict[tuple[AccountRef, UUID], list[Transfer]] = {}
    for shard, owner, key, debit, credit, unit, amount, bucket_id in transfers:
        leg = Transfer(Ledger(debit), Ledger(credit), Unit(unit), amount, bucket_id)
        legs.setdefault((AccountRef(shard, owner), key), []).append(leg)
    for shard, owner, key, kind, code, reversed_already in originals:
        place = (AccountRef(shard, owner), key)
        fetched.originals[place] = OriginalFacts(kind, code, tuple(legs.get(place, ())), reversed_already)
