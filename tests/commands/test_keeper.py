"""Who keeps the demo's servers running does not give one up."""

from __future__ import annotations

import asyncio

from commands.keeper import keep_server, stop_all
from runtime.embedded.process import EmbeddedError
from tests.waiting import until


async def test_a_server_that_does_not_start_again_at_once_is_tried_until_it_does() -> None:
    tries = 0

    async def start() -> None:
        nonlocal tries
        tries += 1
        if tries == 1:
            raise EmbeddedError("its port is not free yet")

    keeping = asyncio.create_task(keep_server("postgres", lambda: tries < 2, start))
    await until(lambda: tries == 2)
    assert not keeping.done()
    await stop_all([keeping])
