"""The words the engine shares with its callers: what may be asked for, and what is answered.

Money is an integer in minor units of the account's currency; data is octets; time is seconds; times are
timezone-aware UTC. Everything here is plain data: no I/O, nothing that knows a database.
"""

from __future__ import annotations

from datetime import datetime, time
from enum import StrEnum
from typing import Any, NamedTuple
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
    #: gone; the number may be given to another line after quarantine
    TERMINATED = "terminated"


class AccountRef(NamedTuple):
    """Where an account lives. Sorting references sorts by (shard, account): the order in which rows are locked."""

    shard: int
    account_id: UUID


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

    def total(self, unit: Unit) -> int:
        """What is left of one unit over all live buckets, less what is reserved."""
        return sum(bucket.amount - bucket.reserved for bucket in self.buckets if bucket.unit is unit)


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

    ``category`` is the traffic category (rating group) used; buckets limited to others are left alone.
    """

    unit: Unit
    amount: int
    category: str | None = None


class Refund(Operation, frozen=True, kw_only=True, tag="refund"):
    """Give back an earlier purchase or charge of the same account, whole, once."""

    refunded_key: UUID
    reason: str


class Adjust(Operation, frozen=True, kw_only=True, tag="adjust"):
    """A correction by staff: ``amount`` > 0 credits the main bucket of ``unit``, < 0 deducts. The reason is kept."""

    unit: Unit
    amount: int
    reason: str


class Expire(Operation, frozen=True, kw_only=True, tag="expire"):
    """Take what is left in buckets whose time is over into breakage."""


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
    #: the database refused this one operation; the log has the cause
    FAILED = "failed"


class PinVerdict(StrEnum):
    """What a PIN check answers."""

    RIGHT = "right"
    WRONG = "wrong"
    #: too many wrong tries; the right PIN is refused too until the lock ends
    LOCKED = "locked"
    #: the line has no PIN yet
    NOT_SET = "not_set"


class DeliveryState(StrEnum):
    """How far a message has come; reports come in any order, so a state only ever gives way to one of higher rank."""

    QUEUED = "queued"
    #: the carrier has it, or the network has
    SENT = "sent"
    DELIVERED = "delivered"
    #: the network gave up
    UNDELIVERED = "undelivered"
    #: the carrier refused or gave up
    FAILED = "failed"
    #: its validity ran out on the way
    EXPIRED = "expired"

    @property
    def rank(self) -> int:
        """0 queued, 1 sent, 2 for the states after which nothing more comes."""
        return {DeliveryState.QUEUED: 0, DeliveryState.SENT: 1}.get(self, 2)


class Channel(StrEnum):
    """Where a person may be told things."""

    SMS = "sms"
    #: texts through a carrier that speaks it, to the same number
    WHATSAPP = "whatsapp"
    #: a chat that was linked to the line
    TELEGRAM = "telegram"


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """An outbox row claimed for delivery. ``message_id`` is stable: a second delivery carries the same one."""

    shard: int
    message_id: UUID
    #: E.164, decrypted for this delivery; None for messages to the operator
    msisdn: str | None
    language: str
    currency: str
    #: one of ``dialogs.messages.TOPICS``: ``recharge.done``, ``alert.low_balance``, ``security.pin_changed`` …
    topic: str
    #: codes, ids and amounts; times as ISO 8601; ``text`` where the words were said elsewhere (replies, campaigns)
    body: dict[str, Any]
    created_at: datetime
    attempts: int
    #: where the person wants to be written to; ``chats`` has an address there, or it goes out as a text
    channel: Channel = Channel.SMS
    #: chat app → the chat's id, decrypted; only looked up for a channel that needs it
    chats: dict[str, str] = {}
    #: the carrier that an earlier claim handed it to without hearing what became of it
    handed_to: str | None = None
    #: may be sent again when nobody knows whether it was sent: twice is better than never
    repeatable: bool = False


class ParkedMessage(msgspec.Struct, frozen=True, kw_only=True):
    """A message that was given up, as staff sees it. No number: the line's id finds it."""

    message_id: UUID
    line_id: UUID | None
    topic: str
    attempts: int
    carrier: str | None
    #: why: a carrier's code, or ``unknown: …`` where it may have been sent
    error: str | None
    created_at: datetime


class DeliveryEvent(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that happened to a message: handed to a carrier, refused by it, or reported on."""

    state: DeliveryState
    carrier: str | None
    error: str | None
    at: datetime


class Preferences(msgspec.Struct, frozen=True, kw_only=True):
    """How a line wants to be told things. The operator's own quiet hours come on top for what can wait."""

    channel: Channel = Channel.SMS
    #: local times of the operator's zone between which the line is left alone; a start after the end spans midnight
    quiet_hours: tuple[time, time] | None = None
    #: topics, or their first part (``alert``), that it does not want to hear of
    muted: tuple[str, ...] = ()
    #: STOP: nothing but answers, security notices and receipts
    opted_out: bool = False


class EngineError(Exception):
    """Root of what the engine raises. Refusals are answers; these are inputs it cannot even look at."""


class UnknownLine(EngineError):
    """No line of this operator has that number."""


class BadNumber(EngineError):
    """Not a number this operator serves. ``args[0]`` is the reason: ``malformed``, ``foreign`` or ``not_mobile``."""


class BadVoucherNumber(EngineError):
    """Not even the shape of a voucher number. ``args[0]`` is the reason: ``digits`` or ``length``."""


class BadPin(EngineError):
    """Not acceptable as a PIN. ``args[0]`` is the reason: ``digits``, ``length`` or ``guessable``."""


class TooManyCodes(EngineError):
    """This line was given as many codes as it may have in a day."""


class EngineUnavailable(EngineError):
    """Postgres did not answer in time. What was asked may have happened: ask again with the same key."""
