"""Whoever asks, and wherever: after each commit every channel says the same balance."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from uuid import uuid4

import aiohttp
import pytest
import pytest_asyncio

from dialogs.texts import money
from engine.words import Adjust, Charge, Purchase, Recharge, Role, Unit
from sandbox.bot_api import BotApi
from settings import ApiKeySettings, ConsoleSettings, Settings, TelegramSettings
from tests.network.tmf.system import of
from tests.portal.console.conftest import Client
from tests.portal.selfcare.conftest import Caller, Running, spend

pytestmark = pytest.mark.asyncio(loop_scope="session")

KEY, TOKEN, CHAT = "test-key-of-the-operator", "987654:same", 4711
#: what a channel is asked, and answers: the text in which the balance must stand
Ask = Callable[[], Awaitable[str]]


@pytest_asyncio.fixture(loop_scope="session")
async def bot_api() -> AsyncIterator[BotApi]:
    """The sandbox's Bot API server."""
    api = BotApi(TOKEN)
    await api.start()
    yield api
    await api.stop()


@pytest.fixture
def settings(settings: Settings, bot_api: BotApi) -> Settings:
    """With everybody who may be asked for a balance."""
    telegram = TelegramSettings(
        token=TOKEN,
        mode="webhook",
        secret_token="secret-1",
        base_url=bot_api.base_url,
        public_url="http://localhost",
        sandbox=True,
    )
    key = ApiKeySettings(digest=hashlib.sha256(KEY.encode()).hexdigest(), rights=frozenset({"balances"}))
    more = {"telegram": telegram, "api_keys": {"crm": key}, "console": ConsoleSettings()}
    return settings.model_copy(update=more)


async def ussd(server: Running, http: aiohttp.ClientSession) -> str:
    form = {"sessionId": uuid4().hex, "phoneNumber": server.msisdn, "serviceCode": "*123#", "networkCode": "63902"}
    async with http.post(f"{server.url}/ussd/africastalking", data={**form, "text": "1"}) as answer:
        return await answer.text()


async def sms(server: Running, http: aiohttp.ClientSession) -> str:
    before = len(await server.texts())
    form = {"id": uuid4().hex, "from": server.msisdn, "to": "123", "text": "BAL"}
    async with http.post(f"{server.url}/sms/simulator", data=form) as answer:
        assert answer.status == 200
    return await heard(server.texts, before)


async def chat(bot: BotApi) -> str:
    async def texts() -> list[str]:
        return bot.chat(CHAT).texts()

    before = len(await texts())
    bot.write(CHAT, "BAL")
    return await heard(texts, before)


async def heard(texts: Callable[[], Awaitable[list[str]]], before: int) -> str:
    """What came after so many texts."""
    for _ in range(400):
        now = await texts()
        if len(now) > before:
            return "\n".join(now[before:])
        await asyncio.sleep(0.025)
    raise AssertionError("nothing came back")


async def tmf(server: Running, http: aiohttp.ClientSession) -> str:
    """The money of all buckets, written as the others write it."""
    headers = {"Authorization": f"Bearer {KEY}"}
    async with http.get(server.url + of("bucket", server.msisdn), headers=headers) as answer:
        buckets = json.loads(await answer.text(), parse_float=str)
    amounts = [one["remainingValue"]["amount"] for one in buckets if one["usageType"] == "monetary"]
    return written(sum(round(float(one) * 100) for one in amounts))


async def portal(caller: Caller) -> str:
    return (await caller.get(""))[1]


async def console(staff: Client, server: Running) -> str:
    status, where = await staff.post("/find", wanted=server.msisdn)
    assert status == 303, where
    return (await staff.get(where.removeprefix("/console")))[1]


def written(amount: int) -> str:
    return money(amount, "KES", "en")


async def test_after_each_commit_every_channel_says_the_same_balance(
    server: Running, caller: Caller, bot_api: BotApi
) -> None:
    await bot_api.call("setWebhook", {"url": f"{server.url}/telegram/webhook", "secret_token": "secret-1"})
    code = await server.engine.link_code(await server.line())
    assert await server.engine.link_chat("telegram", str(CHAT), server.msisdn, code)
    person = await server.engine.staff.add("support", Role.SUPPORT, by="root", why="test")
    product = server.services.operator.products[0]
    async with AsyncExitStack() as stack:
        http = await stack.enter_async_context(aiohttp.ClientSession())
        jar = aiohttp.CookieJar(unsafe=True)
        staff = Client(server.url, await stack.enter_async_context(aiohttp.ClientSession(cookie_jar=jar)))
        await staff.sign_in(person)
        channels: dict[str, Ask] = {
            "ussd": lambda: ussd(server, http),
            "sms": lambda: sms(server, http),
            "chat": lambda: chat(bot_api),
            "portal": lambda: portal(caller),
            "tmf": lambda: tmf(server, http),
            "console": lambda: console(staff, server),
        }
        steps: list[tuple[type, dict[str, object]]] = [
            (Purchase, {"product": product.code, "price": product.price}),
            (Charge, {"unit": Unit.OCTETS, "amount": 1_000_000}),
            (Recharge, {"voucher": server.engine.seal_voucher(server.vouchers[0])}),
            (Adjust, {"unit": Unit.MONEY, "amount": -1_234, "reason": "test"}),
        ]
        for kind, what in steps:
            await spend(server, kind, **what)
            shown = written((await server.line()).total(Unit.MONEY))
            for name, ask in channels.items():
                said = await ask()
                assert shown in said, (kind.__name__, name, shown, said)
