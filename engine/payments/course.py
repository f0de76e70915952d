"""The course of a payment: what it becomes when a provider says something of it, and when it is looked at next.

Pure decisions over the payment as it stands. Providers repeat themselves, overtake themselves and change their minds,
so nothing here trusts the order in which things are heard: money that is there is credited, whatever was said before,
and what is over is not begun again.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from engine.payments.stored import Stored
from engine.recharge.gateways.contract import DeclineReason, GatewayState, Outcome
from engine.words import PaymentMethod, PaymentState

S, G = PaymentState, GatewayState

#: The bank has taken a credited payment back: the credit has to follow.
CHARGEBACK = "chargeback"
#: The gateway has given the money back: that has to be booked.
RETURNED = "returned"
#: What was given back has not reached the payer: it is owed to them again, and staff has to find another way.
RETURN_FAILED = "return_failed"
#: Its dispute was won: what was taken back has to be given again, and is not taken once more.
WON_BACK = "won_back"
#: The books have not taken it yet: staff was told.
NOT_SETTLED = "not_settled"
#: Another payment has the provider's reference: the money was counted there.
DUPLICATE = "duplicate"
#: No gateway could be reached.
UNREACHABLE = "unreachable"
#: Nobody has found out what became of it: staff was told.
UNRESOLVED = "unresolved"
#: The gateway does not give it back: staff has to.
REFUND_REFUSED = "refund_refused"
#: The line could not be credited any more, so the hold was let go.
NOT_TAKEN = "line_closed"

#: Seconds between two looks at a payment, by how often it was looked at in this state; then the last for ever.
PAUSES = (1, 2, 4, 8, 16, 32, 60, 60, 60, 60, 300)
#: seconds; a payer who was asked to act is given a little time before the provider is asked
FIRST_POLL = 5
#: How long nobody knew of an asked payment may be asked for again; later the payer would wonder what it is for.
ASK_AGAIN_WITHIN = timedelta(minutes=2)
#: How long a payer has: then the payment is called off at the gateway, which says what is true.
PAYER_WITHIN = {
    PaymentMethod.MOBILE_MONEY: timedelta(minutes=5),
    PaymentMethod.BANK: timedelta(minutes=5),
    PaymentMethod.CARD: timedelta(hours=24),
}
#: How long after that an answer is looked for. It ends as declined, which a payment can still be credited from.
RESOLVE_WITHIN = timedelta(hours=24)
#: How long a gateway is asked to give money back before staff has to.
REFUND_WITHIN = timedelta(hours=72)

#: Nothing was taken yet, as far as we know.
_OPEN = frozenset({S.CREATED, S.REVIEW, S.REQUESTED, S.PENDING, S.UNKNOWN, S.HELD, S.DECLINED})
_MOVED = frozenset({G.CAPTURED, G.REFUNDED, G.CHARGEBACK})
#: What the payer's side has taken, or given again; and of that, what a bank has.
_TAKEN = frozenset({G.REFUNDED, G.CHARGEBACK, G.REINSTATED})
_DISPUTED = frozenset({G.CHARGEBACK, G.REINSTATED})
#: These are told each by itself, all else as the sum of what went back so far.
_TOLD_ALONE = _DISPUTED | {G.REFUND_FAILED}
#: Nobody but staff takes it on.
_WITH_STAFF = frozenset({REFUND_REFUSED, RETURN_FAILED})
_WAITING = frozenset({S.CREATED, S.REQUESTED, S.PENDING, S.UNKNOWN})


def turn(
    stored: Stored, outcome: Outcome, now: datetime, *, owns_ref: bool = True, asked_ref: str | None = None
) -> Stored:
    """What a payment becomes of what its provider says.

    ``owns_ref`` is False where the provider's reference belongs to another payment: then what is said of money is said
    of that one. ``asked_ref``: the name that the provider was asked by, where it was not ``outcome.gateway_ref``.
    """
    if asked_ref is not None and stored.asked_ref is None:
        stored = stored._replace(asked_ref=asked_ref)
    state = S(stored.state)
    if not owns_ref and outcome.state in (G.CAPTURED, G.HELD):
        return become(stored, S.DECLINED, DUPLICATE, now) if state in _OPEN else stored
    known = _named(stored, outcome)
    to, reason = state, stored.reason
    if state is S.REFUNDING and reason == REFUND_REFUSED and known.gateway_ref != stored.gateway_ref:
        # It could not be given back for want of the name that has come now.
        reason = None
    match outcome.state:
        case G.CAPTURED if state in _OPEN:
            to, reason = S.CAPTURED, None
        case G.HELD if state in _WAITING or state is S.DECLINED:
            to, reason = S.HELD, None
        case G.PENDING if state in _WAITING:
            to, reason = S.PENDING, None
        case G.UNKNOWN if state in (S.CREATED, S.REQUESTED, S.PENDING):
            to, reason = S.UNKNOWN, None
        case G.DECLINED if state in _WAITING or state is S.HELD:
            to, reason = S.DECLINED, outcome.reason or DeclineReason.OTHER
        case G.REFUNDED | G.CHARGEBACK:
            to, reason = _taken_back(stored, outcome)
        case G.REINSTATED if outcome.amount in (None, stored.left, stored.money[0]):
            to, reason = _won_back(stored)
        case G.REFUND_FAILED if state in (S.REFUNDING, S.REFUNDED) and not _some_is_left(stored, outcome):
            # What came and went was never ours to owe.
            reason = reason if stored.captured is None else RETURN_FAILED
    return become(known, to, reason, now)


def become(stored: Stored, state: PaymentState, reason: str | None, now: datetime) -> Stored:
    """The payment in a state for a reason, to be looked at when that is due; as it is where nothing changes."""
    if (state, reason) == (stored.state, stored.reason):
        return stored
    attempts = stored.attempts if state == stored.state else 0
    look = _first_look(state, reason, now)
    return stored._replace(state=state.value, reason=reason, next_check_at=look, attempts=attempts, changed_at=now)


def _taken_back(stored: Stored, outcome: Outcome) -> tuple[PaymentState, str | None]:
    """The payer has the money again: what was credited goes back, what was owed to them is paid."""
    state = S(stored.state)
    if _some_is_left(stored, outcome):
        return state, stored.reason  # staff is told, and the reconciliation sees it
    if state is S.SETTLED:
        return state, stored.reason if stored.reason == WON_BACK else CHARGEBACK
    if state in (S.REFUNDING, S.CAPTURED):
        return state, RETURNED
    if state in _OPEN:
        # It came and went, and we never held it.
        return (S.REFUNDED if outcome.state is G.REFUNDED else S.CHARGED_BACK), stored.reason
    return state, stored.reason


def _some_is_left(stored: Stored, outcome: Outcome) -> bool:
    """Whether something is left of a payment with what a provider says has gone, or come, back."""
    if outcome.amount is None:
        return False
    before = stored.returned if outcome.state in _TOLD_ALONE else 0
    return outcome.amount + before < stored.money[0]


def _won_back(stored: Stored) -> tuple[PaymentState, str | None]:
    """A dispute was won: the credit comes again, or is not taken at all. Told before the loss, it is remembered."""
    state = S(stored.state)
    if state is S.SETTLED or (state is S.CHARGED_BACK and stored.captured is not None):
        return state, WON_BACK
    return (S.CAPTURED, None) if state is S.CHARGED_BACK else (state, stored.reason)


def _named(stored: Stored, outcome: Outcome) -> Stored:
    """With what the provider calls it, and what it took."""
    # A name heard with the money replaces the one that the payment was asked by; nothing brings that one back.
    better = stored.gateway_ref == stored.asked_ref and outcome.state in _MOVED
    if outcome.gateway_ref is not None and (stored.gateway_ref is None or better):
        asked = stored.asked_ref or outcome.gateway_ref
        stored = stored._replace(gateway_ref=outcome.gateway_ref, asked_ref=asked)
    if outcome.state is G.CAPTURED and stored.captured is None:
        amount, currency = outcome.amount or stored.amount, outcome.currency or stored.currency
        stored = stored._replace(captured=amount, captured_currency=currency)
    return stored


def _first_look(state: PaymentState, reason: str | None, now: datetime) -> datetime | None:
    undone = (state, reason) in ((S.SETTLED, CHARGEBACK), (S.CHARGED_BACK, WON_BACK), (S.REFUNDED, RETURN_FAILED))
    ended = state in (S.DECLINED, S.REFUNDED, S.CHARGED_BACK, S.SETTLED) and not undone
    if ended or (state is S.REFUNDING and reason in _WITH_STAFF):
        return None
    return now + timedelta(seconds=FIRST_POLL if state is S.PENDING else PAUSES[0])


def alarm_for(before: Stored, outcome: Outcome, *, owns: bool) -> str | None:
    """What staff has to see to that nothing here does by itself."""
    if not owns and outcome.state is G.CAPTURED and before.state in (S.CAPTURED, S.SETTLED):
        return "payment.counted_twice"
    if outcome.state is G.REFUND_FAILED:
        return "payment.not_returned"
    if before.state in (S.REFUNDING, S.REFUNDED) and outcome.state in _DISPUTED:
        return "payment.disputed_after_refund"
    if outcome.state in _TAKEN and before.state in (S.SETTLED, S.CHARGED_BACK) and _some_is_left(before, outcome):
        return "payment.taken_back_in_part"
    if outcome.state is G.CHARGEBACK and (before.state, before.reason) == (S.SETTLED, WON_BACK):
        return "payment.disputed_again"
    return None


def could_be(stored: Stored, outcome: Outcome) -> bool:
    """Whether money that came by itself, under a payment's reference, is that payment's: and not paid once more."""
    same = (stored.amount, stored.currency) == (outcome.amount, outcome.currency)
    receipts = (None, stored.asked_ref, outcome.gateway_ref)
    return same and (stored.captured is None or stored.gateway_ref in receipts)


def receipt_known(stored: Stored) -> bool:
    """Whether its provider's name for the money was heard, beside the one that it was asked by."""
    return stored.gateway_ref not in (None, stored.asked_ref)


