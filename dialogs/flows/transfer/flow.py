"""Send money or units to another line: what, to whom, how much, one confirm screen with the fee; and take it back."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from dialogs.asking import (
    AMOUNT,
    SAMPLE_AMOUNT,
    account_kept,
    amount_typed,
    asked_by,
    kept_line,
    line_kept,
    line_typed,
    masked,
    number_of,
    outside,
)
from dialogs.flows.pin.gate import pin_gate
from dialogs.flows.transfer.undoing import undo_states
from dialogs.recent import number_asked
from dialogs.refusals import SENTENCES, kept_refusal, refusal_menu, too_low
from dialogs.samples import MOMENT, REFERENCE, SHOWN_NUMBER, money_sample
from dialogs.values import Money, Quantity, Text, text
from dialogs.words import (
    Ask,
    Choose,
    Confirm,
    Context,
    Data,
    Dialog,
    Go,
    Item,
    Link,
    Say,
    Typed,
    Wrong,
)
from engine.words import Answer, Code, Transfer, Unit
from settings import Operator

_NAMED = {
    Unit.MONEY: text("Airtime"),
    Unit.OCTETS: text("Data"),
    Unit.SECONDS: text("Minutes"),
    Unit.MESSAGES: text("SMS"),
}
_ASKED = {
    Unit.OCTETS: text("How many MB?"),
    Unit.SECONDS: text("How many minutes?"),
    Unit.MESSAGES: text("How many SMS?"),
}


def transfer(operator: Operator) -> Dialog:
    """Where the operator allows gifts (``dialogs.tailoring.rules_of``): of which units, its rules say."""
    confirm = _confirm(operator)
    refused = refusal_menu(
        "transfer.refused",
        operator,
        Link("again", text("Try again"), "transfer.what"),
        Link("recharge", text("Recharge"), "pay.home"),
    )
    return Dialog(
        name="transfer",
        states=(
            _what(operator),
            _number(),
            _amount(operator),
            pin_gate("transfer.pin", "transfer", confirm.name, operator),
            confirm,
            _done(operator),
            refused,
            *undo_states(operator),
        ),
    )


def _what(operator: Operator) -> Choose:
    def items(_data: Data) -> tuple[Item, ...]:
        """What may be sent, and the way back."""
        units = tuple(Item(one.unit, _NAMED[Unit(one.unit)]) for one in operator.transfers)
        return (*units, Item("undo", text("Take back"), {}, "transfer.gift"))

    return Choose(
        name="transfer.what",
        text=text("Send:"),
        items=items,
        keeps="unit",
        to="transfer.number",
        also=("transfer.gift",),
    )


def _number() -> Choose:
    async def accept(context: Context, _data: Data, typed: str) -> Go | Wrong:
        """The line that has this number, if it is one of ours and of another account."""
        other = await line_typed(context, typed, SENTENCES[Code.RECEIVER_UNKNOWN])
        if isinstance(other, Wrong):
            return other
        if other.account == context.subscriber.account:
            return Wrong(SENTENCES[Code.RECEIVER_SAME])
        return Go("transfer.amount", {"receiver": kept_line(other.line), "number": masked(other.msisdn)})

    return number_asked(
        "transfer.number",
        "transfer.amount",
        plain=text("Send to which number?"),
        listed=text("Send to which number? Choose or type it:"),
        keep=lambda one: {"receiver": kept_line(one.line), "number": one.number},
        accept=accept,
        beyond_account=True,
    )


def _amount(operator: Operator) -> Ask:
    async def accept(context: Context, data: Data, typed: str) -> Go | Wrong:
        """Within what may be sent; with the fee for it."""
        unit = Unit(data["unit"])
        rules = next((one for one in operator.transfers if one.unit == unit), None)
        if rules is None:  # the operator's file was changed meanwhile
            return Wrong(SENTENCES[Code.TRANSFER_NOT_ALLOWED])
        amount = amount_typed(typed, unit, operator.currency)
        wrong = outside(amount, rules.least, rules.most, unit, operator.currency)
        if wrong is not None:
            return wrong
        # The fee is kept as it is shown: another one refuses.
        fee = context.engine.agreements.gift_fee(unit, amount)
        return Go("transfer.pin", {"amount": amount, "fee": fee})

    def asked(data: Data) -> Text:
        """In the unit that people count it in."""
        unit = Unit(data["unit"])
        return _ASKED.get(unit, text("How much, in whole {currency}?", currency=operator.currency))

    return Ask(
        name="transfer.amount",
        text=asked,
        typed=Typed(shape=AMOUNT, sample=SAMPLE_AMOUNT, accept=accept, leads=("transfer.pin",)),
        wrong=text("Write a whole number."),
        samples=tuple({"unit": one.unit} for one in operator.transfers),
    )


def _shown(data: Data, currency: str) -> dict[str, Any]:
    amount = Quantity(Unit(data["unit"]), data["amount"], currency)
    return {"amount": amount, "number": data["number"], "fee": Money(data["fee"], currency)}


def _operation(context: Context, data: Data, key: UUID) -> Transfer:
    """With the fee that was on the screen, and both sides as the other may see them."""
    return Transfer(
        **asked_by(context, key),
        unit=Unit(data["unit"]),
        amount=data["amount"],
        fee=data["fee"],
        receiver=account_kept(data["receiver"]),
        receiver_line=line_kept(data["receiver"]).line_id,
        sender_shown=masked(context.subscriber.msisdn),
        receiver_shown=data["number"],
    )


async def _receiver(context: Context, data: Data) -> dict[str, Any] | Go:
    """The receiver's whole number: one wrong digit costs the whole amount."""
    number = await number_of(context, line_kept(data["receiver"]))
    gone = {"code": Code.RECEIVER_UNKNOWN.value, "currency": context.subscriber.currency}
    return {"to": number} if number is not None else Go("transfer.refused", gone, done=True)


