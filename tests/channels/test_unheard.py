"""What was done without being heard of is told once, wherever its person comes back."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from channels.turn import Event
from engine.api import Engine
from engine.words import Subscriber
from tests.channels.chat.conftest import linked, make_chats
from tests.channels.chat.person import Person
from tests.channels.doors import Dying
from tests.channels.phone import CHOSEN, PRICE, Elsewhere, Phone, Talk, money
from tests.channels.texter import Texter, TextTalk

__all__ = ["linked", "make_chats"]


async def killed_after_commit(talk: Talk, engine: Engine, rich: Subscriber) -> None:
    """Somebody confirms a bundle; the server dies between commit and answer, and its lock with it."""
    phone = Phone(talk())
    await phone.dial(CHOSEN)
    door = Dying(engine)
    dying = Phone(talk(engine=door))
    dying.text = phone.text
    hop = asyncio.create_task(dying.say("1"))
    await door.committed.wait()
    hop.cancel()
    for task in tuple(dying.conversation._ongoing._tasks):
        task.cancel()
    await asyncio.gather(hop, return_exceptions=True)
    store = dying.conversation._store
    # Its lock would run out by itself, only later.
    await store._redis.delete(store.line(dying.turn()).lock)


@pytest.mark.parametrize("kind", [Phone, Elsewhere], ids=["the same gateway", "another gateway"])
async def test_killed_between_confirm_and_answer_the_redial_says_that_it_is_done(
    talk: Talk, engine: Engine, rich: Subscriber, kind: type[Phone]
) -> None:
    await killed_after_commit(talk, engine, rich)
    assert await money(engine) == 100_000 - PRICE
    (done,) = [one.answer for one in await engine.operations(rich.account, kinds=["purchase"])]
    again = kind(talk(), session_id="S2")
    told = await again.dial()
    assert told.label == "main_menu.home"
    first, _, menu = told.text.partition("\n")
    assert first.startswith("Done at ") and first.endswith(f", ref {done.reference}.")
    assert "1 Balance" in menu
    # What is bought from there on is meant.
    await again.say("3")
    assert "Again?" in (await again.say("1")).text
    assert (await again.say("1")).label == "bundles.done"
    assert await money(engine) == 100_000 - 2 * PRICE


async def test_killed_between_confirm_and_answer_a_text_says_that_it_is_done(
    talk: Talk, texting: TextTalk, engine: Engine, rich: Subscriber
) -> None:
    await killed_after_commit(talk, engine, rich)
    told = await Texter(texting()).text("CONTINUE")
    assert told.label == "main_menu.home"
    assert told.text.startswith("Done at ")
    assert await money(engine) == 100_000 - PRICE


async def test_killed_between_confirm_and_answer_the_chat_says_that_it_is_done(
    talk: Talk, make_chats, engine: Engine, linked: Subscriber
) -> None:
    await killed_after_commit(talk, engine, linked)
    told = await Person(make_chats()).command("continue")
    assert told is not None and told.text.startswith("Done at ")
    assert await money(engine) == 100_000 - PRICE


async def test_an_answer_that_was_kept_but_not_heard_is_told_when_dialling_again(
    talk: Talk, engine: Engine, rich: Subscriber
) -> None:
    phone = Phone(talk())
    await phone.dial(CHOSEN)
    done = await phone.say("1")
    told = await Phone(talk(), session_id="S2").dial()
    assert told.text.startswith("Done at ")
    assert done.text.rpartition("Ref ")[2] in told.text


async def test_what_was_told_once_when_dialling_again_is_not_told_again(talk: Talk, rich: Subscriber) -> None:
    phone = Phone(talk())
    await phone.dial(CHOSEN)
    await phone.say("1")
    assert (await Phone(talk(), session_id="S2").dial()).text.startswith("Done at ")
    assert not (await Phone(talk(), session_id="S3").dial()).text.startswith("Done at ")


async def test_what_was_answered_by_text_is_not_told_when_dialling(
    talk: Talk, texting: TextTalk, rich: Subscriber
) -> None:
    texter = Texter(texting())
    await texter.text("BUY 1")
    assert (await texter.text("1")).label == "bundles.done"
    assert not (await Phone(talk(), session_id="S2").dial()).text.startswith("Done at ")


async def test_what_the_gateway_says_was_read_is_not_told_again(talk: Talk, rich: Subscriber) -> None:
    phone = Phone(talk())
    await phone.dial(CHOSEN)
    await phone.say("1")
    await phone.conversation.turn(replace(phone.turn("", Event.CLOSE), heard_out=True))
    assert not (await Phone(talk(), session_id="S2").dial()).text.startswith("Done at ")
