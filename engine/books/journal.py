"""What a batch writes: all its rows in a handful of statements, and the commit, in one round trip."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import msgspec
import sqlalchemy as sa

from engine.accounts.tables import line
from engine.balances.tables import bucket
from engine.books.case import Case
from engine.books.decisions import Decided, request_hash
from engine.books.store import Connection
from engine.books.tables import Ledger, OutboxState, batch_total, operation, outbox, transfer
from engine.guard.tables import guard_event
from engine.notices.rules import policy
from engine.recharge.tables import VoucherState, voucher
from engine.storage.bulk import Statement, arrays, insert_sql, update_sql
from engine.storage.sharding import new_id
from engine.words import Refund, Unit

Row = tuple[Any, ...]


class Sheet(NamedTuple):
    """One statement over many rows of one table: its SQL and the columns that differ from row to row."""

    sql: str
    table: sa.Table
    columns: tuple[str, ...]

    def filled(self, rows: Sequence[Row], constants: dict[str, Any]) -> Statement:
        """The statement for these rows; ``constants`` are the same in all of them."""
        return self.sql, arrays(self.table, self.columns, rows) | constants


def _insert(table: sa.Table, columns: str, constants: str = "") -> Sheet:
    names = tuple(columns.split())
    return Sheet(insert_sql(table, names, constants.split()), table, names)


def _update(table: sa.Table, columns: str, constants: str = "") -> Sheet:
    names = tuple(columns.split())
    return Sheet(update_sql(table, names, constants.split()), table, names)


BUCKETS = _update(bucket, "shard account_id bucket_id amount expires_at")
NEW_BUCKETS = _insert(
    bucket,
    "shard account_id bucket_id unit product initial amount categories priority starts_at expires_at",
)
VOUCHERS = _update(voucher, "shard digest redeemed_shard redeemed_account redeemed_key", "state redeemed_at")
LINES = _update(line, "shard account_id line_id status voucher_failures voucher_window_from voucher_locked_until")
OPERATIONS = _insert(
    operation,
    "shard account_id key kind code reference request_hash answer source line_id reverses",
    "booked_at batch_id",
)
TRANSFERS = _insert(transfer, "shard account_id key leg debit credit unit amount bucket_id", "booked_at batch_id")
TOTALS = _insert(batch_total, "ledger unit debits credits", "shard booked_at batch_id")
MESSAGES = _insert(
    outbox, "shard message_id account_id line_id operation_key topic body priority", "state due_at created_at"
)
GUARD_EVENTS = _insert(guard_event, "shard event_id count", "kind seen_at")


async def write(connection: Connection, decided: Sequence[Decided], now: datetime) -> None:
    """Write what was decided and commit, in one round trip."""
    async with connection.pipeline():
        for sql, parameters in statements(decided, now):
            await connection.execute(sql, parameters)
        await connection.commit()


def statements(decided: Sequence[Decided], now: datetime) -> list[Statement]:
    """All that a batch changes, as statements without empty ones. Refusals change nothing but tries and history."""
    done = [case for case, answer in decided if answer.ok]
    booked = {"booked_at": now, "batch_id": new_id()}
    home = min(case.operation.account.shard for case, _ in decided)
    transfers = _rows(done, _transfers)
    wrong = sum(case.line is not None and not answer.ok for case, answer in decided)
    sheets: list[tuple[Sheet, Sequence[Row], dict[str, Any]]] = [
        (BUCKETS, _rows(done, _amounts), {}),
        (NEW_BUCKETS, _rows(done, _opened), {}),
        (VOUCHERS, _rows(done, _claimed), {"state": VoucherState.REDEEMED, "redeemed_at": now}),
        (LINES, [(*case.operation.account, *case.line) for case, _ in decided if case.line is not None], {}),
        (OPERATIONS, [_operation(one) for one in decided], booked),
        (TRANSFERS, transfers, booked),
        # One row for the whole batch and account of ours: it lives in the batch's home shard.
        (TOTALS, _totals(transfers), booked | {"shard": home}),
        (MESSAGES, _rows(done, _messages), {"state": OutboxState.DUE, "due_at": now, "created_at": now}),
        (GUARD_EVENTS, [(home, new_id(), wrong)] if wrong else [], {"kind": "wrong_voucher", "seen_at": now}),
    ]
    return [sheet.filled(rows, constants) for sheet, rows, constants in sheets if rows]


def _rows(cases: Sequence[Case], make: Callable[[Case], Iterator[Row]]) -> list[Row]:
    return [row for case in cases for row in make(case)]


def _amounts(case: Case) -> Iterator[Row]:
    for held in case.facts.buckets:
        amount = case.amounts.get(held.bucket_id)
        if amount is not None:
            ends = case.expiries.get(held.bucket_id, held.expires_at)
            yield (*case.operation.account, held.bucket_id, amount, ends)


def _opened(case: Case) -> Iterator[Row]:
    for made in case.opened.values():
        what = (made.bucket_id, made.unit, made.product, made.initial, made.amount, made.categories)
        yield (*case.operation.account, *what, made.priority, made.starts_at, made.expires_at)


def _claimed(case: Case) -> Iterator[Row]:
    if case.claimed is not None:
        yield (case.claimed.shard, case.claimed.digest, *case.operation.account, case.operation.key)


def _transfers(case: Case) -> Iterator[Row]:
    for leg, moved in enumerate(case.transfers):
        yield (*case.operation.account, case.operation.key, leg, *moved)


def _messages(case: Case) -> Iterator[Row]:
    asked = case.operation
    for topic, body in case.messages:
        text = msgspec.json.encode(body).decode()
        what = (topic, text, policy(topic).priority)
        yield (asked.account.shard, new_id(), asked.account.account_id, asked.line_id, asked.key, *what)


def _operation(one: Decided) -> Row:
    asked, answer = one.case.operation, one.answer
    said = (answer.kind, answer.code, answer.reference, request_hash(asked), msgspec.json.encode(answer).decode())
    reverses = asked.refunded_key if isinstance(asked, Refund) else None
    return (*asked.account, asked.key, *said, asked.source, asked.line_id, reverses)


def _totals(transfers: Sequence[Row]) -> list[Row]:
    sums: dict[tuple[Ledger, Unit], list[int]] = {}
    for debit, credit, unit, amount in (row[4:8] for row in transfers):
        sums.setdefault((debit, unit), [0, 0])[0] += amount
        sums.setdefault((credit, unit), [0, 0])[1] += amount
    return [(ledger, unit, *both) for (ledger, unit), both in sums.items()]
