"""Making a captured payment real in all books, or owing it back to its payer: pure decisions over one case.

All that a settlement changes is decided here and written in one commit: the bucket and its validity, the receivables
ledger, the payment history, the provisioning rules (``engine.provisioning``, for every operation), receipt and message.
What takes a settlement back stands in ``engine.payments.reversals``.
"""

from __future__ import annotations

from typing import Any

import msgspec

from engine.balances.rules import credit_main, find_product, grant, promised_end, spend
from engine.books.case import Case, Verdict
from engine.books.facts import PaymentFacts
from engine.books.tables import Ledger
from engine.payments.course import RETURN_FAILED, RETURNED
from engine.receivables.rules import owe, pay_bills
from engine.receivables.tables import Owing
from engine.words import Code, LineStatus, PaymentState, Return, SetAside, Settle, Unit

#: Nothing is credited for a payment that is here: it was, or the money goes back.
CLOSED = frozenset({PaymentState.REFUNDING, PaymentState.REFUNDED, PaymentState.CHARGED_BACK})
#: why what is asked of a payment is not done: it stands otherwise
STANDS = dict.fromkeys(CLOSED, Code.PAYMENT_CLOSED) | {PaymentState.SETTLED: Code.PAYMENT_SETTLED}


def payment_allowed(case: Case, operation: Settle) -> Verdict | None:
    """Whether this payment may be settled; None means yes. What is refused here is given back by the recovery."""
    payment, line = case.facts.payment, case.facts.line
    if payment is None:
        return Verdict(Code.PAYMENT_UNKNOWN)
    if payment.state is PaymentState.SETTLED:
        return Verdict(Code.PAYMENT_SETTLED)
    # Whoever asks may not have heard yet that it went back.
    if payment.state in CLOSED or payment.reason == RETURNED:
        return Verdict(Code.PAYMENT_CLOSED)
    if operation.captured != payment.amount or operation.currency != payment.currency:
        return Verdict(Code.PAYMENT_MISMATCH, {"expected": payment.amount, "captured": operation.captured})
    if payment.currency != case.facts.currency:
        return Verdict(Code.PAYMENT_MISMATCH, {"currency": payment.currency})
    # Whoever owes bills may pay them after the line has ended, and while it is barred.
    if line is not None and line.status is LineStatus.TERMINATED and not case.facts.bills:
        return Verdict(Code.LINE_TERMINATED)
    if line is not None and line.status is LineStatus.BARRED and not case.facts.postpaid:
        return Verdict(Code.LINE_BARRED)
    return None


def settle(case: Case, operation: Settle) -> Verdict:
    """Credit the payment: bills first where the account has any, the rest as airtime, or what was bought with it."""
    payment = case.facts.payment
    if payment is None:
        return Verdict(Code.PAYMENT_UNKNOWN)
    _wake(case)
    rest = payment.amount - pay_bills(case, payment)
    details: dict[str, Any] = {
        "amount": payment.amount,
        "gateway": payment.gateway,
        "payment_id": str(payment.payment_id),
    }
    if rest < payment.amount:
        details["bills_paid"] = payment.amount - rest
    if rest:
        expires_at = promised_end(case.now, case.operator.vouchers.validity_days, case.operator.timezone)
        credit_main(case, rest, Ledger.GATEWAY, expires_at)
        owe(case, payment, Owing.GATEWAY, Owing.ADVANCE, rest)
        details["expires_at"] = expires_at.isoformat()
    if payment.product is not None:
        details |= _buy(case, payment.product)
    details["balance"] = case.total(Unit.MONEY)
    note(case, payment, "settled", PaymentState.SETTLED)
    case.write("receipts", operation.key, case.reference, msgspec.json.encode(details).decode())
    case.messages.append(("payment.done", details | {"reference": case.reference}))
    case.announce("settlement.completed", details | {"reference": case.reference, "currency": payment.currency})
    return Verdict(Code.OK, details)


