"""Parts of a page that follow the books: server-sent events (WHATWG HTML §9.2) whenever what is shown has changed."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import NamedTuple

from aiohttp import web
from aiohttp_sse import EventSourceResponse

from portal.base.sessions import Kept, Sessions
from portal.base.streams import Streams
from portal.selfcare.person import Person

#: seconds between looks at the books while a page is open; concurrent looks share a query
LOOK_EVERY = 1.0
#: seconds after which a page asks anew, so that nobody is followed for ever
STREAM_SECONDS = 600.0


class Seen(NamedTuple):
    """One look: what was seen, how that is shown, and whether it can still change."""

    what: object
    part: Callable[[], str]
    final: bool = False


class Live:
    """The open streams of one server."""

    def __init__(self, sessions: Sessions[Kept]) -> None:
        self._sessions = sessions
        self._streams = Streams()
        self.close = self._streams.close

    async def follow(
        self, request: web.Request, person: Person, look: Callable[[], Awaitable[Seen]]
    ) -> web.StreamResponse:
        """Send a part at once and again whenever a look sees something else, as long as the session lasts."""
        return await self._streams.follow(request, partial(self._push, person, look))

    async def _push(self, person: Person, look: Callable[[], Awaitable[Seen]], stream: EventSourceResponse) -> None:
        shown: object = None
        async with asyncio.timeout(STREAM_SECONDS):
            while await self._sessions.lasts(person.visit):
                seen = await look()
                if seen.what != shown:
                    shown = seen.what
                    await stream.send(seen.part(), event="part")
                if seen.final:
                    await stream.send("", event="done")
                    return
                await asyncio.sleep(LOOK_EVERY)
