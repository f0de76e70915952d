"""Messages that Rasid sends on its own: outbox rows turned into one text each, in the person's language.

Bodies hold codes and amounts only:
``recharge.done`` amount, balance, expires_at, reference; ``purchase.done`` product, price, balance, expires_at,
reference; ``payment.done`` and ``payment.reversed`` amount, balance, reference; ``payment.declined`` and
``payment.action`` amount, currency, reference, the latter the ``url`` that the payer follows;
``refund.done`` amount, unit, balance, reference; ``alert.low_balance`` unit, left, threshold;
``alert.expired`` unit, amount, product; ``alert.expiring`` unit, left, product, expires_at; ``alert.cap_reached``
unit, cap; ``gift.sent`` and ``gift.received`` amount, unit, number (masked by who writes it), balance, reference;
``bill.issued`` number, amount, due_at; ``gift.undone`` and ``gift.taken_back`` amount, unit, balance, reference;
``advance.done`` amount, fee, owed, balance, reference; ``advance.recovered`` amount, owed; ``alert.used_share`` unit,
product, share, left; ``alert.unusual_use`` unit, used, usual; ``alert.rolled_over`` unit, product, amount,
expires_at; ``renewal.notice`` product, price, expires_at; ``renewal.done`` product, price, expires_at, reference;
``renewal.failed`` product, price, missing;
``security.pin_changed`` and ``security.pin_removed`` nothing; ``security.pin_locked`` locked_until;
``security.chat_linked`` app; ``security.link_code`` and
``security.sign_in_code`` and ``security.erasure_code`` code; ``reply`` and ``campaign`` text, as it is to be read;
``alarm.voucher_guessing`` tries, minutes. How a topic is treated (quiet hours, STOP, caps): ``engine.notices.rules``.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any, TypeAlias

from dialogs.names import product_name
from dialogs.texts import Texts
from dialogs.values import Clock, LastDay, Money, Quantity, Text, text
from engine.words import Message, Unit
from settings import Operator

#: what a topic says, from its body, the currency and the operator
Topic: TypeAlias = Callable[[dict[str, Any], str, Operator], Text]


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


def _paid(body: dict[str, Any], currency: str, _operator: Operator) -> Text:
    return text(
        "Payment of {amount} received. Balance {balance}. Ref {reference}",
        amount=Money(body["amount"], currency),
        balance=Money(body["balance"], currency),
        reference=body["reference"],
    )


def _payment_reversed(body: dict[str, Any], currency: str, _operator: Operator) -> Text:
    return text(
        "Your payment of {amount} goes back to the payer. Balance {balance}. Ref {reference}",
        amount=Money(body["amount"], currency),
        balance=Money(body["balance"], currency),
        reference=body["reference"],
    )


def _payment_declined(body: dict[str, Any], currency: str, _operator: Operator) -> Text:
    return text(
        "Your payment of {amount} did not go through. Ref {reference}",
        amount=Money(body["amount"], body.get("currency", currency)),
        reference=body["reference"],
    )


def _payment_action(body: dict[str, Any], currency: str, _operator: Operator) -> Text:
    return text(
        "To pay {amount}: {link}",
        amount=Money(body["amount"], body.get("currency", currency)),
        link=body["url"],
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


def _expiring(body: dict[str, Any], currency: str, operator: Operator) -> Text:
    return text(
        "{product}: {left} left, valid until {day}. Dial {code}.",
        product=product_name(operator, body["product"]),
        left=Quantity(Unit(body["unit"]), body["left"], currency),
        day=_day(body),
        code=f"*{operator.service_code}#",
    )


def _cap_reached(body: dict[str, Any], currency: str, operator: Operator) -> Text:
    return text(
        "You have used all {cap} of your limit. Dial {code} to go on.",
        cap=Quantity(Unit(body["unit"]), body["cap"], currency),
        code=f"*{operator.service_code}#",
    )


def _gift_sent(body: dict[str, Any], currency: str, _operator: Operator) -> Text:
    return text("{amount} sent to {number}. Balance {balance}. Ref {reference}", **_gift(body, currency))


def _gift_received(body: dict[str, Any], currency: str, _operator: Operator) -> Text:
    return text("{amount} received from {number}. Balance {balance}. Ref {reference}", **_gift(body, currency))


def _gift(body: dict[str, Any], currency: str) -> dict[str, Any]:
    unit = Unit(body["unit"])
    return {
        "amount": Quantity(unit, body["amount"], currency),
        "number": body["number"],
        "balance": Quantity(unit, body["balance"], currency),
        "reference": body["reference"],
    }


def _renewed(body: dict[str, Any], currency: str, operator: Operator) -> Text:
    return text(
        "{product} renewed for {price}, until {day}. Ref {reference}",
        product=product_name(operator, body["product"]),
        price=Money(body["price"], currency),
        day=_day(body),
        reference=body["reference"],
    )


def _not_renewed(body: dict[str, Any], currency: str, operator: Operator) -> Text:
    return text(
        "{product} was not renewed: {missing} missing for {price}.",
        product=product_name(operator, body["product"]),
        missing=Money(body["missing"], currency),
        price=Money(body["price"], currency),
    )


def _billed(body: dict[str, Any], currency: str, _operator: Operator) -> Text:
    return text(
        "Your bill {number}: {amount}, due by {day}.",
        number=body["number"],
        amount=Money(body["amount"], currency),
        day=LastDay(datetime.fromisoformat(body["due_at"])),
    )


def _gift_undone(body: dict[str, Any], currency: str, _operator: Operator) -> Text:
    unit = Unit(body["unit"])
    return text(
        "{amount} taken back. Balance {balance}. Ref {reference}",
        amount=Quantity(unit, body["amount"], currency),
        balance=Quantity(unit, body["balance"], currency),
        reference=body["reference"],
    )


def _gift_taken_back(body: dict[str, Any], currency: str, _operator: Operator) -> Text:
    unit = Unit(body["unit"])
    return text(
        "{amount} was sent to you by mistake and taken back. Balance {balance}. Ref {reference}",
        amount=Quantity(unit, body["amount"], currency),
        balance=Quantity(unit, body["balance"], currency),
        reference=body["reference"],
    )


def _advanced(body: dict[str, Any], currency: str, _operator: Operator) -> Text:
    return text(
        "Advance of {amount}. Your next recharge pays back {owed}. Balance {balance}. Ref {reference}",
        amount=Money(body["amount"], currency),
        owed=Money(body["owed"], currency),
        balance=Money(body["balance"], currency),
        reference=body["reference"],
    )


def _recovered(body: dict[str, Any], currency: str, _operator: Operator) -> Text:
    amount = Money(body["amount"], currency)
    if not body["owed"]:
        return text("{amount} of your recharge paid back your advance.", amount=amount)
    owed = Money(body["owed"], currency)
    return text("{amount} of your recharge went to your advance. Still owed: {owed}.", amount=amount, owed=owed)


def _renews_soon(body: dict[str, Any], currency: str, operator: Operator) -> Text:
    return text(
        "{product} renews after {day} for {price}. Dial {code} to stop it.",
        product=product_name(operator, body["product"]),
        day=_day(body),
        price=Money(body["price"], currency),
        code=f"*{operator.service_code}#",
    )


def _share_used(body: dict[str, Any], currency: str, operator: Operator) -> Text:
    product = product_name(operator, body["product"])
    if not body["left"]:
        return text("{product} is used up. Dial {code}.", product=product, code=f"*{operator.service_code}#")
    return text(
        "{share}% of {product} used: {left} left. Dial {code}.",
        share=body["share"],
        product=product,
        left=Quantity(Unit(body["unit"]), body["left"], currency),
        code=f"*{operator.service_code}#",
    )


def _unusual(body: dict[str, Any], currency: str, operator: Operator) -> Text:
    return text(
        "You used {used} today, much more than usual. Dial {code} to see for what.",
        used=Quantity(Unit(body["unit"]), body["used"], currency),
        code=f"*{operator.service_code}#",
    )


def _rolled_over(body: dict[str, Any], currency: str, operator: Operator) -> Text:
    return text(
        "{amount} of {product} live on until {day}.",
        amount=Quantity(Unit(body["unit"]), body["amount"], currency),
        product=product_name(operator, body["product"]),
        day=_day(body),
    )


def _pin_changed(_body: dict[str, Any], _currency: str, operator: Operator) -> Text:
    return text("Your PIN was changed. If it was not you, call {number}.", number=operator.support_number)


def _pin_removed(_body: dict[str, Any], _currency: str, operator: Operator) -> Text:
    return text("Your PIN was taken away. If you did not ask for it, call {number}.", number=operator.support_number)


def _pin_locked(body: dict[str, Any], _currency: str, operator: Operator) -> Text:
    until = Clock(datetime.fromisoformat(body["locked_until"]))
    return text(
        "Too many wrong PINs: locked until {time}. If it was not you, call {number}.",
        time=until,
        number=operator.support_number,
    )


def _chat_linked(body: dict[str, Any], _currency: str, operator: Operator) -> Text:
    app = APPS.get(body["app"], body["app"])
    return text(
        "A {app} chat now sees your balance. If it is not yours, call {number}.",
        app=app,
        number=operator.support_number,
    )


def _link_code(body: dict[str, Any], _currency: str, _operator: Operator) -> Text:
    return text("{code} is your code for the chat. Give it to nobody: we never ask for it.", code=body["code"])


def _sign_in_code(body: dict[str, Any], _currency: str, operator: Operator) -> Text:
    return text(
        "{code} is your code for {operator} on the web. Give it to nobody: we never ask for it.",
        code=body["code"],
        operator=operator.name,
    )


def _erasure_code(body: dict[str, Any], _currency: str, operator: Operator) -> Text:
    return text(
        "{code} deletes your account at {operator} for ever. Give it to nobody: we never ask for it.",
        code=body["code"],
        operator=operator.name,
    )


def _as_said(body: dict[str, Any], _currency: str, _operator: Operator) -> Text:
    return text("{said}", said=body["text"])


def _guessing(body: dict[str, Any], _currency: str, _operator: Operator) -> Text:
    tries, minutes = body["tries"], body["minutes"]
    return text("ALARM: {tries} wrong voucher numbers in {minutes} min", tries=tries, minutes=minutes)


def _day(body: dict[str, Any]) -> LastDay:
    return LastDay(datetime.fromisoformat(body["expires_at"]))


#: what chat apps call themselves
APPS = {"telegram": "Telegram", "whatsapp": "WhatsApp"}

TOPICS: dict[str, Topic] = {
    "recharge.done": _recharged,
    "purchase.done": _purchased,
    "payment.done": _paid,
    "payment.reversed": _payment_reversed,
    "payment.declined": _payment_declined,
    "payment.action": _payment_action,
    "refund.done": _refunded,
    "alert.low_balance": _low,
    "alert.expired": _expired,
    "alert.expiring": _expiring,
    "alert.cap_reached": _cap_reached,
    "gift.sent": _gift_sent,
    "gift.received": _gift_received,
    "bill.issued": _billed,
    "gift.undone": _gift_undone,
    "gift.taken_back": _gift_taken_back,
    "advance.done": _advanced,
    "advance.recovered": _recovered,
    "alert.used_share": _share_used,
    "alert.unusual_use": _unusual,
    "alert.rolled_over": _rolled_over,
    "renewal.notice": _renews_soon,
    "renewal.done": _renewed,
    "renewal.failed": _not_renewed,
    "security.pin_changed": _pin_changed,
    "security.pin_removed": _pin_removed,
    "security.pin_locked": _pin_locked,
    "security.chat_linked": _chat_linked,
    "security.link_code": _link_code,
    "security.sign_in_code": _sign_in_code,
    "security.erasure_code": _erasure_code,
    "reply": _as_said,
    "campaign": _as_said,
    "alarm.voucher_guessing": _guessing,
}
