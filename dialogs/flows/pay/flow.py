"""Recharge by paying: how, how much, one confirm screen, and what the payer has to do now.

A payment is not answered at once: the payer approves on their own phone, or follows a link, and the outcome comes by
message. What is asked for twice under one key is one payment.
"""

from __future__ import annotations

from typing import Any
from uuid import UUID

from dialogs.asking import (
    AMOUNT,
    NO_NUMBER,
    NUMBER,
    SAMPLE_AMOUNT,
    SAMPLE_NUMBER,
    amount_typed,
    kept_line,
    line_kept,
    line_typed,
    outside,
)
from dialogs.flows.pay.choices import (
    again,
    allowed,
    card_name,
    cards,
    chosen_card,
    last_paid,
    means,
    method_name,
    till,
)
from dialogs.flows.pay.result import asked
from dialogs.flows.pin.gate import pin_gate
from dialogs.flows.recharge.flow import voucher_number
from dialogs.refusals import NOT_ASKED, not_paid, not_paid_samples
from dialogs.samples import MOMENT, REFERENCE, money_sample
from dialogs.values import Money, Text, text
from dialogs.words import (
    Ask,
    Before,
    Choose,
    Context,
    Data,
    Dialog,
    Go,
    Item,
    Link,
    Menu,
    Pay,
    Typed,
    Wrong,
)
from engine.words import (
    LineRef,
    Payment,
    PaymentMethod,
    PaymentRefused,
    PaymentState,
    Refused,
    SavedCard,
    Subscriber,
    Unit,
)
from settings import Operator

#: seconds that the person waits for the gateway's first word
WAIT = 2.0
#: the longest names of cards that are said
SAMPLE_CARD = {"method": "card", "card": str(UUID(int=0)), "brand": "Mastercard", "digits": "8888"}
SAMPLE_PHONE = {"method": "mobile_money", "card": "", "till": ""}
#: as long as the name of a channel's own checkout may be
SAMPLE_TILL = {**SAMPLE_PHONE, "till": "Hubtel Money"}
SHOWN_NUMBER = "+254712345678"


def pay(operator: Operator) -> Dialog:
    """The first screen of a recharge offers voucher and payment; where nothing can be paid with, the voucher alone."""
    confirm = _confirm(operator)
    refused = Menu(
        name="pay.refused",
        text=not_paid,
        links=(Link("again", text("Try again"), "pay.home"),),
        samples=not_paid_samples(operator),
    )
    return Dialog(
        name="pay",
        states=(
            _home(operator),
            _number(),
            _means(operator),
            _amount(operator),
            _typed_amount(operator),
            pin_gate("pay.pin", "payment", confirm.name, operator),
            confirm,
            asked(operator),
            refused,
        ),
    )


def _sample_cards() -> tuple[SavedCard, ...]:
    return (SavedCard(LineRef(0, UUID(int=0), UUID(int=0)), UUID(int=0), "stripe", "Mastercard", "8888", MOMENT),)


def _home(operator: Operator) -> Choose:
    async def load(context: Context, _data: Data) -> dict[str, Any] | Go:
        methods, here = allowed(context, operator), till(context, operator)
        if not methods and not here:
            return Go("recharge.number")
        return {
            "here": here,
            "methods": methods,
            "cards": await cards(context, operator),
            "last": await last_paid(context, methods),
        }

    def items(data: Data) -> tuple[Item, ...]:
        return (
            *again(operator, data["last"], data["cards"]),
            Item("voucher", text("Voucher"), {}, "recharge.number"),
            *means(operator, data["methods"], data["cards"], data["here"]),
            Item("other", text("For another number"), {}, "pay.number"),
            Item("payments", text("My payments"), {}, "payments.list"),
        )

    last = Payment(
        account=_sample_cards()[0].line.account,
        payment_id=UUID(int=0),
        line_id=UUID(int=0),
        gateway="stripe",
        method=PaymentMethod.CARD,
        gateway_ref=None,
        amount=money_sample(operator).amount,
        currency=operator.currency,
        state=PaymentState.SETTLED,
        reason=None,
        reference=REFERENCE,
        product=None,
        created_at=MOMENT,
        changed_at=MOMENT,
    )
    most = {"methods": frozenset(PaymentMethod), "cards": _sample_cards(), "last": last, "here": ""}
    return Choose(
        name="pay.home",
        text=text("Recharge by:"),
        load=load,
        redirects=("recharge.number",),
        items=items,
        keeps="way",
        to="pay.amount",
        also=("recharge.number", "pay.number", "pay.pin", "payments.list"),
        typed=(voucher_number(operator),),
        samples=(most, {**most, "cards": (), "last": None, "here": SAMPLE_TILL["till"]}),
    )


