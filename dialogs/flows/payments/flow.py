"""The latest payments of a line, or for its owner of the whole account, and where one is that a person quotes."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from dialogs.refusals import SENTENCES
from dialogs.samples import MOMENT, REFERENCE, money_sample
from dialogs.values import LastDay, Money, Text, lines, text
from dialogs.words import Ask, Choose, Context, Data, Dialog, Go, Item, Link, Menu, Typed, Wrong
from engine.words import Code, Payment, PaymentState
from settings import Operator

S = PaymentState

#: how many payments are listed
MOST = 5
#: what a person quotes: Crockford's base 32, however it is written
QUOTED = r"[0-9A-Za-z]{6}"
NOT_FOUND = SENTENCES[Code.PAYMENT_UNKNOWN]
_WAITS = text("waits for approval")
#: how far a payment has come, in two or three words
STATES: dict[PaymentState, Text] = {
    S.CREATED: _WAITS,
    S.REVIEW: text("is being checked"),
    S.REQUESTED: _WAITS,
    S.PENDING: _WAITS,
    S.UNKNOWN: text("outcome not known yet"),
    S.HELD: text("is being paid"),
    S.CAPTURED: text("paid, credit follows"),
    S.SETTLED: text("paid"),
    S.DECLINED: text("not paid"),
    S.REFUNDING: text("is being returned"),
    S.REFUNDED: text("returned"),
    S.CHARGED_BACK: text("taken back by the bank"),
}


def payments(operator: Operator) -> Dialog:
    """A payment is shown to the line that it is for, to the account's owner, and to who was to pay it."""
    most = money_sample(operator)
    known = {"at": MOMENT, "amount": most.amount, "currency": most.currency, "reference": REFERENCE}
    every = tuple({**known, "state": state, "payment_id": UUID(int=place)} for place, state in enumerate(S))
    listed = Choose(
        name="payments.list",
        text=lambda data: text("Your payments:") if data["payments"] else text("No payments yet."),
        load=_load_list,
        items=_items,
        keeps="chosen",
        to="payments.show",
        also=("payments.find",),
        samples=({"payments": every}, {"payments": ()}),
    )
    find = Ask(
        name="payments.find",
        text=text("Enter the payment's reference:"),
        typed=Typed(shape=QUOTED, sample=REFERENCE, accept=_found, leads=("payments.show",)),
        wrong=text("A reference has 6 letters and digits."),
    )
    show = Menu(
        name="payments.show",
        text=_detail,
        load=_load_one,
        redirects=("payments.list",),
        links=(Link("payments", text("My payments"), "payments.list"), Link("menu", text("Menu"), "main_menu.home")),
        samples=every,
    )
    return Dialog(name="payments", states=(listed, find, show))


def _said(payment: Payment) -> dict[str, Any]:
    return {
        "payment_id": payment.payment_id,
        "at": payment.created_at,
        "amount": payment.amount,
        "currency": payment.currency,
        "reference": payment.reference,
        "state": payment.state,
    }


async def _load_list(context: Context, _data: Data) -> dict[str, Any]:
    only = await context.engine.leaving.only_line(context.subscriber)
    found = await context.engine.payments_of(context.subscriber.account, limit=MOST, line_id=only)
    return {"payments": tuple(_said(one) for one in found)}


def _items(data: Data) -> tuple[Item, ...]:
    def item(one: dict[str, Any]) -> Item:
        """A payment by its amount and how far it has come."""
        values = {"amount": Money(one["amount"], one["currency"]), "state": STATES[one["state"]]}
        return Item(str(one["payment_id"]), text("{amount} {state}", **values))

    find = Item("find", text("Where is my payment?"), to="payments.find")
    return (*(item(one) for one in data["payments"]), find)


async def _found(context: Context, _data: Data, typed: str) -> Go | Wrong:
    found = await context.engine.find_payment(typed)
    if found is None:
        return Wrong(NOT_FOUND)
    line, engine = context.subscriber, context.engine
    known = found.account == line.account and await engine.leaving.only_line(line) in (None, found.line_id)
    # Who pays for another does so by this number, or by a card.
    known = known or await engine.paid_by(found, line.msisdn)
    known = known or await engine.favourites.has_recharged(line.line, found.payment_id)
    return Go("payments.show", {"chosen": str(found.payment_id)}) if known else Wrong(NOT_FOUND)


async def _load_one(context: Context, data: Data) -> dict[str, Any] | Go:
    found = await context.engine.payment(UUID(data["chosen"]))
    return Go("payments.list") if found is None else _said(found)


def _detail(data: Data) -> Text:
    return lines(
        text("{amount} {day}", amount=Money(data["amount"], data["currency"]), day=LastDay(data["at"])),
        STATES[data["state"]],
        text("Ref {reference}", reference=data["reference"]),
    )
