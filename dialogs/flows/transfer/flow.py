"""Send money or units to another line: what, to whom, how much, one confirm screen with the fee; and take it back."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from babel.numbers import get_currency_precision

from dialogs.flows.pin.gate import pin_gate
from dialogs.flows.transfer.undoing import undo_states
from dialogs.refusals import SENTENCES, kept_refusal, refusal, refusal_samples, too_low
from dialogs.samples import MOMENT, REFERENCE, money_sample
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
    Menu,
    Say,
    Typed,
    Wrong,
)
from engine.words import AccountRef, Answer, BadNumber, Code, LineStatus, Transfer, Unit, UnknownLine
from settings import Operator, TransferRules

#: a mobile number as people type it, in their country or with the country's code
NUMBER = r"\+?\d{7,13}"
#: whole units; 98 turns pages
AMOUNT = r"(?!98$)[1-9]\d{0,6}"
#: how much of a number the other side, the answer and the session see
TAIL = 4

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
_SIZES = {Unit.OCTETS: 1_000_000, Unit.SECONDS: 60, Unit.MESSAGES: 1}


def transfer(operator: Operator) -> Dialog:
    """Where the operator allows no gifts, the first screen says so."""
    confirm = _confirm(operator)
    refused = Menu(
        name="transfer.refused",
        text=refusal,
        links=(Link("again", text("Try again"), "transfer.what"),),
        samples=refusal_samples(operator),
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


def masked(number: str) -> str:
    """A number as others may read it: its end."""
    return f"..{number[-TAIL:]}"


def size_of(unit: Unit, currency: str) -> int:
    """How many of a unit's smallest parts one typed whole has."""
    return 10 ** get_currency_precision(currency) if unit is Unit.MONEY else _SIZES[unit]


def _rules(operator: Operator) -> tuple[TransferRules, ...]:
    return operator.transfers if operator.policy.transfers else ()


def _what(operator: Operator) -> Choose:
    rules = _rules(operator)

    async def load(_context: Context, _data: Data) -> dict[str, Any] | Go:
        gone = {"code": Code.TRANSFER_NOT_ALLOWED.value, "currency": operator.currency}
        return {} if rules else Go("transfer.refused", gone, done=True)

    def items(_data: Data) -> tuple[Item, ...]:
        units = tuple(Item(one.unit, _NAMED[Unit(one.unit)]) for one in rules)
        return (*units, Item("undo", text("Take back"), {}, "transfer.gift"))

    return Choose(
        name="transfer.what",
        text=text("Send:"),
        load=load,
        redirects=("transfer.refused",),
        items=items,
        keeps="unit",
        to="transfer.number",
        also=("transfer.gift",),
    )


def _number() -> Ask:
    async def accept(context: Context, _data: Data, typed: str) -> Go | Wrong:
        try:
            other = await context.engine.subscriber(typed)
        except (BadNumber, UnknownLine):
            return Wrong(SENTENCES[Code.RECEIVER_UNKNOWN])
        if other.account == context.subscriber.account:
            return Wrong(SENTENCES[Code.RECEIVER_SAME])
        if other.status is LineStatus.TERMINATED:
            return Wrong(SENTENCES[Code.RECEIVER_UNKNOWN])
        receiver = [other.account.shard, str(other.account.account_id), str(other.line_id)]
        return Go("transfer.amount", {"receiver": receiver, "number": masked(other.msisdn)})

    return Ask(
        name="transfer.number",
        text=text("Send to which number?"),
        typed=Typed(shape=NUMBER, sample="0712345678", accept=accept, leads=("transfer.amount",)),
        wrong=text("That is no mobile number."),
    )


