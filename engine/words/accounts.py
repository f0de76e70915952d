"""Accounts, lines, buckets and the sealed forms of what people type."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import NamedTuple
from uuid import UUID

import msgspec


class Unit(StrEnum):
    """What a bucket holds and a transfer moves."""

    #: minor units of the account's currency
    MONEY = "money"
    OCTETS = "octets"
    SECONDS = "seconds"
    MESSAGES = "messages"


class LineStatus(StrEnum):
    """Life cycle of a line (3GPP TS 22.115 leaves the names to the operator; these are the usual ones)."""

    #: sold, never used: the first recharge or call activates it
    PREACTIVE = "preactive"
    ACTIVE = "active"
    #: the operator or the subscriber paused it: reads are served, nothing is spent
    SUSPENDED = "suspended"
    #: refused for debt or fraud: reads are served, money may come in, nothing goes out
    BARRED = "barred"
    #: gone for good: nothing is served, nothing comes in
    TERMINATED = "terminated"


#: in which a line may use what its account holds
SERVED = (LineStatus.PREACTIVE, LineStatus.ACTIVE)


class AccountRef(NamedTuple):
    """Where an account lives. Sorting references sorts by (shard, account): the order in which rows are locked."""

    shard: int
    account_id: UUID


class LineRef(NamedTuple):
    """Where a line lives: the primary key of its row."""

    shard: int
    account_id: UUID
    line_id: UUID

    @property
    def account(self) -> AccountRef:
        """The account that the line belongs to."""
        return AccountRef(self.shard, self.account_id)


class VoucherToken(msgspec.Struct, frozen=True):
    """A voucher number, sealed: its HMAC-SHA-256 under each key in force. Safe to keep in a session or a log.

    ``tail`` is the last four digits, for "voucher …1234" on a confirm screen.
    """

    digests: tuple[bytes, ...]
    tail: str


class Bucket(msgspec.Struct, frozen=True, kw_only=True):
    """An amount of one unit that a line may use, as it stands after the last commit."""

    bucket_id: UUID
    unit: Unit
    #: catalogue code of what granted it; ``airtime`` for the main money bucket
    product: str
    amount: int
    #: held by open reservations, part of ``amount``
    reserved: int
    #: what it was opened with, for "500 of 1000 MB left"
    initial: int
    #: traffic categories it may pay for; empty means all
    categories: tuple[str, ...]
    #: lower is used first
    priority: int
    starts_at: datetime
    #: None means it never expires
    expires_at: datetime | None
    #: the bucket whose rest it holds, if it was rolled over
    rolled_from: UUID | None = None
    #: how often what it holds was rolled over
    rolled: int = 0


class Subscriber(msgspec.Struct, frozen=True, kw_only=True):
    """One line with its account and the buckets that may still be used: what every screen starts from."""

    account: AccountRef
    line_id: UUID
    #: E.164 with ``+``, as the caller gave it; the database only holds it encrypted
    msisdn: str
    status: LineStatus
    language: str
    currency: str
    has_pin: bool
    #: True while an invariant fails on the account: reads are served, nothing is spent
    frozen: bool
    buckets: tuple[Bucket, ...]

    @property
    def line(self) -> LineRef:
        """Where the line lives."""
        return LineRef(*self.account, self.line_id)

    def total(self, unit: Unit) -> int:
        """What is left of one unit over all live buckets, less what is reserved."""
        return sum(bucket.amount - bucket.reserved for bucket in self.buckets if bucket.unit is unit)


class PinVerdict(StrEnum):
    """What a PIN check answers."""

    RIGHT = "right"
    WRONG = "wrong"
    #: too many wrong tries; the right PIN is refused too until the lock ends
    LOCKED = "locked"
    #: the line has no PIN yet
    NOT_SET = "not_set"