def set_aside(case: Case, operation: SetAside) -> Verdict:
    """Book captured money that cannot be credited: the gateway owes it to us, and we owe it to the payer."""
    payment = case.facts.payment
    if payment is None:
        return Verdict(Code.PAYMENT_UNKNOWN)
    if payment.state is not PaymentState.CAPTURED:
        return Verdict(STANDS.get(payment.state, Code.PAYMENT_NOT_SETTLED))
    money = (operation.captured, operation.currency)
    owe(case, payment, Owing.GATEWAY, Owing.UNAPPLIED, operation.captured, currency=operation.currency)
    # That it went back meanwhile must not be forgotten: it would be given back once more.
    reason = RETURNED if payment.reason == RETURNED else operation.reason
    note(case, payment, "set_aside", PaymentState.REFUNDING, reason=reason, money=money)
    details = {
        "amount": operation.captured,
        "balance": case.total(Unit.MONEY),
        "reason": operation.reason,
        "payment_id": str(payment.payment_id),
    }
    line = case.facts.line
    if line is not None and line.status is not LineStatus.TERMINATED:
        case.messages.append(("payment.reversed", details | {"reference": case.reference}))
    case.announce("payment.set_aside", details | {"reference": case.reference, "currency": operation.currency})
    return Verdict(Code.OK, details)


def give_back(case: Case, operation: Return) -> Verdict:
    """The gateway has given back what was owed to the payer: both debts are paid. Where that ``failed`` they stand."""
    payment = case.facts.payment
    if payment is None:
        return Verdict(Code.PAYMENT_UNKNOWN)
    heard = (PaymentState.REFUNDED, RETURN_FAILED) if operation.failed else (PaymentState.REFUNDING, RETURNED)
    if (payment.state, payment.reason) != heard:
        return Verdict(STANDS.get(payment.state, Code.PAYMENT_NOT_SETTLED))
    money = (operation.amount, operation.currency)
    details = {"amount": operation.amount, "payment_id": str(payment.payment_id)}
    if operation.failed:
        owe(case, payment, Owing.GATEWAY, Owing.UNAPPLIED, operation.amount, currency=operation.currency)
        note(case, payment, "restored", PaymentState.REFUNDING, reason=RETURN_FAILED, money=money)
        details["reason"] = RETURN_FAILED
    else:
        owe(case, payment, Owing.UNAPPLIED, Owing.GATEWAY, operation.amount, currency=operation.currency)
        note(case, payment, "returned", PaymentState.REFUNDED, money=money)
    topic = "payment.set_aside" if operation.failed else "payment.returned"
    case.announce(topic, details | {"reference": case.reference, "currency": operation.currency})
    return Verdict(Code.OK, details)


def _wake(case: Case) -> None:
    # The first recharge activates a new line, whatever it is paid with.
    line = case.line or case.facts.line
    if line is not None and line.status is LineStatus.PREACTIVE:
        case.line = line._replace(status=LineStatus.ACTIVE)


def _buy(case: Case, code: str) -> dict[str, Any]:
    """Spend what was just credited on a product; if it cannot be had (any more), the money stays as airtime."""
    product = find_product(case, code)
    if product is None:
        return {"product_refused": Code.PRODUCT_UNKNOWN}
    if spend(case, product.price):
        return {"product_refused": Code.BALANCE_TOO_LOW}
    return {"product": code, "price": product.price, "product_until": grant(case, product).isoformat()}


def note(
    case: Case,
    payment: PaymentFacts,
    event: str,
    state: PaymentState,
    *,
    reason: str | None = None,
    money: tuple[int, str] | None = None,
) -> None:
    """The payment's own row, and its line in the payment history. ``money``: where it is not all of the payment."""
    # What is to be given back has the gateway to be asked for it: the recovery loop does, at once. It has failed once.
    next_check_at = case.now if state is PaymentState.REFUNDING and reason != RETURN_FAILED else None
    case.write("paid", payment.payment_id, state, reason, next_check_at, payment.returned)
    amount, currency = money or (payment.amount, payment.currency)
    what = (payment.payment_id, event, amount, currency, payment.gateway, payment.gateway_ref)
    case.write("remembered", case.operation.key, *what)
