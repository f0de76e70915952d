"""What an SMS carrier's adapter is: it hands one text to the carrier. It never imports the engine.

An adapter is a module ``channels/sms/<name>/carrier.py`` with a class ``Carrier``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol
from uuid import UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    """One message to one person. ``message_id`` is the same each time it is sent, so a carrier can drop doubles."""

    message_id: UUID
    #: E.164 with ``+``
    to: str = field(repr=False)
    sender: str
    text: str = field(repr=False)
    at: datetime


class CarrierError(Exception):
    """The carrier did not take the text. ``retryable``: it may take it later. ``args[0]`` is the reason, a code."""

    def __init__(self, reason: str, *, retryable: bool) -> None:
        super().__init__(reason)
        self.reason = reason
        self.retryable = retryable


class Carrier(Protocol):
    """Where texts go."""

    async def send(self, text: Text) -> None:
        """Hand over one text. Raises ``CarrierError``."""
        ...
