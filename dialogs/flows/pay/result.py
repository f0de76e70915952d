"""What the payer is told once a payment was asked for: by how far it has come."""

from __future__ import annotations

from dialogs.checkout import Checkout, Till
from dialogs.flows.pay.choices import method_name
from dialogs.samples import REFERENCE, money_sample
from dialogs.values import Money, Text, text
from dialogs.words import Data
from engine.words import PaymentMethod, PaymentState
from settings import Operator

S = PaymentState

_RECEIVED = frozenset({S.CAPTURED, S.SETTLED})
#: of these nobody knows yet whether the payer was asked
_UNSURE = frozenset({S.UNKNOWN, S.REFUNDING, S.REFUNDED, S.CHARGED_BACK})


def asked(operator: Operator) -> Till:
    """The end of the way: what to do now, and that the outcome comes by message."""

    def show(data: Data) -> Text:
        """What the payer has to do now; never that it is done before it is."""
        state, method = S(data["state"]), data["method"]
        values = {"amount": Money(data["amount"], data["currency"]), "reference": data["reference"]}
        if state in _RECEIVED:
            return text("Received {amount}. Ref {reference}", **values)
        if state is S.REVIEW:
            return text("We check your payment first and text you. Ref {reference}", reference=data["reference"])
        if state in _UNSURE:
            return text(
                "We are checking with {name}. You will not be charged twice. Ref {reference}",
                name=text("{name}", name=data["brand"]) if data.get("brand") else method_name(operator, method),
                reference=data["reference"],
            )
        if data.get("link"):
            return text("We text you a link to pay {amount} by card. Ref {reference}", **values)
        by_phone = method == PaymentMethod.MOBILE_MONEY
        if data.get("number"):
            values["number"] = data["number"]
            if by_phone:
                return text("Approve {amount} on your phone. We will text {number}. Ref {reference}", **values)
            return text("{amount} is being paid. We will text {number}. Ref {reference}", **values)
        if by_phone:
            return text("Approve {amount} on your phone. We will text you. Ref {reference}", **values)
        return text("{amount} is being paid. We will text you. Ref {reference}", **values)

    def asks(data: Data) -> Checkout | None:
        """What the channel's own checkout is handed, where it takes the money."""
        if not data.get("till"):
            return None
        name = f"{operator.name} {data['reference']}"
        return Checkout(name=name, amount=data["amount"], currency=data["currency"], reference=data["reference"])

    most = money_sample(operator)
    known = {"amount": most.amount, "currency": most.currency, "reference": REFERENCE}
    ways = (PaymentMethod.MOBILE_MONEY, PaymentMethod.CARD)
    samples = [{**known, "state": state.value, "method": method.value} for state in S for method in ways]
    samples.append({**known, "state": S.UNKNOWN.value, "method": ways[0].value, "brand": "Hubtel Money"})
    samples.append({**known, "state": S.PENDING.value, "method": ways[1].value, "link": True})
    samples += [{**known, "state": S.PENDING.value, "method": method.value, "number": "..8888"} for method in ways]
    return Till(name="pay.asked", text=show, samples=tuple(samples), asks=asks)
