"""What a payment gateway does for us, in our words: every folder beside this file speaks them.

A gateway never touches our books. It asks the provider for money, says what became of it, and reads what the provider
sends. Each call has a time-out of its own and carries ``payment_id`` as the provider's idempotency key (or its
nearest equivalent), so that asking again asks for the same payment.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from enum import StrEnum
from typing import Protocol
from uuid import UUID

import msgspec

from engine.words import PaymentMethod

#: ``provider_code`` of a ``pending`` that says nothing of the payment yet: the answer will be posted to us
ASKED = "asked"


class GatewayState(StrEnum):
    """What a provider says of a payment."""

    #: taken on; the payer has to act, or the provider is still working
    PENDING = "pending"
    #: reserved on the payer's card: ``confirm`` takes it, ``cancel`` lets it go
    HELD = "held"
    #: the money is ours
    CAPTURED = "captured"
    #: refused by payer or provider; no money moves any more
    DECLINED = "declined"
    #: given back to the payer; ``amount`` is the sum of all that went back so far, so it may be a part
    REFUNDED = "refunded"
    #: the payer's bank has taken it back, or asks to
    CHARGEBACK = "chargeback"
    #: what had gone back is ours again: a dispute was won; of a settlement file, also a refund that has failed
    REINSTATED = "reinstated"
    #: what was given back has not reached the payer, and is with the provider again; ``amount`` is that refund's
    REFUND_FAILED = "refund_failed"
    #: the provider has never heard of it; of ``charge``: this call has not left us, or was turned away unread
    NOT_FOUND = "not_found"
    #: nobody knows: time-out, broken connection, an answer that makes no sense
    UNKNOWN = "unknown"


class Payer(msgspec.Struct, frozen=True, kw_only=True):
    """Who pays: a mobile-money number, or a token that the provider gave us for a card. Never a card number."""

    #: E.164 with ``+``
    msisdn: str = ""
    token: str = ""
    #: the provider's own name of the session in which it asks them itself (``AsksInSession``)
    session: str = ""
    #: they enter a card on the provider's page (``OffersPage``), and have asked that it be kept
    page: bool = False
    keep: bool = False


class ChargeRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Ask a payer for money."""

    payment_id: UUID
    #: short and speakable, shown to the payer where the provider has room for it
    reference: str
    #: minor units of ``currency``
    amount: int
    currency: str
    payer: Payer
    #: what it is for, in the payer's language
    description: str
    #: where the provider is to call back: unguessable, for this payment alone; empty where it is not asked to
    callback_url: str = ""
    #: when it was asked for first: what the payer's time is counted from, the same however often it is sent
    asked_at: datetime | None = None


class PaymentRef(msgspec.Struct, frozen=True, kw_only=True):
    """A payment that the provider was asked for before. ``gateway_ref`` is its own name for it, if we have heard it."""

    payment_id: UUID
    gateway_ref: str | None
    amount: int
    currency: str
    requested_at: datetime


class RefundRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Give captured money back, all or part of it. ``refund_id`` is the idempotency key.

    ``returned``: what had gone back before, minor units.
    """

    payment: PaymentRef
    refund_id: UUID
    amount: int
    reason: str
    returned: int = 0


class NewCard(msgspec.Struct, frozen=True, kw_only=True):
    """A card that its payer has asked to be kept, and what they recognise it by. ``token`` is a secret of theirs."""

    token: str
    brand: str
    last_four: str
    #: the first moment at which it is no longer valid
    expires_at: datetime


class Dispute(msgspec.Struct, frozen=True, kw_only=True):
    """What a payer's bank asks back of a payment: there may be several, each under the provider's name for it."""

    name: str
    #: minor units; less than the payment where it is about a part
    amount: int
    #: it is over, and the money stays with the bank, unless it was ``won``: then it is ours again
    ended: bool = False
    won: bool = False


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What a provider said of one payment, in an answer, a callback or a settlement file.

    ``reason`` is a code of ours for people (see ``DeclineReason``) and ``provider_code`` the provider's own, for the
    evidence. ``amount`` and ``currency`` are what really moved, where the provider says so: the settlement compares.
    """

    state: GatewayState
    gateway_ref: str | None = None
    amount: int | None = None
    currency: str | None = None
    #: of what is captured: how much of it has gone back to the payer so far, by however many refunds
    returned: int | None = None
    #: what banks have asked back of it, where the provider names that: not in ``returned``
    disputes: tuple[Dispute, ...] = ()
    reason: str | None = None
    provider_code: str | None = None
    #: the payer has to follow this link (3-D Secure, the provider's own page); it is texted to them
    action_url: str | None = None
    #: of ``status``, once the money moves: the card is never said in an event, which is kept
    card: NewCard | None = None
    #: fee that the provider keeps, minor units
    fee: int | None = None
    at: datetime | None = None


