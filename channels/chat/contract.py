"""The words between a chat app's adapter and the machinery: what was heard from a chat, and what it is answered.

An adapter is a folder ``channels/chat/<app>/``. It never imports the engine or the dialogs.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import NamedTuple, TypeAlias
from uuid import UUID

import msgspec


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """One thing that a person did in a chat: wrote, sent a command, or tapped a button."""

    #: name of the app: ``telegram``
    app: str
    #: the app's own id of this event: the same each time it is delivered
    update_id: str
    #: where answers go; as personal as a number, so never logged and never stored in the clear
    chat: str = field(repr=False)
    #: between one person and us; otherwise a group or a channel, where balances are nobody's business
    private: bool = True
    #: what was written, without the command; may hold a PIN
    text: str = field(default="", repr=False)
    #: ``balance`` for ``/balance``
    command: str = ""
    #: what the tapped button carries; None for what was written
    tapped: str | None = None
    #: the person's language as the app tells it, an IETF tag
    language: str = ""


class Button(NamedTuple):
    """What can be tapped under a message. ``data`` comes back in ``Heard.tapped``."""

    label: str
    data: str


class ChatAnswer(msgspec.Struct, frozen=True, array_like=True):
    """What the chat shows next."""

    text: str
    rows: tuple[tuple[Button, ...], ...] = ()
    #: in place of the message whose button was tapped; otherwise as a new message
    edits: bool = False
    #: what the person wrote holds a secret: take it out of the chat
    deletes: bool = False
    #: where the receipt lies that says the same; for ``Listener``'s owner, who is told once this was shown
    receipt: tuple[int, UUID] | None = None


#: Answers what was heard; None says nothing: another process has, or there is nothing to say. What it raises means that
#: nothing was done and the event should be delivered once more.
Listener: TypeAlias = Callable[[Heard], Awaitable[ChatAnswer | None]]
#: Hears of each answer that the person has been shown.
Shown: TypeAlias = Callable[[ChatAnswer], Awaitable[None]]
