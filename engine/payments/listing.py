"""Payments as staff looks at them: page by page by state and gateway, and one with everything that happened to it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

import sqlalchemy as sa

from engine.books.databases import Books
from engine.books.sheets import Book
from engine.guard.tables import payment_decision
from engine.payments.course import UNRESOLVED
from engine.payments.tables import payment, payment_event, payment_history
from engine.words import AccountRef, Payment, PaymentMethod, PaymentState
from runtime.logs import mask

#: Rows are found by when they began, in blocks that lie in that order: each look goes further back, until a page is
#: full. What is rare has an index of its own and needs no looks.
LOOKS = (timedelta(minutes=10), timedelta(hours=6), timedelta(days=4), timedelta(days=92))
APART = frozenset(
    {
        PaymentState.UNKNOWN,
        PaymentState.HELD,
        PaymentState.REFUNDING,
        PaymentState.REFUNDED,
        PaymentState.CHARGED_BACK,
    }
)
#: payments in one page, and events of one payment
MOST, MOST_EVENTS = 200, 500
#: what in an event is a name or an amount of its own, never a person's number
_OPEN = frozenset({"gateway_ref", "asked_ref", "event_id", "amount", "currency", "state", "gateway"})

#: what the books say of a payment, and the state that it is in from then on
_BOOKED = {
    "settled": PaymentState.SETTLED,
    "set_aside": PaymentState.REFUNDING,
    "reversed": PaymentState.REFUNDING,
    "restored": PaymentState.SETTLED,
    "returned": PaymentState.REFUNDED,
    "part_returned": PaymentState.SETTLED,
    "charged_back": PaymentState.CHARGED_BACK,
}

Key = tuple[datetime, UUID]


class PaymentPage(NamedTuple):
    """Payments, newest first. ``following`` is where the next page begins; None: there is none."""

    rows: list[Payment]
    following: Key | None
    #: how far back was looked, where the page is not full
    looked_to: datetime | None


class RecoveryPoint(NamedTuple):
    """One thing that happened to a payment, and the state that it left it in."""

    at: datetime
    #: ``asked``, ``answered``, ``callback``, ``status``, ``settled`` …
    what: str
    state: str
    #: what was said, digits that may be a number hidden
    said: dict[str, str]


class Decision(NamedTuple):
    """What the guard's layers decided of a payment, over which facts."""

    at: datetime
    verdict: str
    layer: str | None
    code: str | None
    score: int
    reasons: list[str]
    inputs: dict[str, Any]


class Effect(NamedTuple):
    """What a payment did to the books."""

    at: datetime
    event: str
    amount: int
    currency: str


class PaymentListing:
    """The payments of one installation, for reading."""

    def __init__(self, books: Books) -> None:
        self._books = books

    async def page(
        self,
        state: PaymentState | None = None,
        gateway: str | None = None,
        *,
        unresolved: bool = False,
        after: Key | None = None,
        limit: int = 50,
    ) -> PaymentPage:
        """Payments from ``after`` (when one began, and its id) back in time.

        ``unresolved``: only those of which nobody found out what became of them.
        """
        limit = min(limit, MOST)
        asked: list[sa.ColumnElement[bool]] = []
        asked += [] if state is None else [payment.c.state == state.value]
        asked += [] if gateway is None else [payment.c.gateway == gateway]
        asked += [payment.c.state == PaymentState.DECLINED.value, payment.c.reason == UNRESOLVED] if unresolved else []
        if unresolved or state in APART:
            rows = await self._read(asked, after, None, limit + 1)
            return _page(rows, limit, None)
        until = datetime.now(UTC) if after is None else after[0]
        rows = []
        for look in LOOKS:
            since = until - look
            rows = await self._read(asked, after, since, limit + 1)
            if len(rows) > limit:
                return _page(rows, limit, None)
        return _page(rows, limit, since)

    async def course(self, one: Payment) -> list[RecoveryPoint]:
        """Everything that happened to a payment, in order: what was said of it, and what was booked."""
        events = payment_event.c
        query = (
            sa.select(events.at, events.what, events.state, events.body)
            .where(*_of(payment_event, one))
            .order_by(events.event_id)
            .limit(MOST_EVENTS)
        )
        async with self._books.billing.connect() as connection:
            rows = (await connection.execute(query)).all()
        points = [RecoveryPoint(row.at, row.what, row.state, _said(row.body)) for row in rows]
        before = ""
        for at, event, amount, currency in await self.effects(one):
            # What is restored after it was given back has not arrived: nothing is credited.
            state = PaymentState.REFUNDING if (before, event) == ("returned", "restored") else _BOOKED[event]
            points.append(RecoveryPoint(at, event, state.value, {"amount": str(amount), "currency": currency}))
            before = event
        return sorted(points, key=lambda point: point.at)

    async def decisions(self, one: Payment) -> list[Decision]:
        """What the guard decided of a payment, in order."""
        columns = payment_decision.c
        names = (columns.at, columns.verdict, columns.layer, columns.code, columns.score, columns.reasons)
        query = sa.select(*names, columns.inputs).where(*_of(payment_decision, one)).order_by(columns.at)
        async with self._books.billing.connect() as connection:
            return [Decision(*row) for row in await connection.execute(query)]

    async def effects(self, one: Payment) -> list[Effect]:
        """What a payment did to the books, in order."""
        columns = payment_history.c
        query = (
            sa.select(columns.booked_at, columns.event, columns.amount, columns.currency)
            .where(*_of(payment_history, one))
            .order_by(columns.booked_at)
        )
        async with self._books[Book.HISTORY].connect() as connection:
            return [Effect(*row) for row in await connection.execute(query)]

    async def _read(
        self, asked: list[sa.ColumnElement[bool]], after: Key | None, since: datetime | None, limit: int
    ) -> list[Payment]:
        names = [name for name in Payment.__struct_fields__ if name != "account"]
        order = (payment.c.created_at, payment.c.payment_id)
        query = (
            sa.select(payment.c.shard, payment.c.account_id, *(payment.c[name] for name in names))
            .where(*asked)
            .order_by(*(column.desc() for column in order))
            .limit(limit)
        )
        if after is not None:
            query = query.where(sa.tuple_(*order) < sa.tuple_(*after), payment.c.created_at <= after[0])
        if since is not None:
            query = query.where(payment.c.created_at >= since)
        async with self._books.billing.connect() as connection:
            return [_payment(row) for row in (await connection.execute(query)).mappings()]


def _page(rows: list[Payment], limit: int, looked_to: datetime | None) -> PaymentPage:
    if len(rows) > limit:
        last = rows[limit - 1]
        return PaymentPage(rows[:limit], (last.created_at, last.payment_id), None)
    return PaymentPage(rows, None if looked_to is None else (looked_to, UUID(int=0)), looked_to)


def _payment(row: Mapping[Any, Any]) -> Payment:
    values = {name: row[name] for name in Payment.__struct_fields__ if name != "account"}
    values |= {"method": PaymentMethod(row["method"]), "state": PaymentState(row["state"])}
    return Payment(account=AccountRef(row["shard"], row["account_id"]), **values)


def _of(table: sa.Table, one: Payment) -> tuple[sa.ColumnElement[bool], ...]:
    own = table.c.shard == one.account.shard, table.c.account_id == one.account.account_id
    return *own, table.c.payment_id == one.payment_id


def _said(body: Mapping[str, Any]) -> dict[str, str]:
    return {name: str(value) if name in _OPEN else mask(str(value), name) for name, value in body.items()}
