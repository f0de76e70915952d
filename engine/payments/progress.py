"""Taking payments on: what is heard of them becomes their state, and a captured one goes through the one door.

Every step begins from what is stored and is stored before the next begins, so whoever finds a payment, after whatever
crash, takes the step that is due. Steps that were taken are found taken: keys are derived, the door answers again.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from functools import cache
from typing import Any
from uuid import UUID

import msgspec
import structlog
from sqlalchemy.ext.asyncio import AsyncEngine

from engine.books.service import Door
from engine.events.alarms import Alarms
from engine.payments import names, reading, store
from engine.payments.course import (
    CHARGEBACK,
    NOT_SETTLED,
    RETURN_FAILED,
    RETURNED,
    WON_BACK,
    alarm_for,
    become,
    turn,
)
from engine.payments.links import ACTION, REFUSED
from engine.payments.names import SUSPENSE_IDS, by_gateway_ref
from engine.payments.steps import Step, alarm_facts, decided, if_changed, touches
from engine.payments.store import Connection
from engine.payments.stored import Stored
from engine.payments.writer import Writer
from engine.recharge.gateways.contract import GatewayState, Outcome
from engine.storage.sharding import new_id
from engine.words import Answer, Code, Operation, PaymentState, Restore, Return, Reverse, SetAside, Settle, settle_key
from runtime.metrics import Metrics

log = structlog.get_logger(__name__)

S = PaymentState

#: The door says it was done before.
_DONE = frozenset({Code.OK, Code.PAYMENT_SETTLED, Code.PAYMENT_CLOSED})
#: Not this payment's fault: it is tried again.
_LATER = frozenset({Code.FAILED, Code.KEY_EXPIRED, Code.ACCOUNT_UNKNOWN})


def hearing(
    stored: Stored,
    outcome: Outcome,
    what: str,
    *,
    gateway: str | None = None,
    event: tuple[int, bytes] | None = None,
    event_id: str | None = None,
    asked_ref: str | None = None,
) -> Step:
    """The step by which a payment becomes what its provider says.

    ``gateway``: who says it; ``event``: the one in the inbox that says it, which is done with the same commit.
    ``asked_ref``: what the provider was asked by, where that is not the name in ``outcome``.
    """
    name = None
    if outcome.gateway_ref is not None:
        name = by_gateway_ref(gateway or stored.gateway, outcome.gateway_ref)
    body = evidence(outcome) | ({"event_id": event_id} if event_id else {})
    message = None if what == "called_off" else _told(outcome)
    if outcome.action_url is not None:
        message = (ACTION, {"url": outcome.action_url})

    def decide(current: Stored, owns: bool, now: datetime) -> Stored:  # noqa: FBT001 - one of three facts
        """By what it is now, which may be more than whoever called knew."""
        return turn(current, outcome, now, owns_ref=owns, asked_ref=asked_ref)

    def alarm(before: Stored, _after: Stored, owns: bool) -> str | None:  # noqa: FBT001
        """What staff has to know of it, by what it was before."""
        return alarm_for(before, outcome, owns=owns)

    # Polls that find nothing new would fill the evidence; what arrives by itself is always kept.
    return Step(stored.key, decide, what, body, name, event, event is not None, message, alarm)


class Progress:
    """The steps of all payments in this process. Concurrent ones share their transactions."""

    def __init__(self, database: AsyncEngine, door: Door, metrics: Metrics, alarms: Alarms) -> None:
        self._door = door
        self._alarms = alarms
        # Found by its labels once: it is counted for every callback.
        self._came_to = cache(metrics.payments.labels)
        self._writer = Writer[Step, Stored](database, self._patiently, touches=touches, kept=True)
        self._reversals = Writer[Stored, UUID | None](database, self._read_reversals)
        self._finisher = Writer[store.Finished, None](database, self._finish)

    async def close(self) -> None:
        """Finish what is under way."""
        await self._writer.close()
        await self._finisher.close()
        await self._reversals.close()

    async def heard(self, stored: Stored, outcome: Outcome, what: str, *, gateway: str | None = None) -> Stored:
        """Let a payment become what its provider says (see ``hearing``). Returns it as it then stands."""
        return await self.step(hearing(stored, outcome, what, gateway=gateway))

    async def step(self, step: Step) -> Stored:
        """Take one step. Returns the payment as it then stands."""
        return await self._writer(step)

    async def change(
        self,
        stored: Stored,
        state: PaymentState,
        reason: str | None,
        what: str,
        *,
        alarm: str | None = None,
        **body: Any,
    ) -> Stored:
        """Let a payment that still stands where it was come to a state, and alarm staff if it does. Returns it then."""

        def decide(current: Stored, _owns: bool, now: datetime) -> Stored:  # noqa: FBT001
            """Whoever was first has decided."""
            return become(current, state, reason, now) if current.state == stored.state else current

        message = (REFUSED, {"reason": reason}) if state is S.DECLINED else None
        alarming = None if alarm is None else if_changed(alarm)
        return await self.step(Step(stored.key, decide, what, body, message=message, alarm=alarming))

    async def finish(self, event: tuple[int, bytes], refused: str | None) -> None:
        """Let an event that no payment changes by be done; ``refused`` says why it has no effect."""
        await self._finisher((*event, refused))

    async def _finish(self, connection: Connection, batch: Sequence[store.Finished]) -> list[None]:
        await store.keep_turns(connection, store.Turns([], [], [], list(batch), []), datetime.now(UTC))
        return [None] * len(batch)

    async def _patiently(self, connection: Connection, batch: Sequence[Step]) -> Sequence[Stored]:
        now = datetime.now(UTC)
        wanted = [(number, step.name) for number, step in enumerate(batch) if step.name is not None]
        found, owners = await store.lock(connection, [step.key for step in batch], wanted)
        before = []
        for step, stored in zip(batch, found, strict=True):
            if stored is None:
                raise LookupError(f"no payment {step.key[2]}")
            before.append(stored)
        owns = [step.name is None or owners[number] == step.key for number, step in enumerate(batch)]
        after, turns = decided(batch, before, owns, now)
        await store.keep_turns(connection, turns, now)
        self.count(before, after, turns)
        return after

    def count(self, before: Sequence[Stored], after: Sequence[Stored], turns: store.Turns) -> None:
        """Count what came to another state, and tell alarms, once that is committed."""
        for alarm in turns.alarms:
            self._alarms.tell(*alarm)
        for was, then in zip(before, after, strict=True):
            if was.state != then.state:
                self._came_to(then.gateway, then.state).inc()

    async def proceed(self, stored: Stored) -> bool:
        """Take a payment through the door as far as it can go. True if the door did something or had done it."""
        state = S(stored.state)
        if state is S.CAPTURED and stored.account_id not in SUSPENSE_IDS and stored.reason != RETURNED:
            return await self._settle(stored)
        if state is S.CAPTURED:
            done = await self._set_aside(stored, stored.reason or "line_unknown")
            # It went back before it was booked as ours: both are booked.
            return done and (stored.reason != RETURNED or await self._returned(stored))
        if state is S.SETTLED and stored.reason == CHARGEBACK:
            key = names.heard_key(stored.payment_id, CHARGEBACK, stored.changed_at)
            return (await self.reverse(stored, CHARGEBACK, stored.source, chargeback=True, key=key)).code in _DONE
        if state is S.CHARGED_BACK and stored.reason == WON_BACK:
            return await self._restore(stored)
        if (state, stored.reason) in ((S.REFUNDING, RETURNED), (S.REFUNDED, RETURN_FAILED)):
            return await self._returned(stored)
        return False

    async def _settle(self, stored: Stored) -> bool:
        captured, currency = stored.money
        key = settle_key(stored.payment_id)
        operation = Settle(**common(stored, key), payment_id=stored.payment_id, captured=captured, currency=currency)
        answer = await self._post(operation, stored, S.SETTLED)
        if answer.code in _DONE:
            return True
        if answer.code in _LATER:
            await self._not_settled(stored, answer.code)
            return False
        return await self._set_aside(stored, answer.code)

    async def _not_settled(self, stored: Stored, code: str) -> None:
        """Tell staff once of what the books did not take: its reason remembers that. It is tried again."""

        def remember(current: Stored, _owns: bool, now: datetime) -> Stored:  # noqa: FBT001
            """That staff was told, so that it is not told again with each try."""
            waits = (current.state, current.reason) == (S.CAPTURED, None)
            return become(current, S.CAPTURED, NOT_SETTLED, now) if waits else current

        alarm = if_changed("payment.not_settled")
        await self.step(Step(stored.key, remember, "not_settled", {"code": code}, alarm=alarm))

    async def _set_aside(self, stored: Stored, reason: str) -> bool:
        captured, currency = stored.money
        key = names.set_aside_key(stored.payment_id)
        operation = SetAside(
            **common(stored, key),
            payment_id=stored.payment_id,
            captured=captured,
            currency=currency,
            reason=reason,
        )
        answer = await self._post(operation, stored, S.REFUNDING)
        if answer.ok:
            # Its event is the door's, ``payment.set_aside``.
            self._alarms.tell("payment.set_aside", {"reason": reason, **alarm_facts(stored)})
        return answer.code in _DONE

    async def reverse(
        self, stored: Stored, reason: str, source: str, *, chargeback: bool = False, key: UUID | None = None
    ) -> Answer:
        """Take a settled payment's credit back, under a fresh key if none is given."""
        # A refusal stays under its key: whoever asks again has a new one. Under its lock it is taken back once.
        what = common(stored, key or new_id()) | {"source": source}
        operation = Reverse(**what, payment_id=stored.payment_id, reason=reason, chargeback=chargeback)
        return await self._post(operation, stored, S.CHARGED_BACK if chargeback else S.REFUNDING)

    async def _restore(self, stored: Stored) -> bool:
        """Give again what a chargeback took, once: what reversed the settlement is found and undone."""
        reversal = await self._reversals(stored)
        if reversal is None:
            return await self._not_restored(stored, "no_reversal")
        key = names.restore_key(stored.payment_id)
        operation = Restore(**common(stored, key), payment_id=stored.payment_id, reversal_key=reversal)
        answer = await self._post(operation, stored, S.SETTLED)
        if answer.code in (Code.OK, Code.PAYMENT_SETTLED):
            return True
        return answer.code != Code.FAILED and await self._not_restored(stored, answer.code)

    async def _not_restored(self, stored: Stored, code: str) -> bool:
        """Leave to staff, who is told once, what cannot be given again: it would be refused for ever."""

        def leave(current: Stored, _owns: bool, _now: datetime) -> Stored:  # noqa: FBT001
            """Nobody looks at it again by itself."""
            same = (current.state, current.reason) == (S.CHARGED_BACK, WON_BACK)
            return current._replace(next_check_at=None) if same else current

        alarm = if_changed("payment.not_restored")
        await self.step(Step(stored.key, leave, "not_restored", {"code": code}, always=True, alarm=alarm))
        return False

    async def _read_reversals(self, connection: Connection, batch: Sequence[Stored]) -> list[UUID | None]:
        asked = [(*one.account, settle_key(one.payment_id)) for one in batch]
        return await reading.reversals(connection, asked)

    async def _returned(self, stored: Stored) -> bool:
        """Book that it was given back, or that this has failed. Under its lock each is booked once for each time."""
        failed = stored.reason == RETURN_FAILED
        key = names.heard_key(stored.payment_id, RETURN_FAILED if failed else RETURNED, stored.changed_at)
        operation = Return(
            **common(stored, key),
            payment_id=stored.payment_id,
            amount=stored.left,
            currency=stored.money[1],
            failed=failed,
        )
        return (await self._post(operation, stored, S.REFUNDING if failed else S.REFUNDED)).code in _DONE

    async def _post(self, operation: Operation, stored: Stored, state: PaymentState) -> Answer:
        answer = await self._door.post(operation)
        if answer.ok:
            self._came_to(stored.gateway, state).inc()
        return answer


def common(stored: Stored, key: UUID) -> dict[str, Any]:
    """What every operation about a payment says, under ``key``."""
    now = datetime.now(UTC)
    who = {"account": stored.account, "line_id": stored.line_id}
    return who | {"key": key, "asked_at": now, "source": stored.source}


def evidence(outcome: Outcome) -> dict[str, Any]:
    """What a provider said, without what a payer would follow or be charged by."""
    said: dict[str, Any] = msgspec.to_builtins(outcome)
    return {name: value for name, value in said.items() if value and name not in ("action_url", "card")}


def _told(outcome: Outcome) -> tuple[str, dict[str, Any]] | None:
    if outcome.state is not GatewayState.DECLINED:
        return None
    return (REFUSED, {"reason": outcome.reason or "other"})
