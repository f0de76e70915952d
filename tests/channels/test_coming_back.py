"""Who comes back after a drop goes on where they stood, wherever they come back, and nothing is done twice."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from channels.turn import Event, Reply, Turn
from dialogs.catalogue import declared
from dialogs.machine import Machine
from engine.api import Engine
from engine.words import Subscriber, Unit
from settings import Operator
from tests.channels.chat.conftest import linked, make_chats
from tests.channels.chat.person import Person
from tests.channels.doors import SlowDoor
from tests.channels.phone import MSISDN, OTHER, Phone, Talk, money
from tests.channels.texter import Texter, TextTalk
from tests.engine.shop import credit

__all__ = ["linked", "make_chats"]

#: a bundle that was chosen, its confirm screen not answered
CHOSEN = "3*1"
PRICE = 2_000


class Elsewhere(Phone):
    """The same person on another gateway, one that sends the last input only."""

    hops = 0

    def turn(self, text: str | None = None, event: Event | None = None) -> Turn:
        return replace(super().turn(text, event), gateway="arkesel", cumulative=False, sequence=f"{self.hops}")

    async def say(self, typed: str) -> Reply:
        self.hops += 1
        return await self.conversation.turn(self.turn(typed, Event.RESUME))


class Dying(SlowDoor):
    """A process that is killed when its operation is in the books, before the answer leaves."""

    def __init__(self, engine: Engine) -> None:
        super().__init__(engine)
        self.committed = asyncio.Event()

    async def post(self, operation):
        await self._engine.post(operation)
        self.committed.set()
        await asyncio.Event().wait()


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
async def test_who_dials_again_is_asked_and_goes_on_to_the_very_confirm_screen(
    talk: Talk, engine: Engine, rich: Subscriber, kind: type[Phone]
) -> None:
    left = await Phone(talk()).dial(CHOSEN)
    again = kind(talk(), session_id="S2")
    asked = await again.dial()
    assert asked.label == "resume.question"
    assert asked.text.startswith("Continue: Buy 100 MB 1 day for KES 20.00?")
    assert asked.text.endswith("1 Yes\n2 Start again")
    confirm = await again.say("1")
    assert (confirm.label, confirm.text) == (left.label, left.text)
    assert await money(engine) == 100_000
    assert (await again.say("1")).label == "bundles.done"
    assert await money(engine) == 100_000 - PRICE


async def test_both_sessions_confirm_and_it_is_bought_once(talk: Talk, engine: Engine, rich: Subscriber) -> None:
    first, second = Phone(talk()), Elsewhere(talk(), session_id="S2")
    await first.dial(CHOSEN)
    await second.dial()
    await second.say("1")
    done, again = await second.say("1"), await first.say("1")
    assert done.label == again.label == "bundles.done"
    assert done.text == again.text, "the same operation, not another one"
    assert await money(engine) == 100_000 - PRICE


async def test_who_starts_again_stands_at_the_menu_and_is_not_asked_any_more(talk: Talk, rich: Subscriber) -> None:
    await Phone(talk()).dial(CHOSEN)
    again = Phone(talk(), session_id="S2")
    await again.dial()
    assert (await again.say("2")).label == "main_menu.home"
    assert (await Phone(talk(), session_id="S3").dial()).label == "main_menu.home"


async def test_who_drops_at_the_question_is_asked_again(talk: Talk, rich: Subscriber) -> None:
    await Phone(talk()).dial(CHOSEN)
    asked = await Phone(talk(), session_id="S2").dial()
    assert await Phone(talk(), session_id="S3").dial() == asked


@pytest.mark.parametrize("short_cut", ["", "1", "2", "3"])
async def test_who_was_on_no_way_to_money_is_not_asked(talk: Talk, rich: Subscriber, short_cut: str) -> None:
    await Phone(talk()).dial(short_cut)
    assert (await Phone(talk(), session_id="S2").dial()).label == "main_menu.home"


async def test_a_dialled_code_is_not_held_up_by_the_question(talk: Talk, rich: Subscriber) -> None:
    await Phone(talk()).dial(CHOSEN)
    assert (await Phone(talk(), session_id="S2").dial("1")).label == "balance.show"


async def test_another_line_is_not_asked(talk: Talk, engine: Engine, rich: Subscriber) -> None:
    await engine.create_line(OTHER, language="en")
    await Phone(talk()).dial(CHOSEN)
    assert (await Phone(talk(), OTHER, session_id="S2").dial()).label == "main_menu.home"


async def test_where_the_operator_wants_no_question_there_is_none(
    talk: Talk, engine: Engine, operator: Operator, rich: Subscriber
) -> None:
    rules = operator.sessions.model_copy(update={"resume_minutes": 0})
    engine.operator = operator.model_copy(update={"sessions": rules})
    await Phone(talk()).dial(CHOSEN)
    assert (await Phone(talk(), session_id="S2").dial()).label == "main_menu.home"


class Dearer(SlowDoor):
    """The catalogue after its prices were doubled."""

    def products(self):
        return tuple(one.model_copy(update={"price": one.price * 2}) for one in self._engine.products())


async def test_prices_are_those_of_now(talk: Talk, engine: Engine, rich: Subscriber) -> None:
    await Phone(talk()).dial(CHOSEN)
    again = Phone(talk(engine=Dearer(engine)), session_id="S2")
    assert "KES 40.00" in (await again.dial()).text
    assert "KES 40.00" in (await again.say("1")).text


async def test_a_balance_that_was_spent_meanwhile_is_told_at_once(talk: Talk, engine: Engine, rich: Subscriber) -> None:
    await Phone(talk()).dial(CHOSEN)
    await credit(engine, rich, -99_000)
    told = await Phone(talk(), session_id="S2").dial()
    assert told.label == "main_menu.home"
    assert told.text.startswith("Your balance is too low: KES 10.00 missing.\n")


async def test_what_cannot_be_gone_on_with_is_told_once_above_the_menu(talk: Talk, engine: Engine, line: str) -> None:
    assert (await Phone(talk()).dial(CHOSEN)).label == "bundles.confirm"
    again = Phone(talk(), session_id="S2")
    told = await again.dial()
    assert told.text.startswith("Your balance is too low: KES 20.00 missing.\n")
    assert "1 Balance" in told.text, "the menu is not held up"
    after = await Elsewhere(talk(), session_id="S3").dial()
    assert after.label == "main_menu.home"
    assert "missing" not in after.text
    # With money by now, what is bought from that menu on is a purchase of its own.
    await credit(engine, await engine.subscriber(line), PRICE)
    await again.say("3")
    await again.say("1")
    assert (await again.say("1")).label == "bundles.done"
    assert await money(engine) == 0


async def test_a_bundle_that_is_gone_meanwhile_is_told_at_once(talk: Talk, engine: Engine, rich: Subscriber) -> None:
    class Empty(SlowDoor):
        def products(self):
            return ()

    await Phone(talk()).dial(CHOSEN)
    told = await Phone(talk(engine=Empty(engine)), session_id="S2").dial()
    assert told.label == "main_menu.home"
    assert told.text.startswith("This bundle is no longer on sale.")


async def test_the_pin_is_asked_for_again(talk: Talk, engine: Engine, operator: Operator, rich: Subscriber) -> None:
    await engine.set_pin(rich, "2580")
    guarded = operator.pins.model_copy(update={"required_for": ("purchase",)})
    conversation = talk()
    dialogs = declared(operator.model_copy(update={"pins": guarded}))
    conversation._machine.adopt(Machine(dialogs, conversation._machine.texts))
    phone = Phone(conversation)
    await phone.dial(CHOSEN)
    assert (await phone.say("2580")).label == "bundles.confirm"
    again = Phone(conversation, session_id="S2")
    assert (await again.dial()).label == "resume.question"
    assert (await again.say("1")).label == "bundles.pin"
    assert (await again.say("2580")).label == "bundles.confirm"
    assert (await again.say("1")).label == "bundles.done"
    assert (await phone.say("1")).label == "bundles.done"
    assert await money(engine) == 100_000 - PRICE


# --- what was done without being heard of ---


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


async def test_a_session_that_the_gateway_ended_on_a_screen_is_asked_about(talk: Talk, rich: Subscriber) -> None:
    phone = Phone(talk())
    await phone.dial(CHOSEN)
    await phone.conversation.turn(phone.turn("", Event.CLOSE))
    assert (await Phone(talk(), session_id="S2").dial()).label == "resume.question"


# --- by text and in a chat ---


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
