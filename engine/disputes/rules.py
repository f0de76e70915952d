"""What a case may become, and what an outcome asks of the one door: pure functions."""

from __future__ import annotations

import hashlib
from datetime import datetime
from uuid import UUID, uuid5

from engine.disputes.tables import CaseState, Outcome
from engine.words import AccountRef, NotPossible, Operation, Refund, Reverse

#: days until a case should be decided, where nobody says otherwise
DEADLINE_DAYS = 10
#: Crockford's alphabet, as references use it
_SPEAKABLE = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


#: who opens a case of what a payer's bank asks back: ``gateway:`` and the gateway's name
BY_GATEWAY = "gateway:"


class CaseRefused(NotPossible):
    """A case cannot take this step."""


def case_of(payment_id: UUID, dispute: str) -> UUID:
    """The id of the case of what a payer's bank asks back: one for each dispute, by the provider's name for it."""
    return uuid5(payment_id, f"case|{dispute}")


def number_of(case_id: UUID) -> str:
    """What people quote: ``D`` and seven speakable characters."""
    digits = int.from_bytes(hashlib.blake2b(case_id.bytes, digest_size=5).digest())
    return "D" + "".join(_SPEAKABLE[digits >> shift & 31] for shift in range(30, -1, -5))


def check_decision(
    state: CaseState, decided: Outcome | None, outcome: Outcome, payment_id: UUID | None, *, by_bank: bool
) -> None:
    """Whether a case may be decided so. One whose money may be moving can only be finished. Raises ``CaseRefused``."""
    if state is CaseState.RESOLVED:
        raise CaseRefused(f"the case was resolved: {decided}", "case_resolved", outcome=decided)
    if state is CaseState.RESOLVING and decided is not outcome:
        said = f"the case is being resolved as {decided}: finish that first"
        raise CaseRefused(said, "case_resolving", outcome=decided)
    if outcome is Outcome.CHARGEBACK_ACCEPTED and payment_id is None:
        raise CaseRefused("only a payment can be charged back", "case_not_payment")
    if by_bank and outcome is Outcome.REFUND:
        raise CaseRefused("the payer's bank has taken the money itself: there is nothing to give back", "case_nothing")


def ordered_by(
    case_id: UUID,
    outcome: Outcome,
    *,
    account: AccountRef,
    line_id: UUID | None,
    payment_id: UUID | None,
    operation_key: UUID | None,
    reason: str,
    by: str,
    decisions: int,
    decided_at: datetime,
    by_bank: bool,
) -> Operation | None:
    """The operation that an outcome asks for; None where no money moves.

    Its key derives from the case and its ``decisions``-th decision: each of them moves money once, ever. What the
    payer's bank has taken, or given again, was booked when its provider told of it.
    """
    if by_bank or outcome is Outcome.REFUSED:
        return None
    key = uuid5(case_id, f"{outcome.value}|{decisions}")
    source = f"staff:{by}"
    if payment_id is not None:
        return Reverse(
            account=account,
            key=key,
            asked_at=decided_at,
            source=source,
            line_id=line_id,
            payment_id=payment_id,
            reason=reason,
            chargeback=outcome is Outcome.CHARGEBACK_ACCEPTED,
        )
    if operation_key is None:
        raise CaseRefused("the case names nothing that could be given back", "case_nothing")
    return Refund(
        account=account,
        key=key,
        asked_at=decided_at,
        source=source,
        line_id=line_id,
        refunded_key=operation_key,
        reason=reason,
    )
