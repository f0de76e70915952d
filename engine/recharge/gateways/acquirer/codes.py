"""Response codes (field 39) in our words. Source: ISO 8583:1987, table of response codes, as card networks use them."""

from __future__ import annotations

from engine.recharge.gateways.contract import DeclineReason

#: approved; with identification; in part (the answer's amount says how much); VIP
APPROVED = frozenset({"00", "08", "10", "11"})
#: still being worked on
IN_PROGRESS = frozenset({"09"})
#: nobody knows whether the issuer has booked it: the answer came too late on their side
LATE = frozenset({"68"})
#: of a reversal: done, or nothing there that could be reversed
TAKEN_BACK = frozenset({"00", "25"})
NOT_LOCATED = "25"
#: what is not listed has no reason that helps a person
REASONS = {
    "04": DeclineReason.FRAUD,
    "07": DeclineReason.FRAUD,
    "13": DeclineReason.LIMIT,
    "14": DeclineReason.METHOD,
    "15": DeclineReason.METHOD,
    "17": DeclineReason.CANCELLED,
    "33": DeclineReason.METHOD,
    "34": DeclineReason.FRAUD,
    "36": DeclineReason.METHOD,
    "38": DeclineReason.WRONG_PIN,
    "41": DeclineReason.FRAUD,
    "43": DeclineReason.FRAUD,
    "51": DeclineReason.FUNDS,
    "54": DeclineReason.METHOD,
    "55": DeclineReason.WRONG_PIN,
    "57": DeclineReason.METHOD,
    "58": DeclineReason.METHOD,
    "59": DeclineReason.FRAUD,
    "61": DeclineReason.LIMIT,
    "62": DeclineReason.METHOD,
    "63": DeclineReason.FRAUD,
    "65": DeclineReason.LIMIT,
    "75": DeclineReason.WRONG_PIN,
}


def reason_of(code: str) -> DeclineReason:
    """Why a payment was refused."""
    return REASONS.get(code, DeclineReason.OTHER)
