"""Picking payments up, wherever they were left: each is looked at when its time has come, by one process at a time.

States end within a stated time (``engine.payments.course``): asked payments are resolved by asking the gateway,
captured ones are settled, what cannot be credited goes back, and what nobody can resolve is told to staff.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Coroutine, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec
import structlog
from sqlalchemy.ext.asyncio import AsyncEngine

from engine.payments import claims, names, store
from engine.payments.asking import Asking
from engine.payments.claims import Slots
from engine.payments.course import (
    NOT_TAKEN,
    REFUND_REFUSED,
    REFUND_WITHIN,
    RETURNED,
    UNRESOLVED,
    become,
    hopeless,
    is_waiting,
    may_ask_again,
    next_look,
    payer_late,
)
from engine.payments.gateways import Gateways
from engine.payments.inbox import Inbox
from engine.payments.links import REFUSED
from engine.payments.parts import WentBack, events_of, in_part, told_back
from engine.payments.payers import Payers
from engine.payments.progress import Progress
from engine.payments.steps import Step
from engine.payments.store import Connection
from engine.payments.stored import Stored
from engine.payments.writer import Writer
from engine.recharge.gateways.contract import DeclineReason, GatewayState, Outcome, Payer, RefundRequest
from engine.words import EngineUnavailable, LineStatus, PaymentMethod, PaymentState

log = structlog.get_logger(__name__)

S, G = PaymentState, GatewayState

#: seconds that one call waits for what it has begun
PATIENCE = 1.0


class Recovery:
    """The loop's work. Any number of processes may do it."""

    def __init__(
        self,
        database: AsyncEngine,
        gateways: Gateways,
        *,
        payers: Payers,
        asking: Asking,
        progress: Progress,
        inbox: Inbox,
    ) -> None:
        self._gateways = gateways
        self._payers = payers
        self._asking = asking
        self._progress = progress
        self._inbox = inbox
        #: what waits for a gateway, and whose slot it has
        self._under_way: dict[asyncio.Task[None], tuple[str, str]] = {}
        self._claims = Writer[Slots, list[Stored]](database, self._claim, touches=lambda _: ("claim",))
        self._events = Writer[Slots, list[store.Waiting]](database, self._claim_events, touches=lambda _: ("claim",))

    async def close(self) -> None:
        """Finish what is under way."""
        if self._under_way:
            await asyncio.wait(self._under_way)
        for writer in (self._claims, self._events):
            await writer.close()

    async def resume_due(self, limit: int = 200) -> int:
        """Take up to ``limit`` payments and as many events of each gateway on that are due. Returns how many it took.

        Those whose gateway takes long go on beside, and count towards its ``limit`` of the next call: nobody waits for
        them, and no other gateway's are kept waiting.
        """
        payments, events = await asyncio.gather(
            self._claims(self._slots("payment", limit)), self._events(self._slots("event", limit))
        )
        tasks = {
            asyncio.create_task(self._bounded(self._resume(one))): self._slot("payment", one.gateway)
            for one in payments
        } | {
            asyncio.create_task(self._bounded(self._inbox.resume(one))): self._slot("event", one.gateway)
            for one in events
        }
        self._under_way |= tasks
        if tasks:
            await asyncio.wait(tasks, timeout=PATIENCE)
        self._under_way = {task: slot for task, slot in self._under_way.items() if not task.done()}
        return len(tasks)

    def _slot(self, kind: str, gateway: str) -> tuple[str, str]:
        return kind, (gateway if self._gateways.get(gateway) is not None else "")

    def _slots(self, kind: str, limit: int) -> Slots:
        busy = Counter(self._under_way.values())
        known = tuple(self._gateways)
        free = {name: limit - busy[kind, name] for name in (*known, "")}
        return Slots({name: number for name, number in free.items() if number > 0}, known)

    async def _bounded(self, work: Coroutine[Any, Any, object]) -> None:
        try:
            await work
        except EngineUnavailable as error:
            # Its lease ends, and it is looked at again.
            log.warning("recovery_waits", reason=str(error))
        except Exception:
            log.exception("recovery_failed")

    async def _claim(self, connection: Connection, batch: Sequence[Slots]) -> list[list[Stored]]:
        claimed = await claims.claim(connection, batch[0], datetime.now(UTC), self._gateways.lease)
        return [claimed]

    async def _claim_events(self, connection: Connection, batch: Sequence[Slots]) -> list[list[store.Waiting]]:
        claimed = await claims.claim_heard(connection, batch[0], datetime.now(UTC), self._gateways.lease)
        return [claimed]

    async def _resume(self, stored: Stored) -> None:
        now = datetime.now(UTC)
        state = S(stored.state)
        if state is S.REVIEW:
            # Staff has had its time: nobody was asked for money, and now nobody will be.
            after = await self._progress.change(stored, S.DECLINED, DeclineReason.FRAUD, "review_ended")
        elif state is S.CREATED:
            after = await self._ask_first(stored)
        elif is_waiting(stored):
            after = await self._resolve(stored, now)
        elif state is S.HELD:
            after = await self._confirm(stored, now)
        elif state is S.REFUNDING and stored.reason != RETURNED:
            after = await self._refund(stored, now)
        else:
            after = stored
        if await self._progress.proceed(after):
            return
        if after.state == stored.state and after.next_check_at is not None:
            await self._look_later(after)

    async def _look_later(self, stored: Stored) -> None:
        def wait(current: Stored, _owns: bool, now: datetime) -> Stored:  # noqa: FBT001
            """Each look that brings nothing new makes the next pause longer."""
            if current.state != stored.state or current.next_check_at is None:
                return current
            return current._replace(next_check_at=next_look(current, now))

        await self._progress.step(Step(stored.key, wait, "postponed", {}))

    async def _ask_first(self, stored: Stored) -> Stored:
        """Ask for what nobody was asked for yet: staff has let it pass."""

        def ask(current: Stored, _owns: bool, now: datetime) -> Stored:  # noqa: FBT001
            """From here on it is asked for, and recovery finds it if we die."""
            if current.state != S.CREATED:
                return current
            later = now + self._gateways.lease
            return current._replace(state=S.REQUESTED.value, requested_at=now, next_check_at=later, changed_at=now)

        holder = await self._payers.holder(stored)
        if holder is None or holder.status in (None, LineStatus.TERMINATED):
            return await self._progress.change(stored, S.DECLINED, NOT_TAKEN, "not_asked")
        asked = await self._progress.step(Step(stored.key, ask, "asked", {"gateway": stored.gateway}))
        payer = self._payers.payer(stored, holder)
        # Whatever session they paid in is over, and who asks in it is not reached any more.
        payer = msgspec.structs.replace(payer, session="")
        # A card's token is worth something at its own gateway only.
        others = self._gateways.candidates(PaymentMethod(stored.method), payer.msisdn) if payer.msisdn else []
        return await self._asking.ask(asked, payer, others)

    async def _resolve(self, stored: Stored, now: datetime) -> Stored:
        """Find out what became of a payment that was asked for."""
        outcome = await self._said_of(stored)
        if outcome.state is G.NOT_FOUND:
            if not may_ask_again(stored, now):
                return await self._progress.change(stored, S.DECLINED, DeclineReason.TIMEOUT, "never_asked")
            holder = await self._payers.holder(stored)
            if holder is None:
                return stored
            payer = self._payers.payer(stored, holder)
            if stored.sealed_payer is not None and payer == Payer():
                return stored  # erased since: another form would be refused, although the first may have been paid
            return await self._asking.ask_again(stored, payer)
        if outcome.state in (G.PENDING, G.UNKNOWN) and payer_late(stored, now):
            outcome = await self._gateways.cancel(stored.gateway, stored.asked_by())
        await self._payers.keep_card(stored, outcome.card)
        outcome = in_part(stored, outcome)
        if told_back(outcome):
            await self._take_back(stored, outcome)
            return stored
        after = await self._progress.heard(stored, outcome, "status")
        if is_waiting(after) and hopeless(stored, now):
            return await self._give_up(after)
        return after

    async def _take_back(self, stored: Stored, outcome: Outcome) -> None:
        """Do what was said to have gone back. Events of their own remember it, whatever becomes of this process."""
        for event in events_of(stored, outcome):
            await self._inbox.take_statement(stored.gateway, event)

    async def gone_back(self, stored: Stored) -> WentBack:
        """What its gateway, which is asked, says of how much went back; what it names of banks is booked."""
        said = in_part(stored, await self._gateways.status(stored.gateway, stored.known_by()))
        await self._take_back(stored, msgspec.structs.replace(said, returned=None))
        disputed = sum(one.amount for one in said.disputes if not one.won)
        whole = said.state in (G.REFUNDED, G.CHARGEBACK) and not disputed
        return WentBack(stored.money[0] if whole else said.returned or 0, disputed)

    async def _said_of(self, stored: Stored) -> Outcome:
        """What its gateway says of it; of a page whose address never reached us: that nobody has been there."""
        if stored.asked_ref is None and await self._payers.on_page(stored):
            return Outcome(state=G.NOT_FOUND)
        return await self._gateways.status(stored.gateway, stored.asked_by())

    async def _give_up(self, stored: Stored) -> Stored:
        """Nobody says what became of it: staff has to find out."""
        return await self._progress.change(stored, S.DECLINED, UNRESOLVED, "given_up", alarm="payment.unresolved")

    async def _confirm(self, stored: Stored, now: datetime) -> Stored:
        """Take what is held, or let it go where it could not be credited any more."""
        holder = await self._payers.holder(stored)
        closed = holder is None or holder.status in (LineStatus.TERMINATED, LineStatus.BARRED)
        if closed or hopeless(stored, now):
            outcome = await self._gateways.cancel(stored.gateway, stored.asked_by())
            if outcome.state in (G.DECLINED, G.NOT_FOUND):
                return await self._let_go(stored)
            after = await self._progress.heard(stored, outcome, "cancelled")
            return await self._give_up(after) if S(after.state) is S.HELD and hopeless(stored, now) else after
        outcome = await self._gateways.confirm(stored.gateway, stored.asked_by())
        if outcome.state is G.NOT_FOUND:
            # A hold that its provider does not know holds nothing, and never will.
            return await self._progress.change(stored, S.DECLINED, DeclineReason.TIMEOUT, "confirmed")
        return await self._progress.heard(stored, outcome, "confirmed")

    async def _let_go(self, stored: Stored) -> Stored:
        """A hold was let go because of its line, whatever its provider has called that meanwhile."""

        def decide(current: Stored, _owns: bool, now: datetime) -> Stored:  # noqa: FBT001
            """Declined for its line, not by its payer."""
            told = current.state == S.DECLINED and current.reason == DeclineReason.CANCELLED
            return become(current, S.DECLINED, NOT_TAKEN, now) if told or current.state == S.HELD else current

        message = (REFUSED, {"reason": NOT_TAKEN})
        return await self._progress.step(Step(stored.key, decide, "cancelled", {}, message=message))

    async def _refund(self, stored: Stored, now: datetime) -> Stored:
        """Have the gateway give it back."""
        amount, _ = stored.money
        request = RefundRequest(
            payment=stored.known_by(),
            refund_id=names.refund_id(stored.payment_id),
            amount=stored.left,
            reason=stored.reason or "refund",
            returned=stored.returned,
        )
        outcome = await self._gateways.refund(stored.gateway, request)
        if outcome.state in (G.PENDING, G.UNKNOWN) and stored.attempts > 1:
            said = await self._gateways.status(stored.gateway, stored.known_by())
            outcome = said if said.state in (G.REFUNDED, G.CHARGEBACK) else outcome
        if outcome.state is G.REFUNDED and outcome.amount is not None and outcome.amount < amount:
            outcome = Outcome(state=G.UNKNOWN, provider_code="refunded_in_part")
        refused = outcome.state in (G.DECLINED, G.NOT_FOUND) or stored.changed_at + REFUND_WITHIN < now
        if refused and outcome.state is not G.REFUNDED:
            code = outcome.provider_code or outcome.state.value
            return await self._progress.change(
                stored, S.REFUNDING, REFUND_REFUSED, "refund", alarm="payment.not_returned", code=code
            )
        return await self._progress.heard(stored, outcome, "refund")
