"""What carriers tell of texts and wishes: states in any order, STOP by every way it comes."""

from __future__ import annotations

from uuid import UUID

import pytest
from redis.asyncio import Redis

from channels.sms.contract import DeliveryState, Outgoing, Tools
from channels.sms.twilio.carrier import Carrier as TwilioCarrier
from engine.api import Engine
from engine.words import AccountRef
from runtime.keyring import Keyring
from tests.channels.phone import MSISDN
from tests.channels.sms.posting import ACCOUNT, OTHER, Serve, post_signed, twiml
from tests.doubles import africastalking, twilio


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
