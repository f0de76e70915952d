"""Messages that Rasid sends on its own: outbox rows turned into one text each, in the person's language.

Bodies hold codes and amounts only:
``recharge.done`` amount, balance, expires_at, reference; ``purchase.done`` product, price, balance, expires_at,
reference; ``refund.done`` amount, unit, balance, reference; ``alert.low_balance`` unit, left, threshold;
``alert.expired`` unit, amount, product; ``alarm.voucher_guessing`` tries, minutes.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from dialogs.names import product_name
from dialogs.texts import Texts
from dialogs.values import LastDay, Money, Quantity, Text, text
from engine.words import Message, Unit
from settings import Operator


def message_text(message: Message, operator: Operator) -> Text:
    """What a message says. Raises ``KeyError`` for a topic or body that nobody has declared."""
    return TOPICS[message.topic](message.body, message.currency, operator)


def render_message(message: Message, texts: Texts, operator: Operator) -> str:
    """The message in its own language, ready to be sent. Raises ``KeyError`` like ``message_text``."""
    return texts.say(texts.language(message.language), message_text(message, operator))


def _recharged(body: dict[str, Any], currency: str, _operator: Operator) -> Text:
    values: dict[str, Any] = {
        "amount": Money(body["amount"], currency),
        "balance": Money(body["balance"], currency),
        "reference": body["reference"],
    }
    if body.get("expires_at") is None:
        return text("Recharged {amount}. Balance {balance}. Ref {reference}", **values)
    return text("Recharged {amount}. Balance {balance} until {day}. Ref {reference}", **values, day=_day(body))


def _purchased(body: dict[str, Any], currency: str, operator: Operator) -> Text:
    values: dict[str, Any] = {
        "product": product_name(operator, body["product"]),
        "price": Money(body["price"], currency),
        "balance": Money(body["balance"], currency),
        "reference": body["reference"],
    }
    if body.get("expires_at") is None:
        return text("{product} bought for {price}. Balance {balance}. Ref {reference}", **values)
    return text(
        "{product} bought for {price}, until {day}. Balance {balance}. Ref {reference}", **values, day=_day(body)
    )


def _refunded(body: dict[str, Any], currency: str, _operator: Operator) -> Text:
    unit = Unit(body["unit"])
    return text(
        "Refunded {amount}. Balance {balance}. Ref {reference}",
        amount=Quantity(unit, body["amount"], currency),
        balance=Quantity(unit, body["balance"], currency),
        reference=body["reference"],
    )


def _low(body: dict[str, Any], currency: str, operator: Operator) -> Text:
    left = Quantity(Unit(body["unit"]), body["left"], currency)
    return text("Only {left} left. Dial {code} to top up.", left=left, code=f"*{operator.service_code}#")


def _expired(body: dict[str, Any], currency: str, operator: Operator) -> Text:
    return text(
        "{product} has expired: {amount} unused.",
        product=product_name(operator, body["product"]),
        amount=Quantity(Unit(body["unit"]), body["amount"], currency),
    )


def _guessing(body: dict[str, Any], _currency: str, _operator: Operator) -> Text:
    tries, minutes = body["tries"], body["minutes"]
    return text("ALARM: {tries} wrong voucher numbers in {minutes} min", tries=tries, minutes=minutes)


def _day(body: dict[str, Any]) -> LastDay:
    return LastDay(datetime.fromisoformat(body["expires_at"]))


TOPICS: dict[str, Callable[[dict[str, Any], str, Operator], Text]] = {
    "recharge.done": _recharged,
    "purchase.done": _purchased,
    "refund.done": _refunded,
    "alert.low_balance": _low,
    "alert.expired": _expired,
    "alarm.voucher_guessing": _guessing,
}
