"""Amounts as Stripe counts them, which differs from ISO 4217 for a few currencies.

Source: docs.stripe.com/currencies: zero-decimal currencies, three-decimal currencies (the last digit must be 0), and
the special cases of ISK and UGX, which have no decimals and are written with two.
"""

from __future__ import annotations

from decimal import Decimal

from engine.recharge.gateways.amounts import precision, whole

NO_DECIMALS = frozenset(
    "BIF CLP DJF GNF JPY KMF KRW MGA PYG RWF VND VUV XAF XOF XPF".split()  # noqa: SIM905 - a table reads best so
)
THREE_DECIMALS = frozenset({"BHD", "JOD", "KWD", "OMR", "TND"})
#: written with decimals of which the last must be 0: how many of those
ROUND = {"ISK": 2, "UGX": 2, **dict.fromkeys(THREE_DECIMALS, 1)}


def _decimals(currency: str) -> int:
    if currency in NO_DECIMALS:
        return 0
    return 3 if currency in THREE_DECIMALS else 2


def to_stripe(minor: int, currency: str) -> int:
    """Our minor units in Stripe's. Raises ``ValueError`` for what Stripe cannot take."""
    amount = whole(Decimal(minor).scaleb(_decimals(currency) - precision(currency)), currency)
    if amount % 10 ** ROUND.get(currency, 0):
        raise ValueError("finer than Stripe goes")
    return amount


def from_stripe(amount: int, currency: str) -> int:
    """Stripe's units in our minor ones. Raises ``ValueError`` for a fraction of one."""
    return whole(Decimal(amount).scaleb(precision(currency) - _decimals(currency)), currency)