async def _result(context: Context, data: Data, answer: Answer) -> dict[str, Any]:
    if not answer.ok:
        return kept_refusal(context, answer)
    kept = {name: data[name] for name in ("unit", "amount", "fee", "number")}
    return kept | {"balance": answer.details["balance"], "reference": answer.reference}


async def _anew(context: Context, data: Data) -> dict[str, Any] | Go:
    """The fee of now, or what is missing."""
    unit = Unit(data["unit"])
    fee = context.engine.agreements.gift_fee(unit, data["amount"])
    short = too_low(context, fee + (data["amount"] if unit is Unit.MONEY else 0))
    return {"fee": fee} if short is None else Go("transfer.refused", short, done=True)


def _confirm(operator: Operator) -> Confirm:
    def detail(data: Data) -> Text:
        """Says that there is no fee, too: silence would leave it open."""
        shown = {**_shown(data, operator.currency), "number": data["to"]}
        if not data["fee"]:
            return text("Send {amount} to {number}? No fee.", amount=shown["amount"], number=shown["number"])
        return text("Send {amount} to {number}? Fee {fee}.", **shown)

    def brief(data: Data) -> Text:
        """For the question whether to send the same once more: what it costs again."""
        shown = _shown(data, operator.currency)
        if not data["fee"]:
            return text("{amount} to {number}", amount=shown["amount"], number=shown["number"])
        return text("{amount} to {number}, fee {fee}", **shown)

    fresh = _samples(operator)
    return Confirm(
        name="transfer.confirm",
        purpose="transfer",
        text=detail,
        load=_receiver,
        redirects=("transfer.refused",),
        anew=_anew,
        brief=brief,
        yes=text("Send"),
        operation=_operation,
        result=_result,
        done="transfer.done",
        refused="transfer.refused",
        samples=(*fresh, *({**one, "done_at": MOMENT, "reference": REFERENCE} for one in fresh)),
    )


def _samples(operator: Operator) -> tuple[dict[str, Any], ...]:
    """The most that may be sent of each unit, with its fee and without."""
    most = [(one.unit, one.most, one.fee_for(one.most)) for one in operator.transfers]
    return tuple(
        {"unit": unit, "amount": amount, "fee": cost, "number": masked(SHOWN_NUMBER), "to": SHOWN_NUMBER}
        for unit, amount, fee in most
        for cost in (fee, 0)
    )


def _done(operator: Operator) -> Say:
    def show(data: Data) -> Text:
        """What has gone to whom, and what is left."""
        shown = _shown(data, operator.currency)
        return text(
            "{amount} sent to {number}. Balance {balance}. Ref {reference}",
            amount=shown["amount"],
            number=shown["number"],
            balance=Quantity(Unit(data["unit"]), data["balance"], operator.currency),
            reference=data["reference"],
        )

    most = money_sample(operator).amount
    return Say(
        name="transfer.done",
        text=show,
        samples=tuple({**one, "balance": most, "reference": REFERENCE} for one in _samples(operator)),
    )
