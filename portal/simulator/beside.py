"""Whom the phones speak with beside Rasid: the sandbox's Bot API, payment providers and packet core.

The page may ask nobody but its own server (see ``portal.base.guard``), so the server asks for it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any, NamedTuple

import aiohttp
from aiohttp import web

from portal.base.guard import from_our_own_page

#: bytes of what a person does, and seconds for one question
BODY_MOST, ASK_SECONDS = 16_384, 5.0
#: the id of a person's chat: the page takes the digits of the line's number
CHAT = r"{chat:[0-9]{5,15}}"
USE = r"{use:[0-9]{1,9}}"


class Way(NamedTuple):
    """What the page may ask of whom: method, path here, and the same at the neighbour."""

    neighbour: str
    method: str
    ours: str
    theirs: str


WAYS = (
    Way("chats", "GET", f"/chats/{CHAT}", "/sandbox/chats/{chat}"),
    Way("chats", "POST", f"/chats/{CHAT}/{{what:messages|taps}}", "/sandbox/chats/{chat}/{what}"),
    Way("payers", "POST", "/payments/script", "/script"),
    Way("payers", "DELETE", "/payments/script", "/script"),
    Way("payers", "POST", r"/prompts/{face:[a-z]{1,12}}/{id:\w{1,64}}", "/prompts/{face}/{id}"),
    Way("core", "POST", "/uses", "/uses"),
    Way("core", "GET", f"/uses/{USE}", "/uses/{use}"),
    Way("core", "POST", f"/uses/{USE}/stop", "/uses/{use}/stop"),
)


class Neighbours:
    """The sandbox's servers that run beside this one."""

    def __init__(self, addresses: Mapping[str, str]) -> None:
        """``addresses``: ``chats``, ``payers``, ``core`` → where they are, without a path; empty: not there."""
        self._addresses = {name: url.rstrip("/") for name, url in addresses.items() if url}
        self._http: aiohttp.ClientSession | None = None

    def __contains__(self, name: str) -> bool:
        return name in self._addresses

    def routes(self) -> list[web.RouteDef]:
        """What the page may ask of those that are there."""
        return [web.route(way.method, way.ours, self._through(way)) for way in WAYS if way.neighbour in self]

    async def opened(self, _: web.Application) -> AsyncIterator[None]:
        """Holds the connections for as long as the server runs."""
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=ASK_SECONDS)) as self._http:
            yield

    async def ask(self, neighbour: str, path: str, content: Any) -> dict[str, Any] | None:
        """Post ``content`` and return the answer; None where nobody answers."""
        if neighbour not in self or self._http is None:
            return None
        try:
            async with self._http.post(f"{self._addresses[neighbour]}/{path}", json=content) as answer:
                said: dict[str, Any] | None = await answer.json() if answer.ok else None
                return said
        except (aiohttp.ClientError, TimeoutError):
            return None

    def _through(self, way: Way) -> Any:
        async def passed_on(request: web.Request) -> web.Response:
            """Ask the neighbour the same; 502 where it does not answer."""
            if way.method != "GET" and not from_our_own_page(request):
                raise web.HTTPForbidden(text="not from our own page")
            assert self._http is not None  # noqa: S101 - requests come after ``opened``
            url = self._addresses[way.neighbour] + way.theirs.format(**request.match_info)
            body = (await _whole(request)) if way.method == "POST" else None
            headers = {"Content-Type": request.content_type}
            try:
                async with self._http.request(
                    way.method, url, params=request.query, data=body, headers=headers
                ) as answer:
                    said = await answer.read()
                    return web.Response(status=answer.status, body=said or None, content_type=answer.content_type)
            except (aiohttp.ClientError, TimeoutError):
                raise web.HTTPBadGateway(text="nobody answers there") from None

        return passed_on


async def _whole(request: web.Request) -> bytes:
    """All of a request's body, which may come in parts. Raises 413 where it is longer than a person's doing is."""
    body = b""
    async for part in request.content.iter_any():
        body += part
        if len(body) > BODY_MOST:
            raise web.HTTPRequestEntityTooLarge(max_size=BODY_MOST, actual_size=len(body))
    return body
