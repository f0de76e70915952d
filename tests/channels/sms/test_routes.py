"""SMS over real HTTP: signed or refused, committed before it is acknowledged, answered once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from ipaddress import ip_network
from typing import Any
from uuid import UUID, uuid5
from xml.etree import ElementTree as ET

import pytest
import sqlalchemy as sa
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from redis.asyncio import Redis

from channels.inbound import NAMESPACE, Inbound
from channels.sms.africastalking.webhook import Webhook as AfricasTalking
from channels.sms.contract import DeliveryState, Outgoing, Tools
from channels.sms.routes import BODY_LIMIT, Door, routes
from channels.sms.twilio.carrier import Carrier as TwilioCarrier
from channels.sms.twilio.webhook import Webhook as Twilio
from engine.api import Engine
from engine.words import AccountRef, Message
from runtime.keyring import Keyring
from runtime.logs import configure_logs
from runtime.metrics import Metrics
from tests.channels.phone import FACE_VALUE, MSISDN, money
from tests.channels.texter import TextTalk
from tests.doubles import africastalking, twilio

Client = TestClient[web.Request, web.Application]
Serve = Callable[..., Awaitable[Client]]
ACCOUNT = {"account_sid": twilio.ACCOUNT, "auth_token": twilio.TOKEN}
OTHER = "+254712345679"


@pytest.fixture
async def serve(engine: Engine, texting: TextTalk) -> AsyncIterator[Serve]:
    """Starts a server with Twilio, WhatsApp and Africa's Talking; keywords go to every ``Door``."""
    clients: list[Client] = []

    async def start(
        metrics: Metrics | None = None, public_url: str = "", engine: Engine = engine, **door: Any
    ) -> Client:
        doors = [
            Door(name="twilio", webhook=Twilio("twilio", ACCOUNT), **door),
            Door(name="whatsapp", webhook=Twilio("whatsapp", ACCOUNT, channel="whatsapp"), **door),
            Door(
                name="africastalking",
                webhook=AfricasTalking("africastalking", {"username": "rasid", "api_key": "k"}),
                **door,
            ),
        ]
        application = web.Application(client_max_size=BODY_LIMIT)
        inbound = Inbound(engine, texting(engine=engine))
        application.add_routes(routes(doors, inbound, metrics or Metrics(), public_url))
        client = TestClient(TestServer(application))
        await client.start_server()
        clients.append(client)
        return client

    yield start
    for client in clients:
        await client.close()


async def post_signed(client: Client, path: str, fields: dict[str, Any], sign: Any = twilio.signed) -> tuple[int, str]:
    """As Twilio posts; what it reads."""
    async with client.post(path, data=fields, headers=sign(str(client.make_url(path)), fields)) as response:
        return response.status, await response.text()


async def twiml(client: Client, body: str, sid: str = "SM1", sender: str = MSISDN) -> str | None:
    """Text by Twilio; the answer, None for none."""
    status, answer = await post_signed(client, "/sms/twilio", twilio.text(body, sender, sid))
    assert status == 200
    said = [child.text or "" for child in ET.fromstring(answer)]
    return "\n".join(said) if said else None


async def waiting(engine: Engine) -> list[Message]:
    """What lies in the outbox as answer."""
    return [message for message in await engine.claim_messages(100, 1) if message.topic == "reply"]


@pytest.fixture
async def sent(engine: Engine, line: str) -> UUID:
    """A text that Twilio has taken under ``SM-out``."""
    subscriber = await engine.subscriber(line)
    message_id = UUID(int=7)
    account = AccountRef(*subscriber.account)
    assert await engine.tell(account, subscriber.line_id, message_id, "reply", {"text": "x"})
    (message,) = await engine.claim_messages(10, 60)
    await engine.record_attempt(message, "twilio", "SM-out", DeliveryState.SENT, None)
    return message_id


# --- texts ---


async def test_a_keyword_is_answered_by_twiml(serve: Serve, line: str) -> None:
    client = await serve()
    said = await twiml(client, "BAL")
    assert said is not None
    assert "0.00" in said