class DeclineReason(StrEnum):
    """Why a payment was refused, as a dialog can say it."""

    FUNDS = "funds"
    CANCELLED = "cancelled"
    TIMEOUT = "timeout"
    WRONG_PIN = "wrong_pin"
    LIMIT = "limit"
    METHOD = "method"
    FRAUD = "fraud"
    OTHER = "other"


class CallbackRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What arrived at ``POST /payments/{gateway}/callback[/{path_secret}]``, untouched: signatures are over bytes."""

    #: the last path segment, if there was one: the payment's own secret
    path_secret: str
    #: lower-case names
    headers: Mapping[str, str]
    body: bytes
    remote: str
    received_at: datetime


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that a verified callback says. ``event_id`` is the provider's: what was seen before is not done again.

    ``payment_id`` is None where the provider only knows its own reference, or where the payer began it (C2B): then
    ``account_number`` is what they typed as the account, and ``payer_msisdn`` who paid.
    """

    event_id: str
    outcome: Outcome
    payment_id: UUID | None = None
    account_number: str | None = None
    payer_msisdn: str | None = None
    #: who paid (SHA-256 of the number's digits, hex), where payments that we asked for are told like this, too, under a
    #: name that we have not heard
    push_payer: str | None = None
    #: the provider does not sign, or the event may be overtaken: ask it for the status before the event is believed
    ask_status: bool = False
    #: the reference that ``status`` has to be asked with, where it is not ``outcome.gateway_ref``: before a payment is
    #: made M-Pesa knows it by its push, afterwards by its receipt
    status_ref: str | None = None


class Callback(msgspec.Struct, frozen=True, kw_only=True):
    """A read callback: what it says, and what the provider wants to hear."""

    events: tuple[Event, ...]
    status: int = 200
    content_type: str = "application/json"
    body: bytes = b"{}"
    #: what is answered instead of ``body`` if the account that the payer typed is none of ours (C2B validation)
    refusal: bytes | None = None
    #: the path's last segment is the same for all payments: it says nothing of which one this is
    shared_path: bool = False


class BadCallback(Exception):
    """Refused before anything was believed. ``status`` is for the caller, the text for the log and the audit trail."""

    def __init__(self, reason: str, status: int = 400) -> None:
        super().__init__(reason)
        self.status = status


class SettlementRow(msgspec.Struct, frozen=True, kw_only=True):
    """One line of a provider's settlement file: a payment (amount > 0) or a refund or chargeback (< 0)."""

    line: int
    gateway_ref: str
    payment_id: UUID | None
    amount: int
    currency: str
    fee: int
    state: GatewayState
    at: datetime
    #: what the payer typed as the account, where they began it
    account_number: str | None = None


class BadRow(msgspec.Struct, frozen=True, kw_only=True):
    """A line that cannot be read: the rest of the file is done all the same."""

    line: int
    reason: str


class PaymentGateway(Protocol):
    """One configured provider. Calls never raise for what the provider does: an ``Outcome`` of ``unknown`` says it."""

    #: its name in the settings, in paths and in metrics
    name: str
    methods: frozenset[PaymentMethod]
    #: True where ``charge`` only reserves, and ``confirm`` has to follow
    holds: bool

    async def start(self) -> None:
        """Open what it needs (connections, sign-on). Raises nothing: a provider that is down is not fatal."""

    async def stop(self) -> None:
        """Let everything go."""

    async def charge(self, request: ChargeRequest) -> Outcome:
        """Ask for the money, once for each ``payment_id``.

        ``not_found``: this call has moved nothing and never will, so another gateway may be asked; what an earlier call
        for the same payment has done, ``status`` says.
        """

    async def confirm(self, payment: PaymentRef) -> Outcome:
        """Take what was held. Where nothing is ever held: what ``status`` says."""

    async def cancel(self, payment: PaymentRef) -> Outcome:
        """Let go what was held, or void what is not captured yet (ISO 8583: reversal). Answers what then is true."""

    async def refund(self, request: RefundRequest) -> Outcome:
        """Give captured money back.

        ``refunded``, and how much has gone back in all; ``pending``: taken on, a callback tells; ``declined``: refused,
        the money stays ours; ``unknown``.
        A refusal that is told by a callback says what is true of the payment: ``captured``.
        """

    async def status(self, payment: PaymentRef) -> Outcome:
        """What became of a payment."""

    def read_callback(self, request: CallbackRequest) -> Callback:
        """Verify and read. Raises ``BadCallback``."""

    def read_settlement(self, lines: Iterable[str]) -> Iterator[SettlementRow | BadRow]:
        """Read a settlement file, streamed; ``line`` counts from 1."""
