"""What a line can pay with and how much: the options of the payment screens, from what the engine knows of the line."""

from __future__ import annotations

from typing import Any, NamedTuple
from uuid import UUID

from dialogs.asking import kept_line, masked, number_of
from dialogs.values import Money, Text, text
from dialogs.words import Context, Item
from engine.words import Payment, PaymentMethod, SavedCard
from settings import Operator

#: id of the option that repeats the last recharge
AGAIN = "again"


def allowed(context: Context, operator: Operator) -> frozenset[PaymentMethod]:
    """What people can pay with by dialog: what a gateway takes and the operator allows."""
    methods = context.engine.payment_methods() & {PaymentMethod.MOBILE_MONEY, PaymentMethod.CARD}
    named = operator.payments.methods
    return frozenset(method for method in methods if not named or method.value in named)


async def cards(context: Context, operator: Operator) -> tuple[SavedCard, ...]:
    """The saved cards of who is asking."""
    if PaymentMethod.CARD not in allowed(context, operator):
        return ()
    return tuple(await context.engine.saved_cards(context.subscriber))


def method_name(operator: Operator, method: str) -> Text:
    """What people call a way to pay."""
    rules = operator.payments.methods.get(method)  # type: ignore[call-overload]
    if rules is not None and rules.name:
        return text("{name}", name=rules.name)
    return text("Card") if method == PaymentMethod.CARD else text("Mobile money")


def card_name(brand: str, last_four: str) -> Text:
    """What a person recognises a card by."""
    return text("{brand} ..{digits}", brand=brand, digits=last_four)


def till(context: Context, operator: Operator) -> str:
    """What people call the checkout of the channel that they stand in; empty where it has none, or may not."""
    named = operator.payments.methods
    if context.checkout is None or (named and PaymentMethod.MOBILE_MONEY.value not in named):
        return ""
    return context.engine.checkout(context.checkout.gateway)


def means(
    operator: Operator, methods: frozenset[PaymentMethod], saved: tuple[SavedCard, ...], till: str
) -> tuple[Item, ...]:
    """An option for the channel's ``till``, one for mobile money and one for each card; each leads to the amount."""
    here = [Item("till", text("{name}", name=till), {**_by_phone(), "till": till}, "pay.amount")] if till else []
    by_phone = method_name(operator, PaymentMethod.MOBILE_MONEY)
    items = [Item(PaymentMethod.MOBILE_MONEY, by_phone, _by_phone(), "pay.amount")]
    if PaymentMethod.MOBILE_MONEY not in methods:
        items = []
    by_card = [
        Item(str(one.card_id), card_name(one.brand, one.last_four), with_card(one), "pay.amount") for one in saved
    ]
    return (*here, *items, *by_card)


class Last(NamedTuple):
    """The last recharge; where it was for another number, that line as a session keeps it, and its end.

    ``till``: what the checkout is called that took it, if one did.
    """

    payment: Payment
    till: str = ""
    other: list[Any] | None = None
    number: str = ""


def again(operator: Operator, last: Last | None, saved: tuple[SavedCard, ...], here: str) -> tuple[Item, ...]:
    """The last recharge once more, as it was paid, where that can be said in one option.

    Not where it was paid at another checkout than the one ``here``, or by a card of which there are several, or none.
    """
    if last is None or last.till not in ("", here):
        return ()
    payment = last.payment
    if last.till:
        name, kept = text("{name}", name=here), {**_by_phone(), "till": here}
    elif payment.method is PaymentMethod.MOBILE_MONEY:
        name, kept = method_name(operator, payment.method), _by_phone()
    elif len(saved) == 1:
        name, kept = card_name(saved[0].brand, saved[0].last_four), with_card(saved[0])
    else:
        return ()
    kept |= {"amount": payment.amount} | ({} if last.other is None else {"other": last.other})
    said = {"amount": Money(payment.amount, payment.currency), "name": name}
    if last.other is None:
        label = text("Again: {amount}, {name}", **said)
    else:
        label = text("Again: {amount}, {name}, {number}", **said, number=last.number)
    return (Item(AGAIN, label, kept, "pay.pin"),)


async def last_paid(context: Context, methods: frozenset[PaymentMethod]) -> Last | None:
    """The latest recharge that this line has paid for, its own or another's."""
    found = await context.engine.favourites.last_recharge(context.subscriber.line, methods)
    if found is None:
        return None
    payment, other = found
    taken_by = context.engine.checkout(payment.gateway)
    if other is None:
        return Last(payment, taken_by)
    number = await number_of(context, other)
    return None if number is None else Last(payment, taken_by, kept_line(other), masked(number))


def with_card(card: SavedCard) -> dict[str, Any]:
    """What is kept of a chosen card: its id, and what it looks like."""
    return {
        "method": PaymentMethod.CARD.value,
        "card": str(card.card_id),
        "till": "",
        "brand": card.brand,
        "digits": card.last_four,
    }


def _by_phone() -> dict[str, Any]:
    return {"method": PaymentMethod.MOBILE_MONEY.value, "card": "", "till": ""}


def chosen_card(saved: tuple[SavedCard, ...], card_id: str) -> SavedCard | None:
    """The saved card of this id, if it is still there."""
    return next((one for one in saved if one.card_id == UUID(card_id)), None)
