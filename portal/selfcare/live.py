"""Parts of a page that follow the books: server-sent events (WHATWG HTML §9.2) whenever what is shown has changed."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import NamedTuple

from aiohttp import web
from aiohttp_sse import EventSourceResponse, sse_response
from redis.exceptions import RedisError

from engine.words import EngineError
from portal.base.sessions import Kept, Sessions
from portal.selfcare.person import Person

#: seconds between looks at the books while a page is open; concurrent looks share a query
LOOK_EVERY = 1.0
#: seconds after which a page asks anew, so that nobody is followed for ever
STREAM_SECONDS = 600.0
#: what a browser waits before it connects again, in milliseconds
RECONNECT_AFTER = 2000


class Seen(NamedTuple):
    """One look: what was seen, how that is shown, and whether it can still change."""

    what: object
    part: Callable[[], str]
    final: bool = False


class Live:
    """The open streams of one server. ``close`` ends them, so that a stopping server waits for none."""

    def __init__(self, sessions: Sessions[Kept]) -> None:
        self._sessions = sessions
        self._open: set[EventSourceResponse] = set()

    async def close(self, _: web.Application) -> None:
        """End every open stream."""
        for stream in self._open:
            stream.stop_streaming()

    async def follow(
        self, request: web.Request, person: Person, look: Callable[[], Awaitable[Seen]]
    ) -> web.StreamResponse:
        """Send a part at once and again whenever a look sees something else."""
        async with sse_response(request) as stream:
            self._open.add(stream)
            push = asyncio.create_task(self._push(stream, person, look))
            push.add_done_callback(lambda _: stream.stop_streaming())
            try:
                await stream.wait()
            finally:
                push.cancel()
                await asyncio.wait([push])
                self._open.discard(stream)
        return stream

    async def _push(self, stream: EventSourceResponse, person: Person, look: Callable[[], Awaitable[Seen]]) -> None:
        """Ends when the session, Redis, the books or the browser is gone; the browser comes back and is asked anew."""
        shown: object = None
        try:
            async with asyncio.timeout(STREAM_SECONDS):
                await stream.send("", event="open", retry=RECONNECT_AFTER)
                while await self._sessions.lasts(person.visit):
                    seen = await look()
                    if seen.what != shown:
                        shown = seen.what
                        await stream.send(seen.part(), event="part")
                    if seen.final:
                        await stream.send("", event="done")
                        return
                    await asyncio.sleep(LOOK_EVERY)
        except (RedisError, EngineError, ConnectionResetError, TimeoutError):
            return
