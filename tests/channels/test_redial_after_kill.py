"""A server is killed between commit and answer; who dials again, through another gateway, hears what was done."""

from __future__ import annotations

import asyncio
import signal

import aiohttp
import psycopg
import pytest
from redis.asyncio import Redis

from channels.ussd.voices import load_voice
from engine.api import Engine
from engine.words import Subscriber
from tests.channels.phone import MSISDN, money
from tests.channels.servers import REDIS_PAUSE_MS, Variables, hop, ready, running
from tests.waiting import somebody_waits_for_a_lock

#: short, so that the lock of the killed process is soon over
GATEWAYS = ("deadline_seconds = 3.0", "[gateways.arkesel]", 'adapter = "arkesel"', "deadline_seconds = 3.0")


async def test_killed_between_commit_and_answer_the_redial_through_another_gateway_says_that_it_is_done(
    *, variables: Variables, database_url: str, engine: Engine, rich: Subscriber, redis_client: Redis
) -> None:
    environment = variables(*GATEWAYS)
    base = f"http://127.0.0.1:{environment['PORT']}"
    async with (
        aiohttp.ClientSession() as http,
        await psycopg.AsyncConnection.connect(database_url) as owner,
        running("ussd_server.py", environment) as process,
    ):
        await ready(process, http, base)
        assert "100 MB 1 day" in await hop(http, base, "21")
        # The account's row holds the purchase up before its commit, Redis behind it: no answer leaves in between.
        await owner.execute("SELECT FROM account FOR UPDATE")
        confirm = asyncio.create_task(hop(http, base, "21*1"))
        await somebody_waits_for_a_lock(database_url)
        await redis_client.execute_command("CLIENT PAUSE", REDIS_PAUSE_MS, "ALL")
        await owner.rollback()
        while await money(engine) == 100_000:  # noqa: ASYNC110 - another process's doing
            await asyncio.sleep(0)
        process.send_signal(signal.SIGKILL)
        await process.wait()
        with pytest.raises(aiohttp.ClientError):
            await confirm
    async with aiohttp.ClientSession() as http, running("ussd_server.py", environment) as process:
        await ready(process, http, base)
        told = await redialled(http, base)
    (done,) = [one.answer for one in await engine.operations(rich.account, kinds=["purchase"])]
    assert told.startswith("Done at ")
    assert f"ref {done.reference}." in told.partition("\n")[0]
    assert await money(engine) == 98_000


async def redialled(http: aiohttp.ClientSession, base: str) -> str:
    """What a person hears who dials until the line is free."""
    async with asyncio.timeout(30):
        for number in range(100):
            voice = load_voice("arkesel", {})(f"again-{number}", MSISDN, "123")
            call = voice.dial()
            headers = {"Content-Type": call.content_type}
            async with http.post(f"{base}/ussd/arkesel", data=call.body, headers=headers) as response:
                heard = voice.hear(response.headers, await response.read())
            if not heard.ends:
                return heard.text
    raise AssertionError("the line was never free")
