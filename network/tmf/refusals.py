"""What a refused operation is over HTTP: a status, and the engine's code as TM Forum's error code."""

from __future__ import annotations

from engine.words import Answer, Code
from network.http import Problem

#: refusals that are the request's own fault, forbidden, or of something that is not there; all others are conflicts
#: with how things stand
_STATUS = {
    Code.AMOUNT_INVALID: 400,
    Code.RECEIVER_SAME: 400,
    Code.KEY_EXPIRED: 400,
    Code.NO_RATE: 400,
    Code.ACCOUNT_FROZEN: 403,
    Code.LINE_SUSPENDED: 403,
    Code.LINE_BARRED: 403,
    Code.LINE_TERMINATED: 403,
    Code.TRANSFER_NOT_ALLOWED: 403,
    Code.VOUCHER_LOCKED: 403,
    Code.ACCOUNT_UNKNOWN: 404,
    Code.RECEIVER_UNKNOWN: 404,
    Code.VOUCHER_UNKNOWN: 404,
    Code.FAILED: 500,
}

_SAID = {
    Code.KEY_CONFLICT: "this Idempotency-Key came before with another content",
    Code.BALANCE_TOO_LOW: "the balance is too low",
    Code.FEE_CHANGED: "transferCost is not the fee: agree to it and send the request under a new key",
    Code.VOUCHER_UNKNOWN: "no such voucher",
    Code.VOUCHER_REDEEMED: "the voucher was used before",
    Code.AMOUNT_INVALID: "this amount is not allowed",
}


def refusal(answer: Answer, known: str = "") -> Problem:
    """``answer`` as a ``Problem``; ``known`` is what else its reader has to know."""
    code = Code(answer.code)
    said = _SAID.get(code, code.value.replace("_", " "))
    return Problem(_STATUS.get(code, 409), code.value.upper(), f"{said}; {known}" if known else said)
