"""What must always hold in the books, as a library: the oracle of every crash test and of ``manage.py doctor``.

Each check is one statement over whole tables of one book. It returns nothing, or one row for each violation, with the
account where one can be named. A statement sees one snapshot, so checks may run while operations are booked. What must
hold between two books, which may live in different databases, is a comparison (``comparisons``).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from string import Template
from typing import NamedTuple

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from engine.accounts.tables import account
from engine.books.checks import Check
from engine.books.comparisons import COMPARISONS, Comparison, compare
from engine.books.databases import Books
from engine.books.sheets import Book
from engine.payments.invariants import CHECKS as OF_PAYMENTS
from engine.receivables.invariants import COMPARISONS as OF_RECEIVABLES
from engine.usage.invariants import CHECKS as OF_USAGE
from engine.words import AccountRef

#: A check returns at most this many violations; so many need another remedy than a list.
MOST = 10_000


class Violation(NamedTuple):
    """A broken rule. ``account`` is None where no single account can be named."""

    check: str
    account: AccountRef | None
    #: which batch, bucket, key or table
    subject: str
    expected: str
    found: str


_BATCH_TOTALS = """
    WITH legs AS (
        SELECT batch_id, debit AS ledger, unit, amount AS debits, 0 AS credits FROM transfer WHERE $recent
        UNION ALL
        SELECT batch_id, credit, unit, 0, amount FROM transfer WHERE $recent
    ), booked AS (
        SELECT batch_id, ledger, unit, sum(debits) AS debits, sum(credits) AS credits FROM legs
        GROUP BY batch_id, ledger, unit
    ), totals AS (
        SELECT batch_id, ledger, unit, sum(debits) AS debits, sum(credits) AS credits FROM batch_total WHERE $recent
        GROUP BY batch_id, ledger, unit
    )
    SELECT NULL, NULL, concat_ws(' ', 'batch', batch_id, ledger, unit),
           concat_ws(' / ', coalesce(booked.debits, 0), coalesce(booked.credits, 0)),
           concat_ws(' / ', coalesce(totals.debits, 0), coalesce(totals.credits, 0))
    FROM booked FULL JOIN totals USING (batch_id, ledger, unit)
    WHERE (booked.debits, booked.credits) IS DISTINCT FROM (totals.debits, totals.credits)
"""

_BUCKET_AMOUNT = """
    WITH moved AS (
        SELECT shard, account_id, bucket_id, unit,
               sum(CASE WHEN credit = 'balance' THEN amount ELSE -amount END) AS amount
        FROM transfer WHERE $touched GROUP BY shard, account_id, bucket_id, unit
    ), held AS (
        SELECT shard, account_id, bucket_id, unit, amount FROM bucket WHERE $touched
    )
    SELECT shard, account_id, concat_ws(' ', 'bucket', bucket_id, unit), coalesce(moved.amount, 0),
           coalesce(CAST(held.amount AS text), 'no bucket')
    FROM moved FULL JOIN held USING (shard, account_id, bucket_id, unit)
    WHERE coalesce(moved.amount, 0) <> coalesce(held.amount, 0) OR held.bucket_id IS NULL
"""

_BUCKET_RESERVED = """
    SELECT shard, account_id, concat_ws(' ', 'bucket', bucket_id), concat('0 to ', amount), reserved
    FROM bucket WHERE $touched AND (amount < 0 OR reserved < 0 OR reserved > amount)
"""

# Not limited to recent rows: a key that comes back is the very thing that is looked for.
_KEY_ONCE = """
    SELECT shard, account_id, concat_ws(' ', 'key', key), 1, count(*) FROM operation
    WHERE $touched GROUP BY shard, account_id, key HAVING count(*) > 1
"""

_TRANSFERS_NEED_OK = """
    SELECT t.shard, t.account_id, concat_ws(' ', 'key', t.key), 'an ok operation', concat(count(*), ' transfers')
    FROM (SELECT * FROM transfer WHERE $recent) t
    WHERE NOT EXISTS (SELECT FROM operation o WHERE o.shard = t.shard AND o.account_id = t.account_id
                      AND o.key = t.key AND o.booked_at = t.booked_at AND o.batch_id = t.batch_id AND o.code = 'ok')
    GROUP BY t.shard, t.account_id, t.key
"""

# What may have nothing to move: expiry, sessions that only ask, wishes; and what costs nothing.
_OK_NEEDS_TRANSFERS = """
    SELECT o.shard, o.account_id, concat_ws(' ', o.kind, 'key', o.key), 'transfers', 'none'
    FROM (SELECT * FROM operation WHERE $recent) o
    WHERE o.code = 'ok' AND NOT (o.answer->'details' ? 'zero_rated')
      AND o.kind IN ('recharge', 'purchase', 'charge', 'refund', 'adjust', 'settle', 'transfer', 'received', 'undo',
                     'taken_back', 'advance')
      AND NOT EXISTS (SELECT FROM transfer t WHERE t.shard = o.shard AND t.account_id = o.account_id
                      AND t.key = o.key AND t.booked_at = o.booked_at)
