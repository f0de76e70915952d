"""Idempotency keys of money steps: derived, so that the same inputs come out with the same key, whoever plays them."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from uuid import UUID, uuid5

#: names every idempotency key that is derived from a turn; changing it would let a retry run twice
NAMESPACE = UUID("6f0b9a52-8c1e-5d7a-9a43-2f3f1c0d7e61")


@lru_cache(maxsize=1024)  # one turn asks several times
def origin_of(gateway: str, began: str) -> UUID:
    """What the keys of a dialogue derive from: who brought it, and the session or message that began it.

    It goes with the dialogue wherever that goes on: in another session, on another gateway, by text.
    """
    return uuid5(NAMESPACE, f"{gateway}|{began}")


def derived_keys(origin: UUID) -> Callable[[str, int], UUID]:
    """The key of each money step of a dialogue, by its state and how often that was entered."""

    def key(state: str, visit: int) -> UUID:
        """The same for the same visit, whoever computes it."""
        return uuid5(origin, f"{state}|{visit}")

    return key
