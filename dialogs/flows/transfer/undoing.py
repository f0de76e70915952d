"""Take a gift back: the last one, while it is fresh and unspent."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from dialogs.asking import account_kept, asked_by, line_kept
from dialogs.flows.pin.gate import pin_gate
from dialogs.refusals import kept_refusal
from dialogs.samples import MOMENT, REFERENCE, money_sample
from dialogs.values import Clock, Quantity, Text, text
from dialogs.words import Choose, Confirm, Context, Data, Go, Item, Say, State
from engine.words import AccountRef, Answer, Code, Gift, Undo, Unit
from settings import Operator


def undo_states(operator: Operator) -> tuple[State, ...]:
    """The last gift to choose, the gate, the confirm screen and what became of it.

    What is taken back is the gift that was shown, also if another one has been sent since.
    """
    confirm = _confirm(operator)
    gate = pin_gate("transfer.undo_pin", "transfer", confirm.name, operator)
    return (_gift(operator), gate, confirm, _undone(operator))


def _gift(operator: Operator) -> Choose:
    async def load(context: Context, _data: Data) -> dict[str, Any] | Go:
        """The last gift that can be taken back still."""
        gift = await context.engine.agreements.last_gift(context.subscriber)
        if gift is None:
            gone = {"code": Code.NOTHING_TO_UNDO.value, "currency": operator.currency}
            return Go("transfer.refused", gone, done=True)
        return {"gift": gift}

    def items(data: Data) -> tuple[Item, ...]:
        """The one, as its giver knows it."""
        gift: Gift = data["gift"]
        label = text(
            "{amount} to {number}, {time}",
            amount=Quantity(gift.unit, gift.amount, operator.currency),
            number=gift.receiver_shown,
            time=Clock(gift.given_at),
        )
        kept = {
            "unit": gift.unit.value,
            "amount": gift.amount,
            "number": gift.receiver_shown,
            "receiver": [gift.receiver.shard, str(gift.receiver.account_id), str(gift.receiver_line)],
        }
        return (Item(str(gift.key), label, kept),)

    sample = Gift(
        key=UUID(int=0),
        unit=Unit.MONEY,
        amount=money_sample(operator).amount,
        receiver=AccountRef(0, UUID(int=0)),
        receiver_line=UUID(int=0),
        receiver_shown="..8888",
        given_at=MOMENT,
        until=MOMENT,
    )
    return Choose(
        name="transfer.gift",
        text=text("Take back:"),
        load=load,
        redirects=("transfer.refused",),
        items=items,
        keeps="undone",
        to="transfer.undo_pin",
        samples=({"gift": sample},),
    )


def _confirm(operator: Operator) -> Confirm:
    def detail(data: Data) -> Text:
        """How much, from whom."""
        amount = Quantity(Unit(data["unit"]), data["amount"], operator.currency)
        return text("Take back {amount} from {number}?", amount=amount, number=data["number"])

    def operation(context: Context, data: Data, key: UUID) -> Undo:
        """By the key of the gift: it is taken back once."""
        return Undo(
            **asked_by(context, key),
            undone_key=UUID(data["undone"]),
            receiver=account_kept(data["receiver"]),
            receiver_line=line_kept(data["receiver"]).line_id,
        )

    async def result(context: Context, data: Data, answer: Answer) -> dict[str, Any]:
        """What the next screen says of it."""
        if not answer.ok:
            return kept_refusal(context, answer)
        kept = {name: data[name] for name in ("unit", "amount", "number")}
        return kept | {"balance": answer.details["balance"], "reference": answer.reference}

    sample = {"unit": Unit.MONEY.value, "amount": money_sample(operator).amount, "number": "..8888"}
    return Confirm(
        name="transfer.undo",
        purpose="transfer",
        text=detail,
        brief=detail,
        yes=text("Take back"),
        operation=operation,
        result=result,
        done="transfer.undone",
        refused="transfer.refused",
        samples=(sample, {**sample, "done_at": MOMENT, "reference": REFERENCE}),
    )


def _undone(operator: Operator) -> Say:
    def show(data: Data) -> Text:
        """What came back, and what is there now."""
        unit = Unit(data["unit"])
        return text(
            "{amount} taken back. Balance {balance}. Ref {reference}",
            amount=Quantity(unit, data["amount"], operator.currency),
            balance=Quantity(unit, data["balance"], operator.currency),
            reference=data["reference"],
        )

    most = money_sample(operator).amount
    sample = {"unit": Unit.MONEY.value, "amount": most, "balance": most, "reference": REFERENCE}
    return Say(name="transfer.undone", text=show, samples=(sample,))
