"""Chats of linked lines: buttons, and events that come again, twice at once, or while something is away."""

from __future__ import annotations

import asyncio

import pytest
from redis.asyncio import Redis

from channels.chats import key_data, read_tap
from channels.sessions import SessionsDown, SessionStore, connect
from engine.api import Engine
from runtime.embedded.redis import EmbeddedRedis
from tests.channels.chat.conftest import MakeChats
from tests.channels.chat.person import MONEY, PRICE, Person, labels, to_confirm
from tests.channels.phone import money


class Interrupted(Exception):
    """The process dies here."""


class DiesBeforeDone:
    """The real engine, but the process dies after the effect and before the update is called done."""

    dies = True

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def __getattr__(self, name: str):
        return getattr(self._engine, name)

    async def first_time(self, app: str, update_id: str) -> bool:
        if self.dies:
            raise Interrupted
        return await self._engine.first_time(app, update_id)


class NeverLinked(DiesBeforeDone):
    """The real engine with a fault of ours in one place."""

    dies = False

    async def linked(self, app: str, chat_id: str) -> str:
        raise ZeroDivisionError


# --- buttons ---


async def test_the_menu_has_a_button_for_each_option_and_no_numbers_to_type(amina: Person):
    answer = await amina.command("start")
    menu = ["Balance", "Recharge", "Bundles", "My account", "Send", "Advance", "My usage", "Exit"]
    assert labels(answer) == menu
    assert "Reply" not in answer.text and not answer.edits


async def test_a_tap_leads_on_in_the_same_message(amina: Person):
    await amina.command("menu")
    answer = await amina.tap("Balance")
    assert answer.text.startswith("Balance: KES 1,000.00")
    assert answer.edits and "Home" in labels(answer)


async def test_a_bundle_is_bought_by_tapping(amina: Person, engine: Engine):
    await to_confirm(amina)
    done = await amina.tap("Buy")
    assert "bought" in done.text and labels(done) == ["Menu"]
    assert await money(engine) == MONEY - PRICE


async def test_the_menu_under_a_receipt_comes_as_a_new_message_so_that_the_receipt_stays(amina: Person):
    await to_confirm(amina)
    await amina.tap("Buy")
    menu = await amina.tap("Menu")
    assert "Bundles" in labels(menu) and not menu.edits


async def test_what_is_tapped_twice_is_done_once_and_answered_with_the_current_screen(amina: Person, engine: Engine):
    await to_confirm(amina)
    confirm = amina.shown[-1]
    first = await amina.tap("Buy", on=confirm)
    second = await amina.tap("Buy", on=confirm)
    assert second.text == first.text and second.edits
    assert await money(engine) == MONEY - PRICE


async def test_two_taps_at_once_through_two_processes_are_one_effect(make_chats, linked, engine: Engine):
    person = Person(make_chats())
    await to_confirm(person)
    confirm, other = person.shown[-1], Person(make_chats())
    other.events = [*person.events, person.events[-1]]
    await asyncio.gather(person.tap("Buy", on=confirm), other.tap("Buy", on=confirm))
    assert await money(engine) == MONEY - PRICE


async def test_a_button_of_an_older_screen_shows_the_current_one_and_does_nothing(amina: Person, engine: Engine):
    await to_confirm(amina)
    old = amina.shown[-1]
    await amina.tap("Back")
    current = amina.shown[-1]
    answer = await amina.tap("Buy", on=old)
    assert answer.text == current.text and labels(answer) == labels(current)
    assert await money(engine) == MONEY


async def test_buttons_of_the_current_screen_work_after_a_stale_tap(amina: Person):
    await amina.command("menu")
    old = amina.shown[-1]
    await amina.tap("Balance")
    answer = await amina.tap("Recharge", on=old)
    assert (await amina.tap("Bundles", on=answer)).text.startswith("Bundles")


