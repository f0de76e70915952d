"""The money step of a recharge by paying: who is recharged, what pays, and what came of asking for it."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from dialogs.asking import line_kept, masked, number_of
from dialogs.flows.pay.choices import card_name, cards, chosen_card, method_name, till
from dialogs.flows.pay.new_card import CHOSEN, page_of
from dialogs.samples import MOMENT, REFERENCE, SHOWN_NUMBER, money_sample
from dialogs.values import Money, Text, text
from dialogs.words import Before, Context, Data, Go, Pay
from engine.words import Payment, PaymentMethod, PaymentRefused, PaymentState, Refused
from settings import Operator

#: seconds that the person waits for the gateway's first word
WAIT = 2.0
#: the longest names of cards that are said
SAMPLE_CARD = {"method": "card", "card": str(UUID(int=0)), "brand": "Mastercard", "digits": "8888"}
SAMPLE_PHONE = {"method": "mobile_money", "card": "", "till": ""}
#: as long as the name of a channel's own checkout may be
SAMPLE_TILL = {**SAMPLE_PHONE, "till": "Hubtel Money"}


def confirm(operator: Operator) -> Pay:
    """One yes and the payer is asked; said again when the same was asked for a moment ago."""

    async def load(context: Context, data: Data) -> dict[str, Any] | Go:
        """Who is paid for and with what, as they stand now."""
        return await _payee_and_card(context, operator, data)

    def show(data: Data) -> Text:
        """With the number where it is somebody else's: a digit too many costs the whole amount."""
        values = {"amount": Money(data["amount"], operator.currency), "name": _name(operator, data)}
        if "number" in data:
            return text("Pay {amount} by {name} for {number}?", **values, number=data["number"])
        return text("Pay {amount} by {name}?", **values)

    def brief(data: Data) -> Text:
        """For the question whether to pay the same once more."""
        amount = Money(data["amount"], operator.currency)
        if "number" in data:
            return text("{amount} to {number}", amount=amount, number=data["number"])
        return text("{amount} {name}", amount=amount, name=_name(operator, data))

    most = {"amount": money_sample(operator).amount, "currency": operator.currency}
    told = [{"done_at": MOMENT, "reference": REFERENCE, "was_done": done} for done in (False, True)]
    ways = [{**most, **one} for one in (SAMPLE_PHONE, SAMPLE_TILL, SAMPLE_CARD, CHOSEN)]
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
        samples=(*ways, *({**one, **before} for one in ways for before in told)),
    )


def _name(operator: Operator, data: Data) -> Text:
    by_card = data["method"] == PaymentMethod.CARD
    if data.get("till"):
        return text("{name}", name=data["till"])
    if page_of(data) is not None:
        return text("a new card")
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
        number = await number_of(context, line_kept(data["other"]))
        if number is None:
            return Go("pay.refused", {"code": Refused.LINE.value, "currency": operator.currency}, done=True)
        known |= {"payee": await context.engine.subscriber(number), "number": number}
    return known


async def _ask(context: Context, data: Data, key: UUID) -> Payment:
    by_card = data["method"] == PaymentMethod.CARD
    return await context.engine.pay(
        data["payee"],
        PaymentMethod(data["method"]),
        data["amount"],
        key=key,
        msisdn="" if by_card else context.subscriber.msisdn,
        card=data["saved"],
        page=page_of(data),
        checkout=context.checkout if data.get("till") else None,
        source=context.source,
        asked_by=context.subscriber.line,
        wait_seconds=WAIT,
    )


async def _before(context: Context, data: Data, key: UUID) -> Before | None:
    method = PaymentMethod(data["method"])
    found, own = await context.engine.asked_before(data["payee"], method, data["amount"], key=key)
    if found is None:
        return None
    return Before(own, found.created_at, found.reference, done=found.state is PaymentState.SETTLED)


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
        "link": page_of(data) is not None,
        "number": masked(data["number"]) if "number" in data else "",
        "brand": data.get("till") or "",
        "state": state.value,
        "reason": outcome.reason or "other",
        "method": outcome.method.value,
        "amount": outcome.amount,
        "currency": outcome.currency,
        "reference": outcome.reference,
    }
