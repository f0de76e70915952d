"""Payments for tests that begin where one is captured: its row, and the settlement through the one door."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

import psycopg

from engine.api import Engine
from engine.storage.sharding import new_id
from engine.words import Answer, Settle, Subscriber, settle_key
from tests.engine.shop import asking


def captured(owner: psycopg.Connection[object], line: Subscriber, amount: int = 5000, gateway: str = "sandbox") -> UUID:
    """A payment of ``amount`` minor units that the gateway holds for us."""
    payment_id, now = new_id(), datetime.now(UTC)
    owner.execute(
        "INSERT INTO payment (shard, account_id, payment_id, line_id, gateway, method, gateway_ref, amount, currency,"
        " state, reference, source, created_at, changed_at)"
        " VALUES (%s, %s, %s, %s, %s, 'mobile_money', %s, %s, %s, 'captured', %s, 'ussd:test', %s, %s)",
        (
            *(*line.account, payment_id, line.line_id, gateway, f"REF{payment_id.hex[:8]}", amount, line.currency),
            *(payment_id.hex[-6:].upper(), now, now),
        ),
    )
    owner.execute(
        "INSERT INTO payment_event (shard, account_id, payment_id, event_id, state, what, body, at)"
        " VALUES (%s, %s, %s, %s, 'captured', 'callback', %s, %s)",
        (*line.account, payment_id, new_id(), '{"code": "0"}', now),
    )
    return payment_id


async def settled(engine: Engine, owner: psycopg.Connection[object], line: Subscriber, amount: int = 5000) -> Answer:
    """A payment that was captured and is credited."""
    payment_id = captured(owner, line, amount)
    settle = asking(
        Settle, line, payment_id=payment_id, captured=amount, currency=line.currency, key=settle_key(payment_id)
    )
    answer = await engine.post(settle)
    assert answer.ok, answer
    return answer