async def test_a_button_of_a_conversation_long_past_shows_the_menu(amina: Person, redis_client: Redis):
    await to_confirm(amina)
    await redis_client.flushdb()
    answer = await amina.tap("Buy")
    assert "My account" in labels(answer) and answer.edits


@pytest.mark.parametrize("data", ["", "x", "k|", "k|nobody|", "c|", "k|0|1", "c|nothing", "o" * 64, "k|" + "é" * 31])
async def test_a_button_that_no_release_has_written_is_answered_with_a_screen(amina: Person, data: str):
    answer = await amina.hear(tapped=data)
    assert answer.text


def test_what_a_button_carries_comes_back_as_it_was():
    tap = read_tap(key_data("1f2e3d4c", "12"))
    assert (tap.screen, tap.key, tap.command) == ("1f2e3d4c", "12", "")


def test_a_button_that_would_carry_too_much_is_not_made():
    with pytest.raises(ValueError, match="64"):
        key_data("s" * 60, "12")


# --- what comes twice ---


async def test_an_update_that_comes_again_is_not_answered_again(amina: Person, make_chats: MakeChats):
    await amina.command("menu")
    assert await amina.again() is None
    assert await amina.again(make_chats()) is None


async def test_an_update_brought_to_two_processes_at_once_is_answered_by_one(make_chats, linked, engine: Engine):
    person, other = Person(make_chats()), Person(make_chats())
    await to_confirm(person)
    other.shown, other.events = list(person.shown), list(person.events)
    answers = await asyncio.gather(person.tap("Buy"), other.tap("Buy"))
    assert sorted(answer is None for answer in answers) == [False, True]
    assert await money(engine) == MONEY - PRICE


async def test_a_process_that_dies_between_effect_and_answer_repeats_harmlessly(make_chats, linked, engine: Engine):
    dying = DiesBeforeDone(engine)
    person = Person(make_chats())
    await to_confirm(person)
    person.chats = make_chats(engine=dying)
    with pytest.raises(Interrupted):
        await person.tap("Buy")
    assert await money(engine) == MONEY - PRICE
    answer = await person.again(make_chats())
    assert "bought" in answer.text
    assert await money(engine) == MONEY - PRICE


async def test_a_dead_tap_repeated_with_redis_emptied_has_no_second_effect(
    make_chats, linked, engine: Engine, redis_client: Redis
):
    person = Person(make_chats(engine=DiesBeforeDone(engine)))
    person.chats = make_chats()
    await to_confirm(person)
    person.chats = make_chats(engine=DiesBeforeDone(engine))
    with pytest.raises(Interrupted):
        await person.tap("Buy")
    await redis_client.flushdb()
    answer = await person.again(make_chats())
    assert "My account" in labels(answer)
    assert await money(engine) == MONEY - PRICE


# --- what is away ---


async def test_without_redis_what_is_bought_is_not_bought_and_the_person_hears_something(
    make_chats, linked, engine: Engine, state_dir, keyring
):
    server = EmbeddedRedis(state_dir)
    await server.start()
    client = connect(server.url)
    person = Person(make_chats(store=SessionStore(client, keyring), redis=client))
    await to_confirm(person)
    await server.stop()
    answer = await person.tap("Buy")
    assert answer.text and await money(engine) == MONEY
    await client.aclose()


async def test_a_failure_that_is_ours_is_told_and_not_repeated_for_ever(make_chats, linked, engine: Engine):
    person = Person(make_chats(engine=NeverLinked(engine)))
    assert "Not possible right now" in (await person.command("menu")).text
    assert await person.again() is None


async def test_an_update_is_served_again_while_nothing_could_be_done(make_chats, engine: Engine, state_dir, keyring):
    client = connect("redis://127.0.0.1:1")
    person = Person(make_chats(store=SessionStore(client, keyring), redis=client))
    with pytest.raises(SessionsDown):
        await person.command("start")  # not linked: where it stands cannot be known
    await client.aclose()
    person.chats = make_chats()
    assert "mobile number" in (await person.again()).text
