"""Streams of a page that follows what happens."""

from __future__ import annotations

import pytest
from aiohttp import ServerDisconnectedError, web
from aiohttp.test_utils import TestClient, TestServer
from aiohttp_sse import EventSourceResponse

from portal.base.streams import Streams


async def test_a_browser_that_went_on_before_its_stream_began_is_no_fault() -> None:
    answered: list[web.StreamResponse] = []
    pushed: list[EventSourceResponse] = []

    async def push(stream: EventSourceResponse) -> None:
        """Called by a stream that began."""
        pushed.append(stream)

    async def follow(request: web.Request) -> web.StreamResponse:
        """As it is while the books are asked whose page it is: the connection goes away."""
        assert request.transport is not None
        request.transport.abort()
        request.protocol.connection_lost(None)
        answered.append(await Streams().follow(request, push))
        return answered[0]

    app = web.Application()
    app.router.add_get("/live", follow)
    async with TestClient(TestServer(app)) as client:
        with pytest.raises(ServerDisconnectedError):
            await client.get("/live")
    assert [answer.status for answer in answered] == [200]
    assert pushed == []
