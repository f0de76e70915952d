"""From facts to decisions: each operation of a batch passes the validation layers and is then decided by its rule."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from datetime import datetime
from time import perf_counter
from typing import Any, NamedTuple
from uuid import UUID

import msgspec

from engine.balances import advances, ends, rules as balances, transfers, wishes
from engine.books.case import Case, Verdict
from engine.books.facts import Facts
from engine.guard.rules import LAYERS
from engine.mediation import rules as mediation
from engine.payments import reversals, rules as payments
from engine.provisioning.rules import provision
from engine.receivables import billing
from engine.recharge import rules as recharge
from engine.usage import meters, rules as usage
from engine.usage.alerts import alerts
from engine.words import (
    AccountRef,
    Adjust,
    Advance,
    Answer,
    AutoRenew,
    Charge,
    ChargeUsage,
    Code,
    Expire,
    Extend,
    MakeBill,
    Operation,
    OutOfBundle,
    Purchase,
    Recharge,
    Refund,
    ReleaseOverdue,
    Renew,
    Restore,
    Return,
    Reverse,
    SessionRequest,
    SetAside,
    SetCap,
    SetCreditLimit,
    Settle,
    Transfer,
    Undo,
)
from settings import Operator

#: The rule for each kind of operation. A new kind is one entry here.
RULES: dict[type[Operation], Callable[[Case, Any], Verdict]] = {
    Recharge: lambda case, _: recharge.recharge(case),
    Purchase: balances.purchase,
    Charge: usage.charge,
    Refund: balances.refund,
    Adjust: balances.adjust,
    Expire: lambda case, _: ends.expire(case),
    Extend: ends.extend,
    SessionRequest: usage.session,
    ChargeUsage: mediation.charge_usage,
    ReleaseOverdue: lambda case, _: usage.release_overdue(case),
    Transfer: transfers.transfer,
    Undo: lambda case, _: transfers.undo(case),
    Advance: advances.advance,
    AutoRenew: wishes.auto_renew,
    Renew: wishes.renew,
    OutOfBundle: wishes.out_of_bundle,
    SetCap: meters.set_cap,
    MakeBill: billing.make_bill,
    SetCreditLimit: wishes.set_credit_limit,
    Settle: payments.settle,
    SetAside: payments.set_aside,
    Reverse: reversals.reverse,
    Restore: reversals.restore,
    Return: payments.give_back,
}

#: Crockford's alphabet: no I, L, O or U, so a reference survives being read out over a bad line.
_SPEAKABLE = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
#: thirty bits: of ids and keys the last ones are random or hashed
_REFERENCE = (1 << 30) - 1


class Asked(NamedTuple):
    """An operation with what was found for it, and for the other account that it touches."""

    operation: Operation
    facts: Facts
    other: Facts | None = None

    def case(self, operator: Operator, now: datetime) -> Case:
        """The case to decide, the other account's inside it."""
        case = Case(self.operation, self.facts, operator, now, reference_of(self.operation))
        other = self.operation.other()
        if other is not None and self.other is not None:
            case.other = Case(other, self.other, operator, now, case.reference)
        return case


class Decided(NamedTuple):
    """An operation's case and the answer that is stored with it."""

    case: Case
    answer: Answer


def request_hash(operation: Operation) -> bytes:
    """A digest of what was asked: equal for equal intents, whoever asks and whenever."""
    meant = (type(operation).__struct_config__.tag, *operation.meant())
    return hashlib.blake2b(msgspec.msgpack.encode(meant), digest_size=16).digest()


def reference_of(operation: Operation) -> str:
    """Six speakable characters that a person can quote: made from the key, so a resent operation has the same."""
    return reference_for(operation.account, operation.key)


def reference_for(account: AccountRef, key: UUID) -> str:
    """The reference that the operation of this key has, or will have."""
    number = (key.int ^ account.account_id.int) & _REFERENCE
    return "".join([_SPEAKABLE[number >> shift & 31] for shift in (25, 20, 15, 10, 5, 0)])


def decide(
    asked: Sequence[Asked],
    operator: Operator,
    now: datetime,
    observe: Callable[[str, float], None],
) -> list[Decided]:
    """Decide a batch: what was asked, in order, and after it what that did to other accounts.

    ``observe`` is told the seconds that each validation layer took for one operation on average.
    """
    cases = [one.case(operator, now) for one in asked]
    verdicts: list[Verdict | None] = [None] * len(cases)
    for name, layer in LAYERS.items():
        started = perf_counter()
        verdicts = [verdict or layer(case) for verdict, case in zip(verdicts, cases, strict=True)]
        observe(name, (perf_counter() - started) / len(cases))
    started = perf_counter()
    decided = [
        _finish(case, verdict or RULES[type(case.operation)](case, case.operation))
        for case, verdict in zip(cases, verdicts, strict=True)
    ]
    observe("balance", (perf_counter() - started) / len(cases))
    return decided + [_other(case.other, answer) for case, answer in decided if answer.ok and case.other is not None]


def _finish(case: Case, verdict: Verdict) -> Decided:
    if verdict.code is Code.OK:
        alerts(case)
        meters.count(case)
        provision(case)
    elif verdict.code in recharge.SUSPICIOUS and case.facts.line is not None and not _own_voucher(case):
        case.line = recharge.count_wrong_number(case.facts.line, case.now, case.operator.vouchers)
    return Decided(case, case.answer(verdict))


def _other(case: Case, answer: Answer) -> Decided:
    provision(case)
    return Decided(case, case.answer(Verdict(Code.OK, answer.details)))


def _own_voucher(case: Case) -> bool:
    # A voucher that this account itself redeemed is a double tap, not a guess.
    voucher = case.facts.voucher
    return voucher is not None and voucher.redeemed_account == case.operation.account.account_id
