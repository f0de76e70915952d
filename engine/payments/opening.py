"""Storing a payment, with all that it is found by, before anything leaves us."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

import msgspec
from sqlalchemy.ext.asyncio import AsyncEngine

from engine.guard.payments import Intent, Looked, PaymentGuard
from engine.payments import names, opened
from engine.payments.gateways import Gateways
from engine.payments.opened import Named
from engine.payments.sealing import fresh_key, seal_payer
from engine.payments.store import Connection, Holder
from engine.payments.stored import Stored
from engine.payments.writer import Writer
from engine.recharge.gateways.contract import DeclineReason, Payer
from engine.recharge.gateways.references import account_number, payer_digest
from engine.storage.sharding import new_id
from engine.words import AccountRef, LineRef, PaymentMethod, PaymentRefused, PaymentState, Refused, Ruled
from runtime.keyring import Keyring
from settings import Operator

#: payments in one batch: the guard's layers take no longer than ten milliseconds over so many (measured)
MOST = 20


class Wanted(NamedTuple):
    """A payment to be stored."""

    account: AccountRef
    payment_id: UUID
    line_id: UUID | None
    gateway: str
    method: PaymentMethod
    amount: int
    payer: Payer
    source: str
    #: None: the account's
    currency: str | None = None
    product: str | None = None
    #: it came by itself, and the provider calls it so
    gateway_ref: str | None = None
    #: when the saved card ends that is to pay
    card_ends: datetime | None = None
    #: whether the line pays for itself with its own number
    own_number: bool = True
    #: what the person pays from, as its channel knows it
    device: str = ""
    #: the line that asks for it, where that is another one, with its key for it
    asked_by: tuple[LineRef, UUID] | None = None

    def intent(self) -> Intent:
        """As the guard looks at it."""
        return Intent(
            account=self.account,
            line_id=self.line_id,
            payment_id=self.payment_id,
            method=self.method,
            amount=self.amount,
            source=self.source,
            payer=self.payer.token or self.payer.msisdn,
            card_ends=self.card_ends,
            own_number=self.own_number,
            device=self.device,
            asks=self.gateway_ref is None,
        )


class Opened(NamedTuple):
    """A payment as it stands, and whether this call has stored it."""

    stored: Stored
    new: bool


class Opening:
    """Stores payments that the guard lets pass. Concurrent calls share their transactions."""

    def __init__(
        self, database: AsyncEngine, operator: Operator, keyring: Keyring, gateways: Gateways, guard: PaymentGuard
    ) -> None:
        self._keyring = keyring
        self._currency = operator.currency
        self._keep = timedelta(days=operator.payments.keep_days)
        self._review = timedelta(hours=operator.payments.review_hours)
        self._lease = gateways.lease
        self._metrics = gateways.metrics
        self._guard = guard
        # One of an account at a time: what the guard counts of it, it then knows.
        self._writer = Writer[Wanted, Opened | PaymentRefused](
            database, self._write, touches=lambda wanted: (wanted.account,), kept=True, most=MOST
        )
        self._suspense = Writer[AccountRef, AccountRef](database, self._open_suspense)

    async def close(self) -> None:
        """Finish what is under way."""
        await self._writer.close()
        await self._suspense.close()

    async def store(self, wanted: Wanted) -> Opened:
        """Store a payment, once. Raises ``PaymentRefused`` where its line cannot be paid for or its key is taken."""
        opened = await self._writer(wanted)
        if isinstance(opened, PaymentRefused):
            raise opened
        return opened

    async def suspense(self, payment_id: UUID) -> AccountRef:
        """The account of a payment that is nobody's."""
        return await self._suspense(names.suspense_of(payment_id))

    async def _open_suspense(self, connection: Connection, batch: Sequence[AccountRef]) -> Sequence[AccountRef]:
        for account in sorted(set(batch)):
            await self._open_one(connection, account)
        return batch

    async def _open_one(self, connection: Connection, account: AccountRef) -> None:
        shard, account_id = account
        wrapped = fresh_key(self._keyring, account_id)
        await opened.open_suspense(
            connection,
            shard=shard,
            account_id=account_id,
            currency=self._currency,
            key_id=self._keyring.current,
            wrapped_key=wrapped,
            opened_at=datetime.now(UTC),
        )

    async def _write(self, connection: Connection, batch: Sequence[Wanted]) -> list[Opened | PaymentRefused]:
        now = datetime.now(UTC)
        looked = await self._guard.decide(connection, [wanted.intent() for wanted in batch])
        results: list[Opened | PaymentRefused] = [_refusal(one) for one in looked]
        places, payments, named, evidence = [], [], Named([], [], []), []
        for place, (wanted, one) in enumerate(zip(batch, looked, strict=True)):
            if one.known is None or (one.ruling is not None and one.ruling.verdict is Ruled.REFUSE):
                continue
            holder = Holder(one.known.currency, one.known.key_id, one.known.wrapped_key, one.known.status)
            held = one.ruling is not None and one.ruling.verdict is Ruled.REVIEW
            stored = self._stored(wanted, holder, now, held=held)
            places.append(place)
            payments.append(stored)
            self._name(named, wanted, stored, now)
            evidence.append(_evidence(stored, now))
        if not payments:
            return results
        kept, new = await opened.open_payments(connection, payments, named, evidence)
        for place, asked, stored in zip(places, payments, kept, strict=True):
            fresh = stored.payment_id in new
            same = (stored.amount, stored.method, stored.product, stored.line_id) == (
                asked.amount,
                asked.method,
                asked.product,
                asked.line_id,
            )
            results[place] = Opened(stored, fresh) if same else PaymentRefused(Refused.CONFLICT)
            if fresh:
                self._metrics.payments.labels(stored.gateway, stored.state).inc()
        return results

    def _stored(self, wanted: Wanted, holder: Holder, now: datetime, *, held: bool) -> Stored:
        came = wanted.gateway_ref is not None
        state = PaymentState.REVIEW if held else PaymentState.PENDING if came else PaymentState.REQUESTED
        return Stored(
            *wanted.account,
            payment_id=wanted.payment_id,
            line_id=wanted.line_id,
            gateway=wanted.gateway,
            method=wanted.method.value,
            gateway_ref=wanted.gateway_ref,
            asked_ref=wanted.gateway_ref,
            amount=wanted.amount,
            currency=wanted.currency or holder.currency,
            captured=None,
            captured_currency=None,
            returned=0,
            state=state.value,
            reason=DeclineReason.FRAUD.value if held else None,
            reference=names.reference(wanted.account, wanted.payment_id),
            product=wanted.product,
            sealed_payer=seal_payer(self._keyring, wanted.account.account_id, holder, wanted.payer),
            source=wanted.source,
            attempts=0,
            # Until then whoever stores it is at it; what is held waits for staff until then.
            next_check_at=now + (self._review if held else self._lease),
            requested_at=None if held else now,
            created_at=now,
            changed_at=now,
        )

    def _name(self, named: Named, wanted: Wanted, stored: Stored, now: datetime) -> None:
        """What it is found by: for ever by its id, the rest for as long as anybody asks."""
        until = now + self._keep
        named.locators.extend(
            (one.shard, one.digest, *stored.key, kept)
            for one, kept in (
                (names.by_id(stored.payment_id), None),
                (names.by_path(names.path_secret(self._keyring, stored.payment_id)), until),
                (names.by_reference(stored.reference), until),
                (names.by_reference(account_number(stored.reference, stored.payment_id)), until),
            )
        )
        if wanted.payer.msisdn and wanted.gateway_ref is None:
            payer = payer_digest(wanted.payer.msisdn)
            one = names.by_payer(self._keyring, payer, stored.amount, stored.currency)
            shard, account_id, payment_id = stored.key
            named.asked.append((one.shard, one.digest, shard, account_id, payment_id, now))
        if wanted.asked_by is not None:
            line, key = wanted.asked_by
            named.others.append((*line, key, *stored.account, stored.line_id, stored.payment_id, now))


def _refusal(one: Looked) -> PaymentRefused:
    """Why it is not stored, if it is not."""
    code = one.ruling.code if one.ruling is not None else None
    limit = one.ruling.limit if one.ruling is not None else None
    return PaymentRefused(code or Refused.LINE, limit)


def _evidence(stored: Stored, now: datetime) -> tuple[Any, ...]:
    body = {"gateway": stored.gateway, "amount": stored.amount, "currency": stored.currency}
    what = "began" if stored.gateway_ref is None else "came"
    return (*stored.key, new_id(), stored.state, what, msgspec.json.encode(body).decode(), now)
