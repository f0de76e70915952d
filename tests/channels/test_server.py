"""The server as a process: what it refuses to start with, health, and being killed between commit and answer."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import psycopg
import pytest
from redis.asyncio import Redis

from engine.api import Engine
from runtime.embedded.process import free_port
from tests.channels.phone import FACE_VALUE, MSISDN, money

ROOT = Path(__file__).resolve().parents[2]
HOP = {"sessionId": "ATUid_1", "phoneNumber": MSISDN, "networkCode": "63902", "serviceCode": "*123#"}

#: Under the second after which a turn gives Redis up and answers without it.
REDIS_PAUSE_MS = 900

Variables = Callable[..., dict[str, str]]


@pytest.fixture
def variables(database_url: str, redis_url: str, tmp_path: Path) -> Variables:
    """The environment of a server; ``gateway`` lines go into its settings file."""

    def make(*gateway: str, simulator: bool = False) -> dict[str, str]:
        config = tmp_path / "rasid.toml"
        lines = [
            f'operator = "{ROOT / "examples" / "kenya.toml"}"',
            f"simulator = {str(simulator).lower()}",
            "[keys]",
            f'1 = "{bytes(range(32)).hex()}"',
            "[gateways.africastalking]",
            'adapter = "africastalking"',
            *gateway,
        ]
        config.write_text("\n".join(lines), encoding="utf-8")
        ours = {"DATABASE_URL": database_url, "REDIS_URL": redis_url, "RASID_CONFIG": str(config)}
        return {"PATH": os.environ["PATH"], "PORT": str(free_port()), "RASID_HOST": "127.0.0.1", **ours}

    return make


@asynccontextmanager
async def running(script: str, variables: dict[str, str]) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, script, cwd=ROOT, env=variables, stderr=asyncio.subprocess.PIPE
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def ready(process: asyncio.subprocess.Process, http: aiohttp.ClientSession, base: str) -> dict:
    async with asyncio.timeout(30):
        while process.returncode is None:
            try:
                async with http.get(f"{base}/health/ready") as response:
                    return await response.json()
            except aiohttp.ClientConnectionError:
                await asyncio.sleep(0.05)
    assert process.stderr is not None
    raise AssertionError((await process.stderr.read()).decode())


async def hop(http: aiohttp.ClientSession, base: str, text: str) -> str:
    async with http.post(f"{base}/ussd/africastalking", data=HOP | {"text": text}) as response:
        return await response.text()


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
        _, written = await asyncio.wait_for(process.communicate(), 30)
        assert process.returncode == 2, written.decode()
        assert named in written.decode()
        assert "Traceback" not in written.decode()


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
        process.terminate()
        assert await asyncio.wait_for(process.wait(), 20) == 0


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
        while await money(engine) == 0:  # noqa: ASYNC110 - another process's doing
            await asyncio.sleep(0)
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


async def somebody_waits_for_a_lock(database_url: str) -> None:
    """Return once a session of this database waits for another one's row."""
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    async with await psycopg.AsyncConnection.connect(database_url, autocommit=True) as watcher, asyncio.timeout(20):
        while await (await watcher.execute(waiting)).fetchone() == (0,):  # noqa: ASYNC110 - another process's doing
            await asyncio.sleep(0.01)


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
        async with asyncio.timeout(30):
            while not await redis_client.keys("sim:inbox:*"):  # noqa: ASYNC110 - another process's doing
                await asyncio.sleep(0.05)
        bot.terminate()
        assert await asyncio.wait_for(bot.wait(), 30) == 0
