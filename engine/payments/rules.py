"""Making a captured payment real in all books, and taking it back: pure decisions over one case.

All that a settlement changes is decided here and written in one commit: the bucket and its validity, the receivables
ledger, the payment history, the provisioning rules (``engine.provisioning``, for every operation), receipt and message.
"""

from __future__ import annotations

from typing import Any

import msgspec

from engine.balances.rules import credit_main, find_product, grant, promised_end, spend
from engine.books.case import Case, Verdict
from engine.books.facts import PaymentFacts
from engine.books.tables import Ledger
from engine.receivables.rules import CREDIT_LINE, owe, pay_bills, reopen_bills
from engine.receivables.tables import Owing
from engine.words import Bucket, Code, LineStatus, PaymentState, Return, Reverse, SetAside, Settle, Unit

#: Its dispute was won after the credit had been taken back, or before: it is not taken again.
WON_BACK = "won_back"
#: Nothing is credited for a payment that is here: it was, or the money goes back.
CLOSED = frozenset({PaymentState.REFUNDING, PaymentState.REFUNDED, PaymentState.CHARGED_BACK})
_STANDS = dict.fromkeys(CLOSED, Code.PAYMENT_CLOSED) | {PaymentState.SETTLED: Code.PAYMENT_SETTLED}


def payment_allowed(case: Case, operation: Settle) -> Verdict | None:
    """Whether this payment may be settled; None means yes. What is refused here is given back by the recovery."""
    payment, line = case.facts.payment, case.facts.line
    if payment is None:
        return Verdict(Code.PAYMENT_UNKNOWN)
    if payment.state is PaymentState.SETTLED:
        return Verdict(Code.PAYMENT_SETTLED)
    if payment.state in CLOSED:
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
    _note(case, payment, "settled", PaymentState.SETTLED)
    case.write("receipts", operation.key, case.reference, msgspec.json.encode(details).decode())
    case.messages.append(("payment.done", details | {"reference": case.reference}))
    case.announce("settlement.completed", details | {"reference": case.reference, "currency": payment.currency})
    return Verdict(Code.OK, details)


def reverse(case: Case, operation: Reverse) -> Verdict:
    """Take a settled payment's credit back: all of it for a refund, what is left for a chargeback."""
    payment = case.facts.payment
    if payment is None:
        return Verdict(Code.PAYMENT_UNKNOWN)
    if payment.state is not PaymentState.SETTLED:
        return Verdict(Code.PAYMENT_CLOSED if payment.state in CLOSED else Code.PAYMENT_NOT_SETTLED)
    if operation.chargeback and payment.reason == WON_BACK:
        return Verdict(Code.PAYMENT_CLOSED)
    if case.facts.original is not None and case.facts.original.already_reversed:
        # It was taken back and won back: whoever wants it once more adjusts by hand.
        return Verdict(Code.PAYMENT_CLOSED)
    credited = _credited(case)
    taken = sum(min(case.free(bucket), amount) for bucket, amount in credited)
    if taken < payment.amount and not operation.chargeback:
        return Verdict(Code.BALANCE_TOO_LOW, {"missing": payment.amount - taken, "balance": case.total(Unit.MONEY)})
    # What a bank took back is gone; what we give back is owed to the payer until the gateway has done so.
    owed_to = Owing.GATEWAY if operation.chargeback else Owing.UNAPPLIED
    for bucket, amount in credited:
        part = min(case.free(bucket), amount)
        if part:
            case.debit(bucket, part, Ledger.GATEWAY)
            if bucket.product == CREDIT_LINE:
                reopen_bills(case, payment, part)
            owe(case, payment, Owing.ADVANCE, owed_to, part)
    if taken < payment.amount:
        owe(case, payment, Owing.LOSSES, Owing.GATEWAY, payment.amount - taken)
    event, state = (
        ("charged_back", PaymentState.CHARGED_BACK) if operation.chargeback else ("reversed", PaymentState.REFUNDING)
    )
    _note(case, payment, event, state, reason=operation.reason)
    details = {
        "amount": payment.amount,
        "taken": taken,
        "balance": case.total(Unit.MONEY),
        "reason": operation.reason,
        "payment_id": str(payment.payment_id),
    }
    case.messages.append(("payment.reversed", details | {"reference": case.reference}))
    case.announce(f"settlement.{event}", details | {"reference": case.reference, "currency": payment.currency})
    return Verdict(Code.OK, details)


