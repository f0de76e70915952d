"""A payment as its row keeps it."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from engine.recharge.gateways.contract import PaymentRef
from engine.words import AccountRef, Payment, PaymentMethod, PaymentState


class Stored(NamedTuple):
    """A payment's row."""

    shard: int
    account_id: UUID
    payment_id: UUID
    line_id: UUID | None
    gateway: str
    method: str
    gateway_ref: str | None
    asked_ref: str | None
    amount: int
    currency: str
    captured: int | None
    captured_currency: str | None
    returned: int
    state: str
    reason: str | None
    reference: str
    product: str | None
    sealed_payer: bytes | None
    source: str
    attempts: int
    next_check_at: datetime | None
    requested_at: datetime | None
    created_at: datetime
    changed_at: datetime

    @property
    def account(self) -> AccountRef:
        """Whose it is."""
        return AccountRef(self.shard, self.account_id)

    @property
    def money(self) -> tuple[int, str]:
        """What the provider took: amount and currency, the payment's own until it says otherwise."""
        return (self.captured or self.amount, self.captured_currency or self.currency)

    @property
    def left(self) -> int:
        """What of it has not gone back in parts, minor units."""
        return self.money[0] - self.returned

    @property
    def asked_at(self) -> datetime:
        """When a gateway was asked for it first: what staff held back begins then."""
        return self.requested_at or self.created_at

    @property
    def key(self) -> tuple[int, UUID, UUID]:
        """Its primary key."""
        return (self.shard, self.account_id, self.payment_id)

    def payment(self) -> Payment:
        """As callers know it."""
        return Payment(
            account=self.account,
            payment_id=self.payment_id,
            line_id=self.line_id,
            gateway=self.gateway,
            method=PaymentMethod(self.method),
            gateway_ref=self.gateway_ref,
            amount=self.amount,
            currency=self.currency,
            state=PaymentState(self.state),
            reason=self.reason,
            reference=self.reference,
            product=self.product,
            created_at=self.created_at,
            changed_at=self.changed_at,
            returned=self.returned,
        )

    def asked_by(self) -> PaymentRef:
        """As the provider is asked about it: by the name that it gave first."""
        return self._ref(self.asked_ref or self.gateway_ref)

    def known_by(self) -> PaymentRef:
        """As the provider knows it now that it was made."""
        return self._ref(self.gateway_ref or self.asked_ref)

    def _ref(self, gateway_ref: str | None) -> PaymentRef:
        return PaymentRef(
            payment_id=self.payment_id,
            gateway_ref=gateway_ref,
            amount=self.amount,
            currency=self.currency,
            requested_at=self.requested_at or self.created_at,
        )
