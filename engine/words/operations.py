"""What may be asked of the one door, and what it answers."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

import msgspec

from engine.words.accounts import AccountRef, Unit, VoucherToken


class Operation(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind"):
    """One intent with one idempotency key. Subclasses say what is meant; ``kind`` is their tag.

    ``asked_at`` is when the intent was made (a callback's or usage record's own time, where it has one): an intent
    older than the stated retention of keys is refused, never run again. ``source`` says who asked, for the audit
    trail: ``ussd:africastalking``, ``console:alice``.
    """

    account: AccountRef
    key: UUID
    asked_at: datetime
    source: str
    line_id: UUID | None = None

    def meant(self) -> tuple[Any, ...]:
        """What was asked, without its key, when and by whom: equal for equal intents."""
        return tuple(
            getattr(self, name) for name in self.__struct_fields__ if name not in ("key", "asked_at", "source")
        )

    def other(self) -> Operation | None:
        """What this does to a second account, as an operation of that account: it is locked, read and booked too."""
        return None

    def reverses(self) -> UUID | None:
        """The key of the operation of this account that this one gives back; once, whoever does it."""
        return None

    def looks_at(self) -> UUID | None:
        """The key of the earlier operation of this account that says what this one may do: what it gives back."""
        return self.reverses()


class Recharge(Operation, frozen=True, kw_only=True, tag="recharge"):
    """Credit a voucher's face value to the account and extend its validity."""

    voucher: VoucherToken

    def meant(self) -> tuple[Any, ...]:
        """The voucher by its oldest digest: it stays the same when a master key is added."""
        return (self.account, self.line_id, self.voucher.digests[-1])


class Purchase(Operation, frozen=True, kw_only=True, tag="purchase"):
    """Buy a product from money. ``price`` is what the person was shown: a changed price refuses the purchase."""

    product: str
    price: int


class Charge(Operation, frozen=True, kw_only=True, tag="charge"):
    """Deduct usage from buckets by priority, then earliest expiry, then oldest: all of it or nothing.

    What units do not cover is paid with money, by its rate and where it may. ``category`` is the traffic category
    (rating group) used; buckets limited to others are left alone.
    """

    unit: Unit
    amount: int
    category: str | None = None


class Refund(Operation, frozen=True, kw_only=True, tag="refund"):
    """Give back an earlier purchase or charge of the same account, whole, once."""

    refunded_key: UUID
    reason: str

    def reverses(self) -> UUID | None:
        """What is given back."""
        return self.refunded_key


class Adjust(Operation, frozen=True, kw_only=True, tag="adjust"):
    """A correction by staff: ``amount`` > 0 credits, < 0 deducts. The reason is kept.

    Money goes to the main bucket; other units, and money with an end of its own (``expires_at``), to a bucket of
    corrections.
    """

    unit: Unit
    amount: int
    reason: str
    expires_at: datetime | None = None

    def meant(self) -> tuple[Any, ...]:
        """Without an end it is what it was before corrections could have one, and so it is told from others as then."""
        said = super().meant()
        return said if self.expires_at is not None else said[:-1]


class Expire(Operation, frozen=True, kw_only=True, tag="expire"):
    """Take what is left in buckets whose time is over into breakage, or let it live on where the policy says so."""


class Effect(msgspec.Struct, frozen=True, kw_only=True):
    """What one operation did to one bucket."""

    bucket_id: UUID
    unit: Unit
    product: str
    before: int
    after: int
    expires_at: datetime | None = None


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What became of an operation: stored in its commit, the same for ever after.

    ``code`` is ``ok`` or a refusal (see ``engine.words.Code``); ``details`` holds codes, ids and amounts only,
    never rendered text.
    """

    kind: str
    code: str
    key: UUID
    #: short and speakable, Crockford base 32: "7F3K2M"
    reference: str
    booked_at: datetime
    effects: tuple[Effect, ...] = ()
    details: dict[str, Any] = {}

    @property
    def ok(self) -> bool:
        """Whether the operation took effect."""
        return self.code == Code.OK


class Code(StrEnum):
    """Every outcome an operation can have. Dialogs must have a sentence for each (checked at start)."""

    OK = "ok"
    #: same key, another request: nothing was done
    KEY_CONFLICT = "key_conflict"
    #: the intent is older than the retention of keys
    KEY_EXPIRED = "key_expired"
    ACCOUNT_UNKNOWN = "account_unknown"
    #: an invariant failed on this account; nothing goes out until staff has looked
    ACCOUNT_FROZEN = "account_frozen"
    LINE_SUSPENDED = "line_suspended"
    LINE_BARRED = "line_barred"
    LINE_TERMINATED = "line_terminated"
    VOUCHER_UNKNOWN = "voucher_unknown"
    VOUCHER_REDEEMED = "voucher_redeemed"
    VOUCHER_EXPIRED = "voucher_expired"
    #: blocked one by one, or its batch is not (or no longer) on sale
    VOUCHER_BLOCKED = "voucher_blocked"
    VOUCHER_RECALLED = "voucher_recalled"
    #: too many wrong numbers on this line; ``details.locked_until``
    VOUCHER_LOCKED = "voucher_locked"
    PRODUCT_UNKNOWN = "product_unknown"
    #: ``details.price`` is the new one
    PRICE_CHANGED = "price_changed"
    #: ``details.missing`` is how much more is needed
    BALANCE_TOO_LOW = "balance_too_low"
    AMOUNT_INVALID = "amount_invalid"
    NOTHING_TO_REFUND = "nothing_to_refund"
    ALREADY_REFUNDED = "already_refunded"
    #: part of what was bought is already used
    GRANT_USED = "grant_used"
    PAYMENT_UNKNOWN = "payment_unknown"
    #: credited already, under another key
    PAYMENT_SETTLED = "payment_settled"
    #: given back, or about to be
    PAYMENT_CLOSED = "payment_closed"
    #: not credited: there is nothing to take back
    PAYMENT_NOT_SETTLED = "payment_not_settled"
    #: what the gateway holds is not what was asked for
    PAYMENT_MISMATCH = "payment_mismatch"
    #: the line's own limit for the day or month; ``details.cap``
    CAP_REACHED = "cap_reached"
    CAP_OF_OWNER = "cap_of_owner"
    #: nobody to give to: no such line, or it is closed
    RECEIVER_UNKNOWN = "receiver_unknown"
    RECEIVER_SAME = "receiver_same"
    #: the operator allows no gifts of this
    TRANSFER_NOT_ALLOWED = "transfer_not_allowed"
    #: as much as one may give in a day is given
    TRANSFER_LIMIT = "transfer_limit"
    #: the fee is another one; ``details.fee``
    FEE_CHANGED = "fee_changed"
    #: the time for taking it back is over
    UNDO_TOO_LATE = "undo_too_late"
    NOTHING_TO_UNDO = "nothing_to_undo"
    #: no advance for this line (now)
    ADVANCE_NOT_ELIGIBLE = "advance_not_eligible"
    #: the last one is not paid back; ``details.owed``
    ADVANCE_OPEN = "advance_open"
    #: this product is not renewed for this line
    NOT_RENEWED = "not_renewed"
    #: the operator's rates know no price for this
    NO_RATE = "no_rate"
    #: below what is owed already, or the account is prepaid
    LIMIT_REFUSED = "limit_refused"
    #: the database refused this one operation; the log has the cause
    FAILED = "failed"