async def test_a_whole_recharge_by_text(serve: Serve, engine: Engine, line: str, vouchers: list[str]) -> None:
    client = await serve()
    said = await twiml(client, f"RCH {vouchers[0]}")
    assert said is not None
    assert await money(engine) == FACE_VALUE


async def test_a_text_that_comes_again_is_answered_byte_for_byte_and_booked_once(
    serve: Serve, engine: Engine, line: str, vouchers: list[str]
) -> None:
    client = await serve()
    fields = twilio.text(f"RCH {vouchers[0]}", MSISDN)
    answers = await asyncio.gather(*(post_signed(client, "/sms/twilio", fields) for _ in range(6)))
    assert len(set(answers)) == 1
    assert answers[0][0] == 200
    assert await money(engine) == FACE_VALUE


async def test_with_redis_emptied_a_text_that_comes_again_is_booked_once(
    serve: Serve, engine: Engine, line: str, vouchers: list[str], redis_client: Redis
) -> None:
    client = await serve()
    for _ in range(3):
        assert await twiml(client, f"RCH {vouchers[0]}") is not None
        await redis_client.flushdb()
    assert await money(engine) == FACE_VALUE


async def test_a_whatsapp_message_is_answered_like_a_text(serve: Serve, line: str) -> None:
    client = await serve()
    fields = twilio.text("BAL", f"whatsapp:{MSISDN}", To="whatsapp:+14155238886")
    status, answer = await post_signed(client, "/sms/whatsapp", fields)
    assert status == 200
    assert "<Message>" in answer
    status, _ = await post_signed(client, "/sms/twilio", fields)
    assert status == 400


async def test_a_picture_alone_is_no_error(serve: Serve, line: str) -> None:
    client = await serve()
    fields = twilio.text("", MSISDN, NumMedia="1", MediaUrl0="https://api.twilio.example/m/1")
    assert (await post_signed(client, "/sms/twilio", fields))[0] == 200


async def test_an_answer_without_twiml_lies_in_the_outbox_when_the_text_is_acknowledged(
    serve: Serve, engine: Engine, line: str
) -> None:
    client = await serve()
    async with client.post("/sms/africastalking", data=africastalking.text("BAL", MSISDN, "at-1")) as response:
        assert (response.status, await response.text()) == (200, "OK")
    (message,) = await waiting(engine)
    assert message.message_id == uuid5(NAMESPACE, "africastalking|at-1")
    assert message.msisdn == MSISDN
    assert "0.00" in message.body["text"]


async def test_a_text_that_comes_again_is_answered_once(
    serve: Serve, engine: Engine, line: str, vouchers: list[str], redis_client: Redis
) -> None:
    client = await serve()
    fields = africastalking.text(f"RCH {vouchers[0]}", MSISDN)
    await asyncio.gather(*(client.post("/sms/africastalking", data=fields) for _ in range(6)))
    await redis_client.flushdb()
    assert (await client.post("/sms/africastalking", data=fields)).status == 200
    assert len(await waiting(engine)) == 1
    assert await money(engine) == FACE_VALUE


async def test_what_cannot_be_committed_is_not_acknowledged(
    serve: Serve, engine: Engine, line: str, database_url: str
) -> None:
    client = await serve()
    fields = africastalking.text("BAL", MSISDN)
    owner = sa.create_engine(sa.make_url(database_url).set(drivername="postgresql+psycopg"))
    with owner.begin() as connection:
        connection.execute(sa.text("ALTER TABLE outbox RENAME TO outbox_away"))
    refused = await client.post("/sms/africastalking", data=fields)
    assert refused.status == 503
    with owner.begin() as connection:
        connection.execute(sa.text("ALTER TABLE outbox_away RENAME TO outbox"))
    owner.dispose()
    assert (await client.post("/sms/africastalking", data=fields)).status == 200
    assert len(await waiting(engine)) == 1


async def test_a_stranger_costs_no_text(serve: Serve, engine: Engine) -> None:
    client = await serve()
    async with client.post("/sms/africastalking", data=africastalking.text("BAL", OTHER)) as response:
        assert response.status == 200
    assert await waiting(engine) == []