def _number() -> Ask:
    async def accept(context: Context, _data: Data, typed: str) -> Go | Wrong:
        other = await line_typed(context, typed, NOT_ASKED[Refused.LINE])
        # The line's id is kept, never the number: it is read again for the screen that shows it.
        return other if isinstance(other, Wrong) else Go("pay.means", {"other": kept_line(other)})

    return Ask(
        name="pay.number",
        text=text("Enter the number to recharge:"),
        typed=Typed(shape=NUMBER, sample=SAMPLE_NUMBER, accept=accept, leads=("pay.means",)),
        wrong=NO_NUMBER,
    )


def _means(operator: Operator) -> Choose:
    async def load(context: Context, _data: Data) -> dict[str, Any]:
        return {
            "methods": allowed(context, operator),
            "cards": await cards(context, operator),
            "here": till(context, operator),
        }

    return Choose(
        name="pay.means",
        text=text("Pay by:"),
        load=load,
        items=lambda data: means(operator, data["methods"], data["cards"], data["here"]),
        keeps="way",
        to="pay.amount",
        samples=({"methods": frozenset(PaymentMethod), "cards": _sample_cards(), "here": SAMPLE_TILL["till"]},),
    )


def _amount(operator: Operator) -> Choose:
    def items(_data: Data) -> tuple[Item, ...]:
        offered = [
            Item(str(one), text("{amount}", amount=Money(one, operator.currency)), {"amount": one})
            for one in operator.payments.amounts
        ]
        return (*offered, Item("other", text("Other amount"), {}, "pay.typed"))

    return Choose(
        name="pay.amount", text=text("How much?"), items=items, keeps="chosen", to="pay.pin", also=("pay.typed",)
    )


def _typed_amount(operator: Operator) -> Ask:
    async def accept(_context: Context, data: Data, typed: str) -> Go | Wrong:
        amount = amount_typed(typed, Unit.MONEY, operator.currency)
        rules = operator.payments.methods.get(data["method"])
        wrong = None if rules is None else outside(amount, rules.least, rules.most, Unit.MONEY, operator.currency)
        return wrong or Go("pay.pin", {"amount": amount})

    return Ask(
        name="pay.typed",
        text=text("How much, in whole {currency}?", currency=operator.currency),
        typed=Typed(shape=AMOUNT, sample=SAMPLE_AMOUNT, accept=accept, leads=("pay.pin",)),
        wrong=text("Write the amount in whole {currency}.", currency=operator.currency),
    )


