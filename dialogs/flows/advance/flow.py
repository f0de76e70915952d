"""Emergency credit: how much may be borrowed, what it costs and when it is paid back, all before it is taken."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from dialogs.asking import asked_by
from dialogs.flows.pin.gate import pin_gate
from dialogs.refusals import SENTENCES, kept_refusal, refusal_menu
from dialogs.samples import MOMENT, REFERENCE, money_sample
from dialogs.values import Money, Text, text
from dialogs.words import Choose, Confirm, Context, Data, Dialog, Go, Item, Link, Menu, Say
from engine.words import Advance, Answer, Code
from settings import Operator


def advance(operator: Operator) -> Dialog:
    """Who may borrow nothing now hears why."""
    confirm = _confirm(operator)
    refused = refusal_menu("advance.refused", operator, Link("recharge", text("Recharge"), "pay.home"))
    gate = pin_gate("advance.pin", "advance", confirm.name, operator)
    return Dialog(name="advance", states=(_offer(operator), _none(operator), gate, confirm, _done(operator), refused))


def _samples(operator: Operator) -> tuple[tuple[int, int], ...]:
    """(amount, fee) of all that may be borrowed; anything where nothing may, for nobody comes there."""
    rules = operator.advances
    if rules is None:
        return ((1, 1),)
    return tuple((amount, rules.fee_for(amount)) for amount in rules.amounts)


async def _borrowable(context: Context, _data: Data) -> dict[str, Any] | Go:
    offer = await context.engine.agreements.advance_offer(context.subscriber)
    if offer.refused is not None:
        return Go("advance.none", {"code": offer.refused, "owed": offer.owed}, done=True)
    return {"amounts": offer.amounts}


async def _anew(context: Context, data: Data) -> dict[str, Any] | Go:
    """The fee of now, or why nothing may be borrowed any more."""
    offer = await _borrowable(context, data)
    if isinstance(offer, Go):
        return offer
    fee = dict(offer["amounts"]).get(int(data["amount"]))
    if fee is None:
        return Go("advance.none", {"code": Code.ADVANCE_NOT_ELIGIBLE.value, "owed": 0}, done=True)
    return {"fee": fee}


def _offer(operator: Operator) -> Choose:
    def items(data: Data) -> tuple[Item, ...]:
        """Each amount with what will be owed for it."""
        return tuple(
            Item(str(amount), _offered(operator, {"amount": amount, "fee": fee}), {"fee": fee})
            for amount, fee in data["amounts"]
        )

    return Choose(
        name="advance.offer",
        text=text("Advance, paid back by your next recharge:"),
        load=_borrowable,
        redirects=("advance.none",),
        items=items,
        keeps="amount",
        to="advance.pin",
        samples=({"amounts": _samples(operator)},),
    )


def _none(operator: Operator) -> Menu:
    def show(data: Data) -> Text:
        """What is owed still is told with its amount; other reasons in their own words."""
        if data.get("owed"):
            owed = Money(data["owed"], operator.currency)
            return text("You still owe {owed} of your last advance.", owed=owed)
        return SENTENCES[Code(data["code"])]

    refused = Code.ADVANCE_NOT_ELIGIBLE.value
    return Menu(
        name="advance.none",
        text=show,
        links=(Link("recharge", text("Recharge"), "pay.home"),),
        samples=({"code": refused, "owed": 0}, {"code": refused, "owed": money_sample(operator).amount}),
    )


def _shown(operator: Operator, data: Data) -> dict[str, Any]:
    amount, fee = int(data["amount"]), data["fee"]
    return {
        "amount": Money(amount, operator.currency),
        "fee": Money(fee, operator.currency),
        "owed": Money(amount + fee, operator.currency),
    }


def _offered(operator: Operator, data: Data) -> Text:
    shown = _shown(operator, data)
    return text("{amount}, pay back {owed}", amount=shown["amount"], owed=shown["owed"])


def _confirm(operator: Operator) -> Confirm:
    def operation(context: Context, data: Data, key: UUID) -> Advance:
        """With the fee that was on the screen: the engine refuses another."""
        return Advance(
            **asked_by(context, key),
            amount=int(data["amount"]),
            fee=data["fee"],
        )

    async def result(context: Context, data: Data, answer: Answer) -> dict[str, Any]:
        """What the next screen says of it."""
        if not answer.ok:
            return kept_refusal(context, answer)
        kept = {"amount": data["amount"], "fee": data["fee"]}
        return kept | {"balance": answer.details["balance"], "reference": answer.reference}

    most, fee = max(_samples(operator))
    sample = {"amount": str(most), "fee": fee}
    return Confirm(
        name="advance.confirm",
        purpose="advance",
        text=lambda data: text(
            "{amount} now, fee {fee}. Your next recharge pays back {owed}.", **_shown(operator, data)
        ),
        brief=lambda data: _offered(operator, data),
        yes=text("Accept"),
        anew=_anew,
        operation=operation,
        result=result,
        done="advance.done",
        refused="advance.refused",
        samples=(sample, {**sample, "done_at": MOMENT, "reference": REFERENCE}),
    )


def _done(operator: Operator) -> Say:
    def show(data: Data) -> Text:
        """What was lent, and what the next recharge pays back."""
        shown = _shown(operator, data)
        return text(
            "Advance of {amount}. Your next recharge pays back {owed}. Balance {balance}. Ref {reference}",
            amount=shown["amount"],
            owed=shown["owed"],
            balance=Money(data["balance"], operator.currency),
            reference=data["reference"],
        )

    most, fee = max(_samples(operator))
    sample = {"amount": str(most), "fee": fee, "balance": money_sample(operator).amount, "reference": REFERENCE}
    return Say(name="advance.done", text=show, samples=(sample,))
