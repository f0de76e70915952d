"""Home: what a line has, as gauges that follow the books, and where it went."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from aiohttp import web

from dialogs.refusals import hindrance
from engine.words import UnknownLine
from portal.selfcare.live import Live, Seen
from portal.selfcare.person import Desk, Person
from portal.selfcare.shown import gauges, taken

#: bundles that are said to be cheaper
TIPS = 1


class Home:
    """The first page, and its live part."""

    def __init__(self, desk: Desk, live: Live) -> None:
        self._desk = desk
        self._live = live

    def routes(self) -> Sequence[web.AbstractRouteDef]:
        """What it answers to."""
        return [
            web.get("", self._desk.signed_in(self._show)),
            web.get("/live", self._desk.signed_in(self._follow, renew=False)),
        ]

    async def _show(self, request: web.Request, person: Person) -> web.Response:
        outlook, why = await self._desk.engine.overview(person.subscriber)
        hindered = hindrance(person.subscriber)
        return self._desk.page(
            request,
            person,
            "home.html",
            hindrance="" if hindered is None else self._desk.say(person, hindered),
            gauges=gauges(person.subscriber, outlook),
            tips=[one for one in outlook if one.cheaper is not None][:TIPS],
            lends=self._desk.operator.advances is not None,
            deductions=taken(why, self._desk.operator, partial(self._desk.texts.write, person.language)),
        )

    async def _follow(self, request: web.Request, person: Person) -> web.StreamResponse:
        """``GET /portal/live``: the gauges, and again whenever they have changed."""

        async def look() -> Seen:
            """The gauges of now; told again only where they differ from those before."""
            line = await self._desk.engine.subscriber(person.subscriber.msisdn)
            if line.line_id != person.subscriber.line_id:  # the number is somebody else's by now
                raise UnknownLine
            now = gauges(line, (await self._desk.engine.overview(line)).outlooks)
            return Seen(now, lambda: self._desk.part(request, person, "gauges.html", gauges=now))

        return await self._live.follow(request, person, look)
