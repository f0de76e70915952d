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

import msgspec

from engine.books.facts import Facts, LineFacts, Transfer, VoucherFacts
from engine.books.tables import Ledger
from engine.storage.sharding import new_id
from engine.words import Answer, Bucket, Code, Effect, Operation, Unit
from settings import Operator


class Verdict(NamedTuple):
    """What becomes of an operation. ``details`` holds codes, ids and amounts for the answer."""

    code: Code = Code.OK
    details: Mapping[str, Any] = MappingProxyType({})


@dataclass(slots=True)
class Case:
    """An operation, its facts and clock, and the changes decided so far."""

    operation: Operation
    facts: Facts
    operator: Operator
    now: datetime
    reference: str
    transfers: list[Transfer] = field(default_factory=list)
    # Buckets by their id as a number: a UUID is hashed in Python, which a charge from three buckets did 64 times.
    #: bucket → its new amount, for buckets that were there before
    amounts: dict[int, int] = field(default_factory=dict)
    #: bucket → what open reservations now hold of it
    reserved: dict[int, int] = field(default_factory=dict)
    #: unit → what money has paid for, and what money holds for sessions more than before
    bought: dict[Unit, int] = field(default_factory=dict)
    held_by_money: dict[Unit, int] = field(default_factory=dict)
    #: unit → what the line has used today and this month, this operation included, as far as that is counted
    metered: dict[Unit, tuple[int, int]] = field(default_factory=dict)
    #: bucket → its new expiry
    expiries: dict[int, datetime | None] = field(default_factory=dict)
    #: buckets made by this operation, as they stand
    opened: dict[int, Bucket] = field(default_factory=dict)
    #: the line as it is to be stored, if it changes
    line: LineFacts | None = None
    #: other lines of the account as they are to be stored, of those that change
    siblings: list[LineFacts] = field(default_factory=list)
    #: the voucher that this operation redeems
    claimed: VoucherFacts | None = None
    #: (topic, body) of outbox rows
    messages: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    #: sheet → rows of the areas' own tables (``engine.books.sheets``), without shard and account
    rows: dict[str, list[tuple[Any, ...]]] = field(default_factory=dict)
    #: the other account that this operation touches, as a case of its own; None where it touches one, or finds no other
    other: Case | None = None

    def write(self, sheet: str, *row: Any) -> None:
        """Let the commit write a row to one of the sheets that areas have of their own."""
        self.rows.setdefault(sheet, []).append(row)

    def announce(self, topic: str, body: Mapping[str, Any], *, line_id: UUID | None = None) -> None:
        """Let outside systems hear of this: codes, ids and amounts, never a number. Of the operation's own line."""
        text = msgspec.json.encode(body).decode()
        self.write("announced", new_id(), line_id or self.operation.line_id, self.operation.key, topic, text)

    def lines(self) -> list[LineFacts]:
        """The lines that are to be stored."""
        return self.siblings if self.line is None else [self.line, *self.siblings]

    def amount(self, bucket: Bucket) -> int:
        """What a bucket holds now, changes of this case included."""
        made = self.opened.get(bucket.bucket_id.int) if self.opened else None
        return made.amount if made is not None else self.amounts.get(bucket.bucket_id.int, bucket.amount)

    def held(self, bucket: Bucket) -> int:
        """What open reservations hold of it now."""
        return self.reserved.get(bucket.bucket_id.int, bucket.reserved)

    def end(self, bucket: Bucket) -> datetime | None:
        """When it expires now; None: never."""
        return self.expiries.get(bucket.bucket_id.int, bucket.expires_at)

    def _set(self, bucket: Bucket, amount: int) -> None:
        key = bucket.bucket_id.int
        made = self.opened.get(key)
        if made is None:
            self.amounts[key] = amount
        else:
            self.opened[key] = msgspec.structs.replace(made, amount=amount)

    def buckets(self) -> list[Bucket]:
        """Those that were there and those that this case made, as they stand."""
        return [*self.facts.buckets, *self.opened.values()]

    def free(self, bucket: Bucket) -> int:
        """What may be spent of it: reserved amounts belong to network sessions."""
        return self.amount(bucket) - self.held(bucket)

    def live(self, bucket: Bucket) -> bool:
        """Whether a bucket has started and its time, changes of this case included, is not over."""
        expires_at = self.end(bucket)
        return bucket.starts_at <= self.now and (expires_at is None or expires_at > self.now)

    def debit(self, bucket: Bucket, amount: int, to: Ledger) -> None:
        """Take ``amount`` out of a bucket. Raises ``ValueError`` rather than leave less than nothing."""
        if not 0 < amount <= self.free(bucket):
            raise ValueError(f"debit of {amount} from {self.free(bucket)} free in bucket {bucket.bucket_id}")
        self._set(bucket, self.amount(bucket) - amount)
        self.transfers.append(Transfer(Ledger.BALANCE, to, bucket.unit, amount, bucket.bucket_id))

    def credit(self, bucket: Bucket, amount: int, source: Ledger) -> None:
        """Put ``amount`` > 0 into a bucket that was there before."""
        if amount <= 0:
            raise ValueError(f"credit of {amount} to bucket {bucket.bucket_id}")
        self._set(bucket, self.amount(bucket) + amount)
        self.transfers.append(Transfer(source, Ledger.BALANCE, bucket.unit, amount, bucket.bucket_id))

    def hold(self, bucket: Bucket, amount: int) -> None:
        """Reserve ``amount`` more of a bucket for a session, or let go if it is below nothing."""
        held = self.held(bucket) + amount
        if not 0 <= held <= self.amount(bucket):
            raise ValueError(f"{held} would be reserved of {self.amount(bucket)} in bucket {bucket.bucket_id}")
        self.reserved[bucket.bucket_id.int] = held

    def extend(self, bucket: Bucket, expires_at: datetime | None) -> None:
        """Let a bucket live until ``expires_at``; never shortens its life."""
        if bucket.expires_at is not None and (expires_at is None or expires_at > bucket.expires_at):
            self.expiries[bucket.bucket_id.int] = expires_at

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
        rolled_from: Bucket | None = None,
    ) -> Bucket:
        """Make a bucket that holds ``amount`` > 0 from now on; of another's rest if it was ``rolled_from`` that."""
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
            rolled_from=None if rolled_from is None else rolled_from.bucket_id,
            rolled=0 if rolled_from is None else rolled_from.rolled + 1,
        )
        self.opened[bucket.bucket_id.int] = bucket
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
                expires_at=self.end(bucket),
            )
            for bucket in self.facts.buckets
            if bucket.bucket_id.int in self.amounts
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
