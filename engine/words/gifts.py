"""What people ask for beside recharges and bundles: gifts and their undoing, advances, renewals, own limits."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID, uuid5

import msgspec

from engine.words.accounts import AccountRef, Unit
from engine.words.operations import Operation


class Transfer(Operation, frozen=True, kw_only=True, tag="transfer"):
    """Give money or units to another line. ``fee`` is what the person was shown, minor units: another one refuses.

    What is given keeps its end; what only some traffic may use is not given. ``sender_shown`` and ``receiver_shown``
    are the two numbers as the other one may read them: masked.
    """

    unit: Unit
    amount: int
    fee: int
    receiver: AccountRef
    receiver_line: UUID
    sender_shown: str
    receiver_shown: str

    def other(self) -> Operation | None:
        """The receiver's side."""
        if self.receiver == self.account:
            return None
        return Received(
            account=self.receiver,
            key=uuid5(self.key, "received"),
            asked_at=self.asked_at,
            source=self.source,
            line_id=self.receiver_line,
        )


class Received(Operation, frozen=True, kw_only=True, tag="received"):
    """The receiver's side of a ``Transfer``: never posted by itself."""


class Undo(Operation, frozen=True, kw_only=True, tag="undo"):
    """Take a ``Transfer`` of this account back, whole and with its fee, while it is fresh and unspent.

    ``receiver`` and ``receiver_line`` are those of the transfer.
    """

    undone_key: UUID
    receiver: AccountRef
    receiver_line: UUID

    def reverses(self) -> UUID | None:
        """The transfer."""
        return self.undone_key

    def other(self) -> Operation | None:
        """The receiver's side."""
        if self.receiver == self.account:
            return None
        return TakenBack(
            account=self.receiver,
            key=uuid5(self.key, "taken_back"),
            asked_at=self.asked_at,
            source=self.source,
            line_id=self.receiver_line,
            received_key=uuid5(self.undone_key, "received"),
        )


class TakenBack(Operation, frozen=True, kw_only=True, tag="taken_back"):
    """The receiver's side of an ``Undo``: never posted by itself."""

    received_key: UUID

    def reverses(self) -> UUID | None:
        """What was received."""
        return self.received_key


class Advance(Operation, frozen=True, kw_only=True, tag="advance"):
    """Emergency credit: ``amount`` now, ``amount + fee`` back from the next recharges. Both are what was shown."""

    amount: int
    fee: int


class AutoRenew(Operation, frozen=True, kw_only=True, tag="auto_renew"):
    """Buy a product again whenever it ends, or no longer. ``price`` is what the person agreed to."""

    product: str
    price: int
    wanted: bool


class Renew(Operation, frozen=True, kw_only=True, tag="renew"):
    """One renewal of a product at its end; posted by the schedule. ``attempt`` counts from 0 within one cycle."""

    product: str
    price: int
    cycle: datetime
    attempt: int


class Extend(Operation, frozen=True, kw_only=True, tag="extend"):
    """Staff lets all that is not over yet live ``days`` longer, as after a fault of the network."""

    days: int
    reason: str


class OutOfBundle(Operation, frozen=True, kw_only=True, tag="out_of_bundle"):
    """The person says whether money may pay when bundles are used up (opt-in and opt-out, kept as evidence)."""

    allowed: bool


class Period(StrEnum):
    """What a cap is counted over: the operator's local days and months."""

    DAY = "day"
    MONTH = "month"


class SetCap(Operation, frozen=True, kw_only=True, tag="set_cap"):
    """Limit what one line (``line_id``) may use in a period: minor units or units; None takes the limit away.

    ``by`` is the line that asks, where it is another one: the owner of the account (its oldest line) limits the others,
    who may set themselves less, but no more.
    """

    unit: Unit
    period: Period
    amount: int | None
    by: UUID | None = None


class SetCreditLimit(Operation, frozen=True, kw_only=True, tag="set_credit_limit"):
    """Staff sets how much a postpaid account may owe, minor units. Never below what is owed already."""

    limit: int
    reason: str


class MakeBill(Operation, frozen=True, kw_only=True, tag="make_bill"):
    """Bill a postpaid account for what it used up to ``period_to`` and was not billed before; posted by the schedule.

    ``due_at`` is not part of what is meant: a bill that is asked for again is the one that was made.
    """

    period_from: datetime
    period_to: datetime
    due_at: datetime

    def meant(self) -> tuple[Any, ...]:
        """The account and the period."""
        return (self.account, self.period_from, self.period_to)


class Meter(msgspec.Struct, frozen=True, kw_only=True):
    """What a line used of one unit, today and this month, against its caps; ``usual`` is an ordinary day's use."""

    unit: Unit
    today: int
    day_cap: int | None
    this_month: int
    month_cap: int | None
    usual: int


class SpendingRules(msgspec.Struct, frozen=True, kw_only=True):
    """How a line may spend: whether money pays when bundles are used up, and its meters (one for each unit used)."""

    out_of_bundle: bool
    meters: tuple[Meter, ...]


class AdvanceOffer(msgspec.Struct, frozen=True, kw_only=True):
    """What may be borrowed now, minor units, and what is paid back. ``refused`` says why nothing may, as a code."""

    amounts: tuple[tuple[int, int], ...] = ()
    #: still owed from an earlier one
    owed: int = 0
    refused: str | None = None


class Gift(msgspec.Struct, frozen=True, kw_only=True):
    """A transfer that may still be undone."""

    key: UUID
    unit: Unit
    amount: int
    receiver: AccountRef
    receiver_line: UUID
    receiver_shown: str
    given_at: datetime
    until: datetime


class Deduction(msgspec.Struct, frozen=True, kw_only=True):
    """One reason why a balance went down: what, when, which bucket, which rule, before and after."""

    at: datetime
    kind: str
    reference: str
    #: traffic category, product, or reason; None where the kind says it all
    what: str | None
    #: the bucket: what granted it, and what it counts
    product: str
    unit: Unit
    amount: int
    before: int
    after: int
    #: the tariff that was applied, where money paid for use
    tariff: str | None = None


class Outlook(msgspec.Struct, frozen=True, kw_only=True):
    """How long what is left of a unit lasts at this line's usual pace, and which product would be cheaper.

    ``days_left`` is None where the line uses nothing. ``cheaper`` is a product's code and ``saves_percent`` what it
    saves against what the line pays for the same use now; both None where nothing is cheaper.
    """

    unit: Unit
    left: int
    usual: int
    days_left: int | None
    cheaper: str | None = None
    saves_percent: int | None = None
