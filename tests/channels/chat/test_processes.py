"""The bot as processes: polling by one of several, takeover, the webhook at the server, notices into the chat."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path
from uuid import UUID, uuid4

import aiohttp
import pytest

from channels.lease import Lease
from engine.api import Engine
from engine.words import Channel, Subscriber
from runtime.embedded.process import free_port
from tests.channels.chat.bots import SECRET
from tests.channels.chat.person import AMINA
from tests.channels.phone import money
from tests.channels.servers import ROOT, Variables, ready, running
from tests.doubles.bot_api import TOKEN, BotApi
from tests.waiting import until


@pytest.fixture
def variables(database_url: str, redis_url: str, tmp_path: Path, api: BotApi) -> Variables:
    """The environment of a server or a bot; ``telegram`` lines go into its settings file."""

    def make(*telegram: str, port: int = 0, token: str = TOKEN) -> dict[str, str]:
        port = port or free_port()
        lines = [
            f'operator = "{ROOT / "examples" / "kenya.toml"}"',
            f'public_url = "http://127.0.0.1:{port}"',
            "[keys]",
            f'1 = "{bytes(range(32)).hex()}"',
            "[telegram]",
            f'token = "{token}"',
            f'base_url = "{api.base_url}"',
            *telegram,
        ]
        config = tmp_path / "rasid.toml"
        config.write_text("\n".join(lines), encoding="utf-8")
        ours = {"DATABASE_URL": database_url, "REDIS_URL": redis_url, "RASID_CONFIG": str(config)}
        return {"PATH": os.environ["PATH"], "PORT": str(port), "RASID_HOST": "127.0.0.1", **ours}

    return make


def texts(api: BotApi) -> list[str]:
    return api.chat(AMINA).texts()


async def test_a_bundle_is_bought_in_the_chat_with_two_bots_running(
    api: BotApi, variables: Variables, linked: Subscriber, engine: Engine
) -> None:
    environment = variables()
    async with running("bot.py", environment), running("bot.py", environment):
        api.write(AMINA, "/start")
        await until(lambda: "Bundles" in (api.chat(AMINA).labels() if texts(api) else []))
        # The first text is the notice that the chat was linked: it goes out as an SMS, so it is not here.
        assert len(texts(api)) == 1
        api.tap(AMINA, "Bundles")
        await until(lambda: texts(api)[0].startswith("Bundles"))
        label = next(one for one in api.chat(AMINA).labels() if one.startswith("100 MB"))
        api.tap(AMINA, label)
        await until(lambda: "Buy" in api.chat(AMINA).labels())
        confirm = dict(api.chat(AMINA).last)
        data = confirm["reply_markup"]["inline_keyboard"][0][0]["callback_data"]
        for _ in range(3):
            api.tap_data(AMINA, confirm, data)
        await until(lambda: "bought" in texts(api)[0] and len(api.answered) == 5)
        assert len(texts(api)) == 1
    assert await money(engine) == 98_000
    assert set(api.commands) == {"", "en", "sw"}


async def test_another_bot_takes_over_when_the_polling_one_is_killed(
    api: BotApi, variables: Variables, linked: Subscriber, redis_client
) -> None:
    environment = variables()
    async with running("bot.py", environment) as first:
        api.write(AMINA, "/balance")
        await until(lambda: len(texts(api)) == 1)
        async with running("bot.py", environment):
            first.send_signal(signal.SIGKILL)
            await first.wait()
            # What the lease would bring about in its time.
            for name in [name async for name in redis_client.scan_iter("lease:*")]:
                await redis_client.delete(name)
            api.write(AMINA, "/balance")
            await until(lambda: len(texts(api)) == 2)


async def test_a_killed_bot_leaves_no_update_unanswered_and_answers_none_twice(
    api: BotApi, variables: Variables, linked: Subscriber, engine: Engine
) -> None:
    environment = variables()
    async with running("bot.py", environment) as first:
        api.write(AMINA, "BUY 1")
        await until(lambda: "Buy" in (api.chat(AMINA).labels() if texts(api) else []))
        api.refuse("editMessageText", 429, "Too Many Requests: retry after 30", retry_after=30)
        update = api.tap(AMINA, "Buy")
        await until(lambda: api.count("editMessageText") == 1)
        first.send_signal(signal.SIGTERM)
        await first.wait()
    async with running("bot.py", environment):
        api.enqueue_again(update)
        api.tap(AMINA, "Buy")  # the screen still stands, and the person taps again
        await until(lambda: "bought" in texts(api)[0])
    assert await money(engine) == 98_000


async def test_the_webhook_is_told_by_the_bot_and_served_by_the_server(
    api: BotApi, variables: Variables, linked: Subscriber
) -> None:
    environment = variables('mode = "webhook"', f'secret_token = "{SECRET}"')
    async with running("ussd_server.py", environment) as server, aiohttp.ClientSession() as http:
        await ready(server, http, f"http://127.0.0.1:{environment['PORT']}")
        async with running("bot.py", environment):
            await until(lambda: api.webhook.get("url"))
            api.write(AMINA, "/balance")
            await until(lambda: texts(api) and texts(api)[0].startswith("Balance: KES"))
    assert api.count("getUpdates") == 0


async def test_a_refused_token_stops_the_chat_and_nothing_else(
    variables: Variables, linked: Subscriber, engine: Engine
) -> None:
    said = b""
    async with running("bot.py", variables(token="1:wrong")) as bot, asyncio.timeout(20):
        assert bot.stderr is not None
        while b"telegram_token_refused" not in said:
            said += await bot.stderr.readline()
        assert b"1:wrong" not in said
        told = uuid4()
        await engine.tell(linked.account, linked.line_id, told, "reply", {"text": "Still here"})
        await sent_by(engine, told, "simulator")


async def sent_by(engine: Engine, message_id: UUID, carrier: str) -> None:
    """Wait until a carrier has taken a message."""

    async def known() -> bool:
        return carrier in [one.carrier for one in await engine.message_history(message_id)]

    await until(known)


async def test_who_prefers_the_chat_is_told_there_and_by_text_once_the_bot_is_blocked(
    api: BotApi, variables: Variables, linked: Subscriber, engine: Engine
) -> None:
    await engine.set_preferences(linked, channel=Channel.TELEGRAM)
    api.chat(AMINA)
    body = {"amount": 5_000, "balance": 5_000, "reference": "7F3K2M"}
    async with running("bot.py", variables()):
        await engine.tell(linked.account, linked.line_id, uuid4(), "recharge.done", body)
        await until(lambda: len(texts(api)) == 1)
        api.refuse("sendMessage", 403, "Forbidden: bot was blocked by the user")
        blocked = uuid4()
        await engine.tell(linked.account, linked.line_id, blocked, "recharge.done", body)
        await sent_by(engine, blocked, "simulator")
    assert len(texts(api)) == 1 and texts(api)[0].startswith("Recharged KES 50.00")


async def test_a_lease_has_one_holder_and_the_next_when_it_lets_go(redis_client) -> None:
    holders: list[str] = []
    stops = {name: asyncio.Event() for name in ("first", "second")}
    began = {name: asyncio.Event() for name in stops}

    async def hold(name: str) -> None:
        async def work() -> None:
            holders.append(name)
            began[name].set()
            await asyncio.Event().wait()

        await Lease(redis_client, "test", lease_seconds=5.0, renew_seconds=0.05).run(work, stops[name])

    async with asyncio.timeout(15), asyncio.TaskGroup() as tasks:
        tasks.create_task(hold("first"))
        await began["first"].wait()
        tasks.create_task(hold("second"))
        for _ in range(5):
            await asyncio.sleep(0.05)
        assert holders == ["first"]
        stops["first"].set()
        await began["second"].wait()
        stops["second"].set()
    assert holders == ["first", "second"]


async def test_who_loses_the_lease_stops_working(redis_client) -> None:
    stop, began, ended = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def work() -> None:
        began.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    lease = Lease(redis_client, "test", lease_seconds=5.0, renew_seconds=0.05)
    async with asyncio.timeout(15), asyncio.TaskGroup() as tasks:
        tasks.create_task(lease.run(work, stop))
        await began.wait()
        await redis_client.set("lease:test", "somebody else")
        await ended.wait()
        stop.set()
