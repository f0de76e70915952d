"""The Telegram adapter against a Bot API server: what it hears, shows, repeats and gives up."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from uuid import uuid4

import aiohttp
import pytest
from aiohttp import web
from redis.asyncio import Redis
from telegram.error import InvalidToken

from channels.chat.contract import Button, ChatAnswer, Heard
from channels.chat.telegram import webhook
from channels.chat.telegram.application import TelegramBot
from channels.chat.telegram.carrier import Carrier
from channels.chat.telegram.polling import Poller
from channels.sms.contract import CarrierError, ErrorKind, Outgoing, Tools
from runtime.keyring import Keyring
from tests.doubles.bot_api import TOKEN, BotApi

Until = Callable[[Callable[[], object]], Awaitable[None]]
AMINA = 7001
SECRET = "webhook_secret-1"


class Echo:
    """A listener that shows what it heard, and remembers it."""

    def __init__(self) -> None:
        self.heard: list[Heard] = []
        self.fails = 0

    async def __call__(self, heard: Heard) -> ChatAnswer | None:
        if self.fails:
            self.fails -= 1
            raise ConnectionError
        self.heard.append(heard)
        if heard.text == "nothing":
            return None
        button = ((Button("Again", f"again|{len(self.heard)}"),),)
        said = heard.tapped or heard.text or heard.command
        return ChatAnswer(f"{said}!", button, edits=heard.tapped is not None, deletes=heard.text == "1234")


@asynccontextmanager
async def polling(api: BotApi, listener: Callable[[Heard], Awaitable[ChatAnswer | None]]) -> AsyncIterator[TelegramBot]:
    bot = TelegramBot(TOKEN, api.base_url, listener)
    await bot.start()
    task = asyncio.create_task(Poller(bot).run())
    try:
        yield bot
    finally:
        task.cancel()
        await asyncio.wait([task])
        await bot.stop()


@pytest.fixture
async def echo(api: BotApi) -> AsyncIterator[Echo]:
    """A polling bot that echoes."""
    listener = Echo()
    async with polling(api, listener):
        yield listener


def texts(api: BotApi) -> list[str]:
    return api.chat(AMINA).texts()


async def test_what_is_written_is_answered_by_a_new_message_with_buttons(api, echo, until: Until):
    api.write(AMINA, "hello", language="sw")
    await until(lambda: texts(api) == ["hello!"])
    assert api.chat(AMINA).labels() == ["Again"]
    assert echo.heard[0].language == "sw" and echo.heard[0].private


async def test_a_tap_edits_in_place_and_the_buttons_clock_is_stopped(api, echo, until: Until):
    api.write(AMINA, "hello")
    await until(lambda: texts(api) == ["hello!"])
    api.tap(AMINA, "Again")
    await until(lambda: texts(api) == ["again|1!"])
    await until(lambda: len(api.answered) == 1)
    assert api.count("sendMessage") == 1


async def test_an_edit_that_changes_nothing_is_no_failure(api, until: Until):
    async def same(heard: Heard) -> ChatAnswer:
        return ChatAnswer("same", ((Button("Again", "x"),),), edits=heard.tapped is not None)

    async with polling(api, same):
        api.write(AMINA, "hello")
        await until(lambda: texts(api) == ["same"])
        api.tap(AMINA, "Again")
        await until(lambda: api.count("editMessageText") == 1 and len(api.answered) == 1)
        api.write(AMINA, "still there?")
        await until(lambda: texts(api) == ["same", "same"])


async def test_a_tap_on_a_message_that_was_deleted_is_answered_by_a_new_one(api, echo, until: Until):
    api.write(AMINA, "hello")
    await until(lambda: texts(api) == ["hello!"])
    chat = api.chat(AMINA)
    gone = chat.last
    del chat.messages[gone["message_id"]]
    api.tap_data(AMINA, gone, "again|1")
    await until(lambda: texts(api) == ["again|1!"])


async def test_commands_come_without_slash_bot_name_and_argument(api, echo, until: Until):
    api.write(AMINA, "/start@rasid_bot buy_2")
    api.write(AMINA, "/Balance")
    await until(lambda: len(echo.heard) == 2)
    assert [(one.command, one.text) for one in echo.heard] == [("start", "buy_2"), ("balance", "")]


async def test_ones_own_contact_is_heard_as_its_number_and_anothers_is_not(api, echo, until: Until):
    api.write(AMINA, "", contact={"phone_number": "254712345678", "first_name": "A", "user_id": AMINA})
    api.write(AMINA, "", contact={"phone_number": "254799999999", "first_name": "B", "user_id": 1})
    api.write(AMINA, "end")
    await until(lambda: len(echo.heard) == 2)
    assert [one.text for one in echo.heard] == ["+254712345678", "end"]


async def test_groups_are_told_apart(api, echo, until: Until):
    api.write(-500, "hello", kind="group")
    await until(lambda: echo.heard)
    assert not echo.heard[0].private


async def test_a_message_with_a_secret_is_taken_out_of_the_chat(api, echo, until: Until):
    api.write(AMINA, "1234")
    await until(lambda: api.chat(AMINA).deleted)
    assert all("text" in one and one["text"] != "1234" for one in api.chat(AMINA).messages.values())


async def test_a_secret_that_cannot_be_deleted_does_not_keep_the_answer_back(api, echo, until: Until):
    api.refuse("deleteMessage", 400, "Bad Request: message can't be deleted")
    api.write(AMINA, "1234")
    await until(lambda: texts(api) == ["1234!"])


async def test_a_throttled_answer_waits_as_long_as_telegram_asks_and_comes_once(api, echo, until: Until):
    api.refuse("sendMessage", 429, "Too Many Requests: retry after 1", retry_after=1, times=1)
    loop = asyncio.get_running_loop()
    began = loop.time()
    api.write(AMINA, "hello")
    await until(lambda: texts(api) == ["hello!"])
    assert loop.time() - began >= 1.0
    assert api.count("sendMessage") == 2


async def test_a_throttled_chat_keeps_no_other_waiting(api, echo, until: Until):
    api.refuse("sendMessage", 429, "Too Many Requests: retry after 3", retry_after=3)
    api.write(AMINA, "first")
    await until(lambda: api.count("sendMessage") == 1)
    api.write(7002, "other")
    await until(lambda: api.chat(7002).texts() == ["other!"])
    assert texts(api) == []


async def test_answers_of_one_chat_keep_their_order(api, echo, until: Until):
    api.refuse("sendMessage", 429, "Too Many Requests: retry after 1", retry_after=1)
    for number in range(5):
        api.write(AMINA, f"word {number}")
    await until(lambda: len(texts(api)) == 5)
    assert texts(api) == [f"word {number}!" for number in range(5)]


async def test_an_answer_that_may_have_arrived_is_not_sent_twice(api, echo, until: Until):
    api.lose_answer("sendMessage")
    api.write(AMINA, "hello")
    await until(lambda: texts(api) == ["hello!"])
    api.write(AMINA, "next")
    await until(lambda: texts(api)[-1] == "next!")
    assert texts(api) == ["hello!", "next!"]


async def test_an_update_that_could_not_be_served_comes_again(api, echo, until: Until):
    echo.fails = 2
    api.write(AMINA, "hello")
    await until(lambda: texts(api) == ["hello!"])
    assert len(echo.heard) == 1


async def test_polling_outlives_a_server_that_is_away(api, echo, until: Until):
    api.refuse("getUpdates", 502, "Bad Gateway", times=2)
    api.write(AMINA, "hello")
    await until(lambda: texts(api) == ["hello!"])


async def test_a_wrong_token_is_named_at_start(api):
    bot = TelegramBot("1:wrong", api.base_url, Echo())
    with pytest.raises(InvalidToken):
        await bot.start()
    await bot.stop()


async def test_commands_are_told_in_every_language(api):
    bot = TelegramBot(TOKEN, api.base_url, Echo())
    await bot.start()
    await bot.introduce({"": [("menu", "Menu")], "fr": [("menu", "Le menu")]})
    await bot.stop()
    assert api.commands == {
        "": [{"command": "menu", "description": "Menu"}],
        "fr": [{"command": "menu", "description": "Le menu"}],
    }


# --- webhook ---


@asynccontextmanager
async def serving(bot: TelegramBot) -> AsyncIterator[str]:
    application = web.Application()
    application.add_routes(webhook.routes(bot, SECRET))
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    await runner.cleanup()


@pytest.fixture
async def hooked(api: BotApi) -> AsyncIterator[tuple[Echo, str]]:
    """A bot behind a webhook that Telegram knows, and its address."""
    listener = Echo()
    bot = TelegramBot(TOKEN, api.base_url, listener)
    await bot.start()
    async with serving(bot) as url:
        await webhook.register(bot, url, SECRET)
        yield listener, url
    await bot.stop()


async def test_updates_arrive_at_the_webhook_under_its_secret(api, hooked, until: Until):
    api.write(AMINA, "hello")
    await until(lambda: texts(api) == ["hello!"])
    assert api.webhook["url"].endswith("/telegram/webhook")
    assert set(api.webhook["allowed_updates"]) == {"message", "callback_query"}
    assert list(api.pushed) == [200]


async def test_an_update_that_could_not_be_served_is_refused_so_that_it_comes_again(api, hooked, until: Until):
    hooked[0].fails = 1
    api.write(AMINA, "hello")
    await until(lambda: texts(api) == ["hello!"])
    assert list(api.pushed) == [503, 200]


@pytest.mark.parametrize("headers", [{}, {webhook.HEADER: "wrong"}, {webhook.HEADER: "پ"}])
async def test_who_does_not_know_the_secret_is_refused(hooked, headers):
    listener, url = hooked
    async with aiohttp.ClientSession() as http, http.post(url + webhook.PATH, json={}, headers=headers) as response:
        assert response.status == 403
    assert listener.heard == []


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b"\xff", b'{"update_id": "x", "message": 3}', b"null"])
async def test_what_is_no_update_is_taken_and_dropped(hooked, body):
    listener, url = hooked
    headers = {webhook.HEADER: SECRET}
    async with aiohttp.ClientSession() as http, http.post(url + webhook.PATH, data=body, headers=headers) as response:
        assert response.status == 200
    assert listener.heard == []


async def test_an_update_longer_than_gateways_may_send_is_served(api, hooked, until: Until):
    api.write(AMINA, "long", caption="é" * 30_000)
    await until(lambda: texts(api) == ["long!"])
    assert list(api.pushed) == [200]


async def test_a_body_without_end_is_cut_and_dropped(hooked):
    listener, url = hooked
    body, headers = b'{"x": "' + b"y" * 2 * webhook.BODY_LIMIT, {webhook.HEADER: SECRET}
    async with aiohttp.ClientSession() as http, http.post(url + webhook.PATH, data=body, headers=headers) as response:
        assert response.status == 200
    assert listener.heard == []


async def test_a_bot_that_is_not_open_yet_asks_for_the_update_later(api):
    bot = TelegramBot(TOKEN, api.base_url, Echo())
    async with serving(bot) as url, aiohttp.ClientSession() as http:
        async with http.post(url + webhook.PATH, json={}, headers={webhook.HEADER: SECRET}) as response:
            assert response.status == 503
    await bot.stop()


def test_a_webhook_without_a_secret_is_not_opened(api):
    with pytest.raises(ValueError, match="secret"):
        webhook.routes(TelegramBot(TOKEN, api.base_url, Echo()), "")


# --- notices ---


@pytest.fixture
async def carrier(api: BotApi, redis_client: Redis, keyring: Keyring) -> AsyncIterator[Carrier]:
    made = Carrier("telegram", {"token": TOKEN, "base_url": api.base_url}, Tools(redis=redis_client, keyring=keyring))
    await made.start()
    yield made
    await made.close()


def notice(chat: int = AMINA) -> Outgoing:
    return Outgoing(message_id=uuid4(), to=str(chat), sender="Rasid", text="Only KES 5 left.", at=datetime.now(UTC))


async def test_a_notice_appears_in_the_chat(api, carrier):
    api.chat(AMINA)
    sent = await carrier.send(notice())
    assert texts(api) == ["Only KES 5 left."]
    assert sent.carrier_id == str(api.chat(AMINA).last["message_id"])


@pytest.mark.parametrize(
    ("status", "description", "kind"),
    [
        (403, "Forbidden: bot was blocked by the user", ErrorKind.REROUTE),
        (400, "Bad Request: chat not found", ErrorKind.REROUTE),
        (401, "Unauthorized", ErrorKind.REROUTE),
        (500, "Internal Server Error", ErrorKind.UNKNOWN),
        (502, "Bad Gateway", ErrorKind.UNKNOWN),
    ],
)
async def test_a_refused_notice_says_what_can_be_done(api, carrier, status, description, kind):
    api.chat(AMINA)
    api.refuse("sendMessage", status, description)
    with pytest.raises(CarrierError) as caught:
        await carrier.send(notice())
    assert caught.value.kind is kind
    assert TOKEN not in caught.value.reason


async def test_a_throttled_notice_says_for_how_long(api, carrier):
    api.refuse("sendMessage", 429, "Too Many Requests: retry after 7", retry_after=7)
    with pytest.raises(CarrierError) as caught:
        await carrier.send(notice())
    assert (caught.value.kind, caught.value.retry_after) == (ErrorKind.THROTTLED, 7.0)


async def test_a_notice_whose_answer_is_lost_is_unknown(api, carrier):
    api.chat(AMINA)
    api.lose_answer("sendMessage")
    with pytest.raises(CarrierError) as caught:
        await carrier.send(notice())
    assert caught.value.kind is ErrorKind.UNKNOWN
    assert texts(api) == ["Only KES 5 left."]


async def test_a_notice_that_never_left_may_be_tried_again(api, carrier):
    await api.stop()
    with pytest.raises(CarrierError) as caught:
        await carrier.send(notice())
    assert caught.value.kind is ErrorKind.RETRY
    await api.start()
