"""The simulated phone's chats: what the sandbox's Bot API server shows and takes, passed on by our own server.

The page may ask nobody but its own server (see ``pages.CONTENT_SECURITY_POLICY``), so the server asks for it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

import aiohttp
from aiohttp import web

#: the id of a person's chat: the page takes the digits of the line's number
CHAT = r"{chat:[0-9]{5,15}}"
#: bytes of what a person does, and seconds for one question
BODY_MOST, ASK_SECONDS = 16_384, 5.0


class Chats:
    """The chats of one sandbox."""

    def __init__(self, bot_api: str) -> None:
        """``bot_api``: address of the sandbox's server (``sandbox/bot_api``), without a path."""
        self._url = bot_api.rstrip("/")
        self._http: aiohttp.ClientSession | None = None

    def routes(self) -> list[web.RouteDef]:
        """What the page asks: the chat as it stands, to write, to tap."""
        return [
            web.get(f"/chats/{CHAT}", self._pass_on),
            web.post(f"/chats/{CHAT}/{{what:messages|taps}}", self._pass_on),
        ]

    async def opened(self, _: web.Application) -> AsyncIterator[None]:
        """Holds the connections for as long as the server runs."""
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=ASK_SECONDS)) as self._http:
            yield

    async def _pass_on(self, request: web.Request) -> web.Response:
        """Ask the sandbox the same; 502 where it does not answer."""
        assert self._http is not None  # noqa: S101 - requests come after ``opened``
        what = request.match_info.get("what")
        url = f"{self._url}/sandbox/chats/{request.match_info['chat']}" + (f"/{what}" if what else "")
        body = (await request.content.read(BODY_MOST)) if what else None
        try:
            headers = {"Content-Type": request.content_type}
            async with self._http.request(
                request.method, url, params=request.query, data=body, headers=headers
            ) as answer:
                said = await answer.read()
                return web.Response(status=answer.status, body=said or None, content_type=answer.content_type)
        except (aiohttp.ClientError, TimeoutError):
            raise web.HTTPBadGateway(text="the sandbox's Bot API does not answer") from None