# --- opt-out ---


async def opted_out(engine: Engine) -> bool:
    subscriber = await engine.subscriber(MSISDN)
    return (await engine.preferences(subscriber)).opted_out


async def test_stop_that_twilio_has_answered_is_obeyed_in_silence(serve: Serve, engine: Engine, line: str) -> None:
    client = await serve()
    for sid, word, after in (("SM1", "STOP", True), ("SM2", "HELP", True), ("SM3", "START", False)):
        fields = twilio.text(word, MSISDN, sid, OptOutType=word)
        assert await post_signed(client, "/sms/twilio", fields) == (
            200,
            '<?xml version="1.0" encoding="UTF-8"?><Response />',
        )
        assert await opted_out(engine) is after


async def test_stop_that_is_left_to_us_is_obeyed_and_answered(serve: Serve, engine: Engine, line: str) -> None:
    client = await serve()
    assert await twiml(client, "STOP") is not None
    assert await opted_out(engine)


async def test_an_optout_call_is_obeyed_however_often_it_comes(serve: Serve, engine: Engine, line: str) -> None:
    client = await serve()
    for _ in range(2):
        form = {"senderId": "20880", "phoneNumber": MSISDN}
        assert (await client.post("/sms/africastalking/optout", data=form)).status == 200
        assert await opted_out(engine)
    stranger = {"senderId": "20880", "phoneNumber": OTHER}
    assert (await client.post("/sms/africastalking/optout", data=stranger)).status == 200


# --- reports ---


async def history(engine: Engine, message_id: UUID) -> DeliveryState:
    return max((event.state for event in await engine.message_history(message_id)), key=lambda state: state.rank)


async def test_status_callbacks_in_any_order_end_at_the_highest(serve: Serve, engine: Engine, sent: UUID) -> None:
    client = await serve()
    for status in ("delivered", "sent", "queued", "teleported"):
        fields = {"MessageSid": "SM-out", "MessageStatus": status}
        assert (await post_signed(client, "/sms/twilio/status", fields))[0] == 200
    assert await history(engine, sent) is DeliveryState.DELIVERED


async def test_a_report_that_comes_before_its_attempt_is_kept_for_it(serve: Serve, engine: Engine, line: str) -> None:
    client = await serve()
    form = africastalking.report("ATXid_early", "Failed", failureReason="UserInBlackList")
    assert (await client.post("/sms/africastalking/status", data=form)).status == 200
    subscriber = await engine.subscriber(line)
    assert await engine.tell(subscriber.account, subscriber.line_id, UUID(int=9), "reply", {"text": "x"})
    (message,) = await engine.claim_messages(10, 60)
    await engine.record_attempt(message, "africastalking", "ATXid_early", DeliveryState.SENT, None)
    assert await history(engine, UUID(int=9)) is DeliveryState.FAILED


async def test_what_twilio_reports_on_a_text_we_sent_finds_its_way_back(
    serve: Serve, engine: Engine, line: str, redis_client: Redis, keyring: Keyring
) -> None:
    client = await serve()
    public_url = str(client.make_url("/")).rstrip("/")
    subscriber = await engine.subscriber(line)
    message_id = UUID(int=11)
    await engine.tell(subscriber.account, subscriber.line_id, message_id, "reply", {"text": "x"})
    (message,) = await engine.claim_messages(10, 60)
    tools = Tools(redis=redis_client, keyring=keyring, public_url=public_url)
    async with twilio.TwilioDouble() as double:
        carrier = TwilioCarrier("twilio", {**ACCOUNT, "base_url": double.url}, tools)
        sent = await carrier.send(
            Outgoing(message_id=message_id, to=MSISDN, sender="Rasid", text="x", at=message.created_at)
        )
        assert sent.carrier_id is not None
        http = client.session
        # Faster than our own commit, then out of order.
        assert await double.report(http, sent.carrier_id, "undelivered", ErrorCode="30003") == 200
        await engine.record_attempt(message, "twilio", sent.carrier_id, DeliveryState.SENT, None)
        assert await double.report(http, sent.carrier_id, "sending") == 200
        await carrier.close()
    assert await history(engine, message_id) is DeliveryState.UNDELIVERED
    assert "30003" in {event.error for event in await engine.message_history(message_id)}


