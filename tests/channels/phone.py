"""A person at the other end of a conversation: what the tests of turns are told in."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from channels.conversation import Conversation
from channels.turn import Event, Reply, Turn
from engine.api import Engine
from engine.words import Unit

MSISDN = "+254712345678"
#: somebody else's number
OTHER = "+254712345679"
#: minor units
FACE_VALUE = 5_000
#: a bundle that was chosen, its confirm screen not answered
CHOSEN = "3*1"
#: of that bundle, minor units
PRICE = 2_000

#: makes a conversation as one process would; keywords swap a part
Talk = Callable[..., Conversation]


class Phone:
    """One cumulative gateway session, as a person lives it."""

    def __init__(self, conversation: Conversation, msisdn: str = MSISDN, session_id: str = "ATUid_1") -> None:
        self.conversation = conversation
        self.msisdn = msisdn
        self.session_id = session_id
        self.text = ""

    def turn(self, text: str | None = None, event: Event | None = None) -> Turn:
        text = self.text if text is None else text
        return Turn(
            channel="ussd",
            gateway="africastalking",
            session_id=self.session_id,
            msisdn=self.msisdn,
            text=text,
            event=event or (Event.RESUME if text else Event.NEW),
            cumulative=True,
        )

    async def dial(self, short_cut: str = "") -> Reply:
        """``*123#`` or ``*123*<short cut>#``."""
        self.text = short_cut
        return await self.send()

    async def say(self, typed: str) -> Reply:
        """Type an answer."""
        self.text = f"{self.text}*{typed}" if self.text else typed
        return await self.send()

    async def send(self) -> Reply:
        """The hop as it stands: sent again, it is the network's retry."""
        return await self.conversation.turn(self.turn())


class Elsewhere(Phone):
    """The same person on another gateway, one that sends the last input only."""

    hops = 0

    def turn(self, text: str | None = None, event: Event | None = None) -> Turn:
        return replace(super().turn(text, event), gateway="arkesel", cumulative=False, sequence=f"{self.hops}")

    async def say(self, typed: str) -> Reply:
        self.hops += 1
        return await self.conversation.turn(self.turn(typed, Event.RESUME))


async def money(engine: Engine, msisdn: str = MSISDN) -> int:
    """The line's money in minor units."""
    return (await engine.subscriber(msisdn)).total(Unit.MONEY)