"""

_ANSWER_TELLS_TRANSFERS = """
    WITH told AS (
        SELECT o.shard, o.account_id, o.key, CAST(effect->>'bucket_id' AS uuid) AS bucket_id,
               sum(CAST(effect->>'after' AS bigint) - CAST(effect->>'before' AS bigint)) AS amount
        FROM (SELECT * FROM operation WHERE $recent) o, jsonb_array_elements(o.answer->'effects') AS effect
        GROUP BY o.shard, o.account_id, o.key, bucket_id
    ), moved AS (
        SELECT shard, account_id, key, bucket_id,
               sum(CASE WHEN credit = 'balance' THEN amount ELSE -amount END) AS amount
        FROM transfer WHERE $recent GROUP BY shard, account_id, key, bucket_id
    )
    SELECT shard, account_id, concat_ws(' ', 'key', key, 'bucket', bucket_id), coalesce(moved.amount, 0),
           coalesce(told.amount, 0)
    FROM told FULL JOIN moved USING (shard, account_id, key, bucket_id)
    WHERE coalesce(told.amount, 0) <> coalesce(moved.amount, 0)
"""

# Only a line can be told.
_OUTBOX = """
    SELECT o.shard, o.account_id, concat_ws(' ', o.kind, 'key', o.key), 'a message', 'none'
    FROM (SELECT * FROM operation WHERE $recent) o
    WHERE o.code = 'ok' AND o.kind IN ('recharge', 'purchase', 'refund') AND o.line_id IS NOT NULL
      AND NOT EXISTS (SELECT FROM (SELECT * FROM outbox WHERE $created) m
                      WHERE m.shard = o.shard AND m.account_id = o.account_id AND m.operation_key = o.key)
"""

_REFUND_ONCE = """
    SELECT shard, account_id, concat_ws(' ', 'refunded key', reverses), 1, count(*)
    FROM operation WHERE $touched AND code = 'ok' AND reverses IS NOT NULL
    GROUP BY shard, account_id, reverses HAVING count(*) > 1
"""

_VOUCHER_ONCE = """
    WITH spent AS (
        SELECT redeemed_shard AS shard, redeemed_account AS account_id, redeemed_key AS key, count(*) AS vouchers
        FROM voucher WHERE state = 'redeemed' AND $redeemed GROUP BY redeemed_shard, redeemed_account, redeemed_key
    ), recharged AS (
        SELECT shard, account_id, key, count(*) AS operations FROM operation
        WHERE kind = 'recharge' AND code = 'ok' AND $recent GROUP BY shard, account_id, key
    )
    SELECT shard, account_id, concat_ws(' ', 'key', key), concat(coalesce(operations, 0), ' ok recharges'),
           concat(coalesce(vouchers, 0), ' vouchers')
    FROM spent FULL JOIN recharged USING (shard, account_id, key)
    WHERE (vouchers, operations) IS DISTINCT FROM (CAST(1 AS bigint), CAST(1 AS bigint))
"""

_FACE_VALUE = """
    WITH spent AS (
        SELECT v.redeemed_shard AS shard, v.redeemed_account AS account_id, v.redeemed_key AS key,
               sum(b.face_value) AS amount
        FROM (SELECT * FROM voucher WHERE state = 'redeemed' AND $redeemed) v JOIN voucher_batch b USING (batch_id)
        GROUP BY v.redeemed_shard, v.redeemed_account, v.redeemed_key
    ), credited AS (
        SELECT shard, account_id, key, sum(amount) AS amount FROM transfer
        WHERE debit = 'vouchers' AND $recent GROUP BY shard, account_id, key
    )
    SELECT shard, account_id, concat_ws(' ', 'key', key), coalesce(spent.amount, 0), coalesce(credited.amount, 0)
    FROM spent FULL JOIN credited USING (shard, account_id, key)
    WHERE coalesce(spent.amount, 0) <> coalesce(credited.amount, 0)
"""

_SETTLED_ONCE = """
    SELECT shard, account_id, concat_ws(' ', 'payment', payment_id), 1, count(*) FROM payment_history
    WHERE event = 'settled' GROUP BY shard, account_id, payment_id HAVING count(*) > 1
"""

_ANNOUNCED = """
    SELECT o.shard, o.account_id, concat_ws(' ', o.kind, 'key', o.key), 'an event', 'none'
    FROM (SELECT * FROM operation WHERE $recent) o
    WHERE o.code = 'ok' AND o.kind IN ('settle', 'set_aside', 'return', 'reverse', 'restore')
      AND NOT EXISTS (SELECT FROM (SELECT * FROM event WHERE $created) e
                      WHERE e.shard = o.shard AND e.account_id = o.account_id AND e.operation_key = o.key
                        AND split_part(e.topic, '.', 1) IN ('settlement', 'payment'))
"""

# Through the parents: the application's role may not read a partition by its own name.
_PARTITIONS = """
    SELECT NULL, NULL, CAST(part AS text), 0, count(*)
    FROM (SELECT CAST(tableoid AS regclass) AS part FROM operation WHERE $recent
          UNION ALL SELECT CAST(tableoid AS regclass) FROM transfer WHERE $recent
          UNION ALL SELECT CAST(tableoid AS regclass) FROM batch_total WHERE $recent) booked
    WHERE part IN (CAST('operation_rest' AS regclass), CAST('transfer_rest' AS regclass),
                   CAST('batch_total_rest' AS regclass))
    GROUP BY part
