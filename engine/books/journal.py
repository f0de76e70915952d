"""What a batch writes: all its rows in one statement, and the commit, in one round trip."""

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
from engine.storage.bulk import arrays, insert_sql, update_sql
from engine.storage.sharding import new_id
from engine.words import Refund, Unit

Row = tuple[Any, ...]


class Sheet(NamedTuple):
    """The rows that a batch writes to one table: columns that differ from row to row, and those that do not."""

    name: str
    table: sa.Table
    columns: tuple[str, ...]
    constants: tuple[str, ...] = ()
    updates: bool = False

    @property
    def prefix(self) -> str:
        """What keeps this sheet's parameters apart from the others'."""
        return f"{self.name}_"

    def sql(self) -> str:
        """Its part of the one statement."""
        write = update_sql if self.updates else insert_sql
        return f"{self.name} AS ({write(self.table, self.columns, self.constants, self.prefix)})"


def _sheet(name: str, table: sa.Table, columns: str, constants: str = "", *, updates: bool = False) -> Sheet:
    return Sheet(name, table, tuple(columns.split()), tuple(constants.split()), updates)


SHEETS = (
    _sheet("held", bucket, "shard account_id bucket_id amount expires_at", updates=True),
    _sheet(
        "opened",
        bucket,
        "shard account_id bucket_id unit product initial amount categories priority starts_at expires_at",
    ),
    _sheet(
        "claimed",
        voucher,
        "shard digest redeemed_shard redeemed_account redeemed_key",
        "state redeemed_at",
        updates=True,
    ),
    _sheet(
        "lines",
        line,
        "shard account_id line_id status voucher_failures voucher_window_from voucher_locked_until",
        updates=True,
    ),
    _sheet(
        "done",
        operation,
        "shard account_id key kind code reference request_hash answer source line_id reverses",
        "booked_at batch_id",
    ),
    _sheet("moved", transfer, "shard account_id key leg debit credit unit amount bucket_id", "booked_at batch_id"),
    # One row for the whole batch and account of ours: it lives in the batch's home shard.
    _sheet("totals", batch_total, "ledger unit debits credits", "shard booked_at batch_id"),
    _sheet(
        "told",
        outbox,
        "shard message_id account_id line_id operation_key topic body priority",
        "state due_at created_at",
    ),
    _sheet("seen", guard_event, "shard event_id count", "kind seen_at"),
)

#: All that a batch writes, as one statement: it is planned, sent and waited for once.
WRITE = f"WITH {', '.join(sheet.sql() for sheet in SHEETS)} SELECT"


async def write(connection: Connection, decided: Sequence[Decided], now: datetime) -> None:
    """Write what was decided and commit, in one round trip."""
    parameters = written(decided, now)
    async with connection.pipeline():
        await connection.execute(WRITE, parameters)
        await connection.commit()


def written(decided: Sequence[Decided], now: datetime) -> dict[str, Any]:
    """The parameters of ``WRITE`` for a batch. Refusals change nothing but tries and history."""
    done = [case for case, answer in decided if answer.ok]
    home = min(case.operation.account.shard for case, _ in decided)
    wrong = sum(case.line is not None and not answer.ok for case, answer in decided)
    transfers = _rows(done, _transfers)
    rows: dict[str, Sequence[Row]] = {
        "held": _rows(done, _amounts),
        "opened": _rows(done, _opened),
        "claimed": _rows(done, _claimed),
        "lines": [(*case.operation.account, *case.line) for case, _ in decided if case.line is not None],
        "done": [_operation(one) for one in decided],
        "moved": transfers,
        "totals": _totals(transfers),
        "told": _rows(done, _messages),
        "seen": [(home, new_id(), wrong)] if wrong else [],
    }
    same = {"booked_at": now, "batch_id": new_id(), "shard": home, "due_at": now, "created_at": now, "seen_at": now}
    same |= {"redeemed_at": now, "kind": "wrong_voucher"}
    states = {"claimed": VoucherState.REDEEMED, "told": OutboxState.DUE}
    parameters: dict[str, Any] = {}
    for sheet in SHEETS:
        parameters |= arrays(sheet.table, sheet.columns, rows[sheet.name], sheet.prefix)
        constants = same | {"state": states.get(sheet.name)}
        parameters |= {sheet.prefix + name: constants[name] for name in sheet.constants}
    return parameters


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
