"""Recharge by voucher: number, one confirm screen, result."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from dialogs.asking import asked_by
from dialogs.flows.pin.gate import pin_gate
from dialogs.refusals import kept_refusal, refusal_menu
from dialogs.samples import MOMENT, REFERENCE, midnight_sample, money_sample
from dialogs.values import Clock, LastDay, Money, Text, counted, text
from dialogs.words import Ask, Confirm, Context, Data, Dialog, Go, Link, Say, Typed, Wrong
from engine.words import Answer, BadVoucherNumber, Recharge, Unit, VoucherToken
from settings import Operator

#: long enough to be meant as a voucher number; whether it is one, the engine says
SHAPE = r"\d[\d -]{8,28}\d"


def recharge(operator: Operator) -> Dialog:
    """The number is sealed as it is typed: the session keeps its digests and the last four digits, never the number."""
    number = Ask(
        name="recharge.number",
        text=text("Enter the voucher number:"),
        typed=voucher_number(operator),
        wrong=_wrong_length(operator),
        secret=True,
    )
    confirm = Confirm(
        name="recharge.confirm",
        purpose="recharge",
        text=lambda data: text("Recharge with voucher ..{tail}?", tail=data["tail"]),
        yes=text("Recharge"),
        operation=_operation,
        result=_result,
        done="recharge.done",
        refused="recharge.refused",
        already="recharge.already",
        samples=({"tail": "8888"},),
    )
    already = Say(
        name="recharge.already",
        text=lambda data: text(
            "This voucher was recharged at {time}, ref {reference}.",
            time=Clock(datetime.fromisoformat(data["done_at"])),
            reference=data["reference"],
        ),
        samples=({"done_at": MOMENT.isoformat(), "reference": REFERENCE},),
    )
    refused = refusal_menu("recharge.refused", operator, Link("again", text("Try again"), "recharge.number"))
    gate = pin_gate("recharge.pin", "recharge", confirm.name, operator)
    return Dialog(name="recharge", states=(number, gate, confirm, _done(operator), already, refused))


def voucher_number(operator: Operator) -> Typed:
    """A voucher number as input, here and at the main menu."""

    async def accept(context: Context, _data: Data, typed: str) -> Go | Wrong:
        """Sealed at once: what goes on from here cannot be turned back into the number."""
        try:
            token = context.engine.seal_voucher(typed)
        except BadVoucherNumber:
            return Wrong(_wrong_length(operator))
        return Go("recharge.pin", {"voucher": [digest.hex() for digest in token.digests], "tail": token.tail})

    return Typed(shape=SHAPE, sample="8" * operator.vouchers.digits, accept=accept, leads=("recharge.pin",))


def _wrong_length(operator: Operator) -> Text:
    return counted(
        "A voucher number has {count} digit.", "A voucher number has {count} digits.", operator.vouchers.digits
    )


def _operation(context: Context, data: Data, key: UUID) -> Recharge:
    token = VoucherToken(digests=tuple(bytes.fromhex(one) for one in data["voucher"]), tail=data["tail"])
    return Recharge(
        **asked_by(context, key),
        voucher=token,
    )


async def _result(context: Context, _data: Data, answer: Answer) -> dict[str, Any]:
    if not answer.ok:
        return kept_refusal(context, answer)
    money = [effect for effect in answer.effects if effect.unit is Unit.MONEY]
    until = max((effect.expires_at for effect in money if effect.expires_at is not None), default=None)
    return {
        "amount": answer.details["amount"],
        "balance": answer.details["balance"],
        "currency": context.subscriber.currency,
        "until": None if until is None else until.isoformat(),
        "reference": answer.reference,
    }


def _done(operator: Operator) -> Say:
    def show(data: Data) -> Text:
        """What came in, and until when the airtime lasts."""
        values = {
            "amount": Money(data["amount"], data["currency"]),
            "balance": Money(data["balance"], data["currency"]),
            "reference": data["reference"],
        }
        if data["until"] is None:
            return text("Recharged {amount}. Balance {balance}. Ref {reference}", **values)
        day = LastDay(datetime.fromisoformat(data["until"]))
        return text("Recharged {amount}. Balance {balance} until {day}. Ref {reference}", **values, day=day)

    most = money_sample(operator)
    longest = {
        "amount": most.amount,
        "balance": most.amount,
        "currency": most.currency,
        "until": midnight_sample(operator).isoformat(),
        "reference": REFERENCE,
    }
    return Say(name="recharge.done", text=show, samples=(longest, {**longest, "until": None}))