"""

CHECKS: tuple[Check | Comparison, ...] = (
    Check("batch_totals", "what a batch says it moved is the sum of its transfers", _BATCH_TOTALS),
    Check("bucket_amount", "a bucket holds what its transfers brought, less what they took", _BUCKET_AMOUNT),
    Check("bucket_reserved", "what is reserved is between nothing and what there is", _BUCKET_RESERVED),
    Check("key_once", "an account's key stands for one operation for ever", _KEY_ONCE),
    Check("transfers_need_ok", "only an operation that was answered ok has transfers", _TRANSFERS_NEED_OK),
    Check("ok_needs_transfers", "an operation that was answered ok has transfers", _OK_NEEDS_TRANSFERS),
    Check(
        "answer_tells_transfers", "an answer tells what its transfers did, bucket by bucket", _ANSWER_TELLS_TRANSFERS
    ),
    Check("outbox", "a recharge, purchase or refund has its message in the outbox", _OUTBOX),
    Check("refund_once", "an operation is given back at most once", _REFUND_ONCE),
    Check("voucher_once", "a voucher is redeemed by exactly one ok recharge, and each redeems one", _VOUCHER_ONCE),
    Check("face_value", "a recharge credits exactly the face value of its voucher", _FACE_VALUE),
    Check("partitions", "every booking lies in the partition of its month", _PARTITIONS),
    Check("settled_once", "a payment is credited at most once", _SETTLED_ONCE, Book.HISTORY),
    Check("announced", "outside systems are told of every settlement, and of its end", _ANNOUNCED),
    *COMPARISONS,
    *OF_RECEIVABLES,
    *OF_USAGE,
    *OF_PAYMENTS,
)

_ALL = {"recent": "TRUE", "redeemed": "TRUE", "created": "TRUE", "touched": "TRUE"}
_SINCE = {
    "recent": "booked_at >= :since",
    "redeemed": "redeemed_at >= :since",
    "created": "created_at >= :since",
    "touched": "(shard, account_id) IN (SELECT shard, account_id FROM operation WHERE booked_at >= :since)",
}


async def run_check(books: Books, check: Check | Comparison, since: datetime | None = None) -> list[Violation]:
    """Where one rule is broken. With ``since``, only bookings and accounts with bookings from then on are looked at."""
    conditions = _ALL if since is None else _SINCE
    if isinstance(check, Comparison):
        return [
            Violation(
                check.name, AccountRef(*key[:2]), f"{check.subject} {key[2]}", expected or "nothing", found or "nothing"
            )
            for key, expected, found in await compare(books, check, conditions, since, MOST)
        ]
    sql = Template(check.sql).substitute(conditions)
    # A connection of its own and so a snapshot of its own for each: none of them holds up vacuum for long.
    async with books[check.book].connect() as connection:
        rows = await connection.execute(
            sa.text(f"{sql} LIMIT {MOST}"), {"since": since} if since is not None and ":since" in sql else {}
        )
        return [
            Violation(
                check.name, None if owner is None else AccountRef(shard, owner), subject, str(expected), str(found)
            )
            for shard, owner, subject, expected, found in rows
        ]


async def check_all(books: Books | AsyncEngine, since: datetime | None = None) -> list[Violation]:
    """Where any rule is broken, in the order of ``CHECKS``; an empty list is the proof that nothing is.

    An engine stands for books that all live in its database.
    """
    arranged = books if isinstance(books, Books) else Books(books)
    return [violation for check in CHECKS for violation in await run_check(arranged, check, since)]


async def freeze(database: AsyncEngine, violations: Iterable[Violation]) -> list[AccountRef]:
    """Freeze the accounts that are named: nothing goes out any more. Returns those that were not frozen yet."""
    reasons: dict[AccountRef, dict[str, None]] = {}
    for violation in violations:
        if violation.account is not None:
            reasons.setdefault(violation.account, {})[violation.check] = None
    frozen: list[AccountRef] = []
    async with database.begin() as connection:
        for ref in sorted(reasons):
            result = await connection.execute(
                account.update()
                .where(
                    account.c.shard == ref.shard,
                    account.c.account_id == ref.account_id,
                    account.c.frozen_at.is_(None),
                )
                .values(frozen_at=datetime.now(UTC), frozen_reason=", ".join(reasons[ref]))
                .returning(account.c.shard)
            )
            frozen += [ref] if result.first() is not None else []
    return frozen


async def unfreeze(database: AsyncEngine, accounts: Sequence[AccountRef]) -> None:
    """Let accounts spend again, once staff has looked and the books are right."""
    keys = [tuple(ref) for ref in accounts]
    async with database.begin() as connection:
        await connection.execute(
            account.update()
            .where(sa.tuple_(account.c.shard, account.c.account_id).in_(keys))
            .values(frozen_at=None, frozen_reason=None)
        )
