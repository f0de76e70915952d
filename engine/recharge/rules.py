"""Redeeming a voucher: pure decisions over one case."""

from __future__ import annotations

from datetime import datetime, timedelta

from engine.balances.rules import credit_main, promised_end
from engine.books.case import Case, Verdict
from engine.books.facts import LineFacts
from engine.books.tables import Ledger
from engine.recharge.tables import BatchState, VoucherState
from engine.words import Code, LineStatus, Unit
from settings import VoucherRules

#: Refusals that may be somebody trying numbers, or trying stolen cards before they are on sale.
SUSPICIOUS = frozenset(
    {
        Code.VOUCHER_UNKNOWN,
        Code.VOUCHER_REDEEMED,
        Code.VOUCHER_BLOCKED,
        Code.VOUCHER_RECALLED,
        Code.VOUCHER_EXPIRED,
    }
)

#: No lock grows beyond this.
LONGEST_LOCK = timedelta(days=1)


def voucher_allowed(case: Case) -> Verdict | None:
    """Whether this line may try a voucher now, and whether this voucher may be redeemed; None means yes.

    A locked line hears of its lock and nothing else: the right number must not answer differently from a wrong one.
    """
    line = case.facts.line
    if line is not None and line.voucher_locked_until is not None and line.voucher_locked_until > case.now:
        return Verdict(Code.VOUCHER_LOCKED, {"locked_until": line.voucher_locked_until.isoformat()})
    voucher = case.facts.voucher
    if voucher is None or voucher.currency != case.facts.currency:
        return Verdict(Code.VOUCHER_UNKNOWN)
    if voucher.state is VoucherState.REDEEMED:
        return Verdict(Code.VOUCHER_REDEEMED)
    if voucher.batch_state is BatchState.RECALLED:
        return Verdict(Code.VOUCHER_RECALLED)
    if voucher.state is VoucherState.BLOCKED or voucher.batch_state is not BatchState.ACTIVE:
        return Verdict(Code.VOUCHER_BLOCKED)
    if voucher.expires_at <= case.now:
        return Verdict(Code.VOUCHER_EXPIRED)
    return None


def recharge(case: Case) -> Verdict:
    """Credit the face value, extend validity, wake a new line, forget earlier wrong numbers."""
    voucher = case.facts.voucher
    if voucher is None:
        return Verdict(Code.VOUCHER_UNKNOWN)
    expires_at = promised_end(case.now, voucher.validity_days, case.operator.timezone)
    credit_main(case, voucher.face_value, Ledger.VOUCHERS, expires_at)
    case.claimed = voucher
    line = case.facts.line
    if line is not None and (line.voucher_failures or line.status is LineStatus.PREACTIVE):
        case.line = line._replace(
            status=LineStatus.ACTIVE if line.status is LineStatus.PREACTIVE else line.status,
            voucher_failures=0,
            voucher_window_from=None,
            voucher_locked_until=None,
        )
    details = {
        "amount": voucher.face_value,
        "balance": case.total(Unit.MONEY),
        "expires_at": expires_at.isoformat(),
    }
    case.messages.append(("recharge.done", details | {"reference": case.reference}))
    return Verdict(Code.OK, details)


def count_wrong_number(line: LineFacts, now: datetime, rules: VoucherRules) -> LineFacts:
    """The line after one more wrong number: locked once the free tries of the window are used up, longer each time."""
    window = timedelta(hours=rules.window_hours)
    fresh = line.voucher_window_from is None or now - line.voucher_window_from >= window
    failures = 1 if fresh else line.voucher_failures + 1
    locked_until = None
    if failures >= rules.free_tries:
        # The exponent is bounded before the power is taken: failures can grow for ever.
        doubling = min(failures - rules.free_tries, 16)
        locked_until = now + min(timedelta(minutes=rules.lock_minutes) * 2**doubling, LONGEST_LOCK)
    return line._replace(
        voucher_failures=failures,
        voucher_window_from=now if fresh else line.voucher_window_from,
        voucher_locked_until=locked_until,
    )
