"""Notices by Telegram, and what a refused or lost one says."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from uuid import uuid4

import pytest
from redis.asyncio import Redis

from channels.chat.telegram.carrier import Carrier
from channels.sms.contract import CarrierError, ErrorKind, Outgoing, Tools
from runtime.keyring import Keyring
from tests.channels.chat.bots import AMINA, texts
from tests.doubles.bot_api import TOKEN, BotApi


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
