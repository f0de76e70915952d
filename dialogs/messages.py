"""Messages that Rasid sends on its own: outbox rows turned into one text each, in the person's language.

Bodies hold codes and amounts only:
``recharge.done`` amount, balance, expires_at, reference; ``purchase.done`` product, price, balance, expires_at,
reference; ``payment.done``, ``payment.reversed`` and ``payment.part_returned`` amount, balance, reference;
``payment.declined`` and ``payment.action`` amount, currency, reference, the former the ``reason`` and the latter the
``url`` that the payer follows;
``refund.done`` amount, unit, balance, reference; ``alert.low_balance`` unit, left, threshold;
``alert.expired`` unit, amount, product; ``alert.expiring`` unit, left, product, expires_at; ``alert.cap_reached``
unit, cap; ``gift.sent`` and ``gift.received`` amount, unit, number (masked by who writes it), balance, reference;
``bill.issued`` number, amount, due_at; ``gift.undone`` and ``gift.taken_back`` amount, unit, balance, reference;
``advance.done`` amount, fee, owed, balance, reference; ``advance.recovered`` amount, owed; ``alert.used_share`` unit,
product, share, left; ``alert.unusual_use`` unit, used, usual; ``alert.rolled_over`` unit, product, amount,
expires_at; ``renewal.notice`` product, price, expires_at; ``renewal.done`` product, price, expires_at, reference;
``renewal.failed`` product, price, missing, limited;
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
from dialogs.refusals import DECLINED
from dialogs.texts import Texts
from dialogs.translations import PLACEHOLDER
from dialogs.values import Clock, LastDay, Money, Quantity, Text, text
from engine.words import Message, Unit
from settings import Operator

#: what chat apps call themselves
APPS = {"telegram": "Telegram", "whatsapp": "WhatsApp"}

Body: TypeAlias = dict[str, Any]
#: what a topic says, whose placeholders are filled by their names; some say it by what the body holds
Topic: TypeAlias = Text | Callable[[Body], Text]


def _amount(name: str) -> Callable[[Message, Operator], Any]:
    """An amount of the body's unit; of money where it names none."""

    def value(message: Message, _operator: Operator) -> Money | Quantity:
        """In the unit that the message was written in."""
        amount, unit = message.body[name], message.body.get("unit")
        if unit is None:
            return Money(amount, message.body.get("currency", message.currency))
        return Quantity(Unit(unit), amount, message.currency)

    return value


def _plain(name: str) -> Callable[[Message, Operator], Any]:
    return lambda message, _operator: message.body[name]


def _moment(name: str) -> Callable[[Message, Operator], datetime]:
    return lambda message, _operator: datetime.fromisoformat(message.body[name])


def _day(message: Message, operator: Operator) -> LastDay:
    return LastDay(_moment("due_at" if "due_at" in message.body else "expires_at")(message, operator))


#: placeholder → its value
VALUES: dict[str, Callable[[Message, Operator], Any]] = {
    **{name: _amount(name) for name in ("amount", "balance", "price", "missing", "owed", "left", "cap", "used")},
    **{name: _plain(name) for name in ("reference", "share", "tries", "minutes")},
    "product": lambda message, operator: product_name(operator, message.body["product"]),
    "day": _day,
    "time": lambda message, operator: Clock(_moment("locked_until")(message, operator)),
    "why": lambda message, _operator: DECLINED[message.body["reason"]],
    "app": lambda message, _operator: APPS.get(message.body["app"], message.body["app"]),
    "link": _plain("url"),
    "said": _plain("text"),
    "operator": lambda _message, operator: operator.name,
    # A code that was drawn for this message, or what is dialled.
    "code": lambda message, operator: message.body.get("code", f"*{operator.service_code}#"),
    # Of another line or a bill, or whom to call.
    "number": lambda message, operator: message.body.get("number", operator.support_number),
}


def message_text(message: Message, operator: Operator) -> Text:
    """What a message says. Raises ``KeyError`` for a topic or body that nobody has declared."""
    topic = TOPICS[message.topic]
    said = topic if isinstance(topic, Text) else topic(message.body)
    return Text(said.message, {name: VALUES[name](message, operator) for name in PLACEHOLDER.findall(said.message)})


def render_message(message: Message, texts: Texts, operator: Operator) -> str:
    """The message in its own language, ready to be sent. Raises ``KeyError`` like ``message_text``."""
    return texts.say(texts.language(message.language), message_text(message, operator))