def restore(case: Case) -> Verdict:
    """Give back what a chargeback took, and take the rest off the losses: the gateway owes us all of it again.

    Nothing is credited to a line that has ended, unless there are bills to pay: staff decides whose the money is.
    """
    payment, reversal = case.facts.payment, case.facts.original
    if payment is None:
        return Verdict(Code.PAYMENT_UNKNOWN)
    if payment.state is not PaymentState.CHARGED_BACK:
        return Verdict(_STANDS.get(payment.state, Code.PAYMENT_NOT_SETTLED))
    if reversal is None or reversal.kind != "reverse" or reversal.code != Code.OK or reversal.already_reversed:
        return Verdict(Code.PAYMENT_CLOSED)
    taken = sum(leg.amount for leg in reversal.transfers if leg.credit is Ledger.GATEWAY)
    line = case.facts.line
    if taken and line is not None and line.status is LineStatus.TERMINATED and not case.facts.bills:
        return Verdict(Code.LINE_TERMINATED)
    rest = taken - pay_bills(case, payment._replace(amount=taken))
    if rest:
        expires_at = promised_end(case.now, case.operator.vouchers.validity_days, case.operator.timezone)
        credit_main(case, rest, Ledger.GATEWAY, expires_at)
        owe(case, payment, Owing.GATEWAY, Owing.ADVANCE, rest)
    if taken < payment.amount:
        owe(case, payment, Owing.GATEWAY, Owing.LOSSES, payment.amount - taken)
    _note(case, payment, "restored", PaymentState.SETTLED, reason=WON_BACK)
    details = {
        "amount": payment.amount,
        "credited": taken,
        "gateway": payment.gateway,
        "balance": case.total(Unit.MONEY),
        "payment_id": str(payment.payment_id),
    }
    if taken:
        case.messages.append(("payment.done", details | {"amount": taken, "reference": case.reference}))
    case.announce("settlement.restored", details | {"reference": case.reference, "currency": payment.currency})
    return Verdict(Code.OK, details)


def _credited(case: Case) -> list[tuple[Bucket, int]]:
    """What the settlement put where: into the main bucket, and into the credit line where it paid bills."""
    original = case.facts.original
    by_id = {bucket.bucket_id: bucket for bucket in case.facts.buckets}
    legs = () if original is None else original.transfers
    return [(by_id[leg.bucket_id], leg.amount) for leg in legs if leg.debit is Ledger.GATEWAY]


def set_aside(case: Case, operation: SetAside) -> Verdict:
    """Book captured money that cannot be credited: the gateway owes it to us, and we owe it to the payer."""
    payment = case.facts.payment
    if payment is None:
        return Verdict(Code.PAYMENT_UNKNOWN)
    if payment.state is not PaymentState.CAPTURED:
        return Verdict(_STANDS.get(payment.state, Code.PAYMENT_NOT_SETTLED))
    money = (operation.captured, operation.currency)
    owe(case, payment, Owing.GATEWAY, Owing.UNAPPLIED, operation.captured, currency=operation.currency)
    _note(case, payment, "set_aside", PaymentState.REFUNDING, reason=operation.reason, money=money)
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
    """The gateway has given back what was owed to the payer: both debts are paid."""
    payment = case.facts.payment
    if payment is None:
        return Verdict(Code.PAYMENT_UNKNOWN)
    if payment.state is not PaymentState.REFUNDING:
        return Verdict(_STANDS.get(payment.state, Code.PAYMENT_NOT_SETTLED))
    money = (operation.amount, operation.currency)
    owe(case, payment, Owing.UNAPPLIED, Owing.GATEWAY, operation.amount, currency=operation.currency)
    _note(case, payment, "returned", PaymentState.REFUNDED, money=money)
    details = {"amount": operation.amount, "payment_id": str(payment.payment_id)}
    case.announce("payment.returned", details | {"reference": case.reference, "currency": operation.currency})
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


def _note(
    case: Case,
    payment: PaymentFacts,
    event: str,
    state: PaymentState,
    *,
    reason: str | None = None,
    money: tuple[int, str] | None = None,
) -> None:
    """The payment's own row, and its line in the payment history. ``money``: where it is not the payment's own."""
    # What is to be given back has the gateway to be asked for it: the recovery loop does, at once.
    next_check_at = case.now if state is PaymentState.REFUNDING else None
    case.write("paid", payment.payment_id, state, reason, next_check_at)
    amount, currency = money or (payment.amount, payment.currency)
    what = (payment.payment_id, event, amount, currency, payment.gateway, payment.gateway_ref)
    case.write("remembered", case.operation.key, *what)