def _amount(operator: Operator) -> Ask:
    async def accept(context: Context, data: Data, typed: str) -> Go | Wrong:
        unit = Unit(data["unit"])
        rules = next(one for one in _rules(operator) if one.unit == unit)
        amount = int(typed) * size_of(unit, operator.currency)
        if amount < rules.least:
            return Wrong(text("The least is {limit}.", limit=Quantity(unit, rules.least, operator.currency)))
        if amount > rules.most:
            return Wrong(text("The most is {limit}.", limit=Quantity(unit, rules.most, operator.currency)))
        # The fee is kept as it is shown: another one refuses.
        fee = context.engine.agreements.gift_fee(unit, amount)
        return Go("transfer.pin", {"amount": amount, "fee": fee})

    def asked(data: Data) -> Text:
        unit = Unit(data["unit"])
        return _ASKED.get(unit, text("How much, in whole {currency}?", currency=operator.currency))

    units = [one.unit for one in _rules(operator)] or [Unit.MONEY.value]
    return Ask(
        name="transfer.amount",
        text=asked,
        typed=Typed(shape=AMOUNT, sample="100", accept=accept, leads=("transfer.pin",)),
        wrong=text("Write a whole number."),
        samples=tuple({"unit": unit} for unit in units),
    )


def _shown(data: Data, currency: str) -> dict[str, Any]:
    amount = Quantity(Unit(data["unit"]), data["amount"], currency)
    return {"amount": amount, "number": data["number"], "fee": Money(data["fee"], currency)}


def _confirm(operator: Operator) -> Confirm:
    def detail(data: Data) -> Text:
        shown = _shown(data, operator.currency)
        if not data["fee"]:
            return text("Send {amount} to {number}? No fee.", amount=shown["amount"], number=shown["number"])
        return text("Send {amount} to {number}? Fee {fee}.", **shown)

    def operation(context: Context, data: Data, key: UUID) -> Transfer:
        shard, account_id, line_id = data["receiver"]
        return Transfer(
            account=context.subscriber.account,
            line_id=context.subscriber.line_id,
            key=key,
            asked_at=context.now,
            source=context.source,
            unit=Unit(data["unit"]),
            amount=data["amount"],
            fee=data["fee"],
            receiver=AccountRef(shard, UUID(account_id)),
            receiver_line=UUID(line_id),
            sender_shown=masked(context.subscriber.msisdn),
            receiver_shown=data["number"],
        )

    async def result(context: Context, data: Data, answer: Answer) -> dict[str, Any]:
        if not answer.ok:
            return kept_refusal(context, answer)
        kept = {name: data[name] for name in ("unit", "amount", "fee", "number")}
        return kept | {"balance": answer.details["balance"], "reference": answer.reference}

    async def anew(context: Context, data: Data) -> dict[str, Any] | Go:
        """The fee of now, or what is missing."""
        unit = Unit(data["unit"])
        fee = context.engine.agreements.gift_fee(unit, data["amount"])
        short = too_low(context, fee + (data["amount"] if unit is Unit.MONEY else 0))
        return {"fee": fee} if short is None else Go("transfer.refused", short, done=True)

    return Confirm(
        name="transfer.confirm",
        purpose="transfer",
        text=detail,
        anew=anew,
        brief=lambda data: text(
            "{amount} to {number}",
            amount=Quantity(Unit(data["unit"]), data["amount"], operator.currency),
            number=data["number"],
        ),
        yes=text("Send"),
        operation=operation,
        result=result,
        done="transfer.done",
        refused="transfer.refused",
        samples=(
            *_samples(operator),
            *({**one, "done_at": MOMENT, "reference": REFERENCE} for one in _samples(operator)),
        ),
    )


def _samples(operator: Operator) -> tuple[dict[str, Any], ...]:
    """The most that may be sent of each unit, with a fee and without."""
    fee = money_sample(operator).amount // 10
    rules = _rules(operator)
    most = [(one.unit, one.most) for one in rules] or [(Unit.MONEY.value, money_sample(operator).amount)]
    return tuple(
        {"unit": unit, "amount": amount, "fee": cost, "number": masked("8888")}
        for unit, amount in most
        for cost in (fee, 0)
    )


def _done(operator: Operator) -> Say:
    def show(data: Data) -> Text:
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
