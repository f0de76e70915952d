"""Claiming what is due, of each gateway on its own: an ill provider's payments keep no other's waiting."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from engine.payments.store import Connection, Waiting
from engine.payments.stored import Stored

_STORED = ", ".join(f"p.{name}" for name in Stored._fields)

_SLOTS = "unnest(%(gateways)s::text[], %(free)s::int[]) AS slot (gateway, free)"
_OF_SLOT = "(d.gateway = slot.gateway OR slot.gateway = '' AND d.gateway <> ALL (%(known)s::text[]))"

_CLAIM = f"""
    WITH due AS MATERIALIZED (
        SELECT one.* FROM {_SLOTS} CROSS JOIN LATERAL (
            SELECT d.shard, d.account_id, d.payment_id FROM payment d WHERE d.next_check_at <= %(now)s AND {_OF_SLOT}
            ORDER BY d.next_check_at LIMIT slot.free FOR NO KEY UPDATE SKIP LOCKED) one)
    UPDATE payment p SET next_check_at = %(until)s, attempts = least(p.attempts + 1, 30000) FROM due
    WHERE p.shard = due.shard AND p.account_id = due.account_id AND p.payment_id = due.payment_id
    RETURNING {_STORED}"""

_CLAIM_HEARD = f"""
    WITH due AS MATERIALIZED (
        SELECT one.* FROM {_SLOTS} CROSS JOIN LATERAL (
            SELECT d.shard, d.digest FROM gateway_event d
            WHERE d.done_at IS NULL AND d.next_check_at <= %(now)s AND {_OF_SLOT}
            ORDER BY d.next_check_at LIMIT slot.free FOR NO KEY UPDATE SKIP LOCKED) one)
    UPDATE gateway_event e SET next_check_at = %(until)s FROM due
    WHERE e.shard = due.shard AND e.digest = due.digest
    RETURNING e.shard, e.digest, e.gateway, e.event_id, e.body, e.sealed, e.received_at"""


class Slots(NamedTuple):
    """How many may be claimed of each gateway; ``""`` stands for all that are not known."""

    free: Mapping[str, int]
    known: Sequence[str]

    def asked(self, now: datetime, lease: timedelta) -> dict[str, Any]:
        """As parameters of a claim."""
        slots = {"gateways": list(self.free), "free": list(self.free.values()), "known": list(self.known)}
        return slots | {"now": now, "until": now + lease}


async def claim(connection: Connection, slots: Slots, now: datetime, lease: timedelta) -> list[Stored]:
    """Payments that are due: nobody else looks at them before the lease is over."""
    cursor = await connection.cursor(binary=True).execute(_CLAIM, slots.asked(now, lease))
    return [Stored(*row) for row in await cursor.fetchall()]


async def claim_heard(connection: Connection, slots: Slots, now: datetime, lease: timedelta) -> list[Waiting]:
    """Events that nobody has finished: nobody else looks at them before the lease is over."""
    cursor = await connection.cursor(binary=True).execute(_CLAIM_HEARD, slots.asked(now, lease))
    return [Waiting(*row) for row in await cursor.fetchall()]
