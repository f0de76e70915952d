"""Home: what a line has, as gauges that follow the books, and where it went."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import partial

from aiohttp import web
from aiohttp_sse import EventSourceResponse, sse_response
from redis.exceptions import RedisError

from dialogs.refusals import hindrance
from engine.words import EngineError
from portal.selfcare.person import Desk, Person
from portal.selfcare.shown import gauges, taken

#: seconds between looks at the books while a page is open; concurrent looks share a query
LOOK_EVERY = 1.0
#: seconds after which a page asks anew, so that nobody is followed for ever
STREAM_SECONDS = 600.0
#: what a browser waits before it connects again, in milliseconds
RECONNECT_AFTER = 2000
#: deductions on this page
DEDUCTIONS = 5


class Home:
    """The first page, and its live part. ``close`` ends all streams, so that a stopping server waits for none."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._open: set[EventSourceResponse] = set()

    def routes(self) -> Sequence[web.AbstractRouteDef]:
        """What it answers to."""
        return [
            web.get("", self._desk.signed_in(self._show)),
            web.get("/live", self._desk.signed_in(self._live)),
        ]

    async def close(self, _: web.Application) -> None:
        """End every open stream."""
        for stream in self._open:
            stream.stop_streaming()

    async def _show(self, request: web.Request, person: Person) -> web.Response:
        usage = self._desk.engine.usage
        outlook, why = await asyncio.gather(
            usage.outlook(person.subscriber), usage.explain_usage(person.subscriber, most=DEDUCTIONS)
        )
        hindered = hindrance(person.subscriber)
        return self._desk.page(
            request,
            person,
            "home.html",
            here="",
            problem="",
            notice="",
            hindrance="" if hindered is None else self._desk.say(person, hindered),
            gauges=gauges(person.subscriber, outlook),
            deductions=taken(why, self._desk.operator, partial(self._desk.texts.write, person.language)),
        )

    async def _live(self, request: web.Request, person: Person) -> web.StreamResponse:
        """``GET /portal/live``: the gauges again, whenever they have changed."""
        async with sse_response(request) as stream:
            self._open.add(stream)
            push = asyncio.create_task(self._push(stream, request, person))
            push.add_done_callback(lambda _: stream.stop_streaming())
            try:
                await stream.wait()
            finally:
                push.cancel()
                await asyncio.wait([push])
                self._open.discard(stream)
        return stream

    async def _push(self, stream: EventSourceResponse, request: web.Request, person: Person) -> None:
        """Ends when the session, Redis, the books or the browser is gone; the browser comes back and is asked anew."""
        shown = gauges(person.subscriber, await self._desk.engine.usage.outlook(person.subscriber))
        try:
            async with asyncio.timeout(STREAM_SECONDS):
                await stream.send("", event="open", retry=RECONNECT_AFTER)
                while await self._desk.sessions.lasts(person.visit):
                    line = await self._desk.engine.subscriber(person.subscriber.msisdn)
                    now = gauges(line, await self._desk.engine.usage.outlook(line))
                    if now != shown:
                        shown = now
                        part = self._desk.part(request, person, "gauges.html", gauges=now)
                        await stream.send(part, event="part")
                    await asyncio.sleep(LOOK_EVERY)
        except (RedisError, EngineError, ConnectionResetError, TimeoutError):
            return
