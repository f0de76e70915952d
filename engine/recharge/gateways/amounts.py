"""Amounts as providers write them, and back: exact, within bounds, in a currency that is known."""

from __future__ import annotations

import re
from collections.abc import Collection
from decimal import Decimal
from functools import cache

from babel.numbers import get_currency_precision

from engine.recharge.gateways.contract import ChargeRequest, DeclineReason, GatewayState, Outcome

#: minor units; what is above is a mistake or an attack, in any currency
LARGEST = 10**15
WRITTEN = re.compile(r"[+-]?(?:[0-9]{1,18}|[0-9]{1,3}(?:,[0-9]{3}){1,5})(?:\.[0-9]{1,6})?")


@cache
def precision(currency: str) -> int:
    """Decimals of a currency (ISO 4217): its minor unit is ``10 ** -precision``."""
    return get_currency_precision(currency)


def read_amount(text: str, currency: str) -> int:
    """Minor units of an amount written in major ones: ``1,000.50``. Raises ``ValueError`` with the reason."""
    if not WRITTEN.fullmatch(text.strip()):
        raise ValueError("not an amount")
    return whole(Decimal(text.strip().replace(",", "")).scaleb(precision(currency)), currency)


def whole(minor: Decimal, currency: str) -> int:
    """Minor units as an integer. Raises ``ValueError`` for a fraction of one, and for more than ``LARGEST``."""
    if not minor.is_finite() or abs(minor) > LARGEST:
        raise ValueError("larger than any payment")
    if minor != int(minor):
        raise ValueError(f"finer than {currency} goes")
    return int(minor)


def major(minor: int, currency: str) -> Decimal:
    """An amount in major units."""
    return Decimal(minor).scaleb(-precision(currency))


def unfit(request: ChargeRequest, currencies: Collection[str] | None = None) -> Outcome | None:
    """Why no provider should be asked for this amount; None: it may be. ``currencies``: what it takes, None for all."""
    if not 0 < request.amount <= LARGEST:
        return Outcome(state=GatewayState.DECLINED, reason=DeclineReason.LIMIT, provider_code="amount")
    if currencies is not None and request.currency not in currencies:
        return Outcome(state=GatewayState.DECLINED, reason=DeclineReason.METHOD, provider_code="currency")
    return None
