"""Who dials again after a drop is asked, and goes on where they stood; money moves once."""

from __future__ import annotations

import pytest

from channels.turn import Event
from dialogs.catalogue import declared
from dialogs.machine import Machine
from engine.api import Engine
from engine.words import Subscriber
from settings import Operator
from tests.channels.doors import SlowDoor
from tests.channels.phone import CHOSEN, OTHER, PRICE, Elsewhere, Phone, Talk, money
from tests.engine.shop import credit


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


async def test_a_session_that_the_gateway_ended_on_a_screen_is_asked_about(talk: Talk, rich: Subscriber) -> None:
    phone = Phone(talk())
    await phone.dial(CHOSEN)
    await phone.conversation.turn(phone.turn("", Event.CLOSE))
    assert (await Phone(talk(), session_id="S2").dial()).label == "resume.question"
