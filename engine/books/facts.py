"""What is fetched for an operation under its account's lock: plain data, which decisions look at."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from engine.balances.facts import AdvanceFacts, GivenFacts, RenewalFacts, StandingFacts
from engine.books.tables import Ledger
from engine.recharge.tables import BatchState, VoucherState
from engine.usage.facts import BoundFacts, MeterFacts, ReservationFacts, SessionFacts
from engine.words import Bucket, LineStatus, PaymentState, Unit


class Transfer(NamedTuple):
    """``amount`` > 0 of ``unit`` from ``debit`` to ``credit``; one of the two is the balance of ``bucket_id``."""

    debit: Ledger
    credit: Ledger
    unit: Unit
    amount: int
    bucket_id: UUID


class LineFacts(NamedTuple):
    """What decisions need of a line."""

    line_id: UUID
    status: LineStatus
    voucher_failures: int
    voucher_window_from: datetime | None
    voucher_locked_until: datetime | None
    #: what the network was last told that it may serve: ``counter status until``, see ``engine.provisioning``
    policy: tuple[str, ...] = ()
    #: whether money pays when bundles are used up; None: the person never said
    out_of_bundle: bool | None = None


class VoucherFacts(NamedTuple):
    """A voucher with its batch, its row locked."""

    shard: int
    digest: bytes
    state: VoucherState
    batch_state: BatchState
    face_value: int
    currency: str
    validity_days: int
    expires_at: datetime
    redeemed_account: UUID | None


class OriginalFacts(NamedTuple):
    """The operation that a refund, or the like, gives back, or a part of it."""

    kind: str
    code: str
    transfers: tuple[Transfer, ...]
    already_reversed: bool
    booked_at: datetime
    #: of its answer: codes, ids and amounts
    details: Mapping[str, Any]


class PaymentFacts(NamedTuple):
    """A payment, its row locked."""

    payment_id: UUID
    line_id: UUID | None
    gateway: str
    gateway_ref: str | None
    method: str
    amount: int
    currency: str
    state: PaymentState
    reason: str | None
    reference: str
    product: str | None
    #: minor units that went back in parts: the gateway gave them back by itself, or a bank took them
    returned: int = 0


class BillFacts(NamedTuple):
    """A bill of a postpaid account: one that is not fully paid, or one of which something is."""

    bill_id: UUID
    amount: int
    #: minor units still owed
    open_amount: int
    due_at: datetime


@dataclass(slots=True, kw_only=True)
class Facts:
    """All that was fetched for one operation, under its account's lock."""

    currency: str
    frozen: bool
    postpaid: bool = False
    line: LineFacts | None = None
    #: the account's other lines that are served, and may use what it holds
    siblings: list[LineFacts] = field(default_factory=list)
    buckets: list[Bucket] = field(default_factory=list)
    voucher: VoucherFacts | None = None
    original: OriginalFacts | None = None
    payment: PaymentFacts | None = None
    #: of what has gone back of the payment: what banks took by disputes over a part, and have not given again
    disputed: int = 0
    #: oldest first
    bills: list[BillFacts] = field(default_factory=list)
    session: SessionFacts | None = None
    #: of the session asked about, or of all sessions that are overdue
    reservations: list[ReservationFacts] = field(default_factory=list)
    #: (rating group, unit) → what was charged from files for the session asked about, if nobody opened it yet
    recorded: dict[tuple[int, Unit], int] = field(default_factory=dict)
    meters: dict[Unit, MeterFacts] = field(default_factory=dict)
    #: unit → what the account's owner set for the line, if a limit is asked for
    bounds: dict[Unit, BoundFacts] = field(default_factory=dict)
    #: the line that owns the account, if a limit is asked for
    owner: UUID | None = None
    #: oldest first
    advances: list[AdvanceFacts] = field(default_factory=list)
    standing: StandingFacts | None = None
    given: list[GivenFacts] = field(default_factory=list)
    renewal: RenewalFacts | None = None
    #: of a postpaid account, minor units
    credit_limit: int = 0
    #: used from the credit line in the period that is billed, minor units
    billable: int = 0
