"""The SQL of opening payments: their rows, what they are found by, and who was asked for how much."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from engine.favourites.tables import recharged_other
from engine.payments.names import Locator
from engine.payments.store import (
    EVIDENCE,
    INSERT_EVIDENCE,
    KEY,
    LOCATED,
    MARK,
    READ,
    STORED,
    Connection,
    Row,
    ask,
    place_of,
)
from engine.payments.stored import Stored
from engine.payments.tables import payment, payment_asked, payment_event, payment_locator
from engine.storage.bulk import arrays, insert_sql, unfolded

_OPENED = tuple(name for name in Stored._fields if name != "attempts")
_NAMED = (*LOCATED, "until")
_ASKED = (*LOCATED, "asked_at")
_OTHERS = (
    *("shard", "account_id", "line_id", "key"),
    *("other_shard", "other_account_id", "other_line_id", "payment_id", "asked_at"),
)

_INSERT_PAYMENTS = f"{insert_sql(payment, _OPENED)} ON CONFLICT DO NOTHING RETURNING payment_id"
_INSERT_NAMED = f"{insert_sql(payment_locator, _NAMED)} ON CONFLICT DO NOTHING"
_INSERT_ASKED = f"{insert_sql(payment_asked, _ASKED)} ON CONFLICT DO NOTHING"
_INSERT_OTHERS = f"{insert_sql(recharged_other, _OTHERS)} ON CONFLICT DO NOTHING"
_MARK_SHARED = f"""
    INSERT INTO payment_locator (shard, digest, owner_shard, account_id, payment_id, until)
    SELECT l.shard, l.digest || {MARK}, l.owner_shard, l.account_id, l.payment_id, v.until
    FROM {unfolded(payment_locator, _NAMED)} JOIN payment_locator l ON l.shard = v.shard AND l.digest = v.digest
    WHERE l.payment_id <> v.payment_id ON CONFLICT DO NOTHING"""

# What was held back is asked for when staff has let it pass, long after it was opened.
_ASKED_OF = f"""
    SELECT {STORED} FROM payment_asked a
    JOIN payment p ON p.shard = a.owner_shard AND p.account_id = a.account_id AND p.payment_id = a.payment_id
    WHERE (a.shard, a.digest) IN (SELECT v.shard, v.digest FROM {unfolded(payment_asked, ("shard", "digest"))})
      AND coalesce(p.requested_at, a.asked_at) BETWEEN %(first)s AND %(last)s
    ORDER BY a.asked_at, a.payment_id"""


class Named(NamedTuple):
    """What payments are found by, as rows: locators with the time until which they are kept, and who was asked.

    ``others``: the lines that have asked for payments of other lines.
    """

    locators: list[Row]
    asked: list[Row]
    others: list[Row]


async def open_payments(
    connection: Connection, payments: Sequence[Stored], named: Named, evidence: Sequence[Row]
) -> tuple[list[Stored], set[UUID]]:
    """Store payments that are not there, and commit. Returns all as they stand, and the ids of those that are new."""
    keys = [row[:3] for row in payments]
    rows = sorted((row._asdict() for row in payments), key=lambda row: (row["shard"], row["account_id"].int))
    async with connection.pipeline():
        made = await ask(
            connection, _INSERT_PAYMENTS, arrays(payment, _OPENED, [[row[name] for name in _OPENED] for row in rows])
        )
        names = arrays(payment_locator, _NAMED, sorted(named.locators, key=place_of))
        await ask(connection, _INSERT_NAMED, names)
        await ask(connection, _MARK_SHARED, names)
        if named.asked:
            await ask(connection, _INSERT_ASKED, arrays(payment_asked, _ASKED, sorted(named.asked)))
        if named.others:
            await ask(connection, _INSERT_OTHERS, arrays(recharged_other, _OTHERS, sorted(named.others)))
        await ask(connection, INSERT_EVIDENCE, arrays(payment_event, EVIDENCE, evidence))
        stored = await ask(connection, READ, arrays(payment, KEY, keys))
        await connection.commit()
    return _placed(len(keys), await stored.fetchall()), {row[0] for row in await made.fetchall()}


def _placed(number: int, rows: Iterable[Row]) -> list[Stored]:
    by_place = {row[0]: Stored(*row[1:]) for row in rows}
    return [by_place[place] for place in range(1, number + 1)]


async def asked_of(connection: Connection, payers: Sequence[Locator], first: datetime, last: datetime) -> list[Stored]:
    """The payments that were asked of a payer, found under the digests of all keys, from one time to another."""
    given = arrays(payment_asked, ("shard", "digest"), [(one.shard, one.digest) for one in payers])
    cursor = await ask(connection, _ASKED_OF, given | {"first": first, "last": last})
    return [Stored(*row) for row in await cursor.fetchall()]


_OPEN_SUSPENSE = """
    INSERT INTO account (shard, account_id, currency, key_id, wrapped_key, opened_at)
    VALUES (%(shard)s, %(account_id)s, %(currency)s, %(key_id)s, %(wrapped_key)s, %(opened_at)s)
    ON CONFLICT DO NOTHING"""


async def open_suspense(connection: Connection, **values: Any) -> None:
    """An account of payments that are nobody's, unless it is there; whoever calls commits."""
    await connection.execute(_OPEN_SUSPENSE, values)
