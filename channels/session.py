"""What survives between two hops of a dialogue, where it lies, and what the store says of it."""

from __future__ import annotations

from typing import NamedTuple
from uuid import UUID

import msgspec

from dialogs.words import Place


class Thread(msgspec.Struct, array_like=True):
    """What a conversation by text keeps beside its place: texts know no session of their own."""

    #: when the person was heard last, seconds since 1970
    heard_at: float
    #: names the screen shown last, so that a button pressed on an older one is known
    shown: str
    #: the message that began it was itself the confirmation: a voucher number behind its keyword
    direct: bool = False


class Session(msgspec.Struct, array_like=True):
    """All that survives between two hops of one gateway session."""

    place: Place
    #: page of the screen shown last, from 0
    page: int = 0
    #: length and hop key of the cumulative text answered last: enough to know its continuation, not to read it
    seen_length: int = 0
    seen: bytes = b""
    #: the person was told good-bye, or that the outcome comes by message
    ended: bool = False
    #: what the keys of money steps derive from, where not from this very session: the dialogue began in another one
    origin: bytes = b""
    #: only in conversations by text
    thread: Thread | None = None


class Line(NamedTuple):
    """Where one turn lives in Redis: keys on one node."""

    lock: str
    session: str
    #: names the session that the line was last seen in with something left to do
    last: str

    @property
    def name(self) -> str:
        """What the session is called among those of its line."""
        return self.session.partition("}:")[2]


class Left(NamedTuple):
    """A session that was left, and what the keys of its money steps derive from."""

    session: Session
    origin: UUID
    #: as in ``Line``
    name: str


class Begun(NamedTuple):
    """What the begin script said: an answer from before, or the lock's token with the session, or neither (held)."""

    answer: bytes | None = None
    token: bytes | None = None
    session: Session | None = None
    #: a first turn, of a line that has left another session
    left: bool = False
    #: another turn held the line at first
    waited: bool = False


class Ended(NamedTuple):
    """What the end script said. ``stale``: another turn took the line over; ``answer``: it has answered this hop."""

    stale: bool = False
    answer: bytes | None = None
