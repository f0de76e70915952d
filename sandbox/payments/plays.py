"""What becomes of the next payment: by a script that was posted, else by its amount."""

from __future__ import annotations

from collections import deque
from decimal import Decimal
from enum import StrEnum

import msgspec


class Play(StrEnum):
    """What can become of a payment."""

    APPROVE = "approve"
    #: refused, for the scripted reason
    DECLINE = "decline"
    #: the answer takes ``seconds``
    SLOW = "slow"
    #: no answer at all; after ``seconds`` the payment is made, and the callback comes
    LATE = "late"
    #: the callback comes three times
    DUPLICATE = "duplicate"
    #: the callback comes before the answer
    EARLY = "early"
    #: made, and the callback never comes
    LOST = "lost"
    #: no answer, and nothing is done
    HANG = "hang"
    #: status 500, and nothing is done
    ERROR = "error"
    #: the payer has to follow a link first
    ACTION = "action"
    #: made, but the connection breaks before the answer
    DROP = "drop"
    #: M-Pesa: told as a push's callback and as a C2B confirmation
    TWICE = "twice"


class Scripted(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A play as it is posted to ``/script``."""

    play: Play
    #: of a refusal: funds, cancelled, timeout, wrong_pin, limit, method, fraud, other
    reason: str = "funds"
    #: how long it takes, where it takes long
    seconds: float = 2.0
    #: for how many payments
    times: int = 1
    #: only for payments of this face: native, mpesa, stripe, acquirer, or reversal (of the acquirer); empty: any
    face: str = ""


#: by the last two digits of the whole amount, from 100 major units on
BY_AMOUNT = {
    1: Scripted(play=Play.DECLINE, reason="funds"),
    2: Scripted(play=Play.DECLINE, reason="cancelled"),
    3: Scripted(play=Play.SLOW),
    4: Scripted(play=Play.LATE, seconds=15.0),
    5: Scripted(play=Play.DUPLICATE),
    6: Scripted(play=Play.EARLY),
    7: Scripted(play=Play.LOST),
    8: Scripted(play=Play.HANG),
    9: Scripted(play=Play.ERROR),
    11: Scripted(play=Play.ACTION),
    12: Scripted(play=Play.DROP),
    13: Scripted(play=Play.TWICE),
    14: Scripted(play=Play.DECLINE, reason="wrong_pin"),
}
APPROVED = Scripted(play=Play.APPROVE)


class Plays:
    """The scripts in wait."""

    def __init__(self) -> None:
        self._waiting: deque[Scripted] = deque()

    def add(self, scripted: Scripted) -> None:
        """Queue a script, ``times`` over."""
        self._waiting.extend([scripted] * scripted.times)

    def clear(self) -> None:
        """Back to amounts."""
        self._waiting.clear()

    def next(self, face: str, major: Decimal) -> Scripted:
        """The play of a payment of ``major`` units."""
        found = next((scripted for scripted in self._waiting if scripted.face in {"", face}), None)
        if found is not None and (found.face or face != "reversal"):
            self._waiting.remove(found)
            return found
        return BY_AMOUNT.get(int(major) % 100, APPROVED) if major >= 100 else APPROVED
