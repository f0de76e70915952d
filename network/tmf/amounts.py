"""Quantities: an amount with its unit in TM Forum's words, and integers in the engine's. Exact, no I/O.

Money is written in major units with the currency as its unit, data in bytes, voice in seconds, texts in messages.
"""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum

from babel.numbers import get_currency_precision

from engine.words import Unit
from network.http import wrong
from network.tmf.wire import Money, Quantity

#: what is refused because of what a request says
BAD = "BAD_REQUEST"


class UsageType(StrEnum):
    """TMF654's words for what a bucket holds."""

    MONETARY = "monetary"
    VOICE = "voice"
    DATA = "data"
    SMS = "sms"


UNITS = {
    UsageType.MONETARY: Unit.MONEY,
    UsageType.VOICE: Unit.SECONDS,
    UsageType.DATA: Unit.OCTETS,
    UsageType.SMS: Unit.MESSAGES,
}
USAGE_TYPES = {unit: usage_type for usage_type, unit in UNITS.items()}

#: how we write units that are not money
_WRITTEN = {Unit.OCTETS: "B", Unit.SECONDS: "s", Unit.MESSAGES: "SMS"}

#: how they may be written: name → how many of ours. Symbols as SI and IEC 80000-13 have them, words in lower case
_READ: dict[Unit, dict[str, int]] = {
    Unit.OCTETS: {
        **dict.fromkeys(("B", "byte", "bytes", "octet", "octets"), 1),
        **dict.fromkeys(("kB", "KB"), 10**3),
        "MB": 10**6,
        "GB": 10**9,
        "TB": 10**12,
        "KiB": 2**10,
        "MiB": 2**20,
        "GiB": 2**30,
        "TiB": 2**40,
    },
    Unit.SECONDS: {
        **dict.fromkeys(("s", "sec", "second", "seconds"), 1),
        **dict.fromkeys(("min", "minute", "minutes"), 60),
        **dict.fromkeys(("h", "hour", "hours"), 3600),
    },
    Unit.MESSAGES: dict.fromkeys(("SMS", "sms", "message", "messages", "unit", "units"), 1),
}

#: nothing that is asked for is larger
_MOST = 2**53


def quantity(amount: int, unit: Unit, currency: str) -> Quantity:
    """``amount`` of the engine's as a quantity."""
    if unit is Unit.MONEY:
        return Quantity(amount=major(amount, currency), units=currency)
    return Quantity(amount=Decimal(amount), units=_WRITTEN[unit])


def written(amount: int, unit: Unit, currency: str) -> str:
    """``amount`` of the engine's as the sentence of a refusal says it, in the units of all that is asked for."""
    said = quantity(amount, unit, currency)
    return f"{said.amount} {said.units}"


def money(amount: int, currency: str) -> Money:
    """Minor units as TM Forum's ``Money``."""
    return Money(value=major(amount, currency), unit=currency)


def major(amount: int, currency: str) -> Decimal:
    """Minor units of a currency in major ones: 15000 → 150.00."""
    return Decimal(amount).scaleb(-get_currency_precision(currency))


def minor(amount: Decimal, units: str | None, currency: str, amount_field: str, units_field: str) -> int:
    """Major units of ``currency`` in minor ones. Raises ``Problem`` for parts of them, and for another currency."""
    if units is not None and units != currency:
        raise wrong(BAD, units_field, f"{currency} is meant")
    return _whole(amount, 10 ** get_currency_precision(currency), amount_field)


def amount_of(given: Quantity, usage_type: str, currency: str) -> tuple[int, Unit]:
    """A quantity in the engine's units. Raises ``Problem`` that names what is wrong."""
    unit = unit_of(usage_type)
    if unit is Unit.MONEY:
        return minor(given.amount, given.units, currency, "amount.amount", "amount.units"), unit
    names = _READ[unit]
    if given.units is not None and given.units not in names:
        raise wrong(BAD, "amount.units", f"one of {', '.join(names)} is meant")
    return _whole(given.amount, names[given.units or _WRITTEN[unit]], "amount.amount"), unit


def unit_of(usage_type: str) -> Unit:
    """What a ``usageType`` is counted in. Raises ``Problem``."""
    try:
        return UNITS[UsageType(usage_type)]
    except ValueError:
        raise wrong(BAD, "usageType", f"one of {', '.join(UsageType)} is meant") from None


def _whole(amount: Decimal, each: int, field: str) -> int:
    if amount.is_nan():
        raise wrong(BAD, field, "this is no number")
    # Compared before it is computed with: 1e999999 would take all memory as an integer, and 1e9999999 no ``abs``.
    if not -_MOST <= amount <= _MOST:
        raise wrong(BAD, field, f"at most {_MOST}")
    whole = amount * each
    if whole != whole.to_integral_value():
        raise wrong(BAD, field, "smaller than the smallest unit")
    if abs(whole) > _MOST:
        raise wrong(BAD, field, f"at most {_MOST} of the smallest unit")
    return int(whole)


def positive(amount: int) -> int:
    """``amount``, if it is more than nothing. Raises ``Problem``."""
    if amount <= 0:
        raise wrong(BAD, "amount.amount", "more than 0 is meant")
    return amount
