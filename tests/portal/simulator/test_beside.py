"""What is passed on to the sandbox's servers arrives whole, or not at all."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from portal.simulator.beside import BODY_MOST, Neighbours


@pytest.mark.asyncio
async def test_a_body_that_comes_in_parts_is_passed_on_whole_and_one_too_long_is_refused() -> None:
    heard: list[bytes] = []

    async def script(request: web.Request) -> web.Response:
        heard.append(await request.read())
        return web.json_response({})

    async def parts(*said: bytes) -> AsyncIterator[bytes]:
        for one in said:
            yield one
            # The server reads this part before the next one is sent.
            await asyncio.sleep(0.05)

    neighbour, ours = web.Application(), web.Application()
    neighbour.add_routes([web.post("/script", script)])
    async with TestServer(neighbour) as server:
        beside = Neighbours({"payers": str(server.make_url("/"))})
        ours.add_routes(beside.routes())
        ours.cleanup_ctx.append(beside.opened)
        async with TestClient(TestServer(ours)) as page:
            sent = await page.post("/payments/script", data=parts(b'{"play": ', b'"refuse"}'))
            assert (sent.status, heard) == (200, [b'{"play": "refuse"}'])
            sent = await page.post("/payments/script", data=parts(b"x" * BODY_MOST, b"x"))
            assert (sent.status, len(heard)) == (413, 1)
