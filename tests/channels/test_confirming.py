"""One confirm screen stands before money, seen by a person, whatever was dialled and however often."""

from __future__ import annotations

from channels.turn import Profile
from engine.api import Engine
from tests.channels.doors import SlowRead
from tests.channels.phone import Phone, Talk, money


async def test_a_yes_that_was_dialled_with_the_code_is_asked_for_on_the_screen(
    talk: Talk, engine: Engine, line: str, vouchers: list[str]
) -> None:
    phone = Phone(talk())
    assert (await phone.dial(f"{vouchers[0]}*1")).label == "recharge.confirm"
    assert await money(engine) == 0
    assert (await phone.say("1")).label == "recharge.done"


async def test_a_bundle_dialled_twice_is_asked_about_and_bought_once(
    talk: Talk, engine: Engine, line: str, vouchers: list[str]
) -> None:
    conversation = talk()
    first = Phone(conversation)
    await first.dial(vouchers[0])
    await first.say("1")
    for session in ("ATUid_2", "ATUid_3"):
        phone = Phone(conversation, session_id=session)
        assert (await phone.dial("3*1*1")).label == "bundles.confirm"
        if session == "ATUid_2":
            assert (await phone.say("1")).label == "bundles.done"
        else:
            assert "Again?" in (await phone.say("9")).text


async def test_two_sessions_on_one_confirm_screen_buy_once_unless_told(
    talk: Talk, engine: Engine, line: str, vouchers: list[str]
) -> None:
    conversation = talk()
    phone = Phone(conversation)
    await phone.dial(vouchers[0])
    await phone.say("1")
    one, two = Phone(conversation, session_id="ATUid_2"), Phone(conversation, session_id="ATUid_3")
    for standing in (one, two):
        assert (await standing.dial("3*1")).label == "bundles.confirm"
    assert (await one.say("1")).label == "bundles.done"
    asked = await two.say("1")
    assert asked.label == "bundles.confirm" and "Again?" in asked.text
    assert (await two.say("1")).label == "bundles.done"


async def test_a_turn_that_was_told_to_dial_again_moves_nothing_afterwards(
    talk: Talk, engine: Engine, line: str, vouchers: list[str]
) -> None:
    slow = SlowRead(engine)
    phone = Phone(talk(engine=slow, profile=Profile(deadline_seconds=1.3)))
    slow.open.set()
    await phone.dial(vouchers[0])
    slow.open.clear()
    assert (await phone.say("1")).label == "notice.try_again"
    slow.open.set()
    await phone.conversation.drain()
    assert await money(engine) == 0
