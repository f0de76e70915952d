"""What people and staff decide about an account: consent, renewals, a postpaid limit. Pure decisions over one case."""

from __future__ import annotations

from datetime import timedelta

from engine.balances.facts import RenewalFacts
from engine.balances.rules import ORDINARY, find_product, grant, spend
from engine.balances.tables import RenewalState
from engine.books.case import Case, Verdict
from engine.books.tables import Ledger
from engine.receivables.rules import CREDIT_LINE
from engine.usage.meters import over_cap
from engine.words import AutoRenew, Code, OutOfBundle, Renew, SetCreditLimit, Unit


def out_of_bundle(case: Case, operation: OutOfBundle) -> Verdict:
    """Keep what the person said; the stored operation is the evidence of when and how."""
    line = case.line or case.facts.line
    if line is None:
        return Verdict(Code.ACCOUNT_UNKNOWN)
    case.line = line._replace(out_of_bundle=operation.allowed)
    return Verdict(Code.OK, {"out_of_bundle": operation.allowed})


def auto_renew(case: Case, operation: AutoRenew) -> Verdict:
    """Begin or stop to renew a product. It is renewed when the line's own bucket of it ends, or at once if none is."""
    line, product = case.facts.line, find_product(case, operation.product)
    if line is None:
        return Verdict(Code.ACCOUNT_UNKNOWN)
    known = case.facts.renewal
    if not operation.wanted:
        if known is None or known.state is not RenewalState.ACTIVE:
            return Verdict(Code.NOT_RENEWED)
        case.write("renewals", *known._replace(state=RenewalState.STOPPED))
        return Verdict(Code.OK, {"product": operation.product, "renewed": False})
    if product is None:
        return Verdict(Code.PRODUCT_UNKNOWN)
    if product.price != operation.price:
        return Verdict(Code.PRICE_CHANGED, {"price": product.price})
    ends = [
        bucket.expires_at
        for bucket in case.facts.buckets
        if bucket.product == product.code and bucket.expires_at is not None and case.live(bucket)
    ]
    cycle = max(ends, default=case.now)
    wanted = RenewalFacts(line.line_id, product.code, product.price, RenewalState.ACTIVE, cycle, 0, cycle, None)
    case.write("renewals", *wanted)
    return Verdict(Code.OK, {"product": product.code, "price": product.price, "next_at": cycle.isoformat()})


def renew(case: Case, operation: Renew) -> Verdict:
    """Buy the product again for its next cycle, or note that it could not be paid and when it is tried again.

    A refusal is an outcome of this operation, not of the database: it is stored with the back-off in one commit.
    """
    known, product = case.facts.renewal, find_product(case, operation.product)
    if (
        known is None
        or known.state is not RenewalState.ACTIVE
        or (known.cycle, known.attempt) != (operation.cycle, operation.attempt)
    ):
        return Verdict(Code.NOT_RENEWED)
    if product is None or product.price != known.price:
        # Nobody agreed to another price.
        return _not_renewed(case, known, 0, given_up=True)
    if over_cap(case, Unit.MONEY, product.price) is not None:
        return _not_renewed(case, known, 0, limited=True)
    if missing := spend(case, product.price):
        return _not_renewed(case, known, missing)
    # What is renewed on time follows without a gap and without a day for nothing.
    since = known.cycle - timedelta(microseconds=1) if known.attempt == 0 else case.now
    expires_at = grant(case, product, since)
    case.write("renewals", *known._replace(cycle=expires_at, attempt=0, next_at=expires_at))
    details = {"product": product.code, "price": product.price, "expires_at": expires_at.isoformat(), "renewed": True}
    case.messages.append(("renewal.done", details | {"reference": case.reference}))
    return Verdict(Code.OK, details)


def _not_renewed(
    case: Case, known: RenewalFacts, missing: int, *, limited: bool = False, given_up: bool = False
) -> Verdict:
    """Note why, and when it is tried again: ``missing`` minor units, or ``limited`` by what the line set itself."""
    waits = case.operator.renewals.back_off_hours
    last = given_up or known.attempt >= len(waits)
    if last:
        after = known._replace(state=RenewalState.GIVEN_UP)
    else:
        after = known._replace(attempt=known.attempt + 1, next_at=case.now + timedelta(hours=waits[known.attempt]))
    case.write("renewals", *after)
    details = {"product": known.product, "price": known.price, "missing": missing, "limited": limited}
    details |= {"renewed": False, "given_up": last}
    # Told at the first refusal; what follows is tried in silence.
    if known.attempt == 0:
        case.messages.append(("renewal.failed", details))
    return Verdict(Code.OK, details)


def set_credit_limit(case: Case, operation: SetCreditLimit) -> Verdict:
    """Open, raise or lower a postpaid account's credit line by what the limit changes."""
    if not case.facts.postpaid or operation.limit < 0:
        return Verdict(Code.LIMIT_REFUSED)
    bucket = next((one for one in case.facts.buckets if one.product == CREDIT_LINE), None)
    before = case.facts.credit_limit
    change = operation.limit - before
    if bucket is not None and -change > case.free(bucket):
        return Verdict(Code.LIMIT_REFUSED, {"owed": before - case.free(bucket)})
    if bucket is None and change > 0:
        case.open(Unit.MONEY, change, Ledger.CREDIT, product=CREDIT_LINE, expires_at=None, priority=ORDINARY + 1)
    elif bucket is not None and change > 0:
        case.credit(bucket, change, Ledger.CREDIT)
    elif bucket is not None and change < 0:
        case.debit(bucket, -change, Ledger.CREDIT)
    return Verdict(Code.OK, {"limit": operation.limit, "before": before, "reason": operation.reason})
