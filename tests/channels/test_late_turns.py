"""Turns whose money step takes longer than a gateway waits, or fails: what is promised is told, money moves once."""

from __future__ import annotations

from channels.trace import Trace
from channels.turn import Profile
from engine.api import Engine
from tests.channels.doors import BrokenDoor, SlowDoor
from tests.channels.phone import FACE_VALUE, Phone, Talk, money


async def test_a_late_outcome_is_promised_once_and_the_money_still_moves_once(
    talk: Talk, engine: Engine, line: str, vouchers: list[str]
) -> None:
    door = SlowDoor(engine)
    phone = Phone(talk(engine=door, profile=Profile(deadline_seconds=1.3)))
    await phone.dial(vouchers[0])
    promise = await phone.say("1")
    assert promise.ends
    assert promise.label == "notice.late"
    assert await phone.send() == promise
    assert await money(engine) == 0
    door.open.set()
    await phone.conversation.drain()
    assert await money(engine) == FACE_VALUE
    assert await phone.send() == promise
    texts = [message for message in await engine.claim_messages(10, 60) if message.topic == "recharge.done"]
    assert len(texts) == 1


async def test_a_refusal_that_comes_late_is_texted_once_in_its_own_words(
    talk: Talk, engine: Engine, line: str, vouchers: list[str]
) -> None:
    door = SlowDoor(engine)
    phone = Phone(talk(engine=door, profile=Profile(deadline_seconds=1.3)))
    await phone.dial("3")
    promise = await phone.say("1")
    while promise.label != "notice.late":
        promise = await phone.say("1")
    door.open.set()
    await phone.conversation.drain()
    # The same inputs, played late once more by another process that knows nothing of the first.
    other = SlowDoor(engine)
    again = Phone(talk(engine=other, profile=Profile(deadline_seconds=1.3)))
    again.text = phone.text
    late = await again.conversation._without_session(again.turn(), Profile(deadline_seconds=1.3), Trace())
    assert late.label == "notice.late"
    other.open.set()
    await again.conversation.drain()
    (told,) = await engine.claim_messages(10, 60)
    assert told.topic == "reply"
    assert "balance is too low" in told.body["text"]


async def test_redialling_after_a_promise_does_not_recharge_again(
    talk: Talk, engine: Engine, line: str, vouchers: list[str]
) -> None:
    door = SlowDoor(engine)
    slow = Phone(talk(engine=door, profile=Profile(deadline_seconds=1.3)))
    await slow.dial(vouchers[0])
    await slow.say("1")
    door.open.set()
    await slow.conversation.drain()
    again = Phone(talk(), session_id="ATUid_2")
    assert (await again.dial(vouchers[0])).label == "recharge.already"
    assert await money(engine) == FACE_VALUE


async def test_a_hop_that_failed_may_be_tried_again(talk: Talk, engine: Engine, line: str, vouchers: list[str]) -> None:
    door = BrokenDoor(engine)
    phone = Phone(talk(engine=door))
    await phone.dial(vouchers[0])
    failed = await phone.say("1")
    assert failed.ends
    assert failed.label == "notice.try_again"
    door.broken = False
    assert (await phone.send()).label == "recharge.done"
    assert await money(engine) == FACE_VALUE
