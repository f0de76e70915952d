"""The page that leads to everything that has no place of its own in the navigation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from aiohttp import web

from dialogs.values import Text, text
from portal.selfcare.person import Desk, Person


class Entry(NamedTuple):
    """One line of the page: where it leads, its picture, its name, and what one does there."""

    path: str
    icon: str
    name: Text
    detail: Text


SEND = Entry("/send", "send", text("Send"), text("Money, data, minutes or texts, and take it back"))
ADVANCE = Entry("/advance", "advance", text("Advance"), text("Credit now, paid back by your next recharge"))
MONEY = (
    Entry("/history", "history", text("History"), text("Everything that happened, also as a file")),
    Entry("/receipts", "receipt", text("Receipts"), text("Signed proofs of what was paid, also as PDF")),
    Entry("/cards", "card", text("Cards"), text("Cards that you pay with again")),
    Entry("/renewals", "renew", text("Renewals"), text("Bundles that buy themselves again")),
    Entry("/family", "family", text("Family"), text("Lines that share this balance, and their limits")),
)
YOU = (
    Entry("/settings", "settings", text("Settings"), text("Language, PIN, limits, texts from us")),
    Entry("/devices", "device", text("Devices and chats"), text("Where you are signed in, and linked chats")),
    Entry("/data", "privacy", text("My data"), text("Take all of it with you, or have it deleted")),
)


class More:
    """The page."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def routes(self) -> Sequence[web.AbstractRouteDef]:
        """What it answers to."""
        return [web.get("/more", self._desk.signed_in(self._show))]

    async def _show(self, request: web.Request, person: Person) -> web.Response:
        operator = self._desk.operator
        money = (
            *((SEND,) if operator.policy.transfers and operator.transfers else ()),
            *((ADVANCE,) if operator.advances is not None else ()),
            *MONEY,
        )
        groups = ((text("Money"), money), (text("You"), YOU))
        return self._desk.page(request, person, "more.html", here="/more", groups=groups)
