"""Taking payments on: what is heard of them becomes their state, and a captured one goes through the one door.

Every step begins from what is stored and is stored before the next begins, so whoever finds a payment, after whatever
crash, takes the step that is due. Steps that were taken are found taken: keys are derived, the door answers again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple
from uuid import UUID, uuid5

import msgspec
import structlog
from sqlalchemy.ext.asyncio import AsyncEngine

from engine.books.service import Door
from engine.notices.rules import policy
from engine.payments import names, store
from engine.payments.course import CHARGEBACK, RETURNED, UNREACHABLE, Stored, become, turn
from engine.payments.names import SUSPENSE_ID, Locator, by_gateway_ref
from engine.payments.store import Connection, Key
from engine.payments.writer import Writer
from engine.recharge.gateways.contract import GatewayState, Outcome
from engine.storage.sharding import new_id
from engine.words import Answer, Code, Operation, PaymentState, Return, Reverse, SetAside, Settle, settle_key
from runtime.metrics import Metrics

log = structlog.get_logger(__name__)

S = PaymentState

#: The door says it was done before.
_DONE = frozenset({Code.OK, Code.PAYMENT_SETTLED, Code.PAYMENT_CLOSED})
#: Not this payment's fault: it is tried again.
_LATER = frozenset({Code.FAILED, Code.KEY_EXPIRED, Code.ACCOUNT_UNKNOWN})

#: what a payment becomes, decided under its row's lock: from how it stands, and whether the name given is its own
Decide = Callable[[Stored, bool, datetime], Stored]


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
    #: topic and body of a message to the line
    message: tuple[str, dict[str, Any]] | None = None


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
    # A refusal that answers the person's own request is on their screen already.
    message = None if what == "answered" else _told(outcome)
    if outcome.action_url is not None:
        message = ("payment.action", {"url": outcome.action_url})

    def decide(current: Stored, owns: bool, now: datetime) -> Stored:  # noqa: FBT001 - one of three facts
        if not owns and outcome.state is GatewayState.CAPTURED and current.state == S.SETTLED:
            log.critical("payment.counted_twice", payment=str(current.payment_id), gateway=current.gateway)
        if owns and outcome.state is GatewayState.CAPTURED and current.state == S.CHARGED_BACK:
            # A dispute was won: the money is ours and the credit is gone. Staff has to give it again.
            log.error("payment.won_back", payment=str(current.payment_id), gateway=current.gateway, what=what)
        return turn(current, outcome, now, owns_ref=owns, asked_ref=asked_ref)

    # Polls that find nothing new would fill the evidence; what arrives by itself is always kept.
    return Step(stored.key, decide, what, body, name, event, event is not None, message)


class Progress:
    """The steps of all payments in this process. Concurrent ones share their transactions."""

    def __init__(self, database: AsyncEngine, door: Door, metrics: Metrics) -> None:
        self._door = door
        self._metrics = metrics
        self._writer = Writer[Step, Stored](database, self._patiently, touches=touches, kept=True)
        self._finisher = Writer[store.Finished, None](database, self._finish)

    async def close(self) -> None:
        """Finish what is under way."""
        await self._writer.close()
        await self._finisher.close()

    async def heard(
        self,
        stored: Stored,
        outcome: Outcome,
        what: str,
        *,
        gateway: str | None = None,
        event: tuple[int, bytes] | None = None,
        event_id: str | None = None,
        asked_ref: str | None = None,
    ) -> Stored:
        """Let a payment become what its provider says (see ``hearing``). Returns it as it then stands."""
        return await self.step(
            hearing(stored, outcome, what, gateway=gateway, event=event, event_id=event_id, asked_ref=asked_ref)
        )

    async def step(self, step: Step) -> Stored:
        """Take one step. Returns the payment as it then stands."""
        return await self._writer(step)

    async def change(self, stored: Stored, state: PaymentState, reason: str | None, what: str, **body: Any) -> Stored:
        """Let a payment that still stands where it was come to a state. Returns it as it then stands."""

        def decide(current: Stored, _owns: bool, now: datetime) -> Stored:  # noqa: FBT001
            return become(current, state, reason, now) if current.state == stored.state else current

        message = ("payment.declined", {"reason": reason}) if state is S.DECLINED and what != "answered" else None
        return await self.step(Step(stored.key, decide, what, body, message=message))

    async def finish(self, event: tuple[int, bytes], refused: str | None) -> None:
        """Let an event that no payment changes by be done; ``refused`` says why it has no effect."""
        await self._finisher((*event, refused))

    async def _finish(self, connection: Connection, batch: Sequence[store.Finished]) -> list[None]:
        await store.keep_turns(connection, store.Turns([], [], [], list(batch)), datetime.now(UTC))
        return [None] * len(batch)

    async def _patiently(self, connection: Connection, batch: Sequence[Step]) -> Sequence[Stored]:
        after = []
        for step, stored in zip(batch, await self.write(connection, batch), strict=True):
            if stored is None:
                raise LookupError(f"no payment {step.key[2]}")
            after.append(stored)
        return after

    async def write(
        self, connection: Connection, batch: Sequence[Step], *, free: bool = False
    ) -> Sequence[Stored | None]:
        """Take steps of as many payments within the transaction of ``connection``, and commit it.

        None for one that does not exist or, with ``free``, that somebody else has locked.
        """
        if not batch:
            await connection.commit()
            return []
        now = datetime.now(UTC)
        wanted = [(number, step.name) for number, step in enumerate(batch) if step.name is not None]
        found, owners = await store.lock(connection, [step.key for step in batch], wanted, free=free)
        turns = store.Turns([], [], [], [])
        after: list[Stored | None] = []
        for number, (step, before) in enumerate(zip(batch, found, strict=True)):
            if before is None:
                after.append(None)
                continue
            owns = step.name is None or owners[number] == step.key
            stored = step.decide(before, owns, now)
            after.append(stored)
            _note(turns, step, before, stored, now)
        await store.keep_turns(connection, turns, now)
        for before, then in zip(found, after, strict=True):
            if before is not None and then is not None and before.state != then.state:
                self._metrics.payments.labels(then.gateway, then.state).inc()
        return after

    async def proceed(self, stored: Stored) -> bool:
        """Take a payment through the door as far as it can go. True if the door did something or had done it."""
        state = S(stored.state)
        if state is S.CAPTURED and stored.account_id != SUSPENSE_ID and stored.reason != RETURNED:
            return await self._settle(stored)
        if state is S.CAPTURED:
            done = await self._set_aside(stored, stored.reason or "line_unknown")
            # It went back before it was booked as ours: both are booked.
            return done and (stored.reason != RETURNED or await self._returned(stored))
        if state is S.SETTLED and stored.reason == CHARGEBACK:
            return (await self.reverse(stored, CHARGEBACK, stored.source, chargeback=True)).code in _DONE
        if state is S.REFUNDING and stored.reason == RETURNED:
            return await self._returned(stored)
        return False

    async def _settle(self, stored: Stored) -> bool:
        captured, currency = stored.money
        key = settle_key(stored.payment_id)
        operation = Settle(**_common(stored, key), payment_id=stored.payment_id, captured=captured, currency=currency)
        answer = await self._post(operation, stored, S.SETTLED)
        if answer.code in _DONE:
            return True
        if answer.code in _LATER:
            log.error("payment.not_settled", payment=str(stored.payment_id), code=answer.code)
            return False
        return await self._set_aside(stored, answer.code)

    async def _set_aside(self, stored: Stored, reason: str) -> bool:
        captured, currency = stored.money
        key = names.set_aside_key(stored.payment_id)
        operation = SetAside(
            **_common(stored, key),
            payment_id=stored.payment_id,
            captured=captured,
            currency=currency,
            reason=reason,
        )
        answer = await self._post(operation, stored, S.REFUNDING)
        log.error("payment.set_aside", payment=str(stored.payment_id), gateway=stored.gateway, reason=reason)
        return answer.code in _DONE

    async def reverse(
        self, stored: Stored, reason: str, source: str, *, chargeback: bool = False, key: UUID | None = None
    ) -> Answer:
        """Take a settled payment's credit back, under a fresh key if none is given."""
        # A refusal stays under its key: whoever asks again has a new one. Under its lock it is taken back once.
        common = _common(stored, key or new_id()) | {"source": source}
        operation = Reverse(**common, payment_id=stored.payment_id, reason=reason, chargeback=chargeback)
        return await self._post(operation, stored, S.CHARGED_BACK if chargeback else S.REFUNDING)

    async def _returned(self, stored: Stored) -> bool:
        amount, currency = stored.money
        key = names.return_key(stored.payment_id)
        operation = Return(**_common(stored, key), payment_id=stored.payment_id, amount=amount, currency=currency)
        return (await self._post(operation, stored, S.REFUNDED)).code in _DONE

    async def _post(self, operation: Operation, stored: Stored, state: PaymentState) -> Answer:
        answer = await self._door.post(operation)
        if answer.ok:
            self._metrics.payments.labels(stored.gateway, state).inc()
        return answer


