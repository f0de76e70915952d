"""Daraja's result codes in our words.

Source: developer.safaricom.co.ke, "M-Pesa Express Query" and "Result codes"; some are only seen in practice.
"""

from __future__ import annotations

from engine.recharge.gateways.contract import DeclineReason, GatewayState, Outcome

DONE = "0"
#: "The transaction is still under processing": an answer of the query, no failure
PROCESSING = frozenset({"4999", "500.001.1001"})
#: any other code than 0 is a failure; what is not listed has no reason that helps a person
REASONS = {
    "1": DeclineReason.FUNDS,
    "2": DeclineReason.LIMIT,  # below the least
    "3": DeclineReason.LIMIT,  # above the most
    "4": DeclineReason.LIMIT,  # above the day's limit
    "8": DeclineReason.LIMIT,  # above the receiver's most
    "17": DeclineReason.LIMIT,  # the same amount to the same receiver too soon
    "1019": DeclineReason.TIMEOUT,
    "1031": DeclineReason.CANCELLED,
    "1032": DeclineReason.CANCELLED,
    "1036": DeclineReason.TIMEOUT,
    "1037": DeclineReason.TIMEOUT,
    "2001": DeclineReason.WRONG_PIN,
    "2028": DeclineReason.METHOD,
    "SFC_IC0003": DeclineReason.METHOD,
}


def declined(code: str) -> Outcome:
    """Of a push that failed with this code."""
    reason = REASONS.get(code, DeclineReason.OTHER)
    return Outcome(state=GatewayState.DECLINED, reason=reason, provider_code=code)
