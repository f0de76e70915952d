"""Payments: money that comes from outside, how far it has come, and what becomes of it in the books."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import NamedTuple
from uuid import UUID, uuid5

import msgspec

from engine.words.accounts import AccountRef, LineRef
from engine.words.operations import Operation


class PaymentMethod(StrEnum):
    """What a person pays with."""

    MOBILE_MONEY = "mobile_money"
    CARD = "card"
    #: a card or account through the acquiring bank (ISO 8583)
    BANK = "bank"


class PaymentState(StrEnum):
    """The recovery points of a payment: each is stored before the next step is taken."""

    #: stored; nothing has left us
    CREATED = "created"
    #: taken out of the way by the fraud layer: staff decides
    REVIEW = "review"
    #: the gateway is being asked, or was
    REQUESTED = "requested"
    #: the gateway took it on; the payer has to act
    PENDING = "pending"
    #: nobody knows what became of the request: the gateway is asked until it says so
    UNKNOWN = "unknown"
    #: reserved on the payer's card, to be confirmed
    HELD = "held"
    #: the gateway has the money for us; it is not credited yet
    CAPTURED = "captured"
    #: credited, in all books
    SETTLED = "settled"
    DECLINED = "declined"
    #: to be given back: nothing may be credited for it any more
    REFUNDING = "refunding"
    REFUNDED = "refunded"
    #: the payer's bank took it back
    CHARGED_BACK = "charged_back"

    @property
    def final(self) -> bool:
        """Whether nothing more happens by itself."""
        return self in _FINAL


_FINAL = frozenset(
    {
        PaymentState.SETTLED,
        PaymentState.DECLINED,
        PaymentState.REFUNDED,
        PaymentState.CHARGED_BACK,
    }
)


class Payment(msgspec.Struct, frozen=True, kw_only=True):
    """One payment as it stands. ``account`` and ``line_id`` are who is credited, whoever pays."""

    account: AccountRef
    payment_id: UUID
    line_id: UUID | None
    gateway: str
    method: PaymentMethod
    #: the provider's own name for it, once heard
    gateway_ref: str | None
    #: minor units of ``currency``
    amount: int
    currency: str
    state: PaymentState
    #: why it was refused or held, as a code
    reason: str | None
    reference: str
    #: catalogue code of what is bought with it at once; None credits airtime
    product: str | None
    created_at: datetime
    changed_at: datetime
    #: minor units that went back in parts: its gateway gave them back by itself, or a bank took them
    returned: int = 0


class CheckoutSession(NamedTuple):
    """A person's session on a channel in which one payment gateway asks for the money itself."""

    #: its name in the settings
    gateway: str
    #: the session's id at the provider
    session: str


class CardPage(NamedTuple):
    """A card is entered on the payment service's own page, to which the payer is sent: its number never reaches us."""

    #: the payer has asked that the card be kept for next time
    keep: bool = False


#: cards that one line may keep
CARDS_MOST = 5


class SavedCard(NamedTuple):
    """A card that a line can pay with again. What the gateway charges it by stays sealed."""

    line: LineRef
    card_id: UUID
    #: who gave its token: only there can it be charged
    gateway: str
    brand: str
    last_four: str
    #: the first moment at which it is no longer valid
    expires_at: datetime


class Refused(StrEnum):
    """Why a payment is not asked for. Dialogs must have a sentence for each (checked at start)."""

    #: not above nothing, or absurd
    AMOUNT = "amount"
    #: there is no such line, or it is closed
    LINE = "line"
    #: not on sale
    PRODUCT = "product"
    #: no gateway takes it, or the operator does not
    METHOD = "method"
    #: the same key stands for another payment
    CONFLICT = "conflict"
    #: no such card, or it was forgotten
    CARD_UNKNOWN = "card_unknown"
    CARD_EXPIRED = "card_expired"
    #: less than the method's least, ``limit``
    AMOUNT_TOO_LOW = "amount_too_low"
    #: more than the method's most, ``limit``
    AMOUNT_TOO_HIGH = "amount_too_high"
    #: with this one the day would hold more than ``limit``
    DAILY_LIMIT = "daily_limit"
    #: the balance would be more than ``limit``
    BALANCE_LIMIT = "balance_limit"
    #: as many wait for an answer as may
    TOO_MANY_WAITING = "too_many_waiting"
    #: staff put it on the block list
    BLOCKED = "blocked"
    #: the fraud layer's score is too high
    RISK = "risk"
    #: nobody knows how often it was tried lately, so it is not
    RISK_UNKNOWN = "risk_unknown"


class Ruled(StrEnum):
    """What the validation layers decide of a payment."""

    ALLOW = "allow"
    #: staff looks at it first
    REVIEW = "review"
    REFUSE = "refuse"


class ListKind(StrEnum):
    """What staff can put on a list, and what is counted in windows."""

    #: the number that is recharged
    SUBSCRIBER = "subscriber"
    #: the number or card that pays
    PAYER = "payer"
    #: what a person pays from, as its channel knows it
    DEVICE = "device"


class Listed(StrEnum):
    """What being on a list means."""

    BLOCK = "block"
    ALLOW = "allow"


def settle_key(payment_id: UUID) -> UUID:
    """The key of the one operation that credits a payment."""
    return uuid5(payment_id, "settle")


class Settle(Operation, frozen=True, kw_only=True, tag="settle"):
    """Make a captured payment real in all books at once. The amount and currency are those of the stored payment.

    ``captured`` is what the gateway says it holds: anything but the payment's own amount and currency is refused.
    """

    payment_id: UUID
    captured: int
    currency: str


class SetAside(Operation, frozen=True, kw_only=True, tag="set_aside"):
    """Owe captured money that cannot be credited back to its payer: ``captured`` minor units of ``currency``."""

    payment_id: UUID
    captured: int
    currency: str
    #: a code: why it was not settled
    reason: str


class Return(Operation, frozen=True, kw_only=True, tag="return"):
    """What was owed back to the payer has been given back by the gateway: ``amount`` minor units of ``currency``.

    ``failed``: what was booked so has not reached the payer; it is owed to them again.
    """

    payment_id: UUID
    amount: int
    currency: str
    failed: bool = False


class Reverse(Operation, frozen=True, kw_only=True, tag="reverse"):
    """Take a settled payment's credit back, because it is refunded to the payer or charged back by their bank.

    A refund takes all of it or nothing; a ``chargeback`` takes what is left, and the rest is booked as a loss. So does
    what the gateway has given back by itself: ``returned`` minor units in all so far, of which only that is taken that
    was not taken before. Of a ``chargeback`` it is what a bank takes by one dispute, beside all that went back before.
    What is in part leaves the payment settled.
    """

    payment_id: UUID
    reason: str
    chargeback: bool = False
    #: None: all that is left of it
    returned: int | None = None

    def reverses(self) -> UUID | None:
        """The payment's settlement; a part of it may be followed by others."""
        return self.looks_at() if self.returned is None else None

    def looks_at(self) -> UUID | None:
        """The payment's settlement."""
        return settle_key(self.payment_id)


class Restore(Operation, frozen=True, kw_only=True, tag="restore"):
    """Give back what a bank took of a payment's credit: its dispute was won, and the gateway owes us the money again.

    ``reversal_key``: the operation that took the credit, or a part of it.
    """

    payment_id: UUID
    reversal_key: UUID

    def reverses(self) -> UUID | None:
        """The reversal."""
        return self.reversal_key
