"""The sandbox's Bot API server over the wire: what a bot is answered, and what people do and see."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from sandbox.bot_api import BotApi
from tests.serving import serving

TOKEN = "1000001:sandbox"


class Caller:
    """Calls the server as a bot, and as people."""

    def __init__(self, api: BotApi, http: aiohttp.ClientSession) -> None:
        self.api, self.http = api, http

    async def bot(self, method: str, token: str = TOKEN, **given: Any) -> tuple[int, Any]:
        async with self.http.post(f"{self.api.base_url}/bot{token}/{method}", json=given) as response:
            said = await response.json()
            return response.status, said.get("result", said.get("description"))

    async def person(self, path: str, **given: Any) -> tuple[int, Any]:
        verb = "POST" if given else "GET"
        async with self.http.request(verb, f"{self.api.base_url}/sandbox/{path}", json=given or None) as response:
            return response.status, None if response.status == 204 else await response.json()


@pytest.fixture
async def caller() -> AsyncIterator[Caller]:
    api = BotApi(TOKEN)
    await api.start()
    async with aiohttp.ClientSession() as http:
        yield Caller(api, http)
    await api.stop()


async def test_the_bot_is_known_by_its_token_and_asks_for_what_there_is(caller: Caller) -> None:
    assert (await caller.bot("getMe"))[1]["id"] == 1000001
    assert await caller.bot("getMe", token="1:other") == (401, "Unauthorized")
    assert await caller.bot("sendRocket") == (404, "Not Found")


async def test_what_a_person_writes_is_an_update_and_what_the_bot_answers_is_in_the_chat(caller: Caller) -> None:
    assert (await caller.person("chats/77/messages", text="/start"))[0] == 200
    _, (update,) = await caller.bot("getUpdates")
    assert (update["message"]["text"], update["message"]["chat"]) == ("/start", {"id": 77, "type": "private"})
    keyboard = {"inline_keyboard": [[{"text": "Balance", "callback_data": "k|1"}]]}
    _, sent = await caller.bot("sendMessage", chat_id=77, text="Menu", reply_markup=keyboard)
    _, seen = await caller.person("chats/77")
    assert [message["text"] for message in seen["messages"]] == ["/start", "Menu"]
    assert await caller.person(f"chats/77?seen={seen['version']}") == (204, None)
    await caller.person("chats/77/taps", message_id=sent["message_id"], data="k|1")
    _, (tap,) = await caller.bot("getUpdates", offset=update["update_id"] + 1)
    assert tap["callback_query"]["data"] == "k|1"
    assert (await caller.person("calls?chat_id=77"))[1][0]["method"] == "sendMessage"


@pytest.mark.parametrize(
    ("method", "given", "reason"),
    [
        ("sendMessage", {"chat_id": 7, "text": " "}, "message text is empty"),
        ("sendMessage", {"chat_id": 7, "text": "x" * 4097}, "MESSAGE_TOO_LONG"),
        ("sendMessage", {"text": "x"}, "chat_id is empty"),
        ("editMessageText", {"chat_id": 7, "message_id": 3, "text": "x"}, "message to edit not found"),
        ("setWebhook", {"url": "http://localhost/", "secret_token": "not so secret"}, "unallowed characters"),
    ],
)
async def test_what_the_real_one_refuses_is_refused(
    caller: Caller, method: str, given: dict[str, Any], reason: str
) -> None:
    status, said = await caller.bot(method, **given)
    assert status == 400 and reason in said


async def test_an_edit_that_changes_nothing_is_refused(caller: Caller) -> None:
    _, sent = await caller.bot("sendMessage", chat_id=7, text="Menu")
    status, said = await caller.bot("editMessageText", chat_id=7, message_id=sent["message_id"], text="Menu")
    assert status == 400 and "not modified" in said


async def test_an_update_is_brought_to_the_webhook_under_its_secret_until_it_is_taken(caller: Caller) -> None:
    heard: list[tuple[str | None, str]] = []

    async def take(request: web.Request) -> web.Response:
        update = await request.json()
        heard.append((request.headers.get("X-Telegram-Bot-Api-Secret-Token"), update["message"]["text"]))
        return web.Response(status=200 if len(heard) > 1 else 503)

    application = web.Application()
    application.router.add_post("/telegram/webhook", take)
    async with serving(application) as url:
        await caller.bot("setWebhook", url=f"{url}/telegram/webhook", secret_token="secret-1")
        assert (await caller.bot("getUpdates"))[0] == 409
        await caller.person("chats/77/messages", text="hello")
        for task in tuple(caller.api._pushes):
            await task
    assert heard == [("secret-1", "hello")] * 2
