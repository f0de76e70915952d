"""How long to wait: between tries to connect, and after a message centre said "too fast"."""

from __future__ import annotations

import random
from collections.abc import Callable


class Backoff:
    """Doubling waits with full jitter, so that many processes do not come back in the same second."""

    def __init__(self, first: float, longest: float) -> None:
        """``first`` and ``longest``: seconds."""
        self._first = first
        self._longest = longest
        self._tries = 0

    def next(self) -> float:
        """Seconds to wait before the next try: between half of the doubled wait and all of it."""
        wait = min(self._first * 2.0 ** min(self._tries, 30), self._longest)
        self._tries += 1
        return wait * random.uniform(0.5, 1.0)

    def slowest(self) -> float:
        """As after many tries in vain."""
        return self._longest * random.uniform(0.5, 1.0)

    def reset(self) -> None:
        """It went well."""
        self._tries = 0


class Pace:
    """Holds a link back after the centre refused a request as too fast; each refusal in a row doubles the pause."""

    def __init__(self, first: float, longest: float, clock: Callable[[], float]) -> None:
        """``first`` and ``longest``: seconds. ``clock``: monotonic seconds."""
        self._backoff = Backoff(first, longest)
        self._clock = clock
        self._until = 0.0

    def left(self) -> float:
        """Seconds that the link is still to be silent; 0 when it may send."""
        return max(self._until - self._clock(), 0.0)

    def throttled(self) -> float:
        """The centre said "too fast": seconds of silence from now.

        A whole window is refused at once; that is one refusal, not as many as there were requests in flight.
        """
        if not self.left():
            self._until = self._clock() + self._backoff.next()
        return self.left()

    def served(self) -> None:
        """A request was taken."""
        if not self.left():
            self._backoff.reset()
