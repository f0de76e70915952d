"""One step of a payment: what it becomes, decided over the row that is locked, and the rows that tell of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from uuid import uuid5

import msgspec

from engine.notices.rules import policy
from engine.payments import store
from engine.payments.links import ACTION, WAITS
from engine.payments.names import Locator
from engine.payments.store import Key
from engine.payments.stored import Stored
from engine.storage.sharding import new_id
from engine.words import PaymentState as S

#: what a payment becomes, decided under its row's lock: from how it stands, and whether the name given is its own
Decide = Callable[[Stored, bool, datetime], Stored]
#: the name of an alarm: from how a payment stood, how it stands, and whether the name given is its own
Alarming = Callable[[Stored, Stored, bool], str | None]


class Step(NamedTuple):
    """One change of one payment, with its evidence."""

    key: Key
    decide: Decide
    #: kind of evidence: ``answered``, ``callback``, ``status`` …
    what: str
    #: codes, references and amounts
    body: dict[str, Any]
    #: the provider's reference, entered for this payment if it is nobody's yet
    name: Locator | None = None
    #: the event that this does, by shard and digest
    event: tuple[int, bytes] | None = None
    #: write the evidence although nothing changes
    always: bool = False
    #: topic and body of a message to who asks for the payment
    message: tuple[str, dict[str, Any]] | None = None
    #: what staff is alarmed with, if it is
    alarm: Alarming | None = None


def decided(
    steps: Sequence[Step], before: Sequence[Stored], owns: Sequence[bool], now: datetime
) -> tuple[list[Stored], store.Turns]:
    """What payments that are locked become by a step each, and the rows of that.

    ``owns``: whether the name that a step enters is its payment's.
    """
    turns = store.Turns([], [], [], [], [])
    after = []
    for step, stored, own in zip(steps, before, owns, strict=True):
        then = step.decide(stored, own, now)
        after.append(then)
        _note(turns, step, stored, then, now)
        alarm = step.alarm(stored, then, own) if step.alarm is not None else None
        if alarm is not None:
            turns.alarms.append((alarm, alarm_facts(then)))
    return after, turns


def if_changed(alarm: str) -> Alarming:
    """An alarm that is told if a step changes its payment."""
    return lambda before, after, _owns: alarm if before != after else None


def alarm_facts(stored: Stored) -> dict[str, Any]:
    """What an alarm says of a payment."""
    facts = {"payment_id": str(stored.payment_id), "reference": stored.reference, "gateway": stored.gateway}
    return facts | {"amount": stored.money[0], "currency": stored.money[1], "state": stored.state}


def touches(step: Step) -> tuple[Any, ...]:
    """What only one step of a batch may touch: its payment, and the name that it enters."""
    names_ = (step.name.digest,) if step.name is not None else ()
    return (step.key, *names_)


def _note(turns: store.Turns, step: Step, before: Stored, after: Stored, now: datetime) -> None:
    """The rows of one step."""
    changed = after._replace(next_check_at=before.next_check_at, attempts=before.attempts) != before
    if after != before:
        # A look that brings nothing new is no change: how long it has stood so is counted from the last one.
        at = now if changed else before.changed_at
        where = (after.state, after.reason, after.next_check_at, after.gateway_ref, after.asked_ref)
        money = (after.captured, after.captured_currency)
        turns.payments.append((*step.key, *where, *money, after.gateway, after.requested_at, after.attempts, at))
    if changed or step.always:
        body = msgspec.json.encode(step.body).decode()
        turns.evidence.append((*step.key, new_id(), after.state, step.what, body, now))
    if step.message is not None and _worth_telling(step.message[0], before, after):
        topic, more = step.message
        body = msgspec.json.encode(
            {"amount": after.amount, "currency": after.currency, "reference": after.reference} | more
        ).decode()
        message_id = uuid5(after.payment_id, topic)
        owner = (after.shard, message_id, after.account_id, after.line_id)
        # What may be on the person's screen by then is dropped before it is due (``engine.payments.links``).
        message = (*owner, topic, body, int(policy(topic).priority), now + timedelta(seconds=WAITS), now)
        turns.messages.append((message, (after.payment_id, after.created_at)))
    if step.event is not None:
        turns.finished.append((*step.event, None))


def _worth_telling(topic: str, before: Stored, after: Stored) -> bool:
    if after.line_id is None:
        return False
    if topic == ACTION:
        return after.state == S.PENDING
    return after.state == S.DECLINED and before.state != S.DECLINED