def touches(step: Step) -> tuple[Any, ...]:
    """What only one step of a batch may touch: its payment, and the name that it enters."""
    names_ = (step.name.digest,) if step.name is not None else ()
    return (step.key, *names_)


def _common(stored: Stored, key: UUID) -> dict[str, Any]:
    now = datetime.now(UTC)
    who = {"account": stored.account, "line_id": stored.line_id}
    return who | {"key": key, "asked_at": now, "source": stored.source}


def evidence(outcome: Outcome) -> dict[str, Any]:
    """What a provider said, without what a payer would follow."""
    said: dict[str, Any] = msgspec.to_builtins(outcome)
    return {name: value for name, value in said.items() if value is not None and name != "action_url"}


def _told(outcome: Outcome) -> tuple[str, dict[str, Any]] | None:
    if outcome.state is not GatewayState.DECLINED:
        return None
    return ("payment.declined", {"reason": outcome.reason or "other"})


def _note(turns: store.Turns, step: Step, before: Stored, after: Stored, now: datetime) -> None:
    """The rows of one step."""
    if after != before:
        where = (after.state, after.reason, after.next_check_at, after.gateway_ref, after.asked_ref)
        money = (after.captured, after.captured_currency)
        turns.payments.append((*step.key, *where, *money, after.gateway, after.requested_at, after.attempts, now))
    changed = after._replace(next_check_at=before.next_check_at, attempts=before.attempts) != before
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
        turns.messages.append((*owner, topic, body, int(policy(topic).priority), now, now))
    if step.event is not None:
        turns.finished.append((*step.event, None))


def _worth_telling(topic: str, before: Stored, after: Stored) -> bool:
    if after.line_id is None:
        return False
    if topic == "payment.action":
        return after.state == S.PENDING
    return after.state == S.DECLINED and before.state != S.DECLINED and after.reason != UNREACHABLE
