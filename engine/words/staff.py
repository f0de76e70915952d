"""People of the operator: who they are, and what they may do."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any, NamedTuple
from uuid import UUID

import msgspec

from engine.words.accounts import Bucket, LineRef, LineStatus, Unit
from engine.words.errors import EngineError
from engine.words.payments import Payment


class Role(StrEnum):
    """What a person of the operator does; each has one."""

    #: helps subscribers: finds lines, asks for what a caller needs
    SUPPORT = "support"
    #: money: payments, reconciliation, reports; lets others' requests pass
    FINANCE = "finance"
    #: runs the installation: staff, vouchers, messages; lets others' requests pass
    ADMIN = "admin"
    #: sees everything, changes nothing
    AUDITOR = "auditor"


class StaffMember(msgspec.Struct, frozen=True, kw_only=True):
    """One person of the operator, as of the last commit."""

    staff_id: UUID
    #: what they sign in with, and what the audit trail calls them
    name: str
    role: Role
    #: a session that began under another one is over
    epoch: int
    created_at: datetime
    disabled_at: datetime | None = None
    locked_until: datetime | None = None
    signed_in_at: datetime | None = None
    #: when password and secret were last given to them
    credentials_at: datetime


class RequestKind(StrEnum):
    """What staff may ask for on a line."""

    #: give back a purchase or a charge; ``subject`` is its operation's key
    REFUND = "refund"
    #: take a payment's credit back and have its gateway give the money back; ``subject`` is the payment's id
    PAYMENT = "payment"
    #: a correction of ``amount`` of ``unit``, below 0 a deduction
    ADJUST = "adjust"
    #: take the line to another ``status``
    STATUS = "status"
    #: end the locks that wrong PINs and voucher numbers brought
    UNLOCK = "unlock"
    #: take the PIN away: the person sets a new one
    PIN = "pin"
    #: send the message about an operation once more; ``subject`` is its key
    RECEIPT = "receipt"


class RequestState(StrEnum):
    """How far a request has come."""

    #: waits for somebody else to approve or refuse it
    PENDING = "pending"
    #: being done, or about to be
    APPROVED = "approved"
    DONE = "done"
    #: approved, and then it could not be done; ``outcome`` says why
    FAILED = "failed"
    REFUSED = "refused"
    #: nobody decided in time
    EXPIRED = "expired"


class StaffRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Something that a person of the operator asked for, who decided on it, and what came of it."""

    request_id: UUID
    kind: RequestKind
    line: LineRef
    unit: Unit | None
    #: smallest parts of ``unit``; below 0 takes away
    amount: int | None
    subject: UUID | None
    #: of ``STATUS``
    status: LineStatus | None
    asked_by: str
    why: str
    asked_at: datetime
    state: RequestState
    #: nobody else had to approve it
    alone: bool
    decided_by: str | None
    decided_why: str | None
    decided_at: datetime | None
    #: a refusal's code, or ``ok``
    outcome: str | None
    #: of the operation that it became
    reference: str | None
    done_at: datetime | None


class LineView(msgspec.Struct, frozen=True, kw_only=True):
    """A line as staff sees it, whatever its state, with what stands in its account."""

    line: LineRef
    #: E.164 with ``+``; None once the person was erased
    msisdn: str | None
    kind: str
    status: LineStatus
    language: str
    currency: str
    #: ``prepaid`` or ``postpaid``
    pays: str
    frozen_reason: str | None
    has_pin: bool
    #: wrong PINs in a row
    pin_failures: int
    pin_locked_until: datetime | None
    voucher_locked_until: datetime | None
    opened_at: datetime
    sim_changed_at: datetime | None
    buckets: tuple[Bucket, ...]
    #: the other lines of the account
    others: tuple[LineRef, ...]


class Event(NamedTuple):
    """One thing that happened to a line or its account, on whatever channel."""

    at: datetime
    event_id: UUID
    #: ``operation``, ``use`` (of the network), ``payment``, ``message`` or ``staff``
    source: str
    #: of an operation its kind, of a payment what happened, of a message its topic, of staff what was done
    what: str
    #: of an operation its code, of a payment and a message the state after it
    state: str
    #: where it came from: a channel, a gateway, a carrier, a person
    by: str
    #: what it can be looked up by: a reference, a payment's id
    reference: str
    #: of an operation how buckets changed; of others codes and amounts
    detail: dict[str, Any]


class VoucherHit(NamedTuple):
    """A voucher that was found; never its number."""

    batch_id: UUID
    serial: int
    state: str
    redeemed_at: datetime | None
    #: who redeemed it
    line: LineRef | None


class OperationHit(NamedTuple):
    """An operation that was found by its reference."""

    line: LineRef | None
    kind: str
    code: str
    reference: str
    booked_at: datetime


class Found(NamedTuple):
    """What a search came to. Each list holds few: more than one is a coincidence of short references."""

    lines: tuple[LineRef, ...] = ()
    payments: tuple[Payment, ...] = ()
    operations: tuple[OperationHit, ...] = ()
    vouchers: tuple[VoucherHit, ...] = ()


class BadRequest(EngineError):
    """Not possible to ask for, or to decide on: nothing was done. ``args[0]`` is the reason.

    ``role``, ``why``, ``amount``, ``status``, ``subject`` (no such operation or payment of this line), ``decided``
    (somebody was faster, or it was too late), ``own`` (whoever asked does not decide), ``hands``
    (one administrator may know the credentials of both), ``anew`` (who asked was given new ones since).
    """


class RequestDraft(NamedTuple):
    """What is asked for; see ``StaffRequest``."""

    kind: RequestKind
    line: LineRef
    unit: Unit | None = None
    amount: int | None = None
    subject: UUID | None = None
    status: LineStatus | None = None


class BadStaff(EngineError):
    """Not acceptable for a person of the staff. ``args[0]`` names the field and the reason, for who runs the machine.

    ``reason``: ``name`` (its form), ``taken``, ``unknown`` (nobody is called so); ``length`` or
    ``guessable`` (of a password).
    """

    def __init__(self, said: str, reason: str) -> None:
        super().__init__(said)
        self.reason = reason


_HELPERS = frozenset({Role.SUPPORT, Role.FINANCE, Role.ADMIN})
_KEEPERS = frozenset({Role.SUPPORT, Role.ADMIN})

#: who may ask for what
MAY_ASK: dict[RequestKind, frozenset[Role]] = {
    RequestKind.REFUND: _HELPERS,
    RequestKind.PAYMENT: _HELPERS,
    RequestKind.ADJUST: _HELPERS,
    RequestKind.STATUS: _KEEPERS,
    RequestKind.UNLOCK: _KEEPERS,
    RequestKind.PIN: _KEEPERS,
    RequestKind.RECEIPT: _HELPERS,
}
#: who may approve or refuse what somebody else asked for
MAY_DECIDE = frozenset({Role.FINANCE, Role.ADMIN})
