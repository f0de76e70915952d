"""The SQL of the one door: one round trip that locks and reads all a batch needs, one that writes and commits it.

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
import sqlalchemy as sa
from psycopg import AsyncConnection, AsyncCursor

from engine.accounts.tables import account, line
from engine.balances.tables import AIRTIME, bucket
from engine.books.case import Facts, LineFacts, OriginalFacts, Transfer, VoucherFacts
from engine.books.decisions import Decided, request_hash
from engine.books.tables import Ledger, OutboxState, batch_total, operation, outbox, transfer
from engine.guard.tables import guard_event
from engine.recharge.tables import BatchState, VoucherState, voucher
from engine.storage.bulk import Statement, array, arrays, insert_sql, unfolded, update_sql
from engine.storage.sharding import new_id, shard_of
from engine.words import AccountRef, Answer, Bucket, Code, LineStatus, Operation, Recharge, Refund, Unit

Rows = list[tuple[Any, ...]]
Connection = AsyncConnection[tuple[Any, ...]]

#: How long a key is remembered. An intent older than that is refused, never run again.
RETENTION = timedelta(days=90)

_ACCOUNT = unfolded(account, ["shard", "account_id"])
_KEY = unfolded(operation, ["shard", "account_id", "key"])

LOCK_ACCOUNTS = f"""
    SELECT a.shard, a.account_id, a.currency, a.frozen_at IS NOT NULL
    FROM {_ACCOUNT} JOIN account a USING (shard, account_id)
    ORDER BY a.shard, a.account_id FOR NO KEY UPDATE OF a"""

READ_OPERATIONS = f"""
    SELECT o.shard, o.account_id, o.key, o.request_hash, o.answer::text
    FROM {_KEY} JOIN operation o USING (shard, account_id, key)
    WHERE o.booked_at > %(since)s"""

READ_BUCKETS = f"""
    SELECT b.shard, b.account_id, b.bucket_id, b.unit, b.product, b.amount, b.reserved, b.initial, b.categories,
           b.priority, b.starts_at, b.expires_at
    FROM unnest(%(shard)s::smallint[], %(account_id)s::uuid[], %(whole)s::boolean[]) AS v(shard, account_id, whole)
    JOIN bucket b USING (shard, account_id)
    WHERE b.amount > 0 OR b.product = '{AIRTIME}' OR v.whole"""

READ_LINES = f"""
    SELECT l.line_id, l.status, l.voucher_failures, l.voucher_window_from, l.voucher_locked_until
    FROM {unfolded(line, ["shard", "account_id", "line_id"])} JOIN line l USING (shard, account_id, line_id)"""

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

_OPERATION = ["shard", "account_id", "key", "kind", "code", "reference", "request_hash", "answer", "source", "line_id"]
_OPERATION += ["reverses"]
_TRANSFER = ["shard", "account_id", "key", "leg", "debit", "credit", "unit", "amount", "bucket_id"]
_TOTAL = ["ledger", "unit", "debits", "credits"]
_AMOUNT = ["shard", "account_id", "bucket_id", "amount", "expires_at"]
_BUCKET = ["shard", "account_id", "bucket_id", "unit", "product", "initial", "amount", "categories", "priority"]
_BUCKET += ["starts_at", "expires_at"]
_LINE = ["shard", "account_id", "line_id", "status", "voucher_failures", "voucher_window_from", "voucher_locked_until"]
_VOUCHER = ["shard", "digest", "redeemed_shard", "redeemed_account", "redeemed_key"]
_OUTBOX = ["shard", "message_id", "account_id", "line_id", "operation_key", "topic", "body"]

INSERT_OPERATIONS = insert_sql(operation, _OPERATION, ["booked_at", "batch_id"])
INSERT_TRANSFERS = insert_sql(transfer, _TRANSFER, ["booked_at", "batch_id"])
INSERT_TOTALS = insert_sql(batch_total, _TOTAL, ["shard", "booked_at", "batch_id"])
UPDATE_BUCKETS = update_sql(bucket, _AMOUNT)
INSERT_BUCKETS = insert_sql(bucket, _BUCKET)
UPDATE_LINES = update_sql(line, _LINE)
REDEEM_VOUCHERS = update_sql(voucher, _VOUCHER, ["state", "redeemed_at"])
INSERT_OUTBOX = insert_sql(outbox, _OUTBOX, ["state", "due_at", "created_at"])
INSERT_GUARD_EVENT = insert_sql(guard_event, ["shard", "event_id", "count"], ["kind", "seen_at"])


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
    fetched.accounts = {AccountRef(shard, owner): (currency, frozen) for shard, owner, currency, frozen in rows["accounts"]}
    fetched.answered = {
        (AccountRef(shard, owner), key): (asked, msgspec.json.decode(answer, type=Answer))
        for shard, owner, key, asked, answer in rows["operations"]
    }
    _read_buckets(fetched, rows["buckets"])
    for line_id, status, *rest in rows.get("lines", ()):
        fetched.lines[line_id] = LineFacts(line_id, LineStatus(status), *rest)
    for shard, digest, state, batch_state, *rest in rows.get("vouchers", ()):
        fetched.vouchers[digest] = VoucherFacts(shard, digest, VoucherState(state), BatchState(batch_state), *rest)
    _read_originals(fetched, rows.get("originals", []), rows.get("transfers", []))
    return fetched


def _questions(batch: Sequence[Operation], now: datetime) -> dict[str, Statement]:
    shards = [asked.account.shard for asked in batch]
    owners = [asked.account.account_id for asked in batch]
    where = {"shard": array(account, "shard", shards), "account_id": array(account, "account_id", owners)}
    refunds = [asked for asked in batch if isinstance(asked, Refund)]
    statements: dict[str, Statement] = {
        "accounts": (LOCK_ACCOUNTS, where),
        "operations": (READ_OPERATIONS, where | {"key": array(operation, "key", [asked.key for asked in batch]), "since": now - RETENTION}),
        "buckets": (READ_BUCKETS, where | {"whole": [isinstance(asked, Refund) for asked in batch]}),
    }
    lines = [(*asked.account, asked.line_id) for asked in batch if asked.line_id is not None]
    if lines:
        statements["lines"] = (READ_LINES, arrays(line, ["shard", "account_id", "line_id"], lines))
    digests = [digest for asked in batch if isinstance(asked, Recharge) for digest in asked.voucher.digests]
    if digests:
        statements["vouchers"] = (LOCK_VOUCHERS, arrays(voucher, ["shard", "digest"], [(shard_of(d), d) for d in digests]))
    if refunds:
        keys = arrays(operation, ["shard", "account_id", "key"], [(*asked.account, asked.refunded_key) for asked in refunds])
        statements["originals"] = (READ_ORIGINALS, keys)
        statements["transfers"] = (READ_TRANSFERS, keys)
    return statements


def _read_buckets(fetched: Fetched, rows: Rows) -> None:
    for shard, owner, bucket_id, unit, product, amount, reserved, initial, categories, priority, starts, ends in rows:
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
                starts_at=starts,
                expires_at=ends,
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


async def write(connection: Connection, decided: Sequence[Decided], now: datetime) -> None:
    """Write what was decided and commit, in one round trip."""
    async with connection.pipeline():
        for sql, parameters in _changes(decided, now):
            await connection.execute(sql, parameters)
        await connection.commit()


def _changes(decided: Sequence[Decided], now: datetime) -> list[Statement]:
    batch_id = new_id()
    booked = {"booked_at": now, "batch_id": batch_id}
    statements: list[Statement] = []

    def add(sql: str, table: sa.Table, columns: list[str], rows: list[tuple[Any, ...]], constants: dict[str, Any]) -> None:
        if rows:
            statements.append((sql, arrays(table, columns, rows) | constants))

    done = [case for case, answer in decided if answer.ok]
    amounts, opened, vouchers = [], [], []
    for case in done:
        place = case.operation.account
        by_id = {bucket.bucket_id: bucket for bucket in case.facts.buckets}
        for bucket_id, amount in case.amounts.items():
            ends = case.expiries.get(bucket_id, by_id[bucket_id].expires_at)
            amounts.append((*place, bucket_id, amount, ends))
        for made in case.opened.values():
            opened.append(
                (*place, made.bucket_id, made.unit, made.product, made.initial, made.amount, made.categories)
                + (made.priority, made.starts_at, made.expires_at)
            )
        if case.claimed is not None:
            vouchers.append((case.claimed.shard, case.claimed.digest, *place, case.operation.key))
    add(UPDATE_BUCKETS, bucket, _AMOUNT, amounts, {})
    add(INSERT_BUCKETS, bucket, _BUCKET, opened, {})
    add(REDEEM_VOUCHERS, voucher, _VOUCHER, vouchers, {"state": VoucherState.REDEEMED, "redeemed_at": now})
    lines = [(*case.operation.account, *case.line) for case, _ in decided if case.line is not None]
    add(UPDATE_LINES, line, _LINE, lines, {})
    add(INSERT_OPERATIONS, operation, _OPERATION, [_operation_row(one) for one in decided], booked)
    transfers = [
        (*case.operation.account, case.operation.key, leg, *moved[:4], moved.bucket_id)
        for case in done
        for leg, moved in enumerate(case.transfers)
    ]
    add(INSERT_TRANSFERS, transfer, _TRANSFER, transfers, booked)
    home = min(case.operation.account.shard for case, _ in decided)
    add(INSERT_TOTALS, batch_total, _TOTAL, _totals(transfers), booked | {"shard": home})
    messages = [
        (case.operation.account.shard, new_id(), case.operation.account.account_id, case.operation.line_id)
        + (case.operation.key, topic, msgspec.json.encode(body).decode())
        for case in done
        for topic, body in case.messages
    ]
    add(INSERT_OUTBOX, outbox, _OUTBOX, messages, {"state": OutboxState.DUE, "due_at": now, "created_at": now})
    wrong = sum(case.line is not None and not answer.ok for case, answer in decided)
    if wrong:
        seen = {"kind": "wrong_voucher", "seen_at": now}
        add(INSERT_GUARD_EVENT, guard_event, ["shard", "event_id", "count"], [(home, new_id(), wrong)], seen)
    return statements


def _operation_row(one: Decided) -> tuple[Any, ...]:
    asked, answer = one.case.operation, one.answer
    reverses = asked.refunded_key if isinstance(asked, Refund) else None
    stored = msgspec.json.encode(answer).decode()
    return (
        *(*asked.account, asked.key, answer.kind, answer.code, answer.reference, request_hash(asked)),
        *(stored, asked.source, asked.line_id, reverses),
    )


def _totals(transfers: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    sums: dict[tuple[Ledger, Unit], list[int]] = {}
    for row in transfers:
        debit, credit, unit, amount = row[4:8]
        sums.setdefault((debit, unit), [0, 0])[0] += amount
        sums.setdefault((credit, unit), [0, 0])[1] += amount
    return [(ledger, unit, *both) for (ledger, unit), both in sums.items()]