def _recharged(body: Body) -> Text:
    if body.get("expires_at") is None:
        return text("Recharged {amount}. Balance {balance}. Ref {reference}")
    return text("Recharged {amount}. Balance {balance} until {day}. Ref {reference}")


def _purchased(body: Body) -> Text:
    if body.get("expires_at") is None:
        return text("{product} bought for {price}. Balance {balance}. Ref {reference}")
    return text("{product} bought for {price}, until {day}. Balance {balance}. Ref {reference}")


def _recovered(body: Body) -> Text:
    if not body["owed"]:
        return text("{amount} of your recharge paid back your advance.")
    return text("{amount} of your recharge went to your advance. Still owed: {owed}.")


def _not_renewed(body: Body) -> Text:
    if body.get("limited"):
        return text("{product} was not renewed: {price} goes beyond your own limit. Dial {code}.")
    if not body["missing"]:
        return text("{product} is no longer sold for {price}, so it was not renewed. Dial {code}.")
    return text("{product} was not renewed: {missing} missing for {price}.")


def _declined(body: Body) -> Text:
    if body.get("reason") in DECLINED.keys() - {"other"}:
        return text("Your payment of {amount} did not go through. {why} Ref {reference}")
    return text("Your payment of {amount} did not go through. Ref {reference}")


def _share_used(body: Body) -> Text:
    if not body["left"]:
        return text("{product} is used up. Dial {code}.")
    return text("{share}% of {product} used: {left} left. Dial {code}.")


TOPICS: dict[str, Topic] = {
    "recharge.done": _recharged,
    "purchase.done": _purchased,
    "payment.done": text("Payment of {amount} received. Balance {balance}. Ref {reference}"),
    "payment.reversed": text("Your payment of {amount} goes back to the payer. Balance {balance}. Ref {reference}"),
    "payment.part_returned": text(
        "{amount} of your payment goes back to the payer. Balance {balance}. Ref {reference}"
    ),
    "payment.declined": _declined,
    "payment.action": text("To pay {amount}: {link}"),
    "refund.done": text("Refunded {amount}. Balance {balance}. Ref {reference}"),
    "alert.low_balance": text("Only {left} left. Dial {code} to recharge."),
    "alert.expired": text("{product} has expired: {amount} unused."),
    "alert.expiring": text("{product}: {left} left, valid until {day}. Dial {code}."),
    "alert.cap_reached": text("You have used all {cap} of your limit. Dial {code} to go on."),
    "gift.sent": text("{amount} sent to {number}. Balance {balance}. Ref {reference}"),
    "gift.received": text("{amount} received from {number}. Balance {balance}. Ref {reference}"),
    "bill.issued": text("Your bill {number}: {amount}, due by {day}."),
    "gift.undone": text("{amount} taken back. Balance {balance}. Ref {reference}"),
    "gift.taken_back": text("{amount} was sent to you by mistake and taken back. Balance {balance}. Ref {reference}"),
    "advance.done": text(
        "Advance of {amount}. Your next recharge pays back {owed}. Balance {balance}. Ref {reference}"
    ),
    "advance.recovered": _recovered,
    "alert.used_share": _share_used,
    "alert.unusual_use": text("You used {used} today, much more than usual. Dial {code} to see for what."),
    "alert.rolled_over": text("{amount} of {product} live on until {day}."),
    "renewal.notice": text("{product} renews after {day} for {price}. Dial {code} to stop it."),
    "renewal.done": text("{product} renewed for {price}, until {day}. Ref {reference}"),
    "renewal.failed": _not_renewed,
    "security.pin_changed": text("Your PIN was changed. If it was not you, call {number}."),
    "security.pin_removed": text("Your PIN was taken away. If you did not ask for it, call {number}."),
    "security.pin_locked": text("Too many wrong PINs: locked until {time}. If it was not you, call {number}."),
    "security.chat_linked": text("A {app} chat now sees your balance. If it is not yours, call {number}."),
    "security.link_code": text("{code} is your code for the chat. Give it to nobody: we never ask for it."),
    "security.sign_in_code": text(
        "{code} is your code for {operator} on the web. Give it to nobody: we never ask for it."
    ),
    "security.erasure_code": text(
        "{code} deletes your account at {operator} for ever. Give it to nobody: we never ask for it."
    ),
    "reply": text("{said}"),
    "campaign": text("{said}"),
    "alarm.voucher_guessing": text("ALARM: {tries} wrong voucher numbers in {minutes} min"),
}
