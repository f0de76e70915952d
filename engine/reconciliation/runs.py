"""The SQL of runs, and of what each day came to: captured, settled, explained, open."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any
from uuid import UUID

import msgspec
import sqlalchemy as sa
from psycopg.types.json import Jsonb
from sqlalchemy.engine import RowMapping
from sqlalchemy.ext.asyncio import AsyncConnection

from engine.reconciliation.staging import Run
from engine.reconciliation.store import Connection
from engine.reconciliation.tables import State, discrepancy, reconciliation_figure, reconciliation_run

#: what is stated, and what is booked as taken from it, each in its currency
_BOTH_SIDES = "LATERAL (VALUES (stated_currency, stated), (booked_currency, -booked)) AS v(currency, amount)"


class PastRun(msgspec.Struct, frozen=True, kw_only=True):
    """A run that is over. ``digest`` tells its file from others."""

    run_id: UUID
    gateway: str
    source: str
    digest: bytes | None
    first_day: date
    last_day: date
    rows: int
    broken: int
    #: the first of them: ``line`` and ``reason``
    broken_lines: list[dict[str, Any]]
    found: int
    by: str
    started_at: datetime
    finished_at: datetime


class Figure(msgspec.Struct, frozen=True, kw_only=True):
    """A gateway's day in one currency, minor units: what it captured less what it gave back, and what became of it."""

    gateway: str
    day: date
    currency: str
    rows: int
    captured: int
    fees: int
    #: what the books say of the same
    settled: int
    #: what differs and is not resolved, how much of it the gateway has more than the books
    open: int
    #: what differs for a reason that somebody has given
    explained: int

    @property
    def rest(self) -> int:
        """Captured − settled − explained − open: 0, or the figures are wrong."""
        return self.captured - self.settled - self.explained - self.open


async def keep_run(
    driver: Connection, run_id: UUID, run: Run, *, by: str, digest: bytes | None, started: datetime
) -> None:
    """Keep what a run came to."""
    broken = [{"line": one.line, "reason": one.reason} for one in run.broken_lines]
    await driver.execute(
        "INSERT INTO reconciliation_run (run_id, gateway, source, digest, first_day, last_day, rows, broken,"
        " broken_lines, found, by, started_at, finished_at)"
        " VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
        (
            *(run_id, run.gateway, run.source, digest, run.first_day, run.last_day, run.rows, run.broken),
            *(Jsonb(broken), run.found, by.strip(), started, datetime.now(UTC)),
        ),
    )


async def runs(
    connection: AsyncConnection, gateway: str | None, limit: int, before: UUID | None = None
) -> list[PastRun]:
    """The latest runs, newest first; ``before`` is the last one of the page before."""
    query = sa.select(reconciliation_run).order_by(reconciliation_run.c.run_id.desc()).limit(limit)
    if gateway is not None:
        query = query.where(reconciliation_run.c.gateway == gateway)
    if before is not None:
        query = query.where(reconciliation_run.c.run_id < before)
    return [PastRun(**_plain(row)) for row in (await connection.execute(query)).mappings()]


def _plain(row: RowMapping) -> dict[str, Any]:
    return {str(name): value for name, value in row.items()}


async def was_reconciled(connection: AsyncConnection, gateway: str, day: date) -> bool:
    """Whether a statement of a gateway's day was reconciled."""
    run = reconciliation_run.c
    query = sa.select(run.run_id).where(
        run.gateway == gateway, run.first_day <= day, run.last_day >= day, run.source != "status"
    )
    return (await connection.execute(query.limit(1))).first() is not None


async def figures(connection: AsyncConnection, gateway: str | None, first: date | None) -> list[Figure]:
    """Figures, newest day first."""
    differ = (
        sa.select(
            discrepancy.c.gateway,
            discrepancy.c.day,
            sa.literal_column("v.currency").label("currency"),
            sa.func.sum(sa.literal_column("v.amount")).filter(discrepancy.c.state != State.RESOLVED).label("open"),
            sa.func.sum(sa.literal_column("v.amount")).filter(discrepancy.c.state == State.RESOLVED).label("explained"),
        )
        .select_from(
            discrepancy.join(
                sa.text(_BOTH_SIDES),
                sa.true(),
            )
        )
        .where(discrepancy.c.live, discrepancy.c.counted, sa.text("v.currency IS NOT NULL"))
        .group_by(discrepancy.c.gateway, discrepancy.c.day, sa.text("v.currency"))
        .subquery()
    )
    figure = reconciliation_figure.c
    query = (
        sa.select(
            *(figure[name] for name in ("gateway", "day", "currency", "rows", "captured", "fees", "settled")),
            sa.cast(sa.func.coalesce(differ.c.open, 0), sa.BigInteger).label("open"),
            sa.cast(sa.func.coalesce(differ.c.explained, 0), sa.BigInteger).label("explained"),
        )
        .select_from(
            reconciliation_figure.outerjoin(
                differ,
                sa.and_(
                    differ.c.gateway == figure.gateway,
                    differ.c.day == figure.day,
                    differ.c.currency == figure.currency,
                ),
            )
        )
        .order_by(figure.day.desc(), figure.gateway, figure.currency)
    )
    if gateway is not None:
        query = query.where(figure.gateway == gateway)
    if first is not None:
        query = query.where(figure.day >= first)
    return [Figure(**_plain(row)) for row in (await connection.execute(query)).mappings()]
