"""One operation while it is decided: the facts fetched for it, and what it would change.

A decision is a pure function over a ``Case``. It moves amounts with ``credit`` and ``debit``, each of which is one
balanced transfer, and answers with a ``Verdict``. Nothing here touches a database: if the verdict is a refusal the
changes are dropped with the case.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from typing import Any, NamedTuple
from uuid import UUID

from engine.books.tables import Ledger
from engine.recharge.tables import BatchState, VoucherState
from engine.storage.sharding import new_id
from engine.words import Answer, Bucket, Code, Effect, LineStatus, Operation, Unit
from settings import Operator


class Verdict(NamedTuple):
    """What becomes of an operation. ``details`` holds codes, ids and amounts for the answer."""

    code: Code = Code.OK
    details: Mapping[str, Any] = MappingProxyType({})


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
    """The operation that a refund gives back."""

    kind: str
    code: str
    transfers: tuple[Transfer, ...]
    already_reversed: bool


@dataclass(slots=True, kw_only=True)
class Facts:
    """All that was fetched for one operation, under its account's lock."""

    currency: str
    frozen: bool
    line: LineFacts | None = None
    buckets: list[Bucket] = field(default_factory=list)
    voucher: VoucherFacts | None = None
    original: OriginalFacts | None = None


@dataclass(slots=True)
class Case:
    """An operation, its facts and clock, and the changes decided so far."""

    operation: Operation
    facts: Facts
    operator: Operator
    now: datetime
    reference: str
    transfers: list[Transfer] = field(default_factory=list)
    #: bucket → its new amount, for buckets that were there before
    amounts: dict[UUID, int] = field(default_factory=dict)
    #: bucket → its new expiry
    expiries: dict[UUID, datetime | None] = field(default_factory=dict)
    #: buckets made by this operation, as they stand
    opened: dict[UUID, Bucket] = field(default_factory=dict)
    #: the line as it is to be stored, if it changes
    line: LineFacts | None = None
    #: the voucher that this operation redeems
    claimed: VoucherFacts | None = None
    #: (topic, body) of outbox rows
    messages: list[tuple[str, dict[str, Any]]] = field(default_factory=list)

    def amount(self, bucket: Bucket) -> int:
        """What a bucket holds now, changes of this case included."""
        return self.amounts.get(bucket.bucket_id, bucket.amount)

    def free(self, bucket: Bucket) -> int:
        """What may be spent of it: reserved amounts belong to network sessions."""
        return self.amount(bucket) - bucket.reserved

    def live(self, bucket: Bucket) -> bool:
        """Whether a bucket has started and its time, changes of this case included, is not over."""
        expires_at = self.expiries.get(bucket.bucket_id, bucket.expires_at) if self.expiries else bucket.expires_at
        return bucket.starts_at <= self.now and (expires_at is None or expires_at > self.now)

    def debit(self, bucket: Bucket, amount: int, to: Ledger) -> None:
        """Take ``amount`` out of a bucket. Raises ``ValueError`` rather than leave less than nothing."""
        if not 0 < amount <= self.free(bucket):
            raise ValueError(f"debit of {amount} from {self.free(bucket)} free in bucket {bucket.bucket_id}")
        self.amounts[bucket.bucket_id] = self.amount(bucket) - amount
        self.transfers.append(Transfer(Ledger.BALANCE, to, bucket.unit, amount, bucket.bucket_id))

    def credit(self, bucket: Bucket, amount: int, source: Ledger) -> None:
        """Put ``amount`` > 0 into a bucket that was there before."""
        if amount <= 0:
            raise ValueError(f"credit of {amount} to bucket {bucket.bucket_id}")
        self.amounts[bucket.bucket_id] = self.amount(bucket) + amount
        self.transfers.append(Transfer(source, Ledger.BALANCE, bucket.unit, amount, bucket.bucket_id))

    def extend(self, bucket: Bucket, expires_at: datetime | None) -> None:
        """Let a bucket live until ``expires_at``; never shortens its life."""
        if bucket.expires_at is not None and (expires_at is None or expires_at > bucket.expires_at):
            self.expiries[bucket.bucket_id] = expires_at

    def open(
        self,
        unit: Unit,
        amount: int,
        source: Ledger,
        *,
        product: str,
        expires_at: datetime | None,
        categories: Iterable[str] = (),
        priority: int,
    ) -> Bucket:
        """Make a bucket that holds ``amount`` > 0 from now on."""
        if amount <= 0:
            raise ValueError(f"a bucket of {product} would open with {amount}")
        bucket = Bucket(
            bucket_id=new_id(),
            unit=unit,
            product=product,
            amount=amount,
            reserved=0,
            initial=amount,
            categories=tuple(categories),
            priority=priority,
            starts_at=self.now,
            expires_at=expires_at,
        )
        self.opened[bucket.bucket_id] = bucket
        self.transfers.append(Transfer(source, Ledger.BALANCE, unit, amount, bucket.bucket_id))
        return bucket

    def total(self, unit: Unit) -> int:
        """What the account can still spend of a unit, after the changes so far."""
        before = sum(self.free(bucket) for bucket in self.facts.buckets if bucket.unit is unit and self.live(bucket))
        return before + sum(bucket.amount for bucket in self.opened.values() if bucket.unit is unit)

    def effects(self) -> tuple[Effect, ...]:
        """What each touched bucket held before and holds after."""
        changed = [
            Effect(
                bucket_id=bucket.bucket_id,
                unit=bucket.unit,
                product=bucket.product,
                before=bucket.amount,
                after=self.amount(bucket),
                expires_at=self.expiries.get(bucket.bucket_id, bucket.expires_at),
            )
            for bucket in self.facts.buckets
            if bucket.bucket_id in self.amounts
        ]
        made = [
            Effect(
                bucket_id=bucket.bucket_id,
                unit=bucket.unit,
                product=bucket.product,
                before=0,
                after=bucket.amount,
                expires_at=bucket.expires_at,
            )
            for bucket in self.opened.values()
        ]
        return tuple(changed + made)

    def answer(self, verdict: Verdict) -> Answer:
        """The answer that is stored and given."""
        return Answer(
            kind=self.operation.__struct_config__.tag,  # type: ignore[arg-type]
            code=verdict.code,
            key=self.operation.key,
            reference=self.reference,
            booked_at=self.now,
            effects=self.effects() if verdict.code is Code.OK else (),
            details=dict(verdict.details),
        )
