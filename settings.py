"""Every setting of Rasid, typed, in one place. (house: Settings class, loading and errors still to be written)"""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class Strict(BaseModel):
    """Refuses unknown keys, so that a misspelt one is named at start instead of ignored."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Grant(Strict):
    """What a product puts into one new bucket."""

    unit: Literal["money", "octets", "seconds", "messages"]
    #: minor units, octets, seconds or messages
    amount: int = Field(gt=0)
    #: traffic categories it may pay for; empty means all
    categories: tuple[str, ...] = ()


class Product(Strict):
    """A catalogue entry. It is valid for ``days`` calendar days: until the local midnight that ends the last one."""

    code: str = Field(pattern=r"^[a-z0-9_]{1,32}$")
    #: language → name, at most 20 characters so that it fits a menu line
    name: dict[str, str]
    price: int = Field(gt=0, description="minor units")
    days: int = Field(ge=1, le=3660)
    grants: tuple[Grant, ...] = Field(min_length=1)
    #: lower is used first
    priority: int = 100


class VoucherRules(Strict):
    """How voucher numbers look and how guessing is slowed down."""

    digits: int = Field(default=14, ge=12, le=18)
    #: a recharge keeps the main balance alive for this many days
    validity_days: int = Field(default=90, ge=1)
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
    required_for: tuple[Literal["purchase", "recharge"], ...] = ()


class LowBalance(Strict):
    """Crossing ``amount`` of ``unit`` downwards sends one alert."""

    unit: Literal["money", "octets", "seconds", "messages"]
    amount: int = Field(gt=0)


class Operator(Strict):
    """The operator's own file: who they are, what they sell, in which languages."""

    name: str
    #: ISO 3166 alpha-2: numbers are read in this country and must belong to it
    country: str = Field(pattern=r"^[A-Z]{2}$")
    #: ISO 4217
    currency: str = Field(pattern=r"^[A-Z]{3}$")
    #: IANA name: promised midnights are this zone's
    timezone: str
    #: what people dial, without ``*`` and ``#``: "123"
    service_code: str = Field(pattern=r"^[0-9]+(\*[0-9]+)*$")
    #: first one is the default
    languages: tuple[Literal["en", "fr", "sw", "ar"], ...] = Field(min_length=1)
    #: alphanumeric or short code that texts come from
    sender: str = Field(max_length=11)
    support_number: str
    products: tuple[Product, ...]
    vouchers: VoucherRules = VoucherRules()
    pins: PinRules = PinRules()
    low_balance: tuple[LowBalance, ...] = ()