def nothing_taken(stored: Stored) -> bool:
    """Whether no money was taken yet, as far as we know."""
    return S(stored.state) in _OPEN


def is_waiting(stored: Stored) -> bool:
    """Whether it is not known yet what becomes of it."""
    return S(stored.state) in _WAITING


def next_look(stored: Stored, now: datetime) -> datetime:
    """When a payment that stays as it is comes up again."""
    pause = PAUSES[min(max(stored.attempts, 1), len(PAUSES)) - 1]
    return now + timedelta(seconds=max(pause, FIRST_POLL) if stored.state == S.PENDING else pause)


def taken_up(stored: Stored, now: datetime) -> Stored:
    """A payment that the loop has given up, due now; anything else as it is."""
    state = S(stored.state)
    if state is S.REFUNDING and stored.reason == REFUND_REFUSED:
        return stored._replace(reason=None, next_check_at=now, attempts=0)
    counted = stored.reason == DUPLICATE  # the money is another payment's: asking would find it again
    if state is S.DECLINED and stored.asked_ref is not None and not counted:
        return stored._replace(state=S.UNKNOWN.value, reason=None, next_check_at=now, attempts=0)
    return stored


def may_ask_again(stored: Stored, now: datetime) -> bool:
    """Whether a payment that its provider has never heard of may be asked for once more."""
    return stored.asked_at + ASK_AGAIN_WITHIN > now


def payer_late(stored: Stored, now: datetime) -> bool:
    """Whether the payer has had time enough."""
    return stored.asked_at + PAYER_WITHIN[PaymentMethod(stored.method)] < now


def hopeless(stored: Stored, now: datetime) -> bool:
    """Whether nobody is going to say any more what became of it."""
    return stored.asked_at + PAYER_WITHIN[PaymentMethod(stored.method)] + RESOLVE_WITHIN < now
