"""The longest data a screen can show, for the check before start."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from dialogs.values import Money
from settings import Operator

#: a moment that is written at full length: not a midnight anywhere
MOMENT = datetime(2026, 12, 28, 21, 47, tzinfo=UTC)
REFERENCE = "7F3K2M"
#: as long as numbers become, of an operator of ours
SHOWN_NUMBER = "+254712345678"


def midnight_sample(operator: Operator) -> datetime:
    """A promised midnight, as bundles and recharges end: written as a day alone."""
    return datetime(2026, 12, 29, tzinfo=ZoneInfo(operator.timezone))


def money_sample(operator: Operator) -> Money:
    """More money than a prepaid line is likely to hold: a hundred times the dearest product, at least seven digits."""
    dearest = max((product.price for product in operator.products), default=0)
    return Money(max(9_999_999, dearest * 100), operator.currency)
