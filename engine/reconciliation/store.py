"""The SQL of reconciliation: a statement and the books side by side, matched as sets in temporary tables.

Nothing here depends on how many rows there are but its time. The temporary tables live as long as one run; what is
kept is written in one transaction.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from datetime import date, datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

from psycopg import AsyncConnection

from engine.payments.stored import Stored
from engine.reconciliation import statements as sql
from engine.reconciliation.rules import Days, Judged, Told

Row = tuple[Any, ...]
Connection = AsyncConnection[Row]

#: movements without a match that are looked at one by one, at a time
PAGE = 5_000
#: who changed what a run found by itself
BY_RUN = "reconciliation"
_JUDGED_ID = sql.ID.format(name="%(name)s::text", paid="%(paid)s::boolean", tag="%(tag)s::text")


class Scope(NamedTuple):
    """What one run looks at, and how closely."""

    gateway: str
    run_id: UUID
    days: Days
    zone: str
    now: datetime
    #: how far around its days a booking of a stated movement is looked for
    around: timedelta
    #: how far apart both sides of one movement may lie
    late: timedelta
    #: how close to the statement's ends a booking may be stated by the next one
    edge: timedelta

    def parameters(self) -> dict[str, Any]:
        """As the statements name them."""
        given = self._asdict() | self.days._asdict()
        del given["days"]
        return given


class Alone(NamedTuple):
    """A stated movement that no booking of these days matches."""

    place: int
    told: Told
    day: date
    sealed: bytes | None


class Found(NamedTuple):
    """What was found out about such a movement, or about a payment that a gateway was asked for."""

    told: Told
    day: date
    judged: Judged
    #: shard, account and id of the payment it leads to
    key: tuple[int, UUID, UUID] | None
    sealed: bytes | None = None


async def begin(connection: Connection) -> None:
    """Make the temporary tables of a run."""
    await connection.execute("SET work_mem = '64MB'")
    for statement in sql.TEMPORARY.split(";"):
        await connection.execute(statement)
    await connection.commit()


async def end(connection: Connection) -> None:
    """Drop them, whatever has happened."""
    await connection.rollback()
    await connection.execute(f"DROP TABLE IF EXISTS {', '.join(sql.TABLES)}")
    await connection.execute("RESET work_mem")
    await connection.commit()


async def stated_days(connection: Connection, zone: str) -> list[tuple[date, int]]:
    """The local days that the stated rows lie in, and how many in each."""
    cursor = await connection.execute(
        "SELECT (at AT TIME ZONE %s)::date AS day, count(*) FROM stated GROUP BY day", (zone,)
    )
    return [(day, count) for day, count in await cursor.fetchall()]


async def keep(connection: Connection, scope: Scope) -> None:
    """Keep what was stated, and lay out all that is known of it and of its days."""
    given = scope.parameters()
    await connection.execute("ANALYZE stated")
    await connection.execute(sql.KEEP, given)
    await connection.execute(sql.TELL, given)
    await connection.execute("ANALYZE told")
    await connection.execute(sql.TELL_PARTS)


async def lay_out_books(connection: Connection, books: Connection | None, scope: Scope) -> None:
    """Lay the bookings of these days beside it. ``books``: the payment history's database, if it is another one."""
    given = scope.parameters()
    if books is None:
        await connection.execute(f"INSERT INTO ours {sql.BOOKED}", given)
    else:
        async with books.cursor() as there, connection.cursor() as here:
            async with there.copy(f"COPY ({sql.BOOKED}) TO STDOUT", given) as rows:
                async with here.copy("COPY ours FROM STDIN") as out:
                    async for block in rows:
                        await out.write(block)
        await books.rollback()
    await connection.execute("ANALYZE ours")
    await connection.execute(sql.BOOKED_PARTS)


async def match(connection: Connection, scope: Scope) -> None:
    """Bring both together by the provider's reference, and find what differs among them."""
    given = scope.parameters()
    await connection.execute(sql.MATCH, given)
    await connection.execute("ANALYZE matched")
    await connection.execute(sql.ALONE, given)
    await connection.execute(sql.FIND_COMPARED, given)


async def alone(connection: Connection) -> AsyncIterator[list[Alone]]:
    """What was stated and matches no booking of these days, page by page."""
    last = 0
    while True:
        rows = await (await connection.execute(sql.PAGE, (last, PAGE))).fetchall()
        if not rows:
            return
        yield [
            Alone(place, Told(name, payment_id, amount, currency, at, undone, sealed is not None, *order), day, sealed)
            for place, name, payment_id, amount, currency, at, day, undone, sealed, *order in rows
        ]
        last = rows[-1][0]


async def stated_elsewhere(connection: Connection, gateway: str, names: Sequence[tuple[str, bool]]) -> set[Row]:
    """Of (reference, paid) those that the gateway has stated, in whatever file."""
    refs, paid = [name for name, _ in names], [side for _, side in names]
    cursor = await connection.execute(
        "SELECT DISTINCT v.name, v.paid FROM unnest(%s::text[], %s::boolean[]) AS v(name, paid)"
        " JOIN settlement_row r ON r.gateway = %s AND r.gateway_ref = v.name AND (r.amount > 0) = v.paid",
        (refs, paid, gateway),
    )
    return set(await cursor.fetchall())


