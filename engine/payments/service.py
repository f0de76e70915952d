"""Payments: asking for one, finding it again, giving it back. Everything between is taken on by the same few steps."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import sqlalchemy as sa
import structlog
from sqlalchemy.ext.asyncio import AsyncEngine

from engine.accounts.service import Accounts
from engine.books.history import History
from engine.books.service import Door
from engine.disputes.service import Disputes
from engine.events.alarms import Alarms
from engine.guard.cards import Cards
from engine.guard.payments import PaymentGuard
from engine.payments import names
from engine.payments.asking import Asking
from engine.payments.course import taken_up
from engine.payments.events import Events
from engine.payments.finding import Finder
from engine.payments.gateways import Gateways
from engine.payments.inbox import Inbox
from engine.payments.links import REFUSED, shown
from engine.payments.opening import Opening, Wanted
from engine.payments.parts import Parts, WentBack
from engine.payments.payers import Payers
from engine.payments.progress import Progress
from engine.payments.pushes import Pushes
from engine.payments.recovery import Recovery
from engine.payments.steps import Step
from engine.payments.stored import Stored
from engine.recharge.gateways.contract import Payer
from engine.words import (
    Answer,
    CardPage,
    CheckoutSession,
    LineRef,
    Payment,
    PaymentMethod,
    PaymentRefused,
    PaymentState,
    Refused,
    SavedCard,
    Subscriber,
)
from runtime.keyring import Keyring
from settings import Operator

log = structlog.get_logger(__name__)

#: minor units; what is above is a mistake or an attack
LARGEST = 10**15


class Payments:
    """The payments of one installation."""

    def __init__(
        self,
        database: AsyncEngine,
        operator: Operator,
        keyring: Keyring,
        *,
        accounts: Accounts,
        door: Door,
        gateways: Gateways,
        guard: PaymentGuard,
        cards: Cards,
        alarms: Alarms,
        disputes: Disputes,
    ) -> None:
        self._database = database
        self._operator = operator
        self._gateways = gateways
        self._cards = cards
        self._payers = Payers(database, keyring, cards)
        self._opening = Opening(database, operator, keyring, gateways, guard)
        self._progress = Progress(database, door, gateways.metrics, alarms)
        self._asking = Asking(keyring, gateways, self._progress, operator.name)
        self._pushes = Pushes(database, keyring)
        parts = Parts(door, History(database), self._progress, alarms=alarms, disputes=disputes)
        ways = (self._opening, self._pushes, self._progress)
        events = Events(accounts, gateways, *ways, parts=parts, payers=self._payers, alarms=alarms)
        self._inbox = Inbox(database, keyring, accounts, gateways, events=events, progress=self._progress)
        self._recovery = Recovery(
            database, gateways, payers=self._payers, asking=self._asking, progress=self._progress, inbox=self._inbox
        )
        self._finder = Finder(database)
        self._under_way: dict[UUID, asyncio.Task[Stored]] = {}

        # The names that callers use, each bound to the part that does the work.
        self.start = gateways.start
        self.methods = gateways.methods
        self.takes_new_cards = gateways.takes_new_cards
        self.payment = self._finder.payment
        self.find_payment = self._finder.find_payment
        self.find_by_gateway_ref = self._finder.find_by_gateway_ref
        self.payments_of = self._finder.payments_of
        self.asked_before = self._finder.asked_before
        self.step = self._progress.step
        self.take_callback = self._inbox.take
        self.take_statement = self._inbox.take_statement
        self.resume_due = self._recovery.resume_due

    async def close(self) -> None:
        """Finish what is under way, then let everything go."""
        if self._under_way:
            await asyncio.wait(self._under_way.values())
        parts = (self._inbox, self._recovery, self._opening, self._pushes, self._payers, self._progress)
        for part in (*parts, self._finder):
            await part.close()
        await self._gateways.stop()

    async def tidy(self, limit: int = 10_000) -> int:
        """Forget what has had its time (``payments.keep_days``): what providers said and stated, and people quote.

        At most ``limit`` rows of each kind; returns how many went. The books, and what is not done, stay.
        """
        before = datetime.now(UTC) - timedelta(days=self._operator.payments.keep_days)
        async with self._database.begin() as connection:
            return int(await connection.scalar(sa.select(sa.func.forget_payment_traces(before, limit))) or 0)

    # -- asking for one ---

    async def pay(
        self,
        subscriber: Subscriber,
        method: PaymentMethod,
        amount: int,
        *,
        key: UUID,
        msisdn: str = "",
        token: str = "",
        card: SavedCard | None = None,
        page: CardPage | None = None,
        checkout: CheckoutSession | None = None,
        device: str = "",
        source: str,
        asked_by: LineRef | None = None,
        product: str | None = None,
        wait_seconds: float = 3.0,
    ) -> Payment:
        """Ask whoever has ``msisdn`` (E.164), a card's ``token`` or a saved ``card`` for money for a subscriber's line.

        With ``page`` they enter a card on the gateway's own: ``payment_link`` says where, and it is texted.
        With ``checkout`` a gateway asks them itself in that session, once: the channel has to hand it over.
        ``amount``: minor units. ``device``: what the person pays from. ``product``: what is bought with it at once.
        ``asked_by``: the line that asks, and is texted links and refusals. The same ``key`` again is the same payment.
        Answers with it as it stands once the gateway has said something, or after ``wait_seconds``; what comes later
        comes by message. Raises ``PaymentRefused`` and ``EngineUnavailable``: ask again with the same key.
        """
        payment_id = names.payment_id_of(subscriber.account, key)
        payer = await self._payer(msisdn, token, card, page, checkout)
        candidates = await self._who_asks(payment_id, method, payer, card, checkout)
        self._check(amount, candidates, product)
        wanted = Wanted(
            account=subscriber.account,
            payment_id=payment_id,
            line_id=subscriber.line_id,
            gateway=candidates[0],
            method=method,
            amount=amount,
            payer=payer,
            source=source,
            product=product,
            card_ends=None if card is None else card.expires_at,
            own_number=bool(msisdn) and msisdn == subscriber.msisdn,
            device=device,
            asked_by=None if asked_by is None or asked_by == subscriber.line else (asked_by, key),
        )
        stored, new = await self._opening.store(wanted)
        if new and stored.state != PaymentState.REVIEW:
            self._begin(payment_id, self._asking.ask(stored, payer, candidates[1:]))
        return await self._as_it_stands(stored, wait_seconds, asked_by or subscriber.line)

    async def _payer(
        self,
        msisdn: str,
        token: str,
        card: SavedCard | None,
        page: CardPage | None,
        checkout: CheckoutSession | None,
    ) -> Payer:
        """Who is asked, as gateways know them."""
        token = token if card is None else await self._cards.token(card)
        session = "" if checkout is None else checkout.session
        keep = page is not None and page.keep
        return Payer(msisdn=msisdn, token=token, session=session, page=page is not None, keep=keep)

    async def _who_asks(
        self,
        payment_id: UUID,
        method: PaymentMethod,
        payer: Payer,
        card: SavedCard | None,
        checkout: CheckoutSession | None,
    ) -> list[str]:
        """The gateways that may ask, in the order in which they are tried."""
        candidates = self._gateways.candidates(method, payer.msisdn)
        if payer.page:
            candidates = [name for name in candidates if self._gateways.has_page(name)]
        if checkout is not None:
            candidates = await self._in_session(checkout, payment_id)
        if card is not None:
            # No other gateway knows what the token stands for.
            candidates = [name for name in candidates if name == card.gateway]
        return candidates

    async def _in_session(self, checkout: CheckoutSession, payment_id: UUID) -> list[str]:
        """Who asks in a session: its gateway, for one payment; what is paid there names nothing but the session."""
        other = await self._finder.one(names.by_gateway_ref(*checkout))
        taken = other is not None and other.payment_id != payment_id
        return [checkout.gateway] if self._gateways.checkout(checkout.gateway) and not taken else []

    def _check(self, amount: int, candidates: list[str], product: str | None) -> None:
        """Raise ``PaymentRefused`` for what nobody needs to be asked about."""
        if not 0 < amount <= LARGEST:
            raise PaymentRefused(Refused.AMOUNT)
        if not candidates:
            raise PaymentRefused(Refused.METHOD)
        if product is not None and all(product != one.code for one in self._operator.products):
            raise PaymentRefused(Refused.PRODUCT)

    def _begin(self, payment_id: UUID, asking: Coroutine[Any, Any, Stored]) -> None:
        """Ask beside the caller, who may have waited long enough before it ends."""

        def ended(task: asyncio.Task[Stored]) -> None:
            """Whoever asks now finds what is stored."""
            self._under_way.pop(payment_id, None)
            if not task.cancelled() and task.exception() is not None:
                # It is stored as asked for: the recovery loop finds out.
                log.error("asking_failed", payment=str(payment_id), exc_info=task.exception())

        self._under_way[payment_id] = task = asyncio.create_task(asking)
        task.add_done_callback(ended)

    async def _as_it_stands(self, stored: Stored, wait_seconds: float, asked_by: LineRef) -> Payment:
        """A payment once its asking is over, or after ``wait_seconds`` of it."""
        task = self._under_way.get(stored.payment_id)
        if task is None:
            return stored.payment()
        await asyncio.wait({task}, timeout=wait_seconds)
        payment = (await self.payment(stored.payment_id)) or stored.payment()
        if payment.state is PaymentState.DECLINED:
            await shown(self._database, payment, REFUSED, asked_by)
        return payment

    async def call_off(self, payment: Payment) -> Payment:
        """End a payment that waits for its payer, who does not want to pay any more. Returns it as it then stands."""
        stored = await self._finder.one(names.by_id(payment.payment_id))
        return payment if stored is None else (await self._asking.call_off(stored)).payment()

    async def gone_back(self, payment_id: UUID) -> WentBack:
        """How much of a payment has gone back to its payer: what its gateway, which is asked, says.

        What it names as taken by banks, or won back of them, is booked under those names.
        """
        stored = await self._finder.one(names.by_id(payment_id))
        return WentBack(0, 0) if stored is None else await self._recovery.gone_back(stored)

    # -- staff ---

    async def refund(self, payment_id: UUID, reason: str, source: str, *, key: UUID | None = None) -> Answer | None:
        """Take a settled payment's credit back and have its gateway give the money back; None if there is none.

        The gateway is asked by the recovery loop, at once. Safe to ask twice; with the same ``key`` the answer is the
        same.
        """
        stored = await self._finder.one(names.by_id(payment_id))
        return None if stored is None else await self._progress.reverse(stored, reason, source, key=key)

    async def look_again(self, payment_id: UUID, source: str) -> Payment | None:
        """Have a payment that was given up taken up again: asked about, or given back. None if there is none."""
        stored = await self._finder.one(names.by_id(payment_id))
        if stored is None:
            return None

        def again(current: Stored, _owns: bool, now: datetime) -> Stored:  # noqa: FBT001
            """By what it is now."""
            return taken_up(current, now)

        step = Step(stored.key, again, "looked_again", {"source": source}, always=True)
        return (await self._progress.step(step)).payment()
