"""Server-sent events (WHATWG HTML §9.2): the streams that browsers hold open on a page that follows what happens."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from aiohttp import web
from aiohttp_sse import EventSourceResponse, sse_response

from engine.words import EngineError
from portal.base.faults import AWAY

Push = Callable[[EventSourceResponse], Awaitable[None]]


class Streams:
    """The open streams of one set of pages. ``close`` ends them, so that a stopping server waits for none."""

    def __init__(self, reconnect_after: int = 2000) -> None:
        """``reconnect_after``: milliseconds that a browser waits before it connects again."""
        self._reconnect_after = reconnect_after
        self._open: set[EventSourceResponse] = set()

    async def close(self, _: web.Application) -> None:
        """End every open stream."""
        for stream in self._open:
            stream.stop_streaming()

    async def follow(self, request: web.Request, push: Push) -> web.StreamResponse:
        """Answer with a stream, until ``push`` has sent all that it will or the browser is gone."""
        if request.transport is None:  # whoever asked has gone on to another page meanwhile
            return web.Response()
        async with sse_response(request) as stream:
            self._open.add(stream)
            pushing = asyncio.create_task(self._pushed(stream, push))
            pushing.add_done_callback(lambda _: stream.stop_streaming())
            try:
                await stream.wait()
            finally:
                pushing.cancel()
                await asyncio.wait([pushing])
                self._open.discard(stream)
        return stream

    async def _pushed(self, stream: EventSourceResponse, push: Push) -> None:
        """Ends, too, when Redis, the books or the browser is gone: the browser comes back and is asked anew."""
        try:
            # Named, so that a page can tell "connected" from the first event.
            await stream.send("", event="open", retry=self._reconnect_after)
            await push(stream)
        except (*AWAY, EngineError, ConnectionResetError, TimeoutError):
            return
