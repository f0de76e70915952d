"""Storing a payment, with all that it is found by, before anything leaves us."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

import msgspec
from sqlalchemy.ext.asyncio import AsyncEngine

from engine.payments import names, store
from engine.payments.course import Stored
from engine.payments.gateways import CALL_LEASE
from engine.payments.sealing import fresh_key, seal_payer
from engine.payments.store import Connection, Holder
from engine.payments.writer import Writer
from engine.recharge.gateways.contract import Payer
from engine.storage.sharding import new_id
from engine.words import AccountRef, LineStatus, PaymentMethod, PaymentRefused, PaymentState
from runtime.keyring import Keyring
from runtime.metrics import Metrics


class Wanted(NamedTuple):
    """A payment to be stored."""

    account: AccountRef
    payment_id: UUID
    line_id: UUID | None
    gateway: str
    method: PaymentMethod
    amount: int
    #: None: the account's
    currency: str | None
    payer: Payer
    source: str
    product: str | None = None
    #: it came by itself, and the provider calls it so
    gateway_ref: str | None = None


class Opened(NamedTuple):
    """A payment as it stands, and whether this call has stored it."""

    stored: Stored
    new: bool


class Opening:
    """Stores payments. Concurrent calls share their transactions."""

    def __init__(self, database: AsyncEngine, keyring: Keyring, currency: str, metrics: Metrics) -> None:
        self._keyring = keyring
        self._currency = currency
        self._metrics = metrics
        self._writer = Writer[Wanted, Opened | PaymentRefused](
            database, self._write, touches=lambda wanted: (wanted.payment_id,), kept=True
        )
        self._suspense = Writer[None, None](database, self._open_suspense)

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

    async def suspense(self) -> AccountRef:
        """The account of payments that are nobody's."""
        await self._suspense(None)
        return names.SUSPENSE

    async def _open_suspense(self, connection: Connection, batch: Sequence[None]) -> Sequence[None]:
        shard, account_id = names.SUSPENSE
        wrapped = fresh_key(self._keyring, account_id)
        await store.open_suspense(
            connection,
            shard=shard,
            account_id=account_id,
            currency=self._currency,
            key_id=self._keyring.current,
            wrapped_key=wrapped,
            opened_at=datetime.now(UTC),
        )
        return batch

    async def _write(self, connection: Connection, batch: Sequence[Wanted]) -> list[Opened | PaymentRefused]:
        now = datetime.now(UTC)
        holders = await store.holders(connection, [(*wanted.account, wanted.line_id) for wanted in batch])
        results: list[Opened | PaymentRefused] = [PaymentRefused("line")] * len(batch)
        places, payments, locators, evidence = [], [], [], []
        for place, (wanted, holder) in enumerate(zip(batch, holders, strict=True)):
            if holder is None or not _may_be_paid(wanted, holder):
                continue
            stored = self._stored(wanted, holder, now)
            places.append(place)
            payments.append(stored)
            locators += [(one.shard, one.digest, *stored.key) for one in self._locators(stored)]
            evidence.append(_evidence(stored, now))
        if not payments:
            await connection.rollback()
            return results
        kept, new = await store.open_payments(connection, payments, locators, evidence)
        for place, asked, stored in zip(places, payments, kept, strict=True):
            fresh = stored.payment_id in new
            same = (stored.amount, stored.method, stored.product, stored.line_id) == (
                asked.amount,
                asked.method,
                asked.product,
                asked.line_id,
            )
            results[place] = Opened(stored, fresh) if same else PaymentRefused("conflict")
            if fresh:
                self._metrics.payments.labels(stored.gateway, stored.state).inc()
        return results

    def _stored(self, wanted: Wanted, holder: Holder, now: datetime) -> Stored:
        came = wanted.gateway_ref is not None
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
            state=(PaymentState.PENDING if came else PaymentState.REQUESTED).value,
            reason=None,
            reference=names.reference(wanted.account, wanted.payment_id),
            product=wanted.product,
            sealed_payer=seal_payer(self._keyring, wanted.account.account_id, holder, wanted.payer),
            source=wanted.source,
            attempts=0,
            # Until then whoever stores it is at it.
            next_check_at=now + timedelta(seconds=CALL_LEASE),
            requested_at=now,
            created_at=now,
            changed_at=now,
        )

    def _locators(self, stored: Stored) -> list[names.Locator]:
        return [
            names.by_id(stored.payment_id),
            names.by_path(names.path_secret(self._keyring, stored.payment_id)),
            names.by_reference(stored.reference),
        ]


def _may_be_paid(wanted: Wanted, holder: Holder) -> bool:
    if wanted.gateway_ref is not None:  # the money has come: what cannot be credited goes back
        return True
    return wanted.line_id is None or holder.status not in (None, LineStatus.TERMINATED)


def _evidence(stored: Stored, now: datetime) -> tuple[Any, ...]:
    body = {"gateway": stored.gateway, "amount": stored.amount, "currency": stored.currency}
    what = "began" if stored.gateway_ref is None else "came"
    return (*stored.key, new_id(), stored.state, what, msgspec.json.encode(body).decode(), now)
