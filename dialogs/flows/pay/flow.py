"""Recharge by paying: how, how much, one confirm screen, and what the payer has to do now.

A payment is not answered at once: the payer approves on their own phone, or follows a link, and the outcome comes by
message. What is asked for twice under one key is one payment.
"""

from __future__ import annotations

from typing import Any
from uuid import UUID

from dialogs.asking import (
    AMOUNT,
    SAMPLE_AMOUNT,
    amount_typed,
    kept_line,
    line_typed,
    masked,
    outside,
)
from dialogs.flows.pay.choices import AGAIN, Last, again, allowed, cards, last_paid, means, till
from dialogs.flows.pay.confirm import SAMPLE_TILL, confirm
from dialogs.flows.pay.new_card import keep, offered, option
from dialogs.flows.pay.result import asked
from dialogs.flows.pin.gate import pin_gate
from dialogs.flows.recharge.flow import voucher_number
from dialogs.recent import number_asked
from dialogs.refusals import NO_PAYMENT, NOT_ASKED, help_line, not_paid, not_paid_samples
from dialogs.samples import MOMENT, REFERENCE, money_sample
from dialogs.values import Money, Text, lines, text
from dialogs.words import Ask, Choose, Context, Data, Dialog, Go, Item, Link, Menu, Typed, Wrong
from engine.words import LineRef, Payment, PaymentMethod, PaymentState, Refused, SavedCard, Unit
from settings import Operator


def pay(operator: Operator) -> Dialog:
    """The first screen of a recharge offers voucher and payment; where nothing can be paid with, the voucher alone."""
    step = confirm(operator)

    def why(data: Data) -> Text:
        """With whom to call, where only staff can help."""
        said = not_paid(data)
        return lines(said, help_line(operator)) if said is NO_PAYMENT else said

    refused = Menu(
        name="pay.refused",
        text=why,
        links=(Link("again", text("Try again"), "pay.home"),),
        samples=not_paid_samples(operator),
    )
    return Dialog(
        name="pay",
        states=(
            _home(operator),
            _number(),
            _means(operator),
            keep(),
            _amount(operator),
            _typed_amount(operator),
            pin_gate("pay.pin", "payment", step.name, operator),
            step,
            asked(operator),
            refused,
        ),
    )


def _sample_cards() -> tuple[SavedCard, ...]:
    return (SavedCard(LineRef(0, UUID(int=0), UUID(int=0)), UUID(int=0), "stripe", "Mastercard", "8888", MOMENT),)


def _sample_last(operator: Operator) -> Last:
    line = _sample_cards()[0].line
    payment = Payment(
        account=line.account,
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
    return Last(payment, "", kept_line(line), masked("8888"))


def _home(operator: Operator) -> Choose:
    async def load(context: Context, _data: Data) -> dict[str, Any] | Go:
        """All ways that are open to this line, on the channel that it stands in."""
        methods, here = allowed(context, operator), till(context, operator)
        if not methods and not here:
            return Go("recharge.number")
        saved = await cards(context, operator)
        return {
            "here": here,
            "methods": methods,
            "cards": saved,
            "new_card": offered(context, methods, saved),
            "last": await last_paid(context, methods),
        }

    def items(data: Data) -> tuple[Item, ...]:
        """What may be missing stands last: the numbers of the others never move."""
        return (
            Item("voucher", text("Voucher"), {}, "recharge.number"),
            *means(operator, data["methods"], data["cards"], data["here"]),
            Item("other", text("For another number"), {}, "pay.number"),
            Item("payments", text("My payments"), {}, "payments.list"),
            *option(data["new_card"]),
            *again(operator, data["last"], data["cards"], data["here"]),
        )

    most = {
        "methods": frozenset(PaymentMethod),
        "cards": _sample_cards(),
        "new_card": "pay.keep",
        "last": _sample_last(operator),
        "here": "",
    }
    return Choose(
        name="pay.home",
        text=text("Recharge by:"),
        load=load,
        redirects=("recharge.number",),
        items=items,
        first=lambda _data: AGAIN,
        keeps="way",
        to="pay.amount",
        also=("recharge.number", "pay.keep", "pay.number", "pay.pin", "payments.list"),
        typed=(voucher_number(operator),),
        samples=(most, {**most, "cards": (), "new_card": "", "last": None, "here": SAMPLE_TILL["till"]}),
    )


def _number() -> Choose:
    async def accept(context: Context, _data: Data, typed: str) -> Go | Wrong:
        """The line that has this number, if it is one of ours."""
        other = await line_typed(context, typed, NOT_ASKED[Refused.LINE])
        # The line's id is kept, never the number: it is read again for the screen that shows it.
        return other if isinstance(other, Wrong) else Go("pay.means", {"other": kept_line(other.line)})

    return number_asked(
        "pay.number",
        "pay.means",
        plain=text("Enter the number to recharge:"),
        listed=text("Choose or type the number to recharge:"),
        keep=lambda one: {"other": kept_line(one.line)},
        accept=accept,
    )


def _means(operator: Operator) -> Choose:
    async def load(context: Context, _data: Data) -> dict[str, Any]:
        """All ways that are open to this line, on the channel that it stands in."""
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
        """What the operator suggests, and any other."""
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
        """Within what the operator takes by this method."""
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
