"""The server as a process, and a gateway that calls it."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

from tests.channels.phone import MSISDN

ROOT = Path(__file__).resolve().parents[2]
HOP = {"sessionId": "ATUid_1", "phoneNumber": MSISDN, "networkCode": "63902", "serviceCode": "*123#"}

#: Under the second after which a turn gives Redis up and answers without it.
REDIS_PAUSE_MS = 900

#: the environment of a server; what is given goes into its settings file
Variables = Callable[..., dict[str, str]]


@asynccontextmanager
async def running(script: str, variables: dict[str, str]) -> AsyncIterator[asyncio.subprocess.Process]:
    """A root script as a process, killed where it has not ended by itself."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, script, cwd=ROOT, env=variables, stderr=asyncio.subprocess.PIPE
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def ready(process: asyncio.subprocess.Process, http: aiohttp.ClientSession, base: str) -> dict[str, Any]:
    """What a server says of its health, once it says anything."""
    async with asyncio.timeout(120):
        while process.returncode is None:
            try:
                async with http.get(f"{base}/health/ready") as response:
                    return await response.json()
            except aiohttp.ClientConnectionError:
                await asyncio.sleep(0.05)
    assert process.stderr is not None
    raise AssertionError((await process.stderr.read()).decode())


async def hop(http: aiohttp.ClientSession, base: str, text: str) -> str:
    """One hop of a session at the server."""
    async with http.post(f"{base}/ussd/africastalking", data=HOP | {"text": text}) as response:
        return await response.text()