async def add_judged(connection: Connection, gateway: str, found: Sequence[Found]) -> None:
    """Put what was found out one by one beside what the sets told."""
    agreed = [one for one in found if one.judged.currency is not None and one.judged.booked]
    async with connection.cursor() as cursor:
        async with cursor.copy("COPY matched FROM STDIN") as copy:
            for told, day, judged, key, _ in agreed:
                at = judged.booked_at or told.at
                side = (told.name, _paid(told, judged), day, 1, told.amount, told.currency, told.at)
                await copy.write_row((*side, *(key or (None,) * 3), judged.booked, judged.currency, at))
        rows = [_found_row(one) for one in found if one.judged.kind is not None]
        await cursor.executemany(
            f"INSERT INTO found VALUES ({_JUDGED_ID}, %(day)s, %(kind)s, %(reason)s, %(name)s, %(paid)s, %(shard)s,"
            " %(account_id)s, %(payment_id)s, %(stated)s, %(stated_currency)s, %(stated_at)s, %(booked)s,"
            " %(booked_currency)s, %(booked_at)s, %(exact)s, %(sealed)s)",
            [row | {"gateway": gateway} for row in rows],
        )


def _paid(told: Told, judged: Judged) -> bool:
    return (told.amount or judged.booked) > 0


def _found_row(one: Found) -> dict[str, Any]:
    told, day, judged, key, sealed = one
    shard, account_id, payment_id = key or (None, None, told.payment_id)
    return {
        "day": day,
        "kind": judged.kind,
        "reason": judged.reason,
        "name": told.name,
        "paid": _paid(told, judged),
        "shard": shard,
        "account_id": account_id,
        "payment_id": payment_id,
        "stated": told.amount,
        "stated_currency": told.currency if told.amount else None,
        "stated_at": told.at if told.amount else None,
        "booked": judged.booked,
        "booked_currency": judged.currency,
        "booked_at": judged.booked_at,
        "exact": judged.exact,
        "tag": str(told.nth) if told.amount else "unstated",
        "sealed": sealed,
    }


async def find_rest(connection: Connection, scope: Scope) -> None:
    """Find what was stated again, and what was booked and never stated."""
    given = scope.parameters()
    await connection.execute(sql.FIND_AGAIN, given)
    await connection.execute(sql.FIND_UNSTATED, given)


async def looked_at(connection: Connection, names: Sequence[str]) -> None:
    """Say of which references a run has found out all there is: what it does not find of them any more is over."""
    await connection.execute("INSERT INTO told (name) SELECT unnest(%s::text[])", (list(names),))


async def merge(connection: Connection, scope: Scope, *, counted: bool) -> int:
    """Keep what was found, close what is not there any more, and compute figures. Returns how many were found.

    ``counted``: this is a statement, so its days' figures are made of it.
    """
    given = scope.parameters() | {"counted": counted}
    count = await (await connection.execute("SELECT count(DISTINCT discrepancy_id) FROM found")).fetchone()
    seen = await (await connection.execute(sql.MERGE, given)).fetchall()
    gone = await (await connection.execute(sql.CLEAR, given)).fetchall()
    for what, rows in (("found", seen), ("cleared", gone)):
        why, ids = f"run {scope.run_id}", [row[0] for row in rows]
        change = {"what": what, "by": BY_RUN, "why": why, "now": scope.now, "ids": ids}
        await connection.execute(sql.CHANGED, change)
    if counted:
        await connection.execute(sql.FIGURES, given)
    days = [row[0] for row in await (await connection.execute(sql.TOUCHED, given)).fetchall()]
    if days:
        await refigure(connection, scope.gateway, days, scope.now)
    return int(count[0]) if count is not None else 0


async def refigure(connection: Connection, gateway: str, days: Sequence[date], now: datetime) -> None:
    """Make the figures of days follow from what is open now."""
    await connection.execute(sql.REFIGURE, {"gateway": gateway, "days": list(days), "now": now})


_BEGUN = f"""
    SELECT {", ".join(Stored._fields)} FROM payment
    WHERE gateway = %(gateway)s AND created_at >= %(at)s AND created_at < %(ends)s
      AND (created_at, payment_id) > (%(at)s, %(payment_id)s)
    ORDER BY created_at, payment_id LIMIT %(limit)s"""


async def begun(
    connection: Connection, gateway: str, after: tuple[datetime, UUID], ends: datetime, *, limit: int
) -> list[Stored]:
    """A gateway's payments that began after a time (and the last one of a page) up to another, oldest first."""
    asked = {"gateway": gateway, "at": after[0], "payment_id": after[1], "ends": ends, "limit": limit}
    cursor = await connection.execute(_BEGUN, asked)
    return [Stored(*row) for row in await cursor.fetchall()]
