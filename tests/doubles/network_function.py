"""A network function that is told to ask again: the consumer's side of ``chargingNotification`` (TS 32.291)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Self

from aiohttp import web
from aiohttp.test_utils import TestServer


class NetworkFunction:
    """Takes what is posted to any path; ``answers`` are the statuses of the next answers, then 204."""

    def __init__(self) -> None:
        self.told: list[tuple[str, Any]] = []
        self.answers: list[int] = []
        self._news = asyncio.Condition()

    async def __aenter__(self) -> Self:
        application = web.Application()
        application.router.add_post("/{path:.*}", self._take)
        self._server = TestServer(application)
        await self._server.start_server()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._server.close()

    def uri(self, name: str) -> str:
        return str(self._server.make_url(f"/notify/{name}"))

    def names(self) -> list[str]:
        return [path.rpartition("/")[2] for path, _ in self.told]

    async def wait(self, done: Callable[[], bool], seconds: float = 20.0) -> None:
        async with asyncio.timeout(seconds), self._news:
            await self._news.wait_for(done)

    async def _take(self, request: web.Request) -> web.Response:
        async with self._news:
            self.told.append((request.path, await request.json()))
            status = self.answers.pop(0) if self.answers else 204
            self._news.notify_all()
        headers = {"Location": self.uri("elsewhere")} if status in (307, 308) else {}
        return web.Response(status=status, headers=headers)
