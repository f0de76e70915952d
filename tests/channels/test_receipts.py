"""What was done by text or chat is told once: by its answer, or, where that did not go out, by its receipt."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest
from aiohttp import web

from channels.chat.telegram.application import TelegramBot
from channels.chat.telegram.polling import Poller
from channels.chats import Chats, chat_profile
from channels.inbound import Inbound
from channels.quota import Quota
from channels.sms.contract import Incoming
from channels.sms.routes import Door, routes
from channels.sms.twilio.webhook import Webhook as Twilio
from dialogs.notices import Notices
from engine.api import Engine
from engine.words import Subscriber
from runtime.metrics import Metrics
from tests.channels.phone import FACE_VALUE, MSISDN, OTHER, Phone, Talk, money
from tests.channels.texter import TextTalk
from tests.doubles import twilio
from tests.doubles.bot_api import TOKEN, BotApi
from tests.serving import Client, ClientOf
from tests.waiting import until

AMINA = 7700112233
DROPPED = "SELECT 1 FROM outbox WHERE topic = 'recharge.done' AND state = 'dropped'"


@pytest.fixture
def topics_told(engine: Engine, owner: psycopg.Connection[Any]) -> Callable[[], Awaitable[list[str]]]:
    """What goes out in the end, once every wait is over."""

    async def read() -> list[str]:
        owner.execute("UPDATE outbox SET due_at = now() WHERE state = 'due'")
        return sorted(message.topic for message in await engine.claim_messages(100, 60))

    return read


def text(words: str, message_id: str = "m-1") -> Incoming:
    return Incoming(
        carrier="simulator", carrier_id=message_id, sender=MSISDN, to="123", text=words, at=datetime.now(UTC)
    )


async def test_a_recharge_by_text_is_told_by_its_answer_alone(
    engine: Engine, texting: TextTalk, line: str, vouchers: list[str], topics_told
) -> None:
    await Inbound(engine, texting()).take(text(f"RCH {vouchers[0]}"))
    assert await topics_told() == ["reply"]


async def test_a_purchase_confirmed_by_a_second_text_is_told_once(
    engine: Engine, texting: TextTalk, line: str, vouchers: list[str], topics_told
) -> None:
    inbound = Inbound(engine, texting())
    for number, words in enumerate((f"RCH {vouchers[0]}", "BUY 1", "1")):
        await inbound.take(text(words, f"m-{number}"))
    assert await money(engine) == FACE_VALUE - 2_000
    assert await topics_told() == ["reply", "reply", "reply"]


async def test_a_gift_is_told_its_giver_once_and_so_is_its_undoing(
    engine: Engine, texting: TextTalk, rich: Subscriber, topics_told
) -> None:
    await engine.create_line(OTHER, language="en")
    inbound = Inbound(engine, texting())
    for number, words in enumerate((f"SEND 50 {OTHER}", "1", "UNDO", "1", "1")):
        await inbound.take(text(words, f"m-{number}"))
    assert await money(engine) == 100_000 and await money(engine, OTHER) == 0
    assert await topics_told() == ["gift.received", "gift.taken_back", *["reply"] * 5]


async def test_an_advance_by_text_is_told_once(
    *, engine: Engine, texting: TextTalk, line: str, vouchers: list[str], topics_told, owner
) -> None:
    await engine.create_line(OTHER, language="en")
    inbound = Inbound(engine, texting())
    owner.execute("UPDATE line SET opened_at = opened_at - interval '40 days'")
    # Who borrows has recharged before, and has little left.
    for number, words in enumerate((f"RCH {vouchers[0]}", f"SEND 48 {OTHER}", "1", "ADVANCE", "1", "1")):
        await inbound.take(text(words, f"m-{number}"))
    assert await money(engine) > 0
    assert not {"advance.done", "gift.sent"}.intersection(await topics_told())


async def test_what_was_done_is_told_by_its_receipt_when_the_process_died_before_it_answered(
    engine: Engine, texting: TextTalk, line: str, vouchers: list[str], topics_told
) -> None:
    await Inbound(engine, texting()).answer(text(f"RCH {vouchers[0]}"))
    # Here the process dies: the answer is in the books and in Redis, and nowhere else.
    assert [message.topic for message in await engine.claim_messages(100, 60)] == [], "the answer may still come"
    assert await topics_told() == ["recharge.done"]


async def test_a_text_that_the_carrier_brings_again_after_a_crash_is_told_once(
    *, engine: Engine, texting: TextTalk, line: str, vouchers: list[str], redis_client, topics_told
) -> None:
    await Inbound(engine, texting()).answer(text(f"RCH {vouchers[0]}"))
    await redis_client.flushall()
    for _ in range(2):
        await Inbound(engine, texting()).take(text(f"RCH {vouchers[0]}"))
    assert await topics_told() == ["reply"]


async def test_what_was_done_by_ussd_has_its_receipt_at_once(
    engine: Engine, talk: Talk, line: str, vouchers: list[str]
) -> None:
    phone = Phone(talk())
    await phone.dial(vouchers[0])
    await phone.say("1")
    assert [message.topic for message in await engine.claim_messages(100, 60)] == ["recharge.done"]


# --- a carrier whose answer is the reply to its own call ---


@pytest.fixture
async def door(engine: Engine, texting: TextTalk, client_of: ClientOf) -> Client:
    """A server that Twilio calls."""
    account = {"account_sid": twilio.ACCOUNT, "auth_token": twilio.TOKEN}
    application = web.Application()
    one = Door(name="twilio", webhook=Twilio("twilio", account))
    application.add_routes(routes([one], Inbound(engine, texting()), Metrics()))
    return await client_of(application)


async def test_twiml_that_has_left_makes_the_receipt_needless(
    door, line: str, vouchers: list[str], topics_told, owner
) -> None:
    form = twilio.text(f"RCH {vouchers[0]}", MSISDN)
    url = str(door.make_url("/sms/twilio"))
    async with door.post("/sms/twilio", data=form, headers=twilio.signed(url, form)) as response:
        assert "50.00" in await response.text()
    await until(lambda: owner.execute(DROPPED).fetchone())
    assert await topics_told() == []


async def test_a_carrier_that_hangs_up_before_its_answer_leaves_the_receipt(
    *, engine: Engine, door, line: str, vouchers: list[str], topics_told, owner
) -> None:
    form = twilio.text(f"RCH {vouchers[0]}", MSISDN)
    url = str(door.make_url("/sms/twilio"))
    # The account is locked by somebody else for as long as the carrier takes to give up.
    with owner.transaction():
        owner.execute("SELECT 1 FROM account FOR UPDATE")
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.5):
                await door.post("/sms/twilio", data=form, headers=twilio.signed(url, form))
    await until(lambda: money(engine))
    await asyncio.sleep(0.3)
    assert await topics_told() == ["recharge.done"]


# --- chats ---


@pytest.fixture
async def chat(
    *, engine: Engine, texting: TextTalk, store, redis_client, keyring, texts, operator, line: str
) -> AsyncIterator[BotApi]:
    """The line's chat, at a bot that polls."""
    subscriber = await engine.subscriber(line)
    assert await engine.link_chat("telegram", str(AMINA), line, await engine.link_code(subscriber))
    conversation = texting(profile=chat_profile(operator))
    chats = Chats(
        engine=engine,
        conversation=conversation,
        store=store,
        quota=Quota(redis_client, keyring),
        redis=redis_client,
        keyring=keyring,
        texts=texts,
        notices=Notices(texts, operator),
        operator=operator,
    )
    api = BotApi()
    await api.start()
    bot = TelegramBot(TOKEN, api.base_url, chats.hear, Inbound(engine, conversation).told)
    await bot.start()
    polling = asyncio.create_task(Poller(bot).run())
    yield api
    polling.cancel()
    await asyncio.wait([polling])
    await bot.stop()
    await api.stop()


async def test_a_recharge_in_a_chat_is_told_there_alone(chat: BotApi, vouchers: list[str], topics_told, owner) -> None:
    chat.write(AMINA, vouchers[0])
    await until(lambda: chat.chat(AMINA).texts())
    chat.tap(AMINA, "Recharge")
    await until(lambda: "Recharged" in chat.chat(AMINA).texts()[-1])
    await until(lambda: owner.execute(DROPPED).fetchone())
    assert await topics_told() == ["security.chat_linked"]


async def test_an_answer_that_telegram_refused_leaves_the_receipt(
    engine: Engine, chat: BotApi, vouchers: list[str], topics_told
) -> None:
    chat.write(AMINA, vouchers[0])
    await until(lambda: chat.chat(AMINA).texts())
    chat.refuse("editMessageText", 403, "Forbidden: bot was blocked by the user")
    chat.tap(AMINA, "Recharge")
    await until(lambda: chat.count("editMessageText"))
    assert await money(engine) == FACE_VALUE
    assert await topics_told() == ["recharge.done", "security.chat_linked"]
