"""SMS over real HTTP: signed or refused, committed before it is acknowledged, answered once."""

from __future__ import annotations

import asyncio
from ipaddress import ip_network
from uuid import uuid5

import pytest
import sqlalchemy as sa
from redis.asyncio import Redis

from channels.inbound import NAMESPACE
from channels.sms.routes import BODY_LIMIT
from engine.api import Engine
from runtime.logs import configure_logs
from runtime.metrics import Metrics
from tests.channels.phone import FACE_VALUE, MSISDN, money
from tests.channels.sms.posting import OTHER, Serve, post_signed, twiml, waiting
from tests.doubles import africastalking, twilio

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
    packed = {"Content-Encoding": "gzip", "Content-Type": "application/x-www-form-urlencoded"}
    lie = await client.post(path, data=b"zz", headers=packed)
    assert (lie.status, await lie.text()) == (400, "body: cannot be read to its end")
    split = await client.post(path, data=africastalking.text("BAL", MSISDN, "1\r\nSet-Cookie: a=b"))
    assert (split.status, await split.text()) == (400, "id: not well-formed")
    assert "Set-Cookie" not in split.headers
    assert (await client.get(path)).status == 405
    assert (await client.post("/sms/unknown", data={})).status == 404