# --- who may call, and how ---


async def test_what_twilio_did_not_sign_changes_nothing_and_is_logged_with_its_reason(
    serve: Serve, engine: Engine, line: str, vouchers: list[str], capfd: pytest.CaptureFixture[str]
) -> None:
    configure_logs("ussd")
    metrics = Metrics()
    client = await serve(metrics)
    fields = twilio.text(f"RCH {vouchers[0]}", MSISDN)
    path = "/sms/twilio"
    url = str(client.make_url(path))
    for headers in ({}, {"X-Twilio-Signature": "x"}, twilio.signed(url, fields | {"Body": "BAL"})):
        assert (await client.post(path, data=fields, headers=headers)).status == 403
    assert (await client.post(f"{path}/status", data={"MessageSid": "SM1", "MessageStatus": "sent"})).status == 403
    assert await money(engine) == 0
    written = capfd.readouterr().err
    assert "signature_missing" in written
    assert "signature_wrong" in written
    for secret in (vouchers[0], MSISDN[1:], twilio.TOKEN):
        assert secret not in written
    assert 'rasid_carrier_calls_total{carrier="twilio",kind="text",outcome="unverified"} 3.0' in (
        metrics.render().decode()
    )


async def test_behind_tls_the_public_address_is_what_was_signed(serve: Serve, line: str) -> None:
    client = await serve(public_url="https://rasid.example")
    fields = twilio.text("BAL", MSISDN)
    signed = twilio.signed("https://rasid.example/sms/twilio?a=b%20c", fields)
    assert (await client.post("/sms/twilio?a=b%20c", data=fields, headers=signed)).status == 200
    inner = twilio.signed(str(client.make_url("/sms/twilio")), fields)
    assert (await client.post("/sms/twilio", data=fields, headers=inner)).status == 403


async def test_the_secret_segment_guards_every_path(serve: Serve, line: str) -> None:
    client = await serve(secret="s3cret")
    form = africastalking.text("BAL", MSISDN)
    for path, body in (("", form), ("/status", africastalking.report("1", "Sent")), ("/optout", form)):
        assert (await client.post(f"/sms/africastalking{path}", data=body)).status == 404
        assert (await client.post(f"/sms/africastalking{path}/wrong", data=body)).status == 404
    assert (await client.post("/sms/africastalking/s3cret", data=form)).status == 200
    status, _ = await post_signed(client, "/sms/twilio/s3cret", twilio.text("BAL", MSISDN))
    assert status == 200


async def test_a_caller_from_elsewhere_is_refused(serve: Serve, line: str) -> None:
    client = await serve(allow=(ip_network("10.0.0.0/8"),))
    assert (await client.post("/sms/africastalking", data=africastalking.text("BAL", MSISDN))).status == 403


async def test_hostile_requests_get_a_refusal_of_their_own(serve: Serve, line: str) -> None:
    client = await serve()
    path = "/sms/africastalking"
    huge = await client.post(path, data=africastalking.text("x" * BODY_LIMIT, MSISDN))
    assert huge.status == 413
    long = await client.post(path, data=africastalking.text("x" * 2000, MSISDN))
    assert (long.status, await long.text()) == (400, "text: longer than 1600 characters")
    assert (await client.post(path, json=africastalking.text("BAL", MSISDN))).status == 415
    raw = await client.post(path, data=b"text=%ff", headers={"Content-Type": "application/x-www-form-urlencoded"})
    assert (raw.status, await raw.text()) == (400, "body: not a UTF-8 form")
    split = await client.post(path, data=africastalking.text("BAL", MSISDN, "1\r\nSet-Cookie: a=b"))
    assert (split.status, await split.text()) == (400, "id: not well-formed")
    assert "Set-Cookie" not in split.headers
    assert (await client.get(path)).status == 405
    assert (await client.post("/sms/unknown", data={})).status == 404
