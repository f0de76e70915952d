"""What the doubles of HTTP carriers share: a server on a socket that records requests and answers by a script."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import NamedTuple, Self

from aiohttp import web
from aiohttp.test_utils import TestServer
from multidict import CIMultiDict

#: takes the recorded request and answers it
Answer = Callable[["Recorded"], Awaitable[web.Response]]


class Recorded(NamedTuple):
    """One request as it came."""

    path: str
    headers: CIMultiDict[str]
    #: in the order they came
    fields: list[tuple[str, str]]

    @property
    def form(self) -> dict[str, str]:
        found = dict(self.fields)
        assert len(found) == len(self.fields), "a field came twice"
        return found


class Lost(Exception):
    """The request was taken; the answer never leaves."""


class HttpCarrier:
    """Answers each request by the next word of ``script``, and by ``accept`` once that is used up."""

    path: str

    def __init__(self) -> None:
        self.requests: list[Recorded] = []
        self.script: deque[str | int] = deque()
        #: seconds that ``slow`` takes
        self.slow_seconds = 5.0
        application = web.Application()
        application.router.add_post(self.path, self._serve)
        self._server = TestServer(application)

    async def __aenter__(self) -> Self:
        await self._server.start_server()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._server.close()

    @property
    def url(self) -> str:
        return str(self._server.make_url("/")).rstrip("/")

    async def _serve(self, request: web.Request) -> web.Response:
        fields = [(name, str(value)) for name, value in (await request.post()).items()]
        recorded = Recorded(request.raw_path, CIMultiDict(request.headers), fields)
        self.requests.append(recorded)
        word = self.script.popleft() if self.script else "accept"
        if word == "slow":
            await asyncio.sleep(self.slow_seconds)
            word = "accept"
        if word == "lost":
            await self.answer("accept", recorded)
            assert request.transport is not None
            request.transport.abort()
            raise Lost
        if word == "garbage":
            return web.Response(text="<html>a proxy's greeting</html>", content_type="text/html")
        if word == "flood":
            return web.Response(body=b"{" * 1_000_000, content_type="application/json")
        if word == "redirect":
            return web.Response(status=307, headers={"Location": f"{self.url}/elsewhere"})
        if word == "unavailable":
            return web.Response(status=503, headers={"Retry-After": "7"})
        if word == "broken":
            return web.Response(status=500, text="Internal Server Error")
        return await self.answer(word, recorded)

    async def answer(self, word: str | int, recorded: Recorded) -> web.Response:
        """The carrier's own wire format."""
        raise NotImplementedError
