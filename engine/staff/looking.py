"""A line as staff looks at it: how it stands, and everything that happened to it on every channel, page by page."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Row
from sqlalchemy.ext.asyncio import AsyncEngine

from engine.accounts.service import Accounts
from engine.accounts.tables import account, line
from engine.balances.tables import bucket
from engine.words import Answer, Bucket, Event, LineRef, LineStatus, LineView, Unit

#: events in one page
MOST = 200
#: Operations lie in partitions by month: each look goes further back, until the page is full.
LOOKS = (timedelta(days=35), timedelta(days=400), None)
SOURCES = ("operation", "use", "payment", "message", "staff")
#: operations by which the network charges: a line may have many in an hour
_USE = "('session', 'usage', 'charge')"

Key = tuple[datetime, UUID]

_OPERATIONS = """
        SELECT booked_at AS at, key AS event_id, '{name}' AS source, kind AS what, code AS state, source AS by,
               reference, answer AS detail
        FROM operation WHERE shard = :shard AND account_id = :account_id AND kind {which}
          AND (line_id = :line_id OR line_id IS NULL) AND booked_at > :since AND (booked_at, key) < (:at, :event_id)"""
# Every branch is read by its account's key or index, newest first, and no further than the page.
_BRANCHES = {
    "operation": _OPERATIONS.format(name="operation", which=f"NOT IN {_USE}"),
    "use": _OPERATIONS.format(name="use", which=f"IN {_USE}"),
    "payment": """
        SELECT e.at, e.event_id, 'payment', e.what, e.state, p.gateway, p.payment_id::text,
               jsonb_build_object('amount', p.amount, 'currency', p.currency, 'reference', p.reference)
        FROM payment_event e JOIN payment p USING (shard, account_id, payment_id)
        WHERE e.shard = :shard AND e.account_id = :account_id AND (p.line_id = :line_id OR p.line_id IS NULL)
          AND e.at > :since AND (e.at, e.event_id) < (:at, :event_id)""",
    "message": """
        SELECT created_at, message_id, 'message', topic, CASE WHEN state = 'sent' THEN delivery ELSE state END,
               coalesce(carrier, ''), '', jsonb_build_object('error', error, 'sent_at', sent_at)
        FROM outbox WHERE shard = :shard AND account_id = :account_id
          AND (line_id = :line_id OR line_id IS NULL) AND created_at > :since
          AND (created_at, message_id) < (:at, :event_id)""",
    "staff": """
        SELECT at, action_id, 'staff', what, '', "by", '', detail || jsonb_build_object('why', why)
        FROM staff_action WHERE shard = :shard AND account_id = :account_id
          AND (line_id = :line_id OR line_id IS NULL) AND at > :since AND (at, action_id) < (:at, :event_id)""",
}


def _history(sources: tuple[str, ...]) -> sa.TextClause:
    # The first branch names the columns.
    first = """SELECT NULL::timestamptz AS at, NULL::uuid AS event_id, '' AS source, '' AS what, '' AS state, '' AS by,
               '' AS reference, NULL::jsonb AS detail WHERE false"""
    parts = [f"(SELECT * FROM ({_BRANCHES[name]}) b ORDER BY 1 DESC, 2 DESC LIMIT :most)" for name in sources]
    union = " UNION ALL ".join([f"({first})", *parts])
    return sa.text(f"{union} ORDER BY 1 DESC, 2 DESC LIMIT :most")


class Looking:
    """Lines of one installation, as staff looks at them."""

    def __init__(self, database: AsyncEngine, accounts: Accounts) -> None:
        self._reads = database.execution_options(isolation_level="AUTOCOMMIT")
        self._accounts = accounts

    async def line(self, ref: LineRef) -> LineView | None:
        """How a line stands, ended and erased ones too; None if there is none."""
        mine = sa.and_(line.c.shard == ref.shard, line.c.account_id == ref.account_id)
        of_account = sa.and_(account.c.shard == line.c.shard, account.c.account_id == line.c.account_id)
        found = (
            sa.select(line, account.c.kind.label("pays"), account.c.currency, account.c.frozen_reason)
            .join(account, of_account)
            .where(mine)
            .order_by(line.c.opened_at, line.c.line_id)
        )
        held = sa.select(bucket).where(
            bucket.c.shard == ref.shard,
            bucket.c.account_id == ref.account_id,
            sa.or_(bucket.c.amount > 0, bucket.c.product == "airtime"),
        )
        async with self._reads.connect() as connection:
            rows = (await connection.execute(found)).all()
            buckets = (await connection.execute(held.order_by(bucket.c.priority, bucket.c.expires_at))).all()
        row = next((one for one in rows if one.line_id == ref.line_id), None)
        if row is None:
            return None
        contact = (await self._accounts.reveal([ref])).get(ref.line_id)
        names = ("kind", "language", "currency", "pays", "frozen_reason", "pin_failures", "pin_locked_until")
        return LineView(
            line=ref,
            msisdn=None if contact is None else contact.msisdn,
            **{name: getattr(row, name) for name in (*names, "voucher_locked_until", "opened_at", "sim_changed_at")},
            status=LineStatus(row.status),
            has_pin=row.pin_hash is not None,
            buckets=tuple(_bucket(one) for one in buckets),
            others=tuple(LineRef(*ref.account, one.line_id) for one in rows if one.line_id != ref.line_id),
        )

    async def history(
        self, ref: LineRef, *, source: str | None = None, after: Key | None = None, limit: int = 50
    ) -> list[Event]:
        """What happened to a line and its account, the latest first.

        ``source`` is one of ``SOURCES``, all by default; ``after`` is time and id of the last one of the page before.
        """
        at, event_id = after or (datetime.now(UTC) + timedelta(days=1), UUID(int=2**128 - 1))
        asked: dict[str, Any] = {**ref._asdict(), "at": at, "event_id": event_id, "most": min(limit, MOST)}
        query = _history(SOURCES if source not in SOURCES else (source,))
        rows: list[Row[Any]] = []
        for look in LOOKS:
            since = datetime(2000, 1, 1, tzinfo=UTC) if look is None else at - look
            async with self._reads.connect() as connection:
                rows = list((await connection.execute(query, asked | {"since": since})).all())
            if len(rows) == asked["most"]:
                break
        return [_event(row) for row in rows]


def _event(row: Row[Any]) -> Event:
    detail = row.detail or {}
    if row.source in {"operation", "use"}:
        effects = msgspec.convert(detail, type=Answer).effects
        changes = [
            {"unit": one.unit.value, "product": one.product, "before": one.before, "after": one.after}
            for one in effects
        ]
        detail = {"changes": changes}
    return Event(row.at, row.event_id, row.source, row.what, row.state, row.by, row.reference, detail)


def _bucket(row: Row[Any]) -> Bucket:
    names = ("bucket_id", "product", "amount", "reserved", "initial", "priority", "starts_at", "expires_at")
    return Bucket(
        **{name: getattr(row, name) for name in names},
        unit=Unit(row.unit),
        categories=tuple(row.categories),
        rolled_from=row.rolled_from,
        rolled=row.rolled,
    )
