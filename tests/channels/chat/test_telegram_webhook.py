"""The Telegram adapter behind its webhook: who may post, what is served, what comes again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import NamedTuple

import aiohttp
import pytest
from aiohttp import web

from channels.chat.telegram import service, webhook
from channels.chat.telegram.application import TelegramBot
from tests.channels.chat.bots import AMINA, SECRET, Echo, texts
from tests.doubles.bot_api import TOKEN, BotApi
from tests.serving import serving
from tests.waiting import until


class Hooked(NamedTuple):
    """A bot's listener, its address, and what was answered there."""

    listener: Echo
    url: str
    answered: list[int]


def hook(bot: TelegramBot, answered: list[int]) -> web.Application:
    """The webhook; what it answers to each try stands in ``answered``."""

    async def note(_request: web.Request, response: web.StreamResponse) -> None:
        answered.append(response.status)

    application = web.Application()
    application.on_response_prepare.append(note)
    application.add_routes(webhook.routes(bot, SECRET))
    return application


@pytest.fixture
async def hooked(api: BotApi) -> AsyncIterator[Hooked]:
    """A bot behind a webhook that Telegram knows."""
    listener, answered = Echo(), []
    bot = TelegramBot(TOKEN, api.base_url, listener)
    await bot.start()
    async with serving(hook(bot, answered)) as url:
        await webhook.register(bot, url, SECRET)
        yield Hooked(listener, url, answered)
    await bot.stop()


async def test_updates_arrive_at_the_webhook_under_its_secret(api, hooked):
    api.write(AMINA, "hello")
    await until(lambda: texts(api) == ["hello!"])
    assert api.webhook["url"].endswith("/telegram/webhook")
    assert set(api.webhook["allowed_updates"]) == {"message", "callback_query"}
    assert hooked.answered == [200]


async def test_an_update_that_could_not_be_served_is_refused_so_that_it_comes_again(api, hooked):
    hooked.listener.fails = 1
    api.write(AMINA, "hello")
    await until(lambda: texts(api) == ["hello!"])
    assert hooked.answered == [503, 200]


@pytest.mark.parametrize("headers", [{}, {webhook.HEADER: "wrong"}, {webhook.HEADER: "پ"}])
async def test_who_does_not_know_the_secret_is_refused(hooked, headers):
    listener, url, _ = hooked
    async with aiohttp.ClientSession() as http, http.post(url + webhook.PATH, json={}, headers=headers) as response:
        assert response.status == 403
    assert listener.heard == []


async def test_a_secret_of_octets_that_are_no_text_is_refused_like_any_other(hooked):
    host, port = hooked.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    head = f"POST {webhook.PATH} HTTP/1.1\r\nHost: {host}\r\nContent-Length: 2\r\n{webhook.HEADER}: "
    writer.write(head.encode() + b"\xff\r\n\r\n{}")
    assert (await reader.readline()).split()[1] == b"403"
    writer.close()


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b"\xff", b'{"update_id": "x", "message": 3}', b"null"])
async def test_what_is_no_update_is_taken_and_dropped(hooked, body):
    listener, url, _ = hooked
    headers = {webhook.HEADER: SECRET}
    async with aiohttp.ClientSession() as http, http.post(url + webhook.PATH, data=body, headers=headers) as response:
        assert response.status == 200
    assert listener.heard == []


async def test_an_update_longer_than_gateways_may_send_is_served(api, hooked):
    api.write(AMINA, "long", caption="é" * 30_000)
    await until(lambda: texts(api) == ["long!"])
    assert hooked.answered == [200]


async def test_a_body_without_end_is_cut_and_dropped(hooked):
    listener, url, _ = hooked
    body, headers = b'{"x": "' + b"y" * 2 * webhook.BODY_LIMIT, {webhook.HEADER: SECRET}
    async with aiohttp.ClientSession() as http, http.post(url + webhook.PATH, data=body, headers=headers) as response:
        assert response.status == 200
    assert listener.heard == []


async def test_a_body_that_is_not_compressed_as_it_says_is_refused(hooked):
    headers = {webhook.HEADER: SECRET, "Content-Encoding": "gzip"}
    async with aiohttp.ClientSession() as http:
        async with http.post(hooked.url + webhook.PATH, data=b"zz", headers=headers) as response:
            assert response.status == 400


async def test_a_bot_that_is_not_open_yet_asks_for_the_update_later(api):
    bot = TelegramBot(TOKEN, api.base_url, Echo())
    async with serving(hook(bot, [])) as url, aiohttp.ClientSession() as http:
        async with http.post(url + webhook.PATH, json={}, headers={webhook.HEADER: SECRET}) as response:
            assert response.status == 503
    await bot.stop()


def test_a_webhook_without_a_secret_is_not_opened(api):
    with pytest.raises(ValueError, match="secret"):
        webhook.routes(TelegramBot(TOKEN, api.base_url, Echo()), "")


@pytest.mark.parametrize(("status", "said"), [(401, "Unauthorized"), (403, "Forbidden: nobody by this name")])
async def test_a_bot_that_telegram_refuses_breaks_nothing(api, status, said):
    api.refuse("getMe", status, said)
    bot = TelegramBot(TOKEN, api.base_url, Echo())
    assert not await service._open(bot)
    async with serving(hook(bot, [])) as url, aiohttp.ClientSession() as http:
        async with http.post(url + webhook.PATH, json={}, headers={webhook.HEADER: SECRET}) as response:
            assert response.status == 503
    await bot.stop()
