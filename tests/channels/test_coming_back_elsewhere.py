"""Who comes back by another channel goes on where they stood: place and key go along."""

from __future__ import annotations

from engine.api import Engine
from engine.words import Subscriber, Unit
from tests.channels.chat.conftest import linked, make_chats
from tests.channels.chat.person import Person
from tests.channels.phone import CHOSEN, MSISDN, PRICE, Phone, Talk, money
from tests.channels.texter import Texter, TextTalk

__all__ = ["linked", "make_chats"]


async def test_from_ussd_to_a_text_place_and_key_go_along(
    talk: Talk, texting: TextTalk, engine: Engine, rich: Subscriber
) -> None:
    phone, texter = Phone(talk()), Texter(texting())
    await phone.dial(CHOSEN)
    assert (await texter.text("continue")).label == "bundles.confirm"
    done = await texter.text("1")
    assert done.label == "bundles.done"
    # The session is still open on the phone: its yes is the same operation.
    assert (await phone.say("1")).text == done.text
    assert await money(engine) == 100_000 - PRICE


async def test_from_ussd_to_a_linked_chat_place_and_key_go_along(
    talk: Talk, make_chats, engine: Engine, linked: Subscriber
) -> None:
    phone, person = Phone(talk()), Person(make_chats())
    await phone.dial(CHOSEN)
    assert await person.write("Continue")
    assert await person.tap("Buy")
    assert (await phone.say("1")).label == "bundles.done"
    assert await money(engine) == 100_000 - PRICE


async def test_from_a_text_to_ussd_place_and_key_go_along(
    talk: Talk, texting: TextTalk, engine: Engine, rich: Subscriber
) -> None:
    phone, texter = Phone(talk()), Texter(texting())
    assert (await texter.text("BUY 1")).label == "bundles.confirm"
    assert (await phone.dial()).label == "resume.question"
    await phone.say("1")
    assert (await phone.say("1")).label == (await texter.text("1")).label == "bundles.done"
    assert await money(engine) == 100_000 - PRICE


async def test_a_balance_asked_for_by_text_does_not_forget_what_was_left_on_the_phone(
    talk: Talk, texting: TextTalk, rich: Subscriber
) -> None:
    texter = Texter(texting())
    await Phone(talk()).dial(CHOSEN)
    await texter.text("BAL")
    assert (await texter.text("CONTINUE")).label == "bundles.confirm"


async def test_a_text_goes_on_with_what_was_left_last_not_with_what_was_left_by_text_before(
    talk: Talk, texting: TextTalk, rich: Subscriber
) -> None:
    texter, phone = Texter(texting()), Phone(talk())
    by_text = await texter.text("BUY 1")
    assert by_text.label == "bundles.confirm"
    await phone.dial()
    await phone.say("2")
    await phone.say("3")
    on_the_phone = await phone.say("2")
    assert on_the_phone.label == "bundles.confirm"
    gone_on = await texter.text("CONTINUE")
    assert on_the_phone.text.startswith(gone_on.body)
    assert gone_on.body != by_text.body
    # Left on the phone for good, nothing is left there: the text goes on with its own.
    await phone.say("00")
    assert (await texter.text("CONTINUE")).body == gone_on.body


async def test_where_nothing_was_left_a_text_says_so(texting: TextTalk, line: str) -> None:
    assert (await Texter(texting()).text("CONTINUE")).text.startswith("There is nothing to continue.")


async def test_everything_of_redis_lost_costs_a_redial_and_nothing_else(
    talk: Talk, engine: Engine, rich: Subscriber, redis_client
) -> None:
    await Phone(talk()).dial(CHOSEN)
    again = Phone(talk(), session_id="S2")
    await again.dial()
    await again.say("1")
    await redis_client.flushall()
    await again.say("1")
    await again.say("1")
    assert await money(engine) == 100_000
    assert (await engine.subscriber(MSISDN)).total(Unit.OCTETS) == 0
