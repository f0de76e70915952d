"""Balance: money first, then a line for every bucket. From here one may top up at once."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

from dialogs.names import product_name
from dialogs.samples import MOMENT, money_sample
from dialogs.values import LastDay, Money, Quantity, Text, lines, text
from dialogs.words import Context, Data, Dialog, Link, Menu
from engine.words import Bucket, Unit
from settings import Operator

#: the catalogue code of the main money bucket
AIRTIME = "airtime"


def balance(operator: Operator) -> Dialog:
    """What is left of what, until when; reading is open to suspended and barred lines too."""

    async def load(context: Context, _data: Data) -> dict[str, Any]:
        """As the line was read at the beginning of this turn."""
        return {
            "balance": context.subscriber.total(Unit.MONEY),
            "currency": context.subscriber.currency,
            "buckets": context.subscriber.buckets,
        }

    def show(data: Data) -> Text:
        """Money on the first line, a line for each other bucket."""
        buckets: tuple[Bucket, ...] = data["buckets"]
        main = [one for one in buckets if one.product == AIRTIME]
        rest = [one for one in buckets if one.product != AIRTIME]
        until = max((one.expires_at for one in main if one.expires_at is not None), default=None)
        money = Money(data["balance"], data["currency"])
        head = (
            text("Balance: {balance}", balance=money)
            if until is None
            else text("Balance: {balance} until {day}", balance=money, day=LastDay(until))
        )
        return lines(head, *(_bucket_line(operator, one, data["currency"]) for one in rest)) if rest else head

    state = Menu(
        name="balance.show",
        text=show,
        load=load,
        links=(
            Link("recharge", text("Recharge"), "pay.home"),
            Link("bundles", text("Bundles"), "bundles.list"),
        ),
        samples=(_longest(operator),),
    )
    return Dialog(name="balance", states=(state,))


def _bucket_line(operator: Operator, bucket: Bucket, currency: str) -> Text:
    values = {
        "name": product_name(operator, bucket.product),
        "left": Quantity(bucket.unit, bucket.amount - bucket.reserved, currency),
        "initial": Quantity(bucket.unit, bucket.initial, currency),
    }
    if bucket.expires_at is None:
        return text("{name}: {left} of {initial}", **values)
    return text("{name}: {left} of {initial} until {day}", **values, day=LastDay(bucket.expires_at))


def _longest(operator: Operator) -> dict[str, Any]:
    """Every grant of the catalogue at once, each nearly unused and ending at an odd time."""

    def bucket(unit: Unit, product: str, amount: int) -> Bucket:
        """One octet, second or cent short of full: the most digits that it can take."""
        return Bucket(
            bucket_id=UUID(int=0),
            unit=unit,
            product=product,
            amount=amount - 1,
            reserved=0,
            initial=amount,
            categories=(),
            priority=0,
            starts_at=MOMENT,
            expires_at=MOMENT + timedelta(minutes=1),
        )

    grants = [bucket(Unit(grant.unit), one.code, grant.amount) for one in operator.products for grant in one.grants]
    money = money_sample(operator)
    buckets = (bucket(Unit.MONEY, AIRTIME, money.amount), *grants)
    return {"balance": money.amount, "currency": operator.currency, "buckets": buckets}
