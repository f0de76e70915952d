"""The SQL of the layers before payments: the facts of a whole batch in a few statements, and what was decided."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

from psycopg import AsyncConnection

from engine.guard.payment_rules import History
from engine.guard.tables import guard_list, payment_decision
from engine.payments.tables import payment
from engine.storage.bulk import arrays, insert_sql, unfolded
from engine.storage.locks import AdvisoryLock
from engine.words import Listed, ListKind

Row = tuple[Any, ...]
Connection = AsyncConnection[Row]

#: how far back an account's own payments are looked at
LOOKS_BACK = timedelta(days=90)

_ASKED = ("shard", "account_id", "line_id", "payment_id", "method")
_DECIDED = (
    "shard",
    "account_id",
    "decision_id",
    "payment_id",
    "verdict",
    "layer",
    "code",
    "score",
    "reasons",
    "inputs",
    "payer_digest",
    "at",
)
_INSERT_DECISIONS = insert_sql(payment_decision, _DECIDED)

# What is counted of an account stays so until what was decided by it is stored. All locks of a batch in one order.
_ALONE = f"""
    SELECT pg_advisory_xact_lock({AdvisoryLock.COUNT_PAYMENTS:d}, account)
    FROM (SELECT DISTINCT hashtext(id::text) AS account FROM unnest(%(account_id)s::uuid[]) AS id ORDER BY 1) AS one"""

# One row for each payment whose account exists; its own earlier payments and live money are summed beside it.
_FACTS = f"""
    SELECT v.place, a.currency, a.key_id, a.wrapped_key, a.kind = 'postpaid', l.status, l.opened_at, l.sim_changed_at,
           coalesce(h.stored, false), coalesce(b.money, 0),
           h.settled, coalesce(h.usual, 0), coalesce(h.today, 0), h.waiting
    FROM {unfolded(payment, _ASKED, numbered=True)}
    JOIN account a USING (shard, account_id)
    LEFT JOIN line l ON l.shard = v.shard AND l.account_id = v.account_id AND l.line_id = v.line_id
    LEFT JOIN LATERAL (
        SELECT bool_or(p.payment_id = v.payment_id) AS stored,
               count(*) FILTER (WHERE p.state = 'settled')::integer AS settled,
               percentile_disc(0.5) WITHIN GROUP (ORDER BY p.amount) FILTER (WHERE p.state = 'settled') AS usual,
               sum(p.amount) FILTER (WHERE p.method = v.method AND p.created_at >= %(day)s
                   AND p.state NOT IN ('declined', 'refunding', 'refunded', 'charged_back'))::bigint AS today,
               count(*) FILTER (WHERE p.state IN ('created', 'review', 'requested', 'pending', 'unknown', 'held'))
                   ::integer AS waiting
        FROM payment p
        WHERE p.shard = v.shard AND p.account_id = v.account_id
          AND (p.created_at > %(since)s OR p.payment_id = v.payment_id)
    ) h ON true
    LEFT JOIN LATERAL (
        SELECT sum(amount - reserved)::bigint AS money FROM bucket
        WHERE bucket.shard = v.shard AND bucket.account_id = v.account_id AND bucket.unit = 'money'
          AND (bucket.expires_at IS NULL OR bucket.expires_at > %(now)s)
    ) b ON true"""

_LISTED = f"""
    SELECT v.place, g.kind, g.verdict
    FROM {unfolded(guard_list, ("shard", "digest"), placed=True)} JOIN guard_list g USING (shard, digest)
    WHERE g.until IS NULL OR g.until > %(now)s"""


class Known(NamedTuple):
    """What the books know of one wanted payment."""

    currency: str
    key_id: int
    wrapped_key: bytes | None
    postpaid: bool
    #: of the line; None where the account has no such line
    status: str | None
    opened_at: datetime | None
    sim_changed_at: datetime | None
    #: it is stored already: whoever asks again is told how it stands
    stored: bool
    balance: int
    history: History


async def known(
    connection: Connection,
    asked: Sequence[tuple[int, UUID, UUID | None, UUID, str]],
    digests: Sequence[tuple[int, int, bytes]],
    *,
    now: datetime,
    day: datetime,
) -> tuple[list[Known | None], list[set[tuple[ListKind, Listed]]]]:
    """The facts of wanted payments (shard, account, line, payment, method), and the lists that they are on.

    Until the transaction ends no other learns facts of these accounts.
    ``digests`` are (place from 0, shard, digest); ``day`` is when the operator's local day began.
    """
    given = arrays(payment, _ASKED, asked) | {"day": day, "since": now - LOOKS_BACK, "now": now}
    looked_for = arrays(guard_list, ("shard", "digest"), [one[1:] for one in digests])
    async with connection.pipeline():
        await connection.execute(_ALONE, {"account_id": given["account_id"]})
        facts = connection.cursor(binary=True)
        await facts.execute(_FACTS, given)
        listed = connection.cursor(binary=True)
        await listed.execute(_LISTED, looked_for | {"place": [one[0] for one in digests], "now": now})
    found: list[Known | None] = [None] * len(asked)
    for place, *row in await facts.fetchall():
        found[place - 1] = Known._make([*row[:9], History(*row[9:])])
    lists: list[set[tuple[ListKind, Listed]]] = [set() for _ in asked]
    for place, kind, verdict in await listed.fetchall():
        lists[place].add((ListKind(kind), Listed(verdict)))
    return found, lists


async def keep(connection: Connection, decisions: Sequence[Row]) -> None:
    """Write decisions, in the transaction of what they allow."""
    await connection.execute(_INSERT_DECISIONS, arrays(payment_decision, _DECIDED, decisions), binary=True)
