"""Web applications on sockets of their own, for as long as a test needs them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TypeAlias

from aiohttp import web
from aiohttp.test_utils import TestClient

Client: TypeAlias = TestClient[web.Request, web.Application]
#: serves an application until the test is over: ``await client_of(application)``
ClientOf: TypeAlias = Callable[[web.Application], Awaitable[Client]]


@asynccontextmanager
async def serving(application: web.Application) -> AsyncIterator[str]:
    """Serve it on a free port of this machine: its address, without a slash at the end."""
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.2)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()
