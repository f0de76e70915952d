"""Emergency credit: who may have it, what it costs, and how it comes back. Pure decisions over one case.

An advance is the operator's claim (ledger account ``advances``), never a balance below zero. The next recharges pay it
back, the amount first and then the fee.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from engine.balances.facts import AdvanceFacts, StandingFacts
from engine.balances.rules import credit_main, promised_end
from engine.books.case import Case, Verdict
from engine.books.tables import Ledger
from engine.words import Advance, Code, Unit
from settings import AdvanceRules


def eligible(case: Case, rules: AdvanceRules, standing: StandingFacts | None) -> bool:
    """Whether this line may borrow: old enough, recharged often enough, and with little left."""
    if standing is None or case.facts.postpaid or case.total(Unit.MONEY) >= rules.balance_below:
        return False
    return in_good_standing(rules, standing, case.now)


def in_good_standing(rules: AdvanceRules, standing: StandingFacts, now: datetime) -> bool:
    """Whether a line is old enough and was recharged often enough."""
    if standing.opened_at > now - timedelta(days=rules.line_days):
        return False
    since = now - timedelta(days=rules.recharge_days)
    return sum(at >= since for at in standing.recharges) >= rules.recharges


def advance(case: Case, operation: Advance) -> Verdict:
    """Lend: money now, to be paid back from the next recharges."""
    rules = case.operator.advances
    if rules is None or case.facts.line is None:
        return Verdict(Code.ADVANCE_NOT_ELIGIBLE)
    owed = sum(one.open_amount + one.open_fee for one in case.facts.advances)
    if owed:
        return Verdict(Code.ADVANCE_OPEN, {"owed": owed})
    if operation.amount not in rules.amounts:
        return Verdict(Code.AMOUNT_INVALID)
    fee = rules.fee_for(operation.amount)
    if fee != operation.fee:
        return Verdict(Code.FEE_CHANGED, {"fee": fee})
    if not eligible(case, rules, case.facts.standing):
        return Verdict(Code.ADVANCE_NOT_ELIGIBLE)
    # It lives as long as airtime that was paid for: whoever borrows must be able to use it.
    end = promised_end(case.now, case.operator.vouchers.validity_days, case.operator.timezone)
    credit_main(case, operation.amount, Ledger.ADVANCES, end)
    given = AdvanceFacts(operation.key, case.facts.line.line_id, operation.amount, fee, operation.amount, fee, case.now)
    case.write("advances", *given)
    details = {"amount": operation.amount, "fee": fee, "owed": operation.amount + fee}
    details["balance"] = case.total(Unit.MONEY)
    case.messages.append(("advance.done", details | {"reference": case.reference}))
    return Verdict(Code.OK, details)
