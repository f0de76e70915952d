"""The operator's file: what is sold, and how people are dealt with."""

from __future__ import annotations

from datetime import time
from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, field_validator, model_validator

from configuration.base import LARGEST, Strict

#: a menu line keeps room for its number and the price
LONGEST_NAME = 20

#: what buckets are called that no product granted: one with such a code would be taken for it
OWN_CODES = frozenset({"adjustment", "airtime", "credit_line", "gift", "overrun"})


class Grant(Strict):
    """What a product puts into one new bucket."""

    unit: Literal["money", "octets", "seconds", "messages"]
    #: minor units, octets, seconds or messages
    amount: int = Field(gt=0, le=LARGEST)
    #: traffic categories it may pay for; empty means all
    categories: tuple[str, ...] = ()


class Product(Strict):
    """A catalogue entry. It is valid for ``days`` calendar days: until the local midnight that ends the last one."""

    code: str = Field(pattern=r"^[a-z0-9_]{1,32}$")
    #: language → name, at most 20 characters so that it fits a menu line
    name: dict[str, Annotated[str, StringConstraints(min_length=1, max_length=LONGEST_NAME)]]
    price: int = Field(gt=0, le=LARGEST, description="minor units")
    days: int = Field(ge=1, le=3660)
    grants: tuple[Grant, ...] = Field(min_length=1)
    #: lower is used first
    priority: int = Field(default=100, ge=0, le=1000)

    @field_validator("code")
    @classmethod
    def _names_no_other_bucket(cls, code: str) -> str:
        if code in OWN_CODES:
            raise ValueError(f"{code} is what buckets are called that no product granted")
        return code


class VoucherRules(Strict):
    """How voucher numbers look and how guessing is slowed down."""

    digits: int = Field(default=14, ge=12, le=18)
    #: a recharge keeps the main balance alive for this many days
    validity_days: int = Field(default=90, ge=1, le=3660)
    #: wrong numbers a line may try within ``window_hours`` before it is locked
    free_tries: int = Field(default=5, ge=1)
    window_hours: int = Field(default=24, ge=1)
    #: the first lock; each further wrong number doubles it, up to a day
    lock_minutes: int = Field(default=15, ge=1)
    #: wrong numbers on all lines within five minutes that raise an alarm
    alarm_tries: int = Field(default=200, ge=1)


class PinRules(Strict):
    """How PINs look and when they are asked for."""

    digits: int = Field(default=4, ge=4, le=8)
    tries: int = Field(default=3, ge=1)
    lock_minutes: int = Field(default=30, ge=1)
    #: money steps that ask for the PIN first, on lines that have one
    required_for: tuple[Literal["purchase", "recharge", "payment", "transfer", "advance", "setting"], ...] = ()


class LowBalance(Strict):
    """Crossing ``amount`` of ``unit`` downwards sends one alert."""

    unit: Literal["money", "octets", "seconds", "messages"]
    amount: int = Field(gt=0)


class Notifications(Strict):
    """When people may be told what they did not ask for, and how often."""

    #: local times between which what can wait does wait (a start after the end spans midnight); None: no quiet hours.
    #: Answers, security notices, receipts and low balances do not wait: see ``engine.notices.rules``
    quiet_from: time | None = None
    quiet_to: time | None = None
    #: messages of one topic to one line on one local day; answers, security notices and receipts are not counted
    per_day: int = Field(default=5, ge=1, le=1000)
    #: hours before a bucket ends that its owner hears of it; 0: never
    expiring_hours: int = Field(default=24, ge=0, le=24 * 30)

    @model_validator(mode="after")
    def _both_or_none(self) -> Self:
        if (self.quiet_from is None) != (self.quiet_to is None):
            raise ValueError("quiet_from and quiet_to belong together")
        return self


class TextRules(Strict):
    """Conversations by text, and how long a text may be."""

    #: a conversation by text ends when nothing has come for so long
    session_minutes: int = Field(default=10, ge=1, le=24 * 60)
    #: SMS that one answer, notice or campaign template may take
    parts: int = Field(default=2, ge=1, le=10)
