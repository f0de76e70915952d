"""A person who texts: every text under an id of its own, and any of them sent again as carriers do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from channels.text_turn import Shown
from channels.texts import TextConversation
from tests.channels.phone import MSISDN

#: makes conversations by text as one process would; keywords swap a part
TextTalk = Callable[..., TextConversation]


class Texter:
    """One person in one thread with one carrier or app."""

    def __init__(self, conversation: TextConversation, msisdn: str = MSISDN, app: str = "simulator") -> None:
        self.conversation = conversation
        self.msisdn = msisdn
        self.app = app
        self.sent: list[tuple[str, str, dict[str, Any]]] = []

    async def text(self, typed: str, **more: Any) -> Shown:
        """Send a text of its own."""
        message_id = f"{self.app}-{self.msisdn[-3:]}-{len(self.sent)}"
        self.sent.append((typed, message_id, more))
        return await self.send(typed, message_id, **more)

    async def again(self) -> Shown:
        """The carrier sends the last text once more."""
        typed, message_id, more = self.sent[-1]
        return await self.send(typed, message_id, **more)

    async def send(
        self, typed: str, message_id: str, conversation: TextConversation | None = None, **more: Any
    ) -> Shown:
        """One message under an id, through another process if need be."""
        by = conversation or self.conversation
        return await by.receive(self.app, self.msisdn, message_id, self.msisdn, typed, **more)
