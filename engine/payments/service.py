"""Payments: asking for one, finding it again, giving it back. Everything between is taken on by the same few steps."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID

import sqlalchemy as sa
import structlog
from sqlalchemy.ext.asyncio import AsyncEngine

from engine.accounts.service import Accounts
from engine.books.service import Door
from engine.events.alarms import Alarms
from engine.guard.cards import Cards
from engine.guard.payments import PaymentGuard
from engine.payments import names, reading, store
from engine.payments.asking import Asking
from engine.payments.course import DUPLICATE, REFUND_REFUSED, Stored
from engine.payments.events import Events
from engine.payments.gateways import Gateways
from engine.payments.inbox import Inbox
from engine.payments.opening import Opening, Wanted
from engine.payments.progress import Progress
from engine.payments.pushes import Pushes
from engine.payments.recovery import Recovery
from engine.payments.steps import Step
from engine.payments.store import Connection
from engine.payments.writer import Writer
from engine.recharge.gateways.contract import Payer
from engine.words import (
    AccountRef,
    Answer,
    CheckoutSession,
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
#: payments of an account in one answer
MOST = 100


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
    ) -> None:
        self._database = database
        self._operator = operator
        self._gateways = gateways
        self._cards = cards
        self._opening = Opening(database, operator, keyring, gateways, guard)
        self._progress = Progress(database, door, gateways.metrics, alarms)
        self._asking = Asking(keyring, gateways, self._progress, operator.name)
        self._pushes = Pushes(database, keyring)
        events = Events(accounts, gateways, self._opening, self._pushes, self._progress, alarms=alarms)
        self._inbox = Inbox(database, keyring, accounts, gateways, events=events, progress=self._progress)
        self._recovery = Recovery(
            database,
            keyring,
            gateways,
            asking=self._asking,
            progress=self._progress,
            inbox=self._inbox,
        )
        self._finder = Writer[names.Locator, list[Stored]](database, self._find)
        self._pages = Writer[tuple[AccountRef, datetime, int], list[Stored]](database, self._page)
        self._under_way: dict[UUID, asyncio.Task[Stored]] = {}

        self.step = self._progress.step
        self.take_callback = self._inbox.take
        self.take_statement = self._inbox.take_statement
        self.resume_due = self._recovery.resume_due

    async def start(self) -> None:
        """Open what the gateways need."""
        await self._gateways.start()

    async def close(self) -> None:
        """Finish what is under way, then let everything go."""
        if self._under_way:
            await asyncio.wait(self._under_way.values())
        parts = (self._inbox, self._recovery, self._opening, self._pushes, self._progress, self._finder, self._pages)
        for part in parts:
            await part.close()
        await self._gateways.stop()

    def methods(self) -> frozenset[PaymentMethod]:
        """What people can pay with wherever they are."""
        return self._gateways.methods()

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
        checkout: CheckoutSession | None = None,
        device: str = "",
        source: str,
        product: str | None = None,
        wait_seconds: float = 3.0,
    ) -> Payment:
        """Ask whoever has ``msisdn`` (E.164), a card's ``token`` or a saved ``card`` for money for a subscriber's line.

        With ``checkout`` a gateway asks them itself in that session, once: the channel has to hand it over.
        ``amount`` is in minor units. The same ``key`` again is the same payment: nobody is asked twice. Answers with
        the payment as it stands once the gateway has said something, or after ``wait_seconds``; what comes later comes
        by message. One that the guard holds back is in review, and nobody is asked before staff has looked.
        ``device``: what the person pays from, as its channel knows it. ``product``: what is bought with it at once.

        Raises ``PaymentRefused`` and ``EngineUnavailable``: ask again with the same key.
        """
        session = "" if checkout is None else checkout.session
        payer = Payer(msisdn=msisdn, token=token if card is None else await self._cards.token(card), session=session)
        candidates = self._gateways.candidates(method, payer.msisdn)
        if checkout is not None:
            candidates = await self._in_session(checkout, names.payment_id_of(subscriber.account, key))
        if card is not None:
            candidates = [name for name in candidates if name == card.gateway]
        if not 0 < amount <= LARGEST:
            raise PaymentRefused(Refused.AMOUNT)
        if not candidates:
            raise PaymentRefused(Refused.METHOD)
        if product is not None and all(product != one.code for one in self._operator.products):
            raise PaymentRefused(Refused.PRODUCT)
        wanted = Wanted(
            account=subscriber.account,
            payment_id=names.payment_id_of(subscriber.account, key),
            line_id=subscriber.line_id,
            gateway=candidates[0],
            method=method,
            amount=amount,
            currency=None,
            payer=payer,
            source=source,
            product=product,
            card_ends=None if card is None else card.expires_at,
            own_number=bool(msisdn) and msisdn == subscriber.msisdn,
            device=device,
        )
        stored, new = await self._opening.store(wanted)
        if new and stored.state != PaymentState.REVIEW:
            asking = self._asking.ask(stored, payer, candidates[1:])
            self._begin(stored.payment_id, asyncio.create_task(asking))
        task = self._under_way.get(stored.payment_id)
        if task is None:
            return stored.payment()
        await asyncio.wait({task}, timeout=wait_seconds)
        return (await self.payment(stored.payment_id)) or stored.payment()

    async def _in_session(self, checkout: CheckoutSession, payment_id: UUID) -> list[str]:
        """Who asks in a session: its gateway, for one payment; what is paid there names nothing but the session."""
        other = await self._one(names.by_gateway_ref(*checkout))
        taken = other is not None and other.payment_id != payment_id
        return [checkout.gateway] if self._gateways.checkout(checkout.gateway) and not taken else []

    def _begin(self, payment_id: UUID, task: asyncio.Task[Stored]) -> None:
        def ended(task: asyncio.Task[Stored]) -> None:
            self._under_way.pop(payment_id, None)
            if not task.cancelled() and task.exception() is not None:
                # It is stored as asked for: the recovery loop finds out.
                log.error("asking_failed", payment=str(payment_id), exc_info=task.exception())

        self._under_way[payment_id] = task
        task.add_done_callback(ended)

    # -- finding ---

    async def payment(self, payment_id: UUID) -> Payment | None:
        """A payment by its id, as of the last commit."""
        stored = await self._one(names.by_id(payment_id))
        return None if stored is None else stored.payment()

    async def find_payment(self, reference: str) -> Payment | None:
        """A payment by what a person quotes; none where two have the same short reference."""
        stored = await self._one(names.by_reference(reference))
        return None if stored is None else stored.payment()

    async def asked_before(
        self,
        subscriber: Subscriber,
        method: PaymentMethod,
        amount: int,
        *,
        key: UUID,
        product: str | None = None,
        within_minutes: int = 10,
    ) -> tuple[Payment | None, bool]:
        """The same payment for the same line, asked for under whatever key in the last minutes and not refused.

        With it, whether it is the one that ``key`` stands for: that one counts whenever it was asked for.
        """
        own = await self.payment(names.payment_id_of(subscriber.account, key))
        if own is not None:
            return own, True
        since = datetime.now(UTC) - timedelta(minutes=within_minutes)
        wanted = (subscriber.line_id, method, amount, product)
        for one in await self.payments_of(subscriber.account):
            same = (one.line_id, one.method, one.amount, one.product) == wanted
            if same and one.created_at > since and one.state is not PaymentState.DECLINED:
                return one, False
        return None, False

    async def find_by_gateway_ref(self, gateway: str, gateway_ref: str) -> Payment | None:
        """A payment by its provider's reference."""
        stored = await self._one(names.by_gateway_ref(gateway, gateway_ref))
        return None if stored is None else stored.payment()

    async def payments_of(self, account: AccountRef, before: datetime | None = None, limit: int = 10) -> list[Payment]:
        """The latest payments of an account that began before a time, newest first."""
        page = await self._pages((account, before or datetime.max.replace(tzinfo=UTC), min(limit, MOST)))
        return [stored.payment() for stored in page]

    async def _one(self, locator: names.Locator) -> Stored | None:
        found = await self._finder(locator)
        return found[0] if found else None

    async def _find(self, connection: Connection, batch: Sequence[names.Locator]) -> list[list[Stored]]:
        located = await store.locate(connection, list(enumerate(batch)))
        await connection.rollback()
        found: list[list[Stored]] = [[] for _ in batch]
        for place, stored in located:
            found[place].append(stored)
        return found

    async def _page(
        self, connection: Connection, batch: Sequence[tuple[AccountRef, datetime, int]]
    ) -> list[list[Stored]]:
        pages = [await reading.of_account(connection, *account, before, limit) for account, before, limit in batch]
        await connection.rollback()
        return pages

    async def tidy(self, limit: int = 10_000) -> int:
        """Forget what has had its time (``payments.keep_days``): what providers said and stated, and people quote.

        At most ``limit`` rows of each kind; returns how many went. The books, and what is not done, stay.
        """
        before = datetime.now(UTC) - timedelta(days=self._operator.payments.keep_days)
        async with self._database.begin() as connection:
            gone = await connection.execute(sa.select(sa.func.forget_payment_traces(before, limit)))
            return int(gone.scalar_one())

    # -- staff ---

    async def refund(self, payment_id: UUID, reason: str, source: str, *, key: UUID | None = None) -> Answer | None:
        """Take a settled payment's credit back and have its gateway give the money back; None if there is none.

        The gateway is asked by the recovery loop, at once. Safe to ask twice; with the same ``key`` the answer is the
        same.
        """
        stored = await self._one(names.by_id(payment_id))
        return None if stored is None else await self._progress.reverse(stored, reason, source, key=key)

    async def look_again(self, payment_id: UUID, source: str) -> Payment | None:
        """Have a payment that was given up taken up again: asked about, or given back. None if there is none."""
        stored = await self._one(names.by_id(payment_id))
        if stored is None:
            return None

        def again(current: Stored, _owns: bool, now: datetime) -> Stored:  # noqa: FBT001
            state = PaymentState(current.state)
            if state is PaymentState.REFUNDING and current.reason == REFUND_REFUSED:
                return current._replace(reason=None, next_check_at=now, attempts=0, changed_at=now)
            counted = current.reason == DUPLICATE  # the money is another payment's: asking would find it again
            if state is PaymentState.DECLINED and current.asked_ref is not None and not counted:
                return current._replace(state=PaymentState.UNKNOWN.value, reason=None, next_check_at=now, attempts=0)
            return current

        step = Step(stored.key, again, "looked_again", {"source": source}, always=True)
        return (await self._progress.step(step)).payment()
