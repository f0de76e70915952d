"""The Telegram adapter against a Bot API server: what it hears and shows by polling, and what it survives."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from telegram.error import InvalidToken

from channels.chat.contract import Button, ChatAnswer, Heard
from channels.chat.telegram.application import TelegramBot
from tests.channels.chat.bots import AMINA, Echo, polling, texts
from tests.doubles.bot_api import TOKEN, BotApi
from tests.waiting import until


@pytest.fixture
async def echo(api: BotApi) -> AsyncIterator[Echo]:
    """A polling bot that echoes."""
    listener = Echo()
    async with polling(api, listener):
        yield listener


async def test_what_is_written_is_answered_by_a_new_message_with_buttons(api, echo):
    api.write(AMINA, "hello", language="sw")
    await until(lambda: texts(api) == ["hello!"])
    assert api.chat(AMINA).labels() == ["Again"]
    assert echo.heard[0].language == "sw" and echo.heard[0].private


async def test_a_tap_edits_in_place_and_the_buttons_clock_is_stopped(api, echo):
    api.write(AMINA, "hello")
    await until(lambda: texts(api) == ["hello!"])
    api.tap(AMINA, "Again")
    await until(lambda: texts(api) == ["again|1!"])
    await until(lambda: len(api.answered) == 1)
    assert api.count("sendMessage") == 1


async def test_an_edit_that_changes_nothing_is_no_failure(api):
    async def same(heard: Heard) -> ChatAnswer:
        return ChatAnswer("same", ((Button("Again", "x"),),), edits=heard.tapped is not None)

    async with polling(api, same):
        api.write(AMINA, "hello")
        await until(lambda: texts(api) == ["same"])
        api.tap(AMINA, "Again")
        await until(lambda: api.count("editMessageText") == 1 and len(api.answered) == 1)
        api.write(AMINA, "still there?")
        await until(lambda: texts(api) == ["same", "same"])


async def test_a_tap_on_a_message_that_was_deleted_is_answered_by_a_new_one(api, echo):
    api.write(AMINA, "hello")
    await until(lambda: texts(api) == ["hello!"])
    chat = api.chat(AMINA)
    gone = chat.last
    del chat.messages[gone["message_id"]]
    api.tap_data(AMINA, gone, "again|1")
    await until(lambda: texts(api) == ["again|1!"])


async def test_commands_come_without_slash_bot_name_and_argument(api, echo):
    api.write(AMINA, "/start@rasid_bot buy_2")
    api.write(AMINA, "/Balance")
    await until(lambda: len(echo.heard) == 2)
    assert [(one.command, one.text) for one in echo.heard] == [("start", "buy_2"), ("balance", "")]


async def test_ones_own_contact_is_heard_as_its_number_and_anothers_is_not(api, echo):
    api.write(AMINA, "", contact={"phone_number": "254712345678", "first_name": "A", "user_id": AMINA})
    api.write(AMINA, "", contact={"phone_number": "254799999999", "first_name": "B", "user_id": 1})
    api.write(AMINA, "end")
    await until(lambda: len(echo.heard) == 2)
    assert [one.text for one in echo.heard] == ["+254712345678", "end"]


async def test_groups_are_told_apart(api, echo):
    api.write(-500, "hello", kind="group")
    await until(lambda: echo.heard)
    assert not echo.heard[0].private


async def test_a_message_with_a_secret_is_taken_out_of_the_chat(api, echo):
    api.write(AMINA, "1234")
    await until(lambda: api.chat(AMINA).deleted)
    assert all("text" in one and one["text"] != "1234" for one in api.chat(AMINA).messages.values())


async def test_a_secret_that_cannot_be_deleted_does_not_keep_the_answer_back(api, echo):
    api.refuse("deleteMessage", 400, "Bad Request: message can't be deleted")
    api.write(AMINA, "1234")
    await until(lambda: texts(api) == ["1234!"])


async def test_a_throttled_answer_waits_as_long_as_telegram_asks_and_comes_once(api, echo):
    api.refuse("sendMessage", 429, "Too Many Requests: retry after 1", retry_after=1, times=1)
    loop = asyncio.get_running_loop()
    began = loop.time()
    api.write(AMINA, "hello")
    await until(lambda: texts(api) == ["hello!"])
    assert loop.time() - began >= 1.0
    assert api.count("sendMessage") == 2


async def test_a_throttled_chat_keeps_no_other_waiting(api, echo):
    api.refuse("sendMessage", 429, "Too Many Requests: retry after 3", retry_after=3)
    api.write(AMINA, "first")
    await until(lambda: api.count("sendMessage") == 1)
    api.write(7002, "other")
    await until(lambda: api.chat(7002).texts() == ["other!"])
    assert texts(api) == []


async def test_answers_of_one_chat_keep_their_order(api, echo):
    api.refuse("sendMessage", 429, "Too Many Requests: retry after 1", retry_after=1)
    for number in range(5):
        api.write(AMINA, f"word {number}")
    await until(lambda: len(texts(api)) == 5)
    assert texts(api) == [f"word {number}!" for number in range(5)]


async def test_an_answer_that_may_have_arrived_is_not_sent_twice(api, echo):
    api.lose_answer("sendMessage")
    api.write(AMINA, "hello")
    await until(lambda: texts(api) == ["hello!"])
    api.write(AMINA, "next")
    await until(lambda: texts(api)[-1] == "next!")
    assert texts(api) == ["hello!", "next!"]


async def test_an_update_that_could_not_be_served_comes_again(api, echo):
    echo.fails = 2
    api.write(AMINA, "hello")
    await until(lambda: texts(api) == ["hello!"])
    assert len(echo.heard) == 1


async def test_polling_outlives_a_server_that_is_away(api, echo):
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
