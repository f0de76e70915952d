"""Amounts as people type them."""

from __future__ import annotations

from decimal import Decimal

from babel.numbers import get_currency_precision

from engine.words import Unit

#: how much of a unit one is that people type: decimal steps, as bundles are sold (IEC 80000-13), minutes, texts
SIZES = {Unit.OCTETS: 1_000_000, Unit.SECONDS: 60, Unit.MESSAGES: 1}
#: smallest parts that no amount reaches
TOO_MUCH = 10**15
ARABIC_POINT = "\u066b"


def typed_amount(unit: Unit, amount: int, currency: str) -> str:
    """So many smallest parts of a unit as a person would type them: what ``read_amount`` reads as the same."""
    return f"{Decimal(amount) / _size_of(unit, currency):f}"


def read_amount(unit: Unit, typed: str, currency: str) -> int | None:
    """What a person typed of a unit, in its smallest parts, exactly; None if it is no such amount above 0.

    Keypads of many languages have a comma and no point. Before three digits it could divide thousands: that is refused.
    """
    plain = typed.strip().replace(ARABIC_POINT, ".")
    whole, _, rest = plain.partition(",")
    if len(rest) in {1, 2}:
        plain = f"{whole}.{rest}"
    try:
        amount = Decimal(plain) * _size_of(unit, currency)
    except ArithmeticError:  # no number, or one beyond all others
        return None
    if not amount.is_finite() or amount != amount.to_integral_value():
        return None
    return int(amount) if 0 < amount < TOO_MUCH else None


def _size_of(unit: Unit, currency: str) -> int:
    """How many smallest parts one is that people type: money is typed in its main unit."""
    return 10 ** get_currency_precision(currency) if unit is Unit.MONEY else SIZES[unit]
