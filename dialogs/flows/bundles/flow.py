"""Bundles: the catalogue with prices, one confirm screen with the detail, result."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any
from uuid import UUID

from dialogs.asking import asked_by
from dialogs.flows.pin.gate import pin_gate
from dialogs.names import find_product, product_name
from dialogs.refusals import kept_refusal, refusal_menu, too_low
from dialogs.samples import MOMENT, REFERENCE, midnight_sample, money_sample
from dialogs.values import LastDay, Money, Names, Quantity, Text, Together, counted, lines, text
from dialogs.words import Choose, Confirm, Context, Data, Dialog, Go, Item, Link, Say
from engine.words import Answer, Code, Purchase, Unit
from settings import Operator, Product

#: what an amount is counted in when people name it: minor units, whole MB and GB, minutes, texts
_SIZES = {Unit.MONEY: (100,), Unit.OCTETS: (10**6, 10**9), Unit.SECONDS: (60,), Unit.MESSAGES: (1,)}


def bundles(operator: Operator) -> Dialog:
    """The price kept is the one that the list showed: a price that changed meanwhile refuses the purchase."""
    every: tuple[dict[str, Any], ...] = tuple(
        {"product": one.code, "price": one.price, "currency": operator.currency, "bought": one}
        for one in operator.products
    )
    sold = {"products": operator.products, "currency": operator.currency, "again": ""}
    choose = Choose(
        name="bundles.list",
        text=lambda data: text("Bundles:") if data["products"] else text("No bundles on sale now."),
        load=_catalogue,
        items=_items,
        first=lambda data: str(data["again"]),
        keeps="product",
        to="bundles.pin",
        samples=(sold, *({**sold, "products": (one,), "again": one.code} for one in operator.products)),
    )
    told = {"done_at": MOMENT, "reference": REFERENCE}
    confirm = Confirm(
        name="bundles.confirm",
        purpose="purchase",
        text=_detail,
        brief=lambda data: text("{name} {price}", **_name_and_price(data)),
        yes=text("Buy"),
        load=_chosen,
        redirects=("bundles.refused",),
        anew=_anew,
        operation=_operation,
        result=_result,
        done="bundles.done",
        refused="bundles.refused",
        samples=(*every, *({**one, **told} for one in every)),
    )
    refused = refusal_menu(
        "bundles.refused",
        operator,
        Link("recharge", text("Recharge"), "pay.home"),
        Link("bundles", text("Bundles"), "bundles.list"),
    )
    gate = pin_gate("bundles.pin", "purchase", confirm.name, operator)
    return Dialog(name="bundles", states=(choose, gate, confirm, _done(operator), refused))


async def _catalogue(context: Context, _data: Data) -> dict[str, Any]:
    products = context.engine.products()
    bought = await context.engine.favourites.bought(context.subscriber.line)
    on_sale = {product.code for product in products}
    again = next((code for code in bought if code in on_sale), "")
    return {"products": products, "currency": context.subscriber.currency, "again": again}


def _items(data: Data) -> tuple[Item, ...]:
    def item(product: Product) -> Item:
        """A product with its price; with a word before it where it was bought before."""
        shown = {"name": Names(product.name), "price": Money(product.price, data["currency"])}
        again = product.code == data["again"]
        label = text("Again: {name} {price}", **shown) if again else text("{name} {price}", **shown)
        return Item(product.code, label, {"price": product.price})

    return tuple([item(product) for product in data["products"]])


async def _chosen(context: Context, data: Data) -> dict[str, Any] | Go:
    product = find_product(context.engine.products(), data["product"])
    if product is None:
        gone = {"code": Code.PRODUCT_UNKNOWN.value, "currency": context.subscriber.currency}
        return Go("bundles.refused", gone, done=True)
    return {"bought": product, "currency": context.subscriber.currency}


async def _anew(context: Context, data: Data) -> dict[str, Any] | Go:
    """The price of now, or what is missing for it."""
    chosen = await _chosen(context, data)
    if isinstance(chosen, Go):
        return chosen
    price = chosen["bought"].price
    short = too_low(context, price)
    return {"price": price} if short is None else Go("bundles.refused", short, done=True)


def _name_and_price(data: Data) -> dict[str, Any]:
    return {"name": Names(data["bought"].name), "price": Money(data["price"], data["currency"])}


def _detail(data: Data) -> Text:
    product: Product = data["bought"]
    grants = Together(tuple(Quantity(Unit(one.unit), one.amount, data["currency"]) for one in product.grants))
    question = text("Buy {name} for {price}?", **_name_and_price(data))
    if _named_in_full(product):
        return question
    return lines(question, counted("{grants}, 1 day", "{grants}, {count} days", product.days, grants=grants))


def _named_in_full(product: Product) -> bool:
    """Whether the name says in every language how much there is, and for how many days."""
    wanted = [{product.days}, *({one.amount // size for size in _SIZES[Unit(one.unit)]} for one in product.grants)]
    said = [{int(number) for number in re.findall(r"\d+", name)} for name in product.name.values()]
    return all(numbers & one for numbers in said for one in wanted)


def _operation(context: Context, data: Data, key: UUID) -> Purchase:
    return Purchase(
        **asked_by(context, key),
        product=data["product"],
        price=data["price"],
    )


async def _result(context: Context, data: Data, answer: Answer) -> dict[str, Any]:
    if not answer.ok:
        return kept_refusal(context, answer)
    ends = [one.expires_at for one in answer.effects if one.product == data["product"] and one.expires_at is not None]
    return {
        "product": data["product"],
        "price": data["price"],
        "balance": answer.details["balance"],
        "currency": context.subscriber.currency,
        "until": max(ends).isoformat() if ends else None,
        "reference": answer.reference,
    }


def _done(operator: Operator) -> Say:
    def show(data: Data) -> Text:
        """What was bought, until when it lasts, and what is left."""
        values = {
            "product": product_name(operator, data["product"]),
            "price": Money(data["price"], data["currency"]),
            "balance": Money(data["balance"], data["currency"]),
            "reference": data["reference"],
        }
        if data["until"] is None:
            return text("{product} bought for {price}. Balance {balance}. Ref {reference}", **values)
        day = LastDay(datetime.fromisoformat(data["until"]))
        return text("{product} bought for {price}, until {day}. Balance {balance}. Ref {reference}", **values, day=day)

    most = money_sample(operator)

    def longest(product: str, price: int) -> dict[str, Any]:
        """With the longest day and the most money that can stand beside it."""
        known = {"product": product, "price": price, "balance": most.amount, "currency": most.currency}
        return {**known, "until": midnight_sample(operator).isoformat(), "reference": REFERENCE}

    every = tuple(longest(product.code, product.price) for product in operator.products) or (
        longest("airtime", most.amount),
    )
    return Say(name="bundles.done", text=show, samples=(*every, {**every[0], "until": None}))
