"""Attempts and reports: whatever comes in whatever order, under whatever spelling, a message has one true state."""

from __future__ import annotations

import asyncio
import itertools
from datetime import UTC, datetime, timedelta

import pytest

from engine.api import Engine
from engine.words import DeliveryState

QUEUED, SENT = DeliveryState.QUEUED, DeliveryState.SENT
DELIVERED, FAILED, EXPIRED = DeliveryState.DELIVERED, DeliveryState.FAILED, DeliveryState.EXPIRED


async def claimed(engine: Engine):
    (message,) = await engine.claim_messages(10, 60)
    return message


def state(owner) -> tuple[str, str]:
    row = owner.execute("SELECT state, delivery FROM outbox").fetchone()
    return row["state"], row["delivery"]


async def test_a_message_is_written_once_per_id(engine: Engine, person) -> None:
    message_id = person.line_id
    said = (person.account, person.line_id, message_id, "reply", {"text": "Hello"})
    assert await engine.tell(*said)
    assert not await engine.tell(*said)
    assert len(await engine.claim_messages(10, 60)) == 1


async def test_a_report_after_its_attempt_raises_the_state(engine: Engine, tell, owner) -> None:
    message_id = await tell()
    await engine.record_attempt(await claimed(engine), "one", "abc", SENT)
    assert state(owner) == ("sent", "sent")
    assert await engine.record_report("one", ["abc"], DELIVERED)
    assert state(owner) == ("sent", "delivered")
    assert [event.state for event in await engine.message_history(message_id)] == [SENT, DELIVERED]


async def test_a_report_before_its_attempt_waits_for_it(engine: Engine, tell, owner) -> None:
    message_id = await tell()
    message = await claimed(engine)
    assert not await engine.record_report("one", ["abc"], FAILED, "27")
    await engine.record_attempt(message, "one", "abc", SENT)
    assert state(owner) == ("sent", "failed")
    assert [(e.state, e.error) for e in await engine.message_history(message_id)] == [(SENT, None), (FAILED, "27")]


@pytest.mark.parametrize("first", ["attempt", "report"])
async def test_another_spelling_of_the_id_finds_the_message(engine: Engine, tell, owner, first: str) -> None:
    await tell()
    message = await claimed(engine)
    spellings = ["0000255", "255", "ff", "FF"]
    if first == "attempt":
        await engine.record_attempt(message, "smpp", "FF", SENT)
        assert await engine.record_report("smpp", spellings, DELIVERED)
    else:
        assert not await engine.record_report("smpp", spellings, DELIVERED)
        await engine.record_attempt(message, "smpp", "FF", SENT)
        left = owner.execute("SELECT carrier_id FROM carrier_message").fetchall()
        assert left == [{"carrier_id": "FF"}], "the other spellings wait for nobody any more"
    assert state(owner) == ("sent", "delivered")


async def test_an_id_of_another_carrier_is_another_message(engine: Engine, tell, owner) -> None:
    await tell()
    await engine.record_attempt(await claimed(engine), "one", "7", SENT)
    assert not await engine.record_report("two", ["7"], DELIVERED)
    assert state(owner) == ("sent", "sent")


async def test_a_reused_id_belongs_to_the_newest_message(engine: Engine, tell, owner) -> None:
    for _ in range(2):
        await tell()
        await engine.record_attempt(await claimed(engine), "one", "7", SENT)
        assert await engine.record_report("one", ["7"], DELIVERED)
    states = [row["delivery"] for row in owner.execute("SELECT delivery FROM outbox").fetchall()]
    assert states == ["delivered", "delivered"]


@pytest.mark.parametrize("order", list(itertools.permutations(["attempt", SENT, DELIVERED])))
async def test_reports_may_come_in_any_order(engine: Engine, tell, owner, order) -> None:
    await tell()
    message = await claimed(engine)
    for step in order:
        if step == "attempt":
            await engine.record_attempt(message, "one", "abc", SENT)
        else:
            await engine.record_report("one", ["abc"], step)
    assert state(owner) == ("sent", "delivered")


