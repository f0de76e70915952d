"""Idempotency keys of money steps: derived, so that the same inputs come out with the same key, whoever plays them."""

from __future__ import annotations

from collections.abc import Callable
from uuid import UUID, uuid5

#: names every idempotency key that is derived from a turn; changing it would let a retry run twice
NAMESPACE = UUID("6f0b9a52-8c1e-5d7a-9a43-2f3f1c0d7e61")


def derived_keys(gateway: str, session_id: str) -> Callable[[str, int], UUID]:
    """The key of each money step of a session, by its state and how often that was entered."""
    prefix = f"{gateway}|{session_id}|"

    def key(state: str, visit: int) -> UUID:
        return uuid5(NAMESPACE, f"{prefix}{state}|{visit}")

    return key
