"""The validation layers that every operation passes before it is decided, each a pure decision over one case.

Account authentication, then payment-method authorisation; balance and limits are verified by the decision itself,
which alone knows what it needs. A layer answers None to let an operation pass.
"""

from __future__ import annotations

from collections.abc import Callable

from engine.books.case import Case, Verdict
from engine.payments.rules import payment_allowed
from engine.recharge.rules import voucher_allowed
from engine.words import (
    Advance,
    AutoRenew,
    Charge,
    Code,
    LineStatus,
    Operation,
    Purchase,
    Recharge,
    Renew,
    SessionAct,
    SessionRequest,
    Settle,
    Transfer,
)

#: Operations by which something goes out, or is promised.
SPENDING = (Purchase, Charge, Transfer, Advance, AutoRenew, Renew)

_SPENDING_REFUSED = {
    LineStatus.SUSPENDED: Code.LINE_SUSPENDED,
    LineStatus.BARRED: Code.LINE_BARRED,
    LineStatus.TERMINATED: Code.LINE_TERMINATED,
}


def authenticate_account(case: Case) -> Verdict | None:
    """Whether the account and its line may do this: a frozen or barred one may receive, not spend."""
    operation, line = case.operation, case.facts.line
    spends = _spends(operation)
    if spends and case.facts.frozen:
        return Verdict(Code.ACCOUNT_FROZEN)
    if line is None:
        return None
    if spends and line.status in _SPENDING_REFUSED:
        return Verdict(_SPENDING_REFUSED[line.status])
    if isinstance(operation, Recharge) and line.status is LineStatus.TERMINATED:
        return Verdict(Code.LINE_TERMINATED)
    return None


def _spends(operation: Operation) -> bool:
    """Whether something goes out. What a session has used already is charged whatever the line's status.

    Who reports totals asks for nothing: accounting that says that a session began is kept, whoever let it begin.
    """
    if isinstance(operation, SessionRequest):
        begins = operation.act in (SessionAct.CREATE, SessionAct.EVENT) and not operation.cumulative
        return begins and all(report.used is None for report in operation.reports)
    # Who stops a renewal promises nothing, and may do so while suspended.
    return isinstance(operation, SPENDING) and not (isinstance(operation, AutoRenew) and not operation.wanted)


def authorise_method(case: Case) -> Verdict | None:
    """Whether what is paid with may be used: the voucher, and this line's right to try one; the captured payment."""
    if isinstance(case.operation, Recharge):
        return voucher_allowed(case)
    return payment_allowed(case, case.operation) if isinstance(case.operation, Settle) else None


#: Name in the metrics → layer, in the order in which they stand.
LAYERS: dict[str, Callable[[Case], Verdict | None]] = {
    "account": authenticate_account,
    "method": authorise_method,
}
