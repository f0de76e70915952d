"""Texts out through Twilio, against a double that speaks its REST interface; its own client is the oracle."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest
from redis.asyncio import Redis
from twilio.http.http_client import TwilioHttpClient
from twilio.rest import Client

from channels.sms.contract import CarrierError, ErrorKind, Outgoing, Tools, WrongOptions
from channels.sms.twilio.carrier import Carrier
from runtime.keyring import Keyring
from tests.doubles.twilio import ACCOUNT, FORM, TOKEN, TwilioDouble

SERVICE = "MG" + "0b" * 16


@pytest.fixture
async def double() -> AsyncIterator[TwilioDouble]:
    async with TwilioDouble() as double:
        yield double


@pytest.fixture
async def carrier(double: TwilioDouble, redis_client: Redis, keyring: Keyring) -> AsyncIterator[Any]:
    made: list[Carrier] = []

    def make(*, channel: str = "sms", public_url: str = "", secret_path: str = "", **options: Any) -> Carrier:
        tools = Tools(
            redis=redis_client, keyring=keyring, channel=channel, public_url=public_url, secret_path=secret_path
        )
        account = {"account_sid": ACCOUNT, "auth_token": TOKEN, "base_url": double.url, **options}
        made.append(Carrier("twilio", account, tools))
        return made[-1]

    yield make
    for one in made:
        await one.close()


def outgoing(text: str = "Salio lako ni KES 50.00 & zaidi; شكرا") -> Outgoing:
    return Outgoing(message_id=uuid4(), to="+254712345678", sender="Rasid", text=text, at=datetime.now(UTC))


class ToDouble(TwilioHttpClient):
    """Twilio's own client, sent to the double."""

    def __init__(self, base: str) -> None:
        super().__init__()
        self._base = base

    def request(self, method: str, url: str, *args: Any, **more: Any) -> Any:
        return super().request(method, url.replace("https://api.twilio.com", self._base), *args, **more)


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ({}, {"from_": "Rasid", "to": "+254712345678"}),
        ({"sender": "+15005550006"}, {"from_": "+15005550006", "to": "+254712345678"}),
        ({"messaging_service_sid": SERVICE}, {"messaging_service_sid": SERVICE, "to": "+254712345678"}),
        (
            {"channel": "whatsapp", "sender": "+14155238886"},
            {"from_": "whatsapp:+14155238886", "to": "whatsapp:+254712345678"},
        ),
        (
            {"public_url": "https://rasid.example", "secret_path": "s3cret"},
            {
                "from_": "Rasid",
                "to": "+254712345678",
                "status_callback": "https://rasid.example/sms/twilio/status/s3cret",
            },
        ),
    ],
)
async def test_a_text_is_sent_as_twilios_own_client_sends_it(
    double: TwilioDouble, carrier, ours: dict, theirs: dict
) -> None:
    text = outgoing()
    sent = await carrier(**ours).send(text)
    official = Client(ACCOUNT, TOKEN, http_client=ToDouble(double.url))
    await asyncio.to_thread(official.messages.create, body=text.text, **theirs)
    own, other = double.requests
    assert own.form == other.form
    assert own.path == other.path
    for header in ("Authorization", "Content-Type", "Accept"):
        assert own.headers[header] == other.headers[header]
    assert own.headers["Content-Type"] == FORM
    assert sent.carrier_id == double.taken[0]
    official.http_client.session.close()


@pytest.mark.parametrize(
    ("word", "reason", "kind"),
    [
        (21211, "21211", ErrorKind.PERMANENT),
        (21610, "21610", ErrorKind.PERMANENT),
        (21614, "21614", ErrorKind.PERMANENT),
        (21617, "21617", ErrorKind.PERMANENT),
        (30006, "30006", ErrorKind.PERMANENT),
        (20429, "20429", ErrorKind.THROTTLED),
        (30003, "30003", ErrorKind.RETRY),
        (20003, "20003", ErrorKind.REROUTE),
        (21408, "21408", ErrorKind.REROUTE),
        (63016, "63016", ErrorKind.REROUTE),
        (99999, "99999", ErrorKind.REROUTE),
        ("unavailable", "http_503", ErrorKind.RETRY),
        ("broken", "http_500", ErrorKind.UNKNOWN),
        ("garbage", "http_200", ErrorKind.UNKNOWN),
        ("flood", "http_200", ErrorKind.UNKNOWN),
        ("redirect", "http_307", ErrorKind.UNKNOWN),
        ("lost", "no_answer", ErrorKind.UNKNOWN),
    ],
)
async def test_a_refusal_says_what_may_be_done_with_the_text(
    double: TwilioDouble, carrier, word: str | int, reason: str, kind: ErrorKind
) -> None:
    double.script.append(word)
    with pytest.raises(CarrierError) as refused:
        await carrier().send(outgoing())
    assert (refused.value.reason, refused.value.kind) == (reason, kind)
    assert len(double.requests) == 1


@pytest.mark.parametrize(("word", "seconds"), [(20429, 3.0), ("unavailable", 7.0), (21211, None)])
async def test_a_wait_that_twilio_asks_for_is_handed_on(
    double: TwilioDouble, carrier, word: str | int, seconds: float | None
) -> None:
    double.script.append(word)
    with pytest.raises(CarrierError) as refused:
        await carrier().send(outgoing())
    assert refused.value.retry_after == seconds


async def test_a_carrier_that_does_not_answer_in_time_may_have_sent_it(double: TwilioDouble, carrier) -> None:
    double.script.append("slow")
    with pytest.raises(CarrierError) as refused:
        await carrier(timeout_seconds=1).send(outgoing())
    assert refused.value.kind is ErrorKind.UNKNOWN


async def test_while_nobody_listens_nothing_was_sent(carrier) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        with pytest.raises(CarrierError) as refused:
            await carrier(base_url=f"http://127.0.0.1:{closed.getsockname()[1]}").send(outgoing())
    assert refused.value.kind is ErrorKind.RETRY


async def test_a_refusal_never_repeats_number_or_text(double: TwilioDouble, carrier) -> None:
    double.script.append(21211)
    with pytest.raises(CarrierError) as refused:
        await carrier().send(outgoing("PIN 2580"))
    assert "254712" not in repr(refused.value) + str(outgoing())
    assert "2580" not in repr(refused.value)


async def test_texts_at_once_share_connections_and_each_gets_its_own_id(double: TwilioDouble, carrier) -> None:
    one = carrier()
    sent = await asyncio.gather(*(one.send(outgoing(str(number))) for number in range(50)))
    assert {each.carrier_id for each in sent} == set(double.taken)
    assert len(double.taken) == 50


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"account_sid": "AC1"}, "account_sid"),
        ({"auth_token": ""}, "auth_token"),
        ({"auth_tokn": "x"}, "auth_tokn"),
        ({"messaging_service_sid": "SM1"}, "messaging_service_sid"),
        ({"base_url": "https://user:password@host"}, "base_url"),
        ({"channel": "whatsapp"}, "sender"),
    ],
)
async def test_wrong_options_are_refused_by_name_without_their_value(carrier, options: dict, named: str) -> None:
    with pytest.raises(WrongOptions) as refused:
        carrier(**options)
    assert [option for option, _ in refused.value.problems] == [named]
    assert "password" not in str(refused.value)
