"""A sentence for every outcome an operation can have, and for what hinders a line before it asks for anything."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from dialogs.samples import MOMENT, money_sample
from dialogs.values import Clock, Money, Text, lines, text
from dialogs.words import Context, Data, Link, Menu
from engine.words import Answer, Code, LineStatus, Refused, Subscriber, Unit
from settings import Operator

SENTENCES: dict[Code, Text] = {
    Code.OK: text("Done."),
    Code.KEY_CONFLICT: text("This session already did something else. Nothing was done now. Please dial again."),
    Code.KEY_EXPIRED: text("This session is too old. Nothing was done. Please dial again."),
    Code.ACCOUNT_UNKNOWN: text("Your account was not found. Nothing was done."),
    Code.ACCOUNT_FROZEN: text("Your account is being checked. Nothing was done. Please try later."),
    Code.LINE_SUSPENDED: text("Your line is suspended. Nothing was done."),
    Code.LINE_BARRED: text("Your line is barred. Nothing was done."),
    Code.LINE_TERMINATED: text("This line is closed. Nothing was done."),
    Code.VOUCHER_UNKNOWN: text("No such voucher. Check the number."),
    Code.VOUCHER_REDEEMED: text("This voucher has been used."),
    Code.VOUCHER_EXPIRED: text("This voucher has expired."),
    Code.VOUCHER_BLOCKED: text("This voucher is blocked."),
    Code.VOUCHER_RECALLED: text("This voucher was recalled. Take it back to the shop."),
    Code.VOUCHER_LOCKED: text("Too many wrong numbers. Try again later."),
    Code.PRODUCT_UNKNOWN: text("This bundle is no longer on sale."),
    Code.PRICE_CHANGED: text("The price has changed. Nothing was bought."),
    Code.BALANCE_TOO_LOW: text("Your balance is too low."),
    Code.AMOUNT_INVALID: text("This amount is not possible."),
    Code.NOTHING_TO_REFUND: text("There is nothing to refund."),
    Code.ALREADY_REFUNDED: text("This was refunded before."),
    Code.GRANT_USED: text("Part of it is used already."),
    Code.PAYMENT_UNKNOWN: text("This payment was not found."),
    Code.PAYMENT_SETTLED: text("This payment has been credited already."),
    Code.PAYMENT_CLOSED: text("This payment goes back to the payer."),
    Code.PAYMENT_NOT_SETTLED: text("This payment has not been credited."),
    Code.PAYMENT_MISMATCH: text("The amount paid is not what was asked for. It is being checked."),
    Code.CAP_REACHED: text("Your own limit is reached."),
    Code.CAP_OF_OWNER: text("The owner of your account set this limit. Only they can raise it."),
    Code.RECEIVER_UNKNOWN: text("This number cannot receive."),
    Code.RECEIVER_SAME: text("This is your own number."),
    Code.TRANSFER_NOT_ALLOWED: text("This cannot be sent."),
    Code.TRANSFER_LIMIT: text("You have sent as much as one day allows."),
    Code.FEE_CHANGED: text("The fee has changed. Nothing was done."),
    Code.UNDO_TOO_LATE: text("It is too late to take it back."),
    Code.NOTHING_TO_UNDO: text("There is nothing to take back."),
    Code.ADVANCE_NOT_ELIGIBLE: text("No advance is possible now."),
    Code.ADVANCE_OPEN: text("Your last advance is not paid back yet."),
    Code.NOT_RENEWED: text("This bundle is not renewed."),
    Code.NO_RATE: text("This cannot be charged now."),
    Code.LIMIT_REFUSED: text("This limit is not possible."),
    Code.FAILED: text("It did not work and nothing was done. Please try later."),
}

#: what a line cannot mend by itself
_STAFF_HELPS = frozenset(
    {
        Code.ACCOUNT_UNKNOWN,
        Code.ACCOUNT_FROZEN,
        Code.LINE_SUSPENDED,
        Code.LINE_BARRED,
        Code.LINE_TERMINATED,
        Code.VOUCHER_BLOCKED,
    }
)

NO_PAYMENT = text("This payment is not possible. Please call us.")
#: why a payment is not asked for; limits are told with their amount
NOT_ASKED: dict[Refused, Text] = {
    Refused.AMOUNT: SENTENCES[Code.AMOUNT_INVALID],
    Refused.LINE: text("This number cannot be recharged."),
    Refused.PRODUCT: SENTENCES[Code.PRODUCT_UNKNOWN],
    Refused.METHOD: text("You cannot pay this way now."),
    Refused.CONFLICT: SENTENCES[Code.KEY_CONFLICT],
    Refused.CARD_UNKNOWN: text("This card is no longer saved."),
    Refused.CARD_EXPIRED: text("This card has expired."),
    Refused.AMOUNT_TOO_LOW: text("This amount is too low."),
    Refused.AMOUNT_TOO_HIGH: text("This amount is too high."),
    Refused.DAILY_LIMIT: text("You have paid as much as one day allows."),
    Refused.BALANCE_LIMIT: text("The balance would be too high."),
    Refused.TOO_MANY_WAITING: text("Other payments are still open. Please wait for them."),
    Refused.BLOCKED: NO_PAYMENT,
    Refused.RISK: NO_PAYMENT,
    Refused.RISK_UNKNOWN: text("Payments are not possible now. Nothing was charged. Please try later."),
}
#: why a payment that was asked for did not go through
DECLINED: dict[str, Text] = {
    "funds": text("There is not enough money to pay with."),
    "cancelled": text("The payment was cancelled."),
    "timeout": text("The payment was not approved in time."),
    "wrong_pin": text("The PIN was wrong. Nothing was charged."),
    "limit": text("The payer's limit is reached."),
    "fraud": NO_PAYMENT,
    "unreachable": text("The payment service does not answer. Nothing was charged."),
    "other": text("The payment did not go through."),
}

#: what the main menu says first on a line that cannot spend
HINDRANCES: dict[str, Text] = {
    LineStatus.SUSPENDED: text("Your line is suspended."),
    LineStatus.BARRED: text("Your line is barred."),
    LineStatus.TERMINATED: text("This line is closed."),
    "frozen": text("Your account is being checked."),
}


def hindrance(subscriber: Subscriber) -> Text | None:
    """What hinders this line from spending, or None."""
    return HINDRANCES.get("frozen" if subscriber.frozen else subscriber.status)


def help_line(operator: Operator) -> Text:
    """Whom to call where no choice helps."""
    return text("Help: {number}", number=operator.support_number)


def refusal_menu(name: str, operator: Operator, *links: Link) -> Menu:
    """The screen ``name`` that says why an operation was refused, and where to go from there."""

    def why(data: Data) -> Text:
        """With whom to call, where only staff can help."""
        return lines(refusal(data), help_line(operator) if data["code"] in _STAFF_HELPS else None)

    return Menu(name=name, text=why, links=links, samples=refusal_samples(operator))


def kept_refusal(context: Context, answer: Answer) -> dict[str, Any]:
    """What ``refusal`` needs of an answer, as a session keeps it: codes and amounts."""
    kept: dict[str, Any] = {"code": answer.code, "currency": context.subscriber.currency}
    for name in ("missing", "price", "locked_until"):
        value = answer.details.get(name)
        if value is not None:
            kept[name] = value.isoformat() if isinstance(value, datetime) else value
    return kept


def too_low(context: Context, price: int) -> dict[str, Any] | None:
    """What ``refusal`` needs where a line has less money than ``price``; None where it has enough."""
    missing = price - context.subscriber.total(Unit.MONEY)
    if missing <= 0:
        return None
    return {"code": Code.BALANCE_TOO_LOW.value, "missing": missing, "currency": context.subscriber.currency}


def refusal(data: Data) -> Text:
    """The sentence for a refusal, with what is missing, the new price or the end of a lock where that is known."""
    if data["code"] == Code.BALANCE_TOO_LOW and "missing" in data:
        return text("Your balance is too low: {missing} missing.", missing=Money(data["missing"], data["currency"]))
    if data["code"] == Code.PRICE_CHANGED and "price" in data:
        price = Money(data["price"], data["currency"])
        return text("The price is now {price}. Nothing was bought.", price=price)
    if data["code"] == Code.VOUCHER_LOCKED and "locked_until" in data:
        until = Clock(datetime.fromisoformat(data["locked_until"]))
        return text("Too many wrong numbers. Try again after {time}.", time=until)
    return SENTENCES[Code(data["code"])]


def refusal_samples(operator: Operator) -> tuple[dict[str, Any], ...]:
    """Every refusal, with and without its details."""
    currency, most = operator.currency, money_sample(operator).amount
    details: dict[str, Any] = {"missing": most, "price": most, "locked_until": MOMENT.isoformat()}
    plain = [{"code": code.value, "currency": currency} for code in Code if code is not Code.OK]
    return (*plain, *({**one, **details} for one in plain))


def not_paid(data: Data) -> Text:
    """Why nothing was paid: the guard's code, with what a limit allows, or what the payer's side said."""
    if "code" not in data:
        return DECLINED.get(data["reason"], DECLINED["other"])
    code = Refused(data["code"])
    if data.get("limit") is not None:
        limit = Money(data["limit"], data["currency"])
        match code:
            case Refused.AMOUNT_TOO_LOW:
                return text("The least is {limit}.", limit=limit)
            case Refused.AMOUNT_TOO_HIGH:
                return text("The most is {limit}.", limit=limit)
            case Refused.DAILY_LIMIT:
                return text("One day allows {limit}.", limit=limit)
            case Refused.BALANCE_LIMIT:
                return text("The balance may be {limit} at most.", limit=limit)
    return NOT_ASKED[code]


def not_paid_samples(operator: Operator) -> tuple[dict[str, Any], ...]:
    """Every reason, with and without a limit."""
    most = money_sample(operator)
    codes: list[dict[str, Any]] = [{"code": code.value, "currency": most.currency} for code in Refused]
    return (*codes, *({**one, "limit": most.amount} for one in codes), *({"reason": reason} for reason in DECLINED))
