"""A subscriber as outside systems are: an HTTP server on a socket that checks the signature and answers by a script."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable

from aiohttp import web
from aiohttp.test_utils import TestServer

from engine.events.rules import SIGNATURE_HEADER, signature_holds
from settings import WebhookSettings

SECRET = "a secret of both sides, long enough"
TOPIC = ("settlement.completed",)
#: lets servers of this machine be told
HERE = WebhookSettings(allow=("127.0.0.0/8",))


class Receiver:
    """Keeps what it is told; ``answers`` decides each answer, by default 204."""

    def __init__(self, secret: str = SECRET) -> None:
        self.told: list[dict] = []
        self.attempts: list[dict] = []
        self.headers: list[str] = []
        self.answers: Callable[[dict], int | float] = lambda _: 204
        self.unsigned = 0
        self.cookies = 0
        self._secret = secret
        self._news = asyncio.Event()
        application = web.Application()
        application.router.add_post("/hook", self._serve)
        self._server = TestServer(application)

    async def __aenter__(self):
        await self._server.start_server()
        return self

    async def __aexit__(self, *_):
        await self._server.close()

    @property
    def url(self) -> str:
        return str(self._server.make_url("/hook"))

    @property
    def ids(self) -> list[str]:
        return [one["eventId"] for one in self.told]

    async def _serve(self, request: web.Request) -> web.Response:
        body = await request.read()
        header = request.headers.get(SIGNATURE_HEADER, "")
        self.unsigned += not signature_holds(self._secret, body, header)
        said = json.loads(body)
        self.attempts.append(said)
        self.headers.append(header)
        self.cookies += len(request.cookies)
        answer = self.answers(said)
        if isinstance(answer, float):
            await asyncio.sleep(answer)
            answer = 204
        if answer // 100 == 2:
            self.told.append(said)
        self._news.set()
        headers = {"Location": "http://127.0.0.1:1/"} if answer // 100 == 3 else {}
        response = web.Response(status=answer, headers=headers)
        response.set_cookie("seen", "before", path="/")
        return response

    async def until(self, done: Callable[[], bool], seconds: float = 20.0) -> None:
        """Wait until ``done``, looking whenever something came."""
        async with asyncio.timeout(seconds):
            while not done():
                self._news.clear()
                try:
                    await asyncio.wait_for(self._news.wait(), 0.1)
                except TimeoutError:
                    continue


async def subscribed(engine, receiver, topics=TOPIC):
    return await engine.events.subscribe(receiver.url, topics=topics, secret=SECRET, by="amina")
