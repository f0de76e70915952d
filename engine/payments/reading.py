"""The SQL that only reads payments: an account's own, who asked for them, and what took a settlement back."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from engine.books.tables import operation
from engine.favourites.tables import recharged_other
from engine.payments import store
from engine.payments.stored import Stored
from engine.storage.bulk import arrays, unfolded
from engine.words import AccountRef, LineRef

_REVERSALS = f"""
    SELECT v.place, o.key FROM {unfolded(operation, ("shard", "account_id", "key"), numbered=True)}
    JOIN operation o ON o.shard = v.shard AND o.account_id = v.account_id AND o.reverses = v.key AND o.code = 'ok'"""


async def reversals(connection: store.Connection, keys: Sequence[tuple[int, UUID, UUID]]) -> list[UUID | None]:
    """The keys of the operations that took back what those of ``keys`` had done; None where none did."""
    cursor = await store.ask(connection, _REVERSALS, arrays(operation, ("shard", "account_id", "key"), keys))
    found: list[UUID | None] = [None] * len(keys)
    for place, key in await cursor.fetchall():
        found[place - 1] = key
    return found


_ASKERS = f"""
    SELECT v.place, r.shard, r.account_id, r.line_id
    FROM {unfolded(recharged_other, ("payment_id", "asked_at"), numbered=True)}
    JOIN recharged_other r USING (payment_id, asked_at)"""


async def askers(connection: store.Connection, payments: Sequence[Stored]) -> list[LineRef | None]:
    """The lines that have asked for payments, where those are for another one; else None."""
    asked = arrays(recharged_other, ("payment_id", "asked_at"), [(one.payment_id, one.created_at) for one in payments])
    found: list[LineRef | None] = [None] * len(payments)
    for place, *line in await (await store.ask(connection, _ASKERS, asked)).fetchall():
        found[place - 1] = LineRef(*line)
    return found


_OF_ACCOUNT = f"""
    SELECT {store.STORED} FROM payment p
    WHERE p.shard = %(shard)s AND p.account_id = %(account_id)s AND p.created_at < %(before)s
      AND (%(line_id)s::uuid IS NULL OR p.line_id = %(line_id)s)
    ORDER BY p.created_at DESC, p.payment_id LIMIT %(limit)s"""


async def of_account(
    connection: store.Connection, account: AccountRef, before: datetime, limit: int, line_id: UUID | None
) -> list[Stored]:
    """The latest payments of an account before a time, newest first; of one line only, if it is named."""
    asked = account._asdict() | {"before": before, "limit": limit, "line_id": line_id}
    cursor = await store.ask(connection, _OF_ACCOUNT, asked)
    return [Stored(*row) for row in await cursor.fetchall()]
