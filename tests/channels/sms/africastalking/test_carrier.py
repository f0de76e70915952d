"""Texts out through Africa's Talking, against a double that speaks the bulk form."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest
from redis.asyncio import Redis

from channels.sms.africastalking.carrier import Carrier
from channels.sms.africastalking.options import LIVE, SANDBOX, AfricasTalkingOptions
from channels.sms.contract import CarrierError, ErrorKind, Outgoing, Tools, WrongOptions
from runtime.keyring import Keyring
from tests.doubles.africastalking import API_KEY, USERNAME, AfricasTalkingDouble

TEXT = "Salio lako ni KES 50.00 & zaidi; شكرا"


@pytest.fixture
async def double() -> AsyncIterator[AfricasTalkingDouble]:
    async with AfricasTalkingDouble() as double:
        yield double


@pytest.fixture
async def carrier(double: AfricasTalkingDouble, redis_client: Redis, keyring: Keyring) -> AsyncIterator[Any]:
    made: list[Carrier] = []

    def make(**options: Any) -> Carrier:
        account = {"username": USERNAME, "api_key": API_KEY, "base_url": double.url, **options}
        made.append(Carrier("africastalking", account, Tools(redis=redis_client, keyring=keyring)))
        return made[-1]

    yield make
    for one in made:
        await one.close()


def outgoing() -> Outgoing:
    return Outgoing(message_id=uuid4(), to="+254712345678", sender="Rasid", text=TEXT, at=datetime.now(UTC))


@pytest.mark.parametrize(
    ("options", "more"),
    [
        ({}, {"from": "Rasid"}),
        ({"sender": "20880"}, {"from": "20880"}),
        ({"sender": "none"}, {}),
        ({"enqueue": True}, {"from": "Rasid", "enqueue": "1"}),
    ],
)
async def test_a_text_is_one_bulk_form(double: AfricasTalkingDouble, carrier, options: dict, more: dict) -> None:
    sent = await carrier(**options).send(outgoing())
    (request,) = double.requests
    # The fields of africastalking 2.0.3's SMS.send.
    expected = {"username": USERNAME, "to": "+254712345678", "message": TEXT, "bulkSMSMode": "1"}
    assert request.form == expected | more
    assert (request.headers["apiKey"], request.headers["Accept"]) == (API_KEY, "application/json")
    assert request.headers["Content-Type"] == "application/x-www-form-urlencoded"
    assert sent.carrier_id == double.taken[0]


@pytest.mark.parametrize("code", [100, 101, 102])
async def test_processed_sent_and_queued_are_taken(double: AfricasTalkingDouble, carrier, code: int) -> None:
    double.script.append(code)
    assert (await carrier().send(outgoing())).carrier_id == double.taken[0]


async def test_the_word_none_is_no_id(double: AfricasTalkingDouble, carrier) -> None:
    double.script.append("no_id")
    assert (await carrier().send(outgoing())).carrier_id is None


@pytest.mark.parametrize(
    ("word", "reason", "kind"),
    [
        (401, "401", ErrorKind.REROUTE),
        (402, "402", ErrorKind.REROUTE),
        (403, "403", ErrorKind.PERMANENT),
        (404, "404", ErrorKind.REROUTE),
        (405, "405", ErrorKind.REROUTE),
        (406, "406", ErrorKind.PERMANENT),
        (407, "407", ErrorKind.REROUTE),
        (409, "409", ErrorKind.PERMANENT),
        (500, "500", ErrorKind.RETRY),
        (501, "501", ErrorKind.RETRY),
        (502, "502", ErrorKind.REROUTE),
        ("nobody", "InvalidSenderId", ErrorKind.REROUTE),
        ("throttle", "http_429", ErrorKind.THROTTLED),
        ("unavailable", "http_503", ErrorKind.RETRY),
        ("broken", "http_500", ErrorKind.UNKNOWN),
        ("garbage", "http_200", ErrorKind.UNKNOWN),
        ("lost", "no_answer", ErrorKind.UNKNOWN),
    ],
)
async def test_a_refusal_says_what_may_be_done_with_the_text(
    double: AfricasTalkingDouble, carrier, word: str | int, reason: str, kind: ErrorKind
) -> None:
    double.script.append(word)
    with pytest.raises(CarrierError) as refused:
        await carrier().send(outgoing())
    assert (refused.value.reason, refused.value.kind) == (reason, kind)
    assert len(double.requests) == 1


async def test_a_wrong_key_is_our_trouble_not_the_texts(carrier) -> None:
    with pytest.raises(CarrierError) as refused:
        await carrier(api_key="old").send(outgoing())
    assert (refused.value.reason, refused.value.kind) == ("http_401", ErrorKind.REROUTE)


def test_the_sandbox_is_for_who_is_named_so() -> None:
    assert AfricasTalkingOptions(username="sandbox", api_key="k").url == SANDBOX
    assert AfricasTalkingOptions(username="rasid", api_key="k").url == LIVE


async def test_unknown_options_are_refused_by_name(carrier) -> None:
    with pytest.raises(WrongOptions) as refused:
        carrier(apikey="x")
    assert refused.value.problems[0][0] == "apikey"
