"""The SQL of master keys: what was made under another one than the current, and accounts that are sealed anew."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from engine.accounts.tables import account, directory
from engine.recharge.tables import BatchState, VoucherState
from engine.storage.bulk import array, arrays, update_sql
from engine.words import LineStatus


class Kept(StrEnum):
    """What keeps an older master key needed."""

    #: an account's data key, and the digests that its numbers and chats are found by
    ACCOUNT = "account"
    STAFF_CODE = "staff_code"
    SUBSCRIPTION = "subscription"
    SET_ASIDE = "set_aside"
    DISCREPANCY = "discrepancy"
    # What follows was made of words that nobody but its owner knows.
    VOUCHER = "voucher"
    PIN = "pin"
    PASSWORD = "password"  # noqa: S105 - its name
    GUARD_LIST = "guard_list"
    CALLBACK = "callback"
    RADIUS_SESSION = "radius_session"


#: the two bytes that say which key sealed, where no column does
_FIRST = "get_byte({0}, 0) * 256 + get_byte({0}, 1)"

#: key id, rows, and when the last of them ends by itself (NULL: not by itself)
_HELD: dict[Kept, str] = {
    Kept.ACCOUNT: "SELECT key_id, count(*), NULL FROM account WHERE wrapped_key IS NOT NULL GROUP BY 1",
    Kept.STAFF_CODE: "SELECT key_id, count(*), NULL FROM staff_member GROUP BY 1",
    Kept.SUBSCRIPTION: "SELECT key_id, count(*), NULL FROM subscription GROUP BY 1",
    Kept.SET_ASIDE: f"SELECT {_FIRST.format('sealed')}, count(*), NULL FROM usage_set_aside GROUP BY 1",
    Kept.DISCREPANCY: f"""
        SELECT {_FIRST.format("sealed_account")}, count(*), NULL FROM discrepancy
        WHERE sealed_account IS NOT NULL GROUP BY 1""",
    Kept.VOUCHER: f"""
        SELECT b.key_id, count(*), max(b.expires_at) FROM voucher_batch b JOIN voucher v USING (batch_id)
        WHERE b.key_id <> :current AND b.state <> '{BatchState.RECALLED}' AND b.expires_at > now()
          AND v.state = '{VoucherState.UNUSED}' GROUP BY 1""",
    Kept.PIN: f"""
        SELECT split_part(pin_hash, ':', 1)::integer, count(*), NULL FROM line
        WHERE pin_hash IS NOT NULL AND status <> '{LineStatus.TERMINATED}' GROUP BY 1""",
    Kept.PASSWORD: """
        SELECT split_part(password_hash, ':', 1)::integer, count(*), NULL FROM staff_member
        WHERE disabled_at IS NULL GROUP BY 1""",
    Kept.GUARD_LIST: """
        SELECT key_id, count(*), CASE WHEN bool_and(until IS NOT NULL) THEN max(until) END FROM guard_list
        WHERE until IS NULL OR until > now() GROUP BY 1""",
    Kept.CALLBACK: """
        SELECT split_part(sealed, ':', 1)::integer, count(*), NULL FROM gateway_event
        WHERE sealed IS NOT NULL AND done_at IS NULL GROUP BY 1""",
    # They are named by the oldest key, so that a new one renames none.
    Kept.RADIUS_SESSION: """
        SELECT CAST(:oldest AS integer), count(*), NULL FROM session
        WHERE interface = 'radius' AND closed_at IS NULL HAVING count(*) > 0""",
}


async def held(connection: AsyncConnection, current: int, oldest: int) -> list[tuple[Kept, int, int, Any]]:
    """What was made under another key than ``current``: what, key id, rows, until when at the most."""
    found = []
    for what, counted in _HELD.items():
        query = sa.text(f"SELECT * FROM ({counted}) AS t(key_id, many, until) WHERE key_id <> :current ORDER BY 1")
        given = {"current": current} | ({"oldest": oldest} if ":oldest" in counted else {})
        found += [(what, *row) for row in await connection.execute(query, given)]
    return found


async def lock_older(
    connection: AsyncConnection, shard: int, after: UUID, current: int, limit: int
) -> list[sa.Row[Any]]:
    """The next accounts of a shard behind ``after`` whose data key another key wraps, locked as the door locks them."""
    query: sa.Select[Any] = (
        sa.select(account.c.account_id, account.c.key_id, account.c.wrapped_key)
        .where(
            account.c.shard == shard,
            account.c.account_id > after,
            account.c.key_id != current,
            account.c.wrapped_key.is_not(None),
        )
        .order_by(account.c.account_id)
        .limit(limit)
        .with_for_update(key_share=True)
    )
    return list(await connection.execute(query))


_SEALED = sa.text(
    """
    SELECT account_id, 'msisdn' AS kind, sealed_msisdn AS sealed FROM line
    WHERE shard = :shard AND account_id = ANY(:ids) AND sealed_msisdn IS NOT NULL
    UNION ALL
    SELECT account_id, 'imsi', sealed_imsi FROM line
    WHERE shard = :shard AND account_id = ANY(:ids) AND sealed_imsi IS NOT NULL
    UNION ALL
    SELECT account_id, 'chat', sealed_chat FROM chat WHERE shard = :shard AND account_id = ANY(:ids)"""
)


async def sealed_names(connection: AsyncConnection, shard: int, ids: Sequence[UUID]) -> Sequence[sa.Row[Any]]:
    """What the directory finds these accounts by, sealed: account, kind, number or chat."""
    return (await connection.execute(_SEALED, {"shard": shard, "ids": list(ids)})).all()


_WRAP = update_sql(account, ("shard", "account_id", "wrapped_key"), ("key_id",))

#: Nobody is lost on the way: who looks finds the old entry before the commit, and the new one after it.
_MOVE = """
    WITH gone AS (
        DELETE FROM directory d
        USING unnest(%(shard)s::smallint[], %(digest)s::bytea[], %(account_id)s::uuid[],
                     %(to_shard)s::smallint[], %(to_digest)s::bytea[])
              AS v(shard, digest, account_id, to_shard, to_digest)
        WHERE d.shard = v.shard AND d.digest = v.digest AND d.account_id = v.account_id
        RETURNING v.to_shard, v.to_digest, d.kind, d.owner_shard, d.account_id, d.line_id
    )
    INSERT INTO directory (shard, digest, kind, key_id, owner_shard, account_id, line_id)
    SELECT to_shard, to_digest, kind, %(key_id)s::smallint, owner_shard, account_id, line_id FROM gone"""


async def rewrap(connection: AsyncConnection, rows: Sequence[tuple[int, UUID, bytes]], key_id: int) -> None:
    """Put accounts' data keys down as ``key_id`` wraps them: shard, account, wrapped key."""
    columns = ("shard", "account_id", "wrapped_key")
    await connection.exec_driver_sql(_WRAP, {**arrays(account, columns, rows), "key_id": key_id})


async def move_entries(
    connection: AsyncConnection, moves: Sequence[tuple[int, bytes, UUID, int, bytes]], key_id: int
) -> None:
    """Let accounts be found under ``key_id``: shard and digest now, account, shard and digest from now on."""
    columns = {"shard": "shard", "digest": "digest", "account_id": "account_id"}
    columns |= {"to_shard": "shard", "to_digest": "digest"}
    by_column: Mapping[str, Sequence[Any]] = dict(zip(columns, zip(*moves, strict=True), strict=True))
    given = {name: array(directory, column, by_column[name]) for name, column in columns.items()}
    await connection.exec_driver_sql(_MOVE, {**given, "key_id": key_id})
