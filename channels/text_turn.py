"""The words of conversations by text: one text in, one answer out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, NamedTuple
from uuid import UUID

from channels.turn import Budget, Profile, Reply, Turn
from dialogs.machine import BACK_KEY, HOME_KEY, MORE_KEY
from dialogs.said import Screen

#: what one part of a long SMS holds, in septets and UCS-2 units, and a short one (3GPP TS 23.040 §9.2.3.24.1)
PART_SEPTETS, PART_UCS2, WHOLE_SEPTETS, WHOLE_UCS2 = 153, 67, 160, 70


class Choice(NamedTuple):
    """One thing to answer with: an option, or a navigation key (``back``, ``home``, ``more``)."""

    #: stable over edits and languages
    id: str
    label: str
    #: what typing it means: ``1``, ``0``, ``00``, ``98``
    key: str


class Shown(Reply, frozen=True, kw_only=True, array_like=True):
    """The answer to one text.

    ``text`` is whole, options and all, as an SMS holds it; empty means that nothing is answered. Where options become
    buttons, ``body`` is what is said beside them. With ``secret`` the next text is a PIN or a voucher number.
    """

    body: str = ""
    options: tuple[Choice, ...] = ()
    secret: bool = False
    #: names this very screen: a button carries it, so that one on an older screen is known
    screen: str = ""
    #: where the receipt lies that says the same (``Told.receipt``): once this answer is out, that need not go
    receipt: tuple[int, UUID] | None = None

    @property
    def silent(self) -> bool:
        """Whether nothing is to be answered."""
        return not self.text


#: the answer that is none
SILENCE = Shown(text="", ends=True, label="ignored")


@dataclass(frozen=True, slots=True, kw_only=True)
class TextProfile(Profile):
    """What the conversation must know of one carrier or app. ``session_seconds``: of silence end a conversation."""

    #: texts of one number that are answered in an hour, and among them those that nobody understands
    hourly: int = 60
    hourly_helps: int = 5
    #: options are buttons, so no line says to type a number
    buttons: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class TextTurn(Turn):
    """One text. ``sequence`` is the message's id; ``on`` the screen whose button was pressed, if one was."""

    on: str | None = None
    opt: Literal["stop", "start"] | None = None


def text_profile(parts: int = 3, session_minutes: int = 10, **more: Any) -> TextProfile:
    """The profile of an SMS carrier whose answers may take so many parts."""
    septets = WHOLE_SEPTETS if parts == 1 else PART_SEPTETS * parts
    ucs2 = WHOLE_UCS2 if parts == 1 else PART_UCS2 * parts
    return TextProfile(budget=Budget(septets=septets, ucs2=ucs2), session_seconds=session_minutes * 60, **more)


def choices(screen: Screen, *, more: bool) -> tuple[Choice, ...]:
    """Everything a screen can be answered with; ``more``: it has another page."""
    options = [Choice(option.id, option.label, str(number)) for number, option in screen.numbered()]
    turned = screen.more if more else None
    keys = (("more", turned, MORE_KEY), ("back", screen.back, BACK_KEY), ("home", screen.home, HOME_KEY))
    return (*options, *(Choice(name, label, key) for name, label, key in keys if label is not None))