def _confirm(operator: Operator) -> Pay:
    async def load(context: Context, data: Data) -> dict[str, Any] | Go:
        return await _payee_and_card(context, operator, data)

    def show(data: Data) -> Text:
        values = {"amount": Money(data["amount"], operator.currency), "name": _name(operator, data)}
        if "number" in data:
            return text("Pay {amount} by {name} for {number}?", **values, number=data["number"])
        return text("Pay {amount} by {name}?", **values)

    def brief(data: Data) -> Text:
        values = {"amount": Money(data["amount"], operator.currency), "name": _name(operator, data)}
        return text("{amount} {name}", **values)

    most = {"amount": money_sample(operator).amount, "currency": operator.currency}
    told = {"done_at": MOMENT, "reference": REFERENCE}
    ways = [{**most, **one} for one in (SAMPLE_PHONE, SAMPLE_TILL, SAMPLE_CARD)]
    ways += [{**one, "number": SHOWN_NUMBER} for one in ways]
    return Pay(
        name="pay.confirm",
        purpose="payment",
        text=show,
        brief=brief,
        yes=text("Pay"),
        load=load,
        redirects=("pay.refused",),
        pay=_ask,
        before=_before,
        result=_result,
        done="pay.asked",
        refused="pay.refused",
        samples=(*ways, *({**one, **told} for one in ways)),
    )


def _name(operator: Operator, data: Data) -> Text:
    by_card = data["method"] == PaymentMethod.CARD
    if data.get("till"):
        return text("{name}", name=data["till"])
    return card_name(data["brand"], data["digits"]) if by_card else method_name(operator, data["method"])


async def _payee_and_card(context: Context, operator: Operator, data: Data) -> dict[str, Any] | Go:
    """Whose number is shown and which card pays, as they stand now; elsewhere where one of them is gone."""
    known: dict[str, Any] = {"payee": context.subscriber, "saved": None, "currency": context.subscriber.currency}
    if data.get("till") and not till(context, operator):
        # They have come on by another channel, which cannot take money.
        return Go("pay.refused", {"code": Refused.METHOD.value, "currency": operator.currency}, done=True)
    if data["card"]:
        known["saved"] = chosen_card(await cards(context, operator), data["card"])
        if known["saved"] is None:
            return Go("pay.refused", {"code": Refused.CARD_UNKNOWN.value, "currency": operator.currency}, done=True)
    if "other" in data:
        line = line_kept(data["other"])
        contact = (await context.engine.accounts.reveal([line])).get(line.line_id)
        if contact is None or contact.msisdn is None:
            return Go("pay.refused", {"code": Refused.LINE.value, "currency": operator.currency}, done=True)
        known |= {"payee": await context.engine.subscriber(contact.msisdn), "number": contact.msisdn}
    return known


async def _ask(context: Context, data: Data, key: UUID) -> Payment:
    payee: Subscriber = data["payee"]
    by_card = data["saved"] is not None
    return await context.engine.pay(
        payee,
        PaymentMethod(data["method"]),
        data["amount"],
        key=key,
        msisdn="" if by_card else context.subscriber.msisdn,
        card=data["saved"],
        checkout=context.checkout if data.get("till") else None,
        source=context.source,
        wait_seconds=WAIT,
    )


async def _before(context: Context, data: Data, key: UUID) -> Before | None:
    method = PaymentMethod(data["method"])
    found, own = await context.engine.asked_before(data["payee"], method, data["amount"], key=key)
    return None if found is None else Before(own, found.created_at, found.reference)


def _result(context: Context, data: Data, outcome: Payment | PaymentRefused) -> dict[str, Any]:
    if isinstance(outcome, PaymentRefused):
        return {"code": str(outcome.args[0]), "limit": outcome.limit, "currency": data["currency"]}
    state, here = outcome.state, context.checkout
    asked = here is not None and (outcome.gateway, outcome.gateway_ref) == here
    if data.get("till") and not asked and state in (PaymentState.CREATED, PaymentState.REQUESTED, PaymentState.PENDING):
        # Asked for in a session that is over, or not yet: what the channel took now would name no payment.
        state = PaymentState.UNKNOWN
    return {
        "till": asked and state is PaymentState.PENDING,
        "brand": data.get("till") or "",
        "state": state.value,
        "reason": outcome.reason or "other",
        "method": outcome.method.value,
        "amount": outcome.amount,
        "currency": outcome.currency,
        "reference": outcome.reference,
    }
