"""The interfaces of real server processes: the specifications' own messages, two servers at once, one killed."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import aiohttp
import psycopg
import pytest

from engine.api import Engine
from engine.books.invariants import check_all
from engine.words import Subscriber, Unit
from network.changes import TOPICS
from runtime.embedded.process import free_port
from tests.doubles.network_function import NetworkFunction
from tests.engine.shop import credit, open_line
from tests.network.api import ALL_KEY, Api, digest
from tests.network.nchf.network import MB, QUEUE, ROOT, asking, group, msisdn, opening
from tests.network.tmf.system import BALANCES, action, of
from tests.waiting import somebody_waits_for_a_lock

HERE = Path(__file__).resolve().parent
TOP = HERE.parents[1]


class Server:
    """``ussd_server.py`` on a port of its own."""

    def __init__(self, environment: dict[str, str]) -> None:
        self.environment = environment
        self.port = int(environment["RASID_PORT"])
        self.base = f"http://127.0.0.1:{self.port}"

    async def start(self) -> None:
        self.process = await asyncio.create_subprocess_exec(
            sys.executable, "ussd_server.py", cwd=TOP, env=self.environment, stderr=asyncio.subprocess.DEVNULL
        )
        async with asyncio.timeout(60), aiohttp.ClientSession() as http:
            while self.process.returncode is None:
                try:
                    async with http.get(f"{self.base}/health/ready") as answer:
                        if answer.status == 200:
                            return
                except aiohttp.ClientError:
                    await asyncio.sleep(0.05)
        raise AssertionError("the server does not start")

    async def kill(self) -> None:
        if self.process.returncode is None:
            self.process.send_signal(signal.SIGKILL)
        await self.process.wait()


@asynccontextmanager
async def serving(database_url: str, redis_url: str) -> AsyncIterator[tuple[Server, Api]]:
    keys = {"core": {"digest": digest(ALL_KEY), "rights": ["charging", "balances", "topup", "usage", "events"]}}
    server = Server(
        {
            "PATH": os.environ["PATH"],
            "RASID_DATABASE_URL": database_url,
            "RASID_REDIS_URL": redis_url,
            "RASID_OPERATOR": str(TOP / "examples" / "kenya.toml"),
            "RASID_KEYS": json.dumps({"1": bytes(range(32)).hex()}),
            "RASID_HOST": "127.0.0.1",
            "RASID_PORT": str(free_port()),
            "RASID_API_KEYS": json.dumps(keys),
        }
    )
    await server.start()
    try:
        async with Api(server.base) as api:
            yield server, api
    finally:
        await server.kill()


@pytest.fixture
async def line(engine: Engine) -> Subscriber:
    line = await open_line(engine, imsi="208930000000003")
    await credit(engine, line, 100 * MB, Unit.OCTETS)
    return line


async def left(engine: Engine, line: Subscriber) -> int:
    return (await engine.subscriber(line.msisdn)).total(Unit.OCTETS)


def golden(name: str, **changed: object) -> dict:
    now = datetime.now(UTC).isoformat()
    return json.loads((HERE / "golden" / f"{name}.json").read_text()) | {"invocationTimeStamp": now} | changed


async def test_a_pdu_session_as_the_specification_tells_it(
    database_url: str, redis_url: str, engine: Engine, line: Subscriber
) -> None:
    async with serving(database_url, redis_url) as (_, api):
        created = await api.post(ROOT, golden("create"))
        assert created.status == 201, created.raw
        assert created.body | {"invocationTimeStamp": ""} == golden("created", invocationTimeStamp="")
        ref = created.headers["Location"]
        updated = await api.post(f"{ref}/update", golden("update"))
        assert updated.body | {"invocationTimeStamp": ""} == golden("updated", invocationTimeStamp="")
        released = await api.post(f"{ref}/release", golden("release"))
        assert (released.status, released.raw) == (204, b"")
        (bucket,) = (await api.get(of("bucket", line.msisdn, usageType="data"))).body
        assert bucket["remainingValue"] == {"amount": 100 * MB - 7_340_032 - 1_048_576, "units": "B"}
        assert (await api.get("/api/docs")).status == (await api.get("/api/openapi.json")).status == 200


async def test_one_request_at_two_servers_at_once_is_one_session_and_one_charge(
    database_url: str, redis_url: str, engine: Engine, line: Subscriber
) -> None:
    async with AsyncExitStack() as stack:
        served = [await stack.enter_async_context(serving(database_url, redis_url)) for _ in range(2)]
        apis = [api for _, api in served]
        opened = opening(line, group(wanted={}))
        created = await asyncio.gather(*(api.post(ROOT, opened) for api in apis * 10))
        assert {one.status for one in created} == {201} and len({one.raw for one in created}) == 1
        (ref,) = {one.headers["Location"] for one in created}
        updates = await asyncio.gather(
            *(
                api.post(f"{ref}/update", asking(sequence, group(totalVolume=MB)))
                for sequence in range(1, 21)
                for api in apis
            )
        )
        assert {one.status for one in updates} == {200}
        assert await left(engine, line) == 80 * MB
    assert await check_all(engine._database) == []


async def test_killed_between_commit_and_answer_the_request_sent_again_is_charged_once(
    database_url: str, redis_url: str, engine: Engine, line: Subscriber
) -> None:
    async with serving(database_url, redis_url) as (server, api):
        ref = (await api.post(ROOT, opening(line, group()))).headers["Location"]
        report = asking(1, group(totalVolume=5 * MB))
        async with await psycopg.AsyncConnection.connect(database_url) as owner:
            # The account's row holds the update up; once it is let go the commit may come before or after the kill.
            await owner.execute("SELECT FROM account FOR UPDATE")
            lost = asyncio.create_task(api.post(f"{ref}/update", report))
            await somebody_waits_for_a_lock(database_url)
            await owner.rollback()
        await server.kill()
        await asyncio.gather(lost, return_exceptions=True)
    async with serving(database_url, redis_url) as (_, api):
        for _ in range(2):
            again = await api.post(f"{ref}/update", report | {"retransmissionIndicator": True})
            assert again.status == 200, again.raw
    assert await left(engine, line) == 95 * MB
    assert await check_all(engine._database) == []


async def test_a_top_up_is_told_to_the_core_by_the_other_process(
    database_url: str, redis_url: str, engine: Engine
) -> None:
    broke = await open_line(engine)
    async with serving(database_url, redis_url) as (server, api), NetworkFunction() as core:
        bot = await asyncio.create_subprocess_exec(
            sys.executable, "bot.py", cwd=TOP, env=server.environment, stderr=asyncio.subprocess.DEVNULL
        )
        try:
            created = await api.post(ROOT, opening(broke, group(wanted={}), notifyUri=core.uri("session")))
            assert created.body["multipleUnitInformation"][0]["resultCode"] == "QUOTA_LIMIT_REACHED"
            await engine.events.follow(QUEUE, TOPICS)
            topup = action(broke, "data", 50, "MB")
            assert (await api.post(f"{BALANCES}/topupBalance", topup)).status == 201
            await core.wait(lambda: core.names() == ["session"], 60)
            update = await api.post(f"{created.headers['Location']}/update", asking(1, group(wanted={})))
            assert update.body["multipleUnitInformation"][0]["resultCode"] == "SUCCESS"
        finally:
            bot.terminate()
            assert await asyncio.wait_for(bot.wait(), 40) == 0


def test_the_line_of_the_golden_messages_is_the_one_that_is_opened(line: Subscriber) -> None:
    assert golden("create")["subscriberIdentifier"] == "imsi-208930000000003"
    assert msisdn(line).startswith("msisdn-254")
