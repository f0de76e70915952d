"""What the conversation made of one turn."""

from __future__ import annotations

from typing import NamedTuple

from channels.session import Session
from channels.turn import Reply


class Outcome(NamedTuple):
    """What a turn came to: the reply, the session after it, and whether both may be kept for a retry."""

    reply: Reply
    session: Session
    keeps: bool = True
