"""What callers post, as the server reads it."""

from __future__ import annotations

import asyncio

import pytest
from aiohttp import web

from channels.callers import body_of
from runtime.logs import configure_logs


async def test_who_hangs_up_in_the_middle_of_a_body_leaves_no_traceback(capfd: pytest.CaptureFixture[str]) -> None:
    configure_logs("ussd")
    began, ended = asyncio.Event(), asyncio.Event()

    async def take(request: web.Request) -> web.Response:
        began.set()
        try:
            return web.Response(body=await body_of(request))
        finally:
            ended.set()

    application = web.Application()
    application.add_routes([web.post("/", take)])
    # As it is deployed: the test client's own server cancels what nobody waits for any more.
    runner = web.AppRunner(application)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    _, writer = await asyncio.open_connection(*runner.addresses[0][:2])
    writer.write(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 300\r\n\r\nsessionId=")
    await began.wait()
    writer.close()
    await ended.wait()
    await runner.cleanup()
    assert "Traceback" not in capfd.readouterr().err
