"""Conversations about the PIN and the language, over a real engine."""

from __future__ import annotations

import pytest

from dialogs.catalogue import declared
from dialogs.machine import Machine
from dialogs.texts import Texts
from engine.api import Engine
from engine.words import Unit
from settings import Operator
from tests.dialogs.conftest import Calling
from tests.dialogs.player import Player
from tests.engine.shop import credit, open_line, sell_vouchers


async def money(player: Player) -> int:
    return (await player.engine.subscriber(player.msisdn)).total(Unit.MONEY)


# --- PIN ---


@pytest.fixture
def careful(operator: Operator) -> Machine:
    """A machine for an operator that asks for the PIN before a purchase."""
    pins = operator.pins.model_copy(update={"required_for": ("purchase",)})
    asks = operator.model_copy(update={"pins": pins})
    return Machine(declared(asks), Texts(asks.languages, asks.timezone))


async def test_the_pin_is_asked_before_a_purchase_where_the_operator_wants_it(engine: Engine, careful: Machine) -> None:
    subscriber = await open_line(engine, 10_000)
    await engine.set_pin(subscriber, "2580")
    player = await (await Player(engine, careful, subscriber.msisdn).dial()).say("3", "1")
    assert player.stands_in("bundles.pin").screen.secret
    (await player.say("1470")).stands_in("bundles.pin").sees("Wrong PIN.")
    (await player.say("2580")).stands_in("bundles.confirm")
    assert "2580" not in repr(player.place)
    (await player.say("0")).stands_in("bundles.list")
    (await player.say("1", "2580", "1")).stands_in("bundles.done")


async def test_a_line_without_a_pin_is_not_asked_for_one(engine: Engine, careful: Machine) -> None:
    subscriber = await open_line(engine, 10_000)
    player = await (await Player(engine, careful, subscriber.msisdn).dial()).say("3", "1")
    player.stands_in("bundles.confirm")


async def test_wrong_pins_lock_and_the_right_one_is_refused_too(engine: Engine, careful: Machine) -> None:
    subscriber = await open_line(engine, 10_000)
    await engine.set_pin(subscriber, "2580")
    player = await (await Player(engine, careful, subscriber.msisdn).dial()).say(
        "3", "1", "1111", "1111", "1111", "1111"
    )
    second = await (await player.again("s2")).say("3", "1", "2580")
    second.stands_in("pin.locked").sees("Too many wrong PINs. Try again in 30 minutes.")
    assert await money(second) == 10_000


async def test_a_pin_is_set_once_and_then_changed_with_the_old_one(calling: Calling, engine: Engine) -> None:
    player = await (await calling()).say("4", "2")
    (await player.stands_in("pin.new").sees("Choose a PIN of 4 digits:").say("2580")).stands_in("pin.done")
    second = await (await player.again("s2")).say("4", "2")
    (await second.stands_in("pin.old").say("9999")).sees("Wrong PIN.")
    (await second.say("2580")).stands_in("pin.new")
    (await second.say("3691")).stands_in("pin.done")
    third = await (await player.again("s3")).say("4", "2", "3691")
    third.stands_in("pin.new")


@pytest.mark.parametrize(
    ("given", "says"), [("1234", "Too easy to guess."), ("258", "A PIN has 4 digits."), ("x", "A PIN has")]
)
async def test_a_bad_pin_is_asked_for_again(calling: Calling, given: str, says: str) -> None:
    (await (await calling()).say("4", "2", given)).stands_in("pin.new").sees(says)


# --- languages ---


async def test_the_language_chosen_is_spoken_at_once_and_remembered(calling: Calling) -> None:
    player = await (await calling()).say("4", "1")
    player.sees("1 English", "2 Kiswahili")
    (await player.say("2")).sees("Kuanzia sasa tutazungumza nawe kwa Kiswahili.")
    (await player.again("s2")).sees("1 Salio", "2 Ongeza salio")


async def test_qatar_is_served_in_arabic_with_latin_digits(qatar_engine: Engine, qatar: Operator) -> None:
    machine = Machine(declared(qatar), Texts(qatar.languages, qatar.timezone))
    subscriber = await qatar_engine.create_line("+97433123456", language="ar")
    await credit(qatar_engine, subscriber, 6_000)
    (number,) = await sell_vouchers(qatar_engine, 2_500)
    player = await Player(qatar_engine, machine, subscriber.msisdn).dial()
    player.sees("60.00 ر.ق", "1 رصيد", "2 شحن")
    arabic = number.translate(str.maketrans("0123456789", "٠١٢٣٤٥٦٧٨٩"))
    (await player.say(arabic)).stands_in("recharge.confirm").sees(f"شحن بالقسيمة {number[-4:]}..؟")
    (await player.say("١")).stands_in("recharge.done").sees("شُحن 25.00 ر.ق. رصيدك 85.00 ر.ق حتى ", "مرجع ")
    second = await (await player.again("s2")).say("3", "7", "1")
    second.stands_in("bundles.refused").sees("رصيدك غير كاف: ينقصك 40.00 ر.ق")
    third = await (await player.again("s3")).say("3", "1", "1")
    third.stands_in("bundles.done").sees("500 ميغا ليوم 5.00 ر.ق حتى ")
