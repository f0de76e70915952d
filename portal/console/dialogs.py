"""The dialogs drawn, the redder a screen the more people leave on it, and the same as a table."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from aiohttp import web

from dialogs.catalogue import declared, machine_of
from dialogs.drawing import Heat, svg
from dialogs.texts import Texts
from engine.api import ScreenUse
from portal.console.board import Board
from portal.console.desk import STAFF, Attendant, Desk, Route, get

#: days that may be looked back
PERIODS = (1, 7, 30)


class DialogPages:
    """What people are shown, and what they do with it."""

    def __init__(self, desk: Desk) -> None:
        self._board = Board(desk)
        self._operator = desk.operator
        self._hops = desk.engine.hops
        self._dialogs = {one.name: one for one in declared(desk.operator)}
        self._machine = machine_of(desk.operator)
        self._texts = Texts.of(desk.operator)

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
        for name, dialog in self._dialogs.items():
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
        if name not in self._dialogs:
            raise web.HTTPNotFound
        uses = await self._funnel(days)
        states = [(one.name, uses.get(one.name)) for one in self._dialogs[name].states]
        return self._board.page(
            request,
            person,
            "dialog.html",
            here="/dialogs",
            name=name,
            names_of=list(self._dialogs),
            states=states,
            days=days,
            periods=PERIODS,
        )

    async def _drawing(self, request: web.Request, person: Attendant) -> web.Response:
        """The drawing alone: an image of its own, for it brings its own style, which no page of ours may."""
        name = request.match_info["name"]
        if name not in self._dialogs:
            raise web.HTTPNotFound
        uses = await self._funnel(_days(request))
        heat = {one.state: Heat(one.shown, one.left / one.shown, one.seconds) for one in uses.values()}
        language = self._texts.language(person.language)
        drawn = await asyncio.to_thread(svg, self._machine, [self._dialogs[name]], language, heat)
        return web.Response(text=drawn, content_type="image/svg+xml")

    async def _funnel(self, days: int) -> dict[str, ScreenUse]:
        found = await self._hops.funnel(datetime.now(UTC) - timedelta(days=days))
        return {one.state: one for one in found}


def _days(request: web.Request) -> int:
    """How far back is looked. Raises 400 for another period than those that are offered."""
    said = request.query.get("days", "7")
    if said not in {str(one) for one in PERIODS}:
        raise web.HTTPBadRequest(text=f"days: one of {', '.join(map(str, PERIODS))} is meant")
    return int(said)
