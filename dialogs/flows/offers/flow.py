"""What is running out, and what to do about it: the first screen of a session that we begin.

It says what the alert by text says, and offers what fits: the cheapest bundles of that unit that the line can pay for,
else a recharge. What is bought here is confirmed like everything else.
"""

from __future__ import annotations

from typing import Any

from dialogs.samples import money_sample
from dialogs.values import Money, Names, Quantity, Text, text
from dialogs.words import Choose, Context, Data, Dialog, Item
from engine.words import Unit
from settings import Operator, Product

#: bundles offered by name; the others are in their list
OFFERED_MOST = 2


def offer_state(unit: str) -> str:
    """Where a session begins that tells that a unit runs out."""
    return f"offers.{unit}"


def offers(operator: Operator) -> Dialog:
    """One screen for each unit that may run out."""
    states = (_money(operator), *(_bundles(operator, unit) for unit in Unit if unit is not Unit.MONEY))
    return Dialog(name="offers", states=states, entries=tuple(state.name for state in states))


def _left(unit: Unit, operator: Operator) -> dict[str, Any]:
    most = money_sample(operator).amount
    return {"left": most if unit is Unit.MONEY else 999_900_000_000 if unit is Unit.OCTETS else 999_900}


def _bundles(operator: Operator, unit: Unit) -> Choose:
    def fitting(products: tuple[Product, ...], most: int) -> tuple[Product, ...]:
        """The cheapest that give what ran low, of those that cost no more than ``most``."""
        found = [one for one in products if one.price <= most and _grants(one, unit)]
        return tuple(sorted(found, key=lambda one: one.price)[:OFFERED_MOST])

    async def load(context: Context, _data: Data) -> dict[str, Any]:
        """What is left, and what the line can pay for now."""
        money = context.subscriber.total(Unit.MONEY)
        return {"left": context.subscriber.total(unit), "offered": fitting(context.engine.products(), money)}

    def items(data: Data) -> tuple[Item, ...]:
        """Bundles it can pay for; where there are none, how to have more money."""
        bundles = tuple([_bundle(operator, product) for product in data["offered"]])
        recharge = () if bundles else (Item("recharge", text("Recharge"), {}, "pay.home"),)
        return (*bundles, *recharge, Item("bundles", text("Bundles"), {}, "bundles.list"))

    longest = sorted(operator.products, key=lambda one: max(map(len, one.name.values())))[-OFFERED_MOST:]
    return Choose(
        name=offer_state(unit),
        text=_said(unit, operator),
        load=load,
        items=items,
        keeps="product",
        to="bundles.pin",
        also=("bundles.list", "pay.home"),
        samples=({**_left(unit, operator), "offered": tuple(longest)}, {**_left(unit, operator), "offered": ()}),
    )


def _grants(product: Product, unit: Unit) -> bool:
    """Whether a product gives some of a unit for whatever use."""
    return any(grant.unit == unit and not grant.categories for grant in product.grants)


def _bundle(operator: Operator, product: Product) -> Item:
    price = Money(product.price, operator.currency)
    return Item(
        product.code, text("Buy {name} for {price}", name=Names(product.name), price=price), {"price": product.price}
    )


def _money(operator: Operator) -> Choose:
    async def load(context: Context, _data: Data) -> dict[str, Any]:
        """What is left."""
        return {"left": context.subscriber.total(Unit.MONEY)}

    def items(_data: Data) -> tuple[Item, ...]:
        """To recharge, and to borrow where the operator lends."""
        borrow = () if operator.advances is None else (Item("advance", text("Advance"), {}, "advance.offer"),)
        return (Item("recharge", text("Recharge"), {}, "pay.home"), *borrow)

    return Choose(
        name=offer_state(Unit.MONEY),
        text=_said(Unit.MONEY, operator),
        load=load,
        items=items,
        keeps="offer",
        to="pay.home",
        also=("advance.offer",),
        samples=(_left(Unit.MONEY, operator),),
    )


def _said(unit: Unit, operator: Operator) -> Any:
    def said(data: Data) -> Text:
        """Why the menu came up by itself."""
        return text("You have {left} left.", left=Quantity(unit, data["left"], operator.currency))

    return said
