"""The dialogs drawn, the redder a screen the more people leave on it, and the same as a table.

They are drawn as they are served now: the operator's file may have changed since the server was started.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from aiohttp import web

from dialogs.catalogue import declared, machine_of
from dialogs.drawing import Heat, svg
from dialogs.machine import Machine
from dialogs.tailoring import edition_of
from dialogs.words import Dialog
from engine.api import ScreenUse
from portal.console.board import Board
from portal.console.desk import STAFF, Attendant, Desk, Route, get
from settings import Operator

#: days that may be looked back
PERIODS = (1, 7, 30)


class Edition(NamedTuple):
    """The dialogs of the operator's file as it stood at one time."""

    machine: Machine
    dialogs: Mapping[str, Dialog]

    @classmethod
    def of(cls, operator: Operator) -> Edition:
        """As the file stands now."""
        return cls(machine_of(operator), {one.name: one for one in declared(operator)})


class DialogPages:
    """What people are shown, and what they do with it."""

    def __init__(self, desk: Desk) -> None:
        self._board = Board(desk)
        self._operator = desk.operator
        self._hops = desk.engine.hops
        self._last = Edition.of(desk.operator)

    def routes(self) -> Sequence[Route]:
        """What they answer to."""
        return [
            get("/dialogs", STAFF, self._list),
            get("/dialogs/{name}", STAFF, self._show),
            get("/dialogs/{name}/drawing.svg", STAFF, self._drawing),
        ]

    async def _list(self, request: web.Request, person: Attendant) -> web.Response:
        days = _days(request)
        uses = await self._funnel(days)
        rows = []
        for name, dialog in self._served().dialogs.items():
            own = [uses[one.name] for one in dialog.states if one.name in uses]
            shown, left = sum(one.shown for one in own), sum(one.left for one in own)
            rows.append((name, len(dialog.states), shown, left))
        return self._board.page(
            request,
            person,
            "dialogs.html",
            here="/dialogs",
            rows=sorted(rows, key=lambda row: -row[2]),
            most=max((row[2] for row in rows), default=0),
            days=days,
            periods=PERIODS,
        )

    async def _show(self, request: web.Request, person: Attendant) -> web.Response:
        name, days = request.match_info["name"], _days(request)
        dialogs = self._served().dialogs
        if name not in dialogs:
            raise web.HTTPNotFound
        uses = await self._funnel(days)
        states = [(one.name, uses.get(one.name)) for one in dialogs[name].states]
        return self._board.page(
            request,
            person,
            "dialog.html",
            here="/dialogs",
            name=name,
            names_of=list(dialogs),
            states=states,
            days=days,
            periods=PERIODS,
        )

    async def _drawing(self, request: web.Request, person: Attendant) -> web.Response:
        """The drawing alone: an image of its own, for it brings its own style, which no page of ours may."""
        name, (machine, dialogs) = request.match_info["name"], self._served()
        if name not in dialogs:
            raise web.HTTPNotFound
        uses = await self._funnel(_days(request))
        heat = {one.state: Heat(one.shown, one.left / one.shown, one.seconds) for one in uses.values()}
        language = machine.texts.language(person.language)
        drawn = await asyncio.to_thread(svg, machine, [dialogs[name]], language, heat)
        return web.Response(text=drawn, content_type="image/svg+xml")

    def _served(self) -> Edition:
        if self._last.machine.edition != edition_of(self._operator):
            self._last = Edition.of(self._operator)
        return self._last

    async def _funnel(self, days: int) -> dict[str, ScreenUse]:
        found = await self._hops.funnel(datetime.now(UTC) - timedelta(days=days))
        return {one.state: one for one in found}


def _days(request: web.Request) -> int:
    """How far back is looked. Raises 400 for another period than those that are offered."""
    said = request.query.get("days", "7")
    if said not in {str(one) for one in PERIODS}:
        raise web.HTTPBadRequest(text=f"days: one of {', '.join(map(str, PERIODS))} is meant")
    return int(said)
