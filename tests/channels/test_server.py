"""The server as a process: what it refuses to start with, health, and being killed between commit and answer."""

from __future__ import annotations

import asyncio
import os
import signal

import aiohttp
import psycopg
import pytest
import sqlalchemy as sa
from redis.asyncio import Redis

import ussd_server
from engine.api import Engine
from engine.storage.database import open_database
from settings import load_operator, load_settings
from tests.channels.phone import FACE_VALUE, money
from tests.channels.servers import REDIS_PAUSE_MS, Variables, hop, ready, running
from tests.waiting import somebody_waits_for_a_lock, until


@pytest.mark.parametrize(
    ("line", "named"),
    [
        ('adapter_ = "x"', "gateways.africastalking.adapter_"),
        ("septets = 40", "africastalking"),
        ("deadline_seconds = 0.5", "gateways.africastalking.deadline_seconds"),
    ],
)
async def test_what_cannot_be_served_stops_the_start_by_name(variables: Variables, line: str, named: str) -> None:
    async with running("ussd_server.py", variables(line)) as process:
        _, written = await asyncio.wait_for(process.communicate(), 60)
        assert process.returncode == 2, written.decode()
        assert named in written.decode()
        assert "Traceback" not in written.decode()


@pytest.mark.parametrize("script", ["ussd_server.py", "bot.py"])
async def test_a_schema_of_another_version_stops_the_start_and_names_the_command(
    variables: Variables, database_url: str, script: str
) -> None:
    async with await psycopg.AsyncConnection.connect(database_url) as owner:
        await owner.execute("UPDATE alembic_version SET version_num = '0001'")
    async with running(script, variables()) as process:
        _, written = await asyncio.wait_for(process.communicate(), 60)
        assert process.returncode == 2, written.decode()
        assert "run manage.py migrate" in written.decode()
        assert "Traceback" not in written.decode()


async def test_no_statement_of_the_server_takes_longer_than_anybody_waits(
    variables: Variables, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "environ", variables())
    settings = load_settings()
    opened = await ussd_server.open_services(settings, load_operator(settings.operator))
    async with opened.engine._database.connect() as connection:
        assert await connection.scalar(sa.text("SHOW statement_timeout")) == "30s"
    await opened.close()
    # Schedules, commands and migrations take their time.
    database = open_database(settings.database_url, connections=1)
    async with database.connect() as connection:
        assert await connection.scalar(sa.text("SHOW statement_timeout")) == "0"
    await database.dispose()


async def test_a_server_says_how_each_part_is_and_stops_cleanly(variables: Variables, line: str) -> None:
    environment = variables(simulator=True)
    base = f"http://127.0.0.1:{environment['PORT']}"
    async with aiohttp.ClientSession() as http, running("ussd_server.py", environment) as process:
        health = await ready(process, http, base)
        assert health["status"] == "ok"
        assert set(health["parts"]) == {"postgres", "redis"}
        assert (await hop(http, base, "")).startswith("CON ")
        for path, words in (
            ("/health/live", "ok"),
            ("/metrics", "rasid_turn_seconds"),
            ("/simulator", "africastalking"),
            ("/", "africastalking"),
        ):
            async with http.get(base + path) as response:
                assert response.status == 200
                assert words in await response.text()
                assert "Server" not in response.headers
        process.terminate()
        assert await asyncio.wait_for(process.wait(), 60) == 0


async def test_bytes_that_are_no_http_are_refused_and_no_fault_of_ours(variables: Variables) -> None:
    environment = variables()
    port = int(environment["PORT"])
    async with aiohttp.ClientSession() as http, running("ussd_server.py", environment) as process:
        await ready(process, http, f"http://127.0.0.1:{port}")
        for said in (b"POST / HTTP/1.1\r\nContent-Length: many\r\n\r\n", b"GET / HTTP/1.1\r\nX: " + b"x" * 10_000):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(said + b"\r\n\r\n")
            assert (await reader.readline()).startswith(b"HTTP/1.0 400 ")
            writer.close()
        process.terminate()
        _, written = await asyncio.wait_for(process.communicate(), 60)
        assert b"Traceback" not in written
        assert written.count(b'"not_http"') == 2


async def test_the_simulator_is_off_unless_it_is_switched_on(variables: Variables) -> None:
    environment = variables()
    base = f"http://127.0.0.1:{environment['PORT']}"
    async with aiohttp.ClientSession() as http, running("ussd_server.py", environment) as process:
        await ready(process, http, base)
        async with http.get(f"{base}/simulator") as response:
            assert response.status == 404


async def test_killed_between_commit_and_answer_and_redis_emptied_the_retry_sees_the_same_effect_once(
    *, variables: Variables, database_url: str, engine: Engine, line: str, vouchers: list[str], redis_client: Redis
) -> None:
    environment = variables()
    base = f"http://127.0.0.1:{environment['PORT']}"
    async with (
        aiohttp.ClientSession() as http,
        await psycopg.AsyncConnection.connect(database_url) as owner,
        running("ussd_server.py", environment) as process,
    ):
        await ready(process, http, base)
        await hop(http, base, vouchers[0])
        # The voucher's row holds the turn up before its commit, Redis behind it: the answer cannot leave in between.
        await owner.execute("SELECT FROM voucher FOR UPDATE")
        confirm = asyncio.create_task(hop(http, base, f"{vouchers[0]}*1"))
        await somebody_waits_for_a_lock(database_url)
        await redis_client.execute_command("CLIENT PAUSE", REDIS_PAUSE_MS, "ALL")
        await owner.rollback()
        await until(lambda: money(engine))
        process.send_signal(signal.SIGKILL)
        await process.wait()
        with pytest.raises(aiohttp.ClientError):
            await confirm
    await redis_client.flushall()
    async with aiohttp.ClientSession() as http, running("ussd_server.py", environment) as process:
        await ready(process, http, base)
        again = await hop(http, base, f"{vouchers[0]}*1")
    assert again.startswith("END Recharged")
    assert await money(engine) == FACE_VALUE


async def test_the_bot_delivers_and_stops_cleanly(
    variables: Variables, line: str, vouchers: list[str], redis_client: Redis
) -> None:
    environment = variables()
    base = f"http://127.0.0.1:{environment['PORT']}"
    async with aiohttp.ClientSession() as http, running("ussd_server.py", environment) as server:
        await ready(server, http, base)
        await hop(http, base, vouchers[0])
        await hop(http, base, f"{vouchers[0]}*1")
    async with running("bot.py", environment) as bot:
        await until(lambda: redis_client.keys("sim:inbox:*"))
        bot.terminate()
        assert await asyncio.wait_for(bot.wait(), 60) == 0