async def test_what_is_final_stays(engine: Engine, tell, owner) -> None:
    message_id = await tell()
    await engine.record_attempt(await claimed(engine), "one", "abc", SENT)
    for said in (EXPIRED, DELIVERED, SENT, EXPIRED):
        assert await engine.record_report("one", ["abc"], said)
    assert state(owner) == ("sent", "expired")
    assert [event.state for event in await engine.message_history(message_id)] == [SENT, EXPIRED]


async def test_attempts_and_reports_at_the_same_time_lose_nothing(engine: Engine, tell, owner) -> None:
    count = 120
    for _ in range(count):
        await tell()
    messages = await engine.claim_messages(count, 60)
    attempts = [engine.record_attempt(m, "one", f"id-{n}", SENT) for n, m in enumerate(messages)]
    reports = [engine.record_report("one", [f"x-{n}", f"id-{n}"], DELIVERED) for n in range(count)]
    mixed = [work for pair in zip(attempts, reversed(reports), strict=True) for work in pair]
    await asyncio.gather(*mixed)
    states = owner.execute("SELECT delivery, count(*) AS n FROM outbox GROUP BY delivery").fetchall()
    assert states == [{"delivery": "delivered", "n": count}]


async def test_a_refused_attempt_is_due_again_and_at_last_parked(engine: Engine, tell, owner) -> None:
    await tell()
    later = datetime.now(UTC) + timedelta(seconds=30)
    await engine.record_attempt(await claimed(engine), "one", None, FAILED, "busy", retry_at=later)
    assert state(owner) == ("due", "queued")
    assert await engine.claim_messages(10, 60) == []
    owner.execute("UPDATE outbox SET due_at = now()")
    await engine.record_attempt(await claimed(engine), "one", None, FAILED, "busy")
    assert state(owner) == ("parked", "failed")
    assert [parked.attempts for parked in await engine.parked_messages()] == [2]


async def test_a_message_given_back_untried_has_lost_no_try(engine: Engine, tell, owner) -> None:
    await tell()
    for _ in range(3):
        message = await claimed(engine)
        await engine.postpone_messages([message], datetime.now(UTC))
    assert owner.execute("SELECT attempts FROM outbox").fetchone() == {"attempts": 1}


async def test_who_was_handed_a_message_is_known_until_its_outcome_is(engine: Engine, tell, owner) -> None:
    await tell()
    message = await claimed(engine)
    await engine.hand_over(message, "one")
    owner.execute("UPDATE outbox SET due_at = now()")
    again = await claimed(engine)
    assert again.handed_to == "one"
    await engine.record_attempt(again, "one", None, FAILED, "busy", retry_at=datetime.now(UTC))
    assert (await claimed(engine)).handed_to is None


async def test_the_code_is_gone_from_the_outbox_once_it_was_sent(engine: Engine, tell, owner) -> None:
    await tell("security.link_code", code="123456")
    message = await claimed(engine)
    assert message.body == {"code": "123456"}
    await engine.record_attempt(message, "one", "1", SENT)
    assert owner.execute("SELECT body FROM outbox").fetchone() == {"body": {}}


async def test_what_a_dialog_said_is_forgotten_once_it_was_sent_and_kept_while_it_may_be_sent_again(
    engine: Engine, tell, owner
) -> None:
    said = {"text": "Send KES 50 to +254712000009? No fee."}
    await tell(**said)
    message = await claimed(engine)
    await engine.record_attempt(message, "one", None, FAILED, "500")
    assert owner.execute("SELECT state, body FROM outbox").fetchone() == {"state": "parked", "body": said}
    assert await engine.resend_message(message.message_id)
    await engine.record_attempt(await claimed(engine), "one", "abc", SENT)
    assert owner.execute("SELECT state, body FROM outbox").fetchone() == {"state": "sent", "body": {}}


async def test_a_code_that_was_given_up_is_forgotten_and_not_sent_again(engine: Engine, tell, owner) -> None:
    message_id = await tell("security.sign_in_code", code="123456")
    await engine.record_attempt(await claimed(engine), "one", None, FAILED, "no such number")
    assert owner.execute("SELECT body FROM outbox").fetchone() == {"body": {}}
    assert not await engine.resend_message(message_id)
