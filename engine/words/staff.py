"""People of the operator: who they are, and what they may do."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from uuid import UUID

import msgspec

from engine.words.accounts import LineRef, LineStatus, Unit


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
