"""Payments that the guard holds back: staff sees what was decided over which facts, and lets them pass or not."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from engine.audit.service import Trail
from engine.guard.payments import list_digest
from engine.guard.tables import payment_decision
from engine.payments.course import become
from engine.payments.links import REFUSED
from engine.payments.steps import Step
from engine.payments.stored import Stored
from engine.payments.tables import payment
from engine.recharge.gateways.contract import DeclineReason
from engine.words import AccountRef, ListKind, NotThere, Payment, PaymentMethod, PaymentState
from runtime.keyring import Keyring

#: held payments in one answer
MOST = 200


class Held(NamedTuple):
    """A payment that waits for staff, with the decision that holds it."""

    account: AccountRef
    payment_id: UUID
    line_id: UUID | None
    reference: str
    method: PaymentMethod
    #: minor units
    amount: int
    currency: str
    created_at: datetime
    score: int
    reasons: tuple[str, ...]
    #: the facts that were decided over
    inputs: dict[str, Any]


class Reviews:
    """The review queue of one installation."""

    def __init__(
        self,
        database: AsyncEngine,
        keyring: Keyring,
        step: Callable[[Step], Awaitable[Stored]],
        trail: Trail,
    ) -> None:
        """``step`` takes one step of a payment (``engine.payments.progress``)."""
        self._database = database
        self._keyring = keyring
        self._step = step
        self._trail = trail

    async def waiting(self, limit: int = 50, *, after: tuple[datetime, UUID] | None = None) -> list[Held]:
        """The payments that wait for staff, the oldest first, from ``after`` on (when one began, and its id)."""
        held = payment.c.state == PaymentState.REVIEW.value
        if after is not None:
            held = sa.and_(held, sa.tuple_(payment.c.created_at, payment.c.payment_id) > sa.tuple_(*after))
        return await self._held(held, limit)

    async def find(self, reference: str) -> Held:
        """The one payment of this reference that waits. Raises ``LookupError``."""
        quoted = payment.c.reference == reference.strip().upper()
        found = await self._held(sa.and_(payment.c.state == PaymentState.REVIEW.value, quoted), 2)
        if len(found) != 1:
            said = "no payment of this reference waits for review" if not found else "two payments have it"
            raise NotThere(said, "review_unknown" if not found else "review_two")
        return found[0]

    async def approve(self, reference: str, *, by: str, why: str) -> Payment:
        """Let a held payment pass: its gateway is asked by the recovery loop, at once. Raises ``LookupError``."""
        return await self._decide(reference, PaymentState.CREATED, None, "approve", by=by, why=why)

    async def refuse(self, reference: str, *, by: str, why: str) -> Payment:
        """Do not ask for a held payment; the person is told. Raises ``LookupError``."""
        return await self._decide(reference, PaymentState.DECLINED, DeclineReason.FRAUD, "refuse", by=by, why=why)

    async def _decide(
        self, reference: str, state: PaymentState, reason: str | None, what: str, *, by: str, why: str
    ) -> Payment:
        if not why.strip():
            raise ValueError("why: a reason must be given")
        held = await self.find(reference)

        def decide(current: Stored, _owns: bool, now: datetime) -> Stored:  # noqa: FBT001 - one of three facts
            """Only what waits still: somebody else may have decided."""
            return become(current, state, reason, now) if current.state == PaymentState.REVIEW else current

        detail = {"payment_id": str(held.payment_id), "reference": held.reference, "score": held.score}
        # Before it is done, so that nothing is let pass without a trace.
        async with self._trail.doing(
            f"payment.review.{what}", by=by, why=why, account=held.account, line_id=held.line_id, detail=detail
        ):
            key = (*held.account, held.payment_id)
            message = (REFUSED, {"reason": reason}) if state is PaymentState.DECLINED else None
            stored = await self._step(Step(key, decide, f"review_{what}", {"by": by}, message=message))
        if stored.state != state:
            raise NotThere("somebody else decided on this payment meanwhile", "review_decided")
        return stored.payment()

    async def _held(self, which: sa.ColumnElement[bool], limit: int) -> list[Held]:
        decision = payment_decision
        same = sa.and_(
            decision.c.shard == payment.c.shard,
            decision.c.account_id == payment.c.account_id,
            decision.c.payment_id == payment.c.payment_id,
            decision.c.verdict == "review",
        )
        names = ("payment_id", "line_id", "reference", "method", "amount", "currency", "created_at")
        query = (
            sa.select(
                payment.c.shard,
                payment.c.account_id,
                *(payment.c[name] for name in names),
                decision.c.score,
                decision.c.reasons,
                decision.c.inputs,
            )
            .join(decision, same)
            .where(which)
            .order_by(payment.c.created_at, payment.c.payment_id, decision.c.at)
            .limit(min(limit, MOST))
        )
        async with self._database.connect() as connection:
            rows = (await connection.execute(query)).all()
        return [
            Held(
                AccountRef(row[0], row[1]),
                *row[2:5],
                PaymentMethod(row[5]),
                *row[6:10],
                tuple(row[10] or ()),
                row[11] or {},
            )
            for row in rows
        ]

    async def paid_by(self, one: Payment, payer: str) -> bool:
        """Whether a payment was to be paid by this number (E.164): who pays for somebody else may ask after it."""
        digests = [list_digest(self._keyring, ListKind.PAYER, payer, key_id) for key_id in self._keyring.ids]
        columns = payment_decision.c
        shard, account_id = one.account
        own = sa.and_(
            columns.shard == shard,
            columns.account_id == account_id,
            columns.payment_id == one.payment_id,
            columns.payer_digest.in_(digests),
        )
        async with self._database.connect() as connection:
            return bool(await connection.scalar(sa.select(sa.exists().where(own))))
