"""What a batch writes: all its rows of one database as one statement."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
from datetime import datetime
from typing import Any, NamedTuple, TypeVar
from uuid import UUID

import msgspec
from psycopg import AsyncConnection, AsyncRawCursor

from engine.books.case import Case
from engine.books.decisions import Decided, request_hash
from engine.books.sheets import SHEETS, Book, statement
from engine.books.tables import Ledger, OutboxState
from engine.notices.rules import held_for_answer, policy, receipt_id
from engine.recharge.tables import VoucherState
from engine.storage.bulk import arrays
from engine.storage.sharding import new_id
from engine.words import Unit

Row = tuple[Any, ...]
Place = TypeVar("Place", bound=Hashable)


class Statement(NamedTuple):
    """One statement, and its parameters by number."""

    sql: bytes
    parameters: Sequence[Any]

    async def run(self, connection: AsyncConnection[Row]) -> None:
        """Execute it, or send it in a pipeline."""
        await AsyncRawCursor(connection).execute(self.sql, self.parameters)


#: Constants that are not the same for all sheets.
STATES = {"claimed": VoucherState.REDEEMED, "told": OutboxState.DUE}


def statements(
    decided: Sequence[Decided], now: datetime, batch_id: UUID, place_of: Callable[[Book], Place]
) -> dict[Place, Statement]:
    """Place → the one statement that writes what belongs there; ``place_of`` says where each book lives."""
    filled = written(decided)
    places: dict[Place, list[str]] = {}
    for name in filled:
        places.setdefault(place_of(SHEETS[name].book), []).append(name)
    constants = _constants(decided, now, batch_id)
    return {place: _statement({name: filled[name] for name in names}, constants) for place, names in places.items()}


def written(decided: Sequence[Decided]) -> dict[str, list[Row]]:
    """Sheet → its rows, of the sheets that a batch writes to. Refusals change nothing but tries and history."""
    done = [case for case, answer in decided if answer.ok]
    wrong = sum(case.line is not None and not answer.ok for case, answer in decided)
    transfers = _rows(done, _transfers)
    rows: dict[str, list[Row]] = {
        "held": _rows(done, _held),
        "opened": _rows(done, _opened),
        "claimed": _rows(done, _claimed),
        "lines": [(*case.operation.account, *line) for case, _ in decided for line in case.lines()],
        "done": [_operation(one) for one in decided],
        "moved": transfers,
        "totals": _totals(transfers),
        "told": _rows(done, _messages),
        "seen": [(_home(decided), new_id(), wrong)] if wrong else [],
    }
    for case in done:
        for name, own in case.rows.items():
            rows.setdefault(name, []).extend((*case.operation.account, *row) for row in own)
    # In the order of the sheets, so that equal batches make equal statements.
    return {name: rows[name] for name in SHEETS if rows.get(name)}


def _constants(decided: Sequence[Decided], now: datetime, batch_id: UUID) -> dict[str, Any]:
    times = ("booked_at", "created_at", "seen_at", "redeemed_at", "issued_at", "changed_at")
    return dict.fromkeys(times, now) | {"batch_id": batch_id, "shard": _home(decided), "kind": "wrong_voucher"}


def _statement(filled: dict[str, list[Row]], constants: dict[str, Any]) -> Statement:
    sql, names = statement(tuple(filled))
    given: dict[str, Any] = {}
    for name, rows in filled.items():
        sheet = SHEETS[name]
        given |= arrays(sheet.table, sheet.columns, rows, sheet.prefix)
        for one in sheet.constants:
            given[sheet.prefix + one] = STATES[name] if one == "state" else constants[one]
    return Statement(sql, [given[name] for name in names])


def _home(decided: Sequence[Decided]) -> int:
    return min(case.operation.account.shard for case, _ in decided)


def _rows(cases: Sequence[Case], make: Callable[[Case], Iterator[Row]]) -> list[Row]:
    return [row for case in cases for row in make(case)]


def _held(case: Case) -> Iterator[Row]:
    for held in case.facts.buckets:
        found = held.bucket_id.int
        if found in case.amounts or found in case.reserved or found in case.expiries:
            now = (case.amount(held), case.held(held), case.end(held))
            yield (*case.operation.account, held.bucket_id, *now)


def _opened(case: Case) -> Iterator[Row]:
    for made in case.opened.values():
        what = (made.bucket_id, made.unit, made.product, made.initial, made.amount, made.categories)
        when = (made.starts_at, made.expires_at)
        yield (*case.operation.account, *what, made.priority, *when, made.rolled_from, made.rolled)


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
        held = held_for_answer(topic, asked.source)
        message_id, due_at = (new_id(), case.now) if held is None else (receipt_id(asked.key), case.now + held)
        what = (topic, text, policy(topic).priority, due_at)
        yield (asked.account.shard, message_id, asked.account.account_id, asked.line_id, asked.key, *what)


def _operation(one: Decided) -> Row:
    asked, answer = one.case.operation, one.answer
    said = (answer.kind, answer.code, answer.reference, request_hash(asked), msgspec.json.encode(answer).decode())
    return (*asked.account, asked.key, *said, asked.source, asked.line_id, asked.reverses())


def _totals(transfers: Sequence[Row]) -> list[Row]:
    sums: dict[tuple[Ledger, Unit], list[int]] = {}
    for debit, credit, unit, amount in (row[4:8] for row in transfers):
        sums.setdefault((debit, unit), [0, 0])[0] += amount
        sums.setdefault((credit, unit), [0, 0])[1] += amount
    return [(ledger, unit, *both) for (ledger, unit), both in sums.items()]
