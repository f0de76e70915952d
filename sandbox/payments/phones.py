"""Phones that somebody holds: their payers are asked on the screen, and answer. All others say yes by themselves."""

from __future__ import annotations

import time
from collections.abc import Callable

from sandbox.payments.plays import Play

#: seconds that a phone is held after it was last said so, and that a prompt waits for its answer
LEASE, PROMPT_SECONDS = 10.0, 60.0
#: what becomes of these is the payer's to say; all others are decided before
ASKED = frozenset({Play.APPROVE, Play.DUPLICATE, Play.LOST, Play.TWICE, Play.DROP})
#: where a payment keeps what it becomes if its payer agrees
AGREED = "agreed"


class Phones:
    """The phones."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._held: dict[str, float] = {}

    def hold(self, number: str) -> None:
        """Somebody holds this phone from now on, for ``LEASE`` seconds."""
        self._held[digits(number)] = self._now() + LEASE

    def held(self, number: str) -> bool:
        """Whether somebody does."""
        return self._held.get(digits(number), 0.0) > self._now()


def digits(number: str) -> str:
    """A number as all faces spell it alike."""
    return "".join(filter(str.isdigit, number))
