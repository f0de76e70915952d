"""A circuit breaker: who fails again and again is left alone for a while, then tried with one call at a time."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from enum import StrEnum

#: failures in a row that open it, and how many of the last results must be failures, however mixed
IN_A_ROW = 5
LAST, MOST_OF_LAST = 20, 10
#: seconds it stays open: the first time, doubled each time a probe fails, and at most
REST_FIRST, REST_LONGEST = 5.0, 120.0
#: seconds after which a probe that nobody has heard of counts as lost, and another may go
PROBE_SECONDS = 60.0


class BreakerState(StrEnum):
    """Whether calls go through."""

    CLOSED = "closed"
    #: one call at a time, to see
    HALF_OPEN = "half_open"
    OPEN = "open"


class Breaker:
    """Counts what one provider does with what it is given. Times are seconds of ``clock``."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._last: deque[bool] = deque(maxlen=LAST)
        self._in_a_row = 0
        self._rest = REST_FIRST
        self._open_until: float | None = None
        self._probe_at: float | None = None

    @property
    def state(self) -> BreakerState:
        """Closed, or open, or open for long enough that one call may try."""
        if self._open_until is None:
            return BreakerState.CLOSED
        return BreakerState.OPEN if self._clock() < self._open_until else BreakerState.HALF_OPEN

    def allows(self) -> bool:
        """Whether a call may go now. While half open, True makes it the probe: its outcome must be recorded."""
        state = self.state
        if state is not BreakerState.HALF_OPEN:
            return state is BreakerState.CLOSED
        now = self._clock()
        if self._probe_at is not None and now < self._probe_at + PROBE_SECONDS:
            return False
        self._probe_at = now
        return True

    def opens_in(self) -> float:
        """Seconds until a call may go; 0 when one may now."""
        if self._open_until is None:
            return 0.0
        probing = 1.0 if self._probe_at is not None else 0.0
        return max(self._open_until - self._clock(), probing, 0.0)

    def succeeded(self) -> None:
        """The provider answered, whatever it thought of the call."""
        self._last.append(True)
        self._in_a_row = 0
        if self._open_until is not None and self.state is BreakerState.HALF_OPEN:
            self._open_until = self._probe_at = None
            self._rest = REST_FIRST
            self._last.clear()

    def failed(self) -> None:
        """The provider could not be reached, broke down, or did not answer."""
        self._last.append(False)
        self._in_a_row += 1
        if self._open_until is not None:
            if self.state is BreakerState.HALF_OPEN:  # the probe; later ones that were on their way change nothing
                self._rest = min(self._rest * 2, REST_LONGEST)
                self._open()
            return
        if self._in_a_row >= IN_A_ROW or self._last.count(False) >= MOST_OF_LAST:
            self._open()

    def _open(self) -> None:
        self._open_until = self._clock() + self._rest
        self._probe_at = None
        self._in_a_row = 0
        self._last.clear()
