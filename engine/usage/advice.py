"""How long what is left will last, and whether a product would be cheaper for the same use. Pure."""

from __future__ import annotations

from datetime import datetime

from engine.usage.tariffs import price_of, rate_for
from engine.words import Meter, Outlook, Subscriber, Unit
from settings import Operator, Product


def outlook(operator: Operator, subscriber: Subscriber, meter: Meter, now: datetime) -> Outlook:
    """The outlook of one unit, from what the line usually uses in a day."""
    unit, usual = meter.unit, max(meter.usual, 0)
    left = subscriber.total(unit)
    days = left // usual if usual else None
    paid_now = _price_now(operator, subscriber, unit, usual, now)
    best = min(
        (
            (price, product.code)
            for product in operator.products
            if (price := _per_day(product, unit, usual)) is not None
        ),
        default=None,
    )
    if usual == 0 or paid_now is None or best is None or best[0] >= paid_now:
        return Outlook(unit=unit, left=left, usual=usual, days_left=days)
    saves = int((paid_now - best[0]) * 100 / paid_now)
    return Outlook(unit=unit, left=left, usual=usual, days_left=days, cheaper=best[1], saves_percent=saves)


def _price_now(operator: Operator, subscriber: Subscriber, unit: Unit, usual: int, now: datetime) -> float | None:
    """What a usual day costs this line: its present product's price for it, or the tariff's where it has none."""
    held = {bucket.product for bucket in subscriber.buckets if bucket.unit is unit and bucket.amount > 0}
    prices = [
        price
        for product in operator.products
        if product.code in held and (price := _per_day(product, unit, usual)) is not None
    ]
    if prices:
        return min(prices)
    rate = rate_for(operator, unit, None, now)
    return None if rate is None else float(price_of(rate, usual))


def _per_day(product: Product, unit: Unit, usual: int) -> float | None:
    """Minor units a day if the usual use is paid from this product alone, bought again when it ends or is used up.

    None for products of another unit, of several, or tied to categories: they are not the same thing.
    """
    if len(product.grants) != 1 or product.grants[0].unit != unit or product.grants[0].categories or usual <= 0:
        return None
    lasts = min(float(product.days), product.grants[0].amount / usual)
    return product.price / lasts
