"""Sending money and units to another line, and taking them back: what people say and see, and what the books hold."""

from __future__ import annotations

import pytest

from dialogs.catalogue import declared
from dialogs.machine import Machine
from dialogs.texts import Texts
from engine.api import Engine
from engine.words import LineStatus, Unit
from settings import Operator
from tests.dialogs.conftest import Calling
from tests.dialogs.player import Player
from tests.engine.shop import credit, open_line

MB = 1_000_000


async def total(engine: Engine, msisdn: str, unit: Unit = Unit.MONEY) -> int:
    return (await engine.subscriber(msisdn)).total(unit)


async def test_money_is_sent_after_its_fee_was_shown(calling: Calling, engine: Engine) -> None:
    friend, player = await open_line(engine), await calling(money=20_000)
    await player.say("5", "1", friend.msisdn, "50")
    player.stands_in("transfer.confirm").sees(f"Send KES 50.00 to {friend.msisdn}? Fee KES 2.00.")
    assert friend.msisdn.removeprefix("+254") not in str(player.place), "no session keeps a number"
    assert await total(engine, player.msisdn) == 20_000
    (await player.say("1")).stands_in("transfer.done").sees("KES 50.00 sent to ..", "Balance KES 148.00. Ref ")
    assert (await total(engine, player.msisdn), await total(engine, friend.msisdn)) == (14_800, 5_000)


async def test_a_number_that_cannot_receive_is_told_at_once(calling: Calling, engine: Engine) -> None:
    player = await calling(money=20_000)
    await player.say("5", "1", "0799999999")
    player.stands_in("transfer.number").sees("This number cannot receive.")
    (await player.say(player.msisdn)).stands_in("transfer.number").sees("This is your own number.")


@pytest.mark.parametrize(("typed", "said"), [("1", "The least is KES 5.00."), ("5000", "The most is KES 1,000.00.")])
async def test_limits_are_told_before_the_confirm_screen(
    calling: Calling, engine: Engine, typed: str, said: str
) -> None:
    friend, player = await open_line(engine), await calling(money=20_000)
    (await player.say("5", "1", friend.msisdn, typed)).stands_in("transfer.amount").sees(said)


async def test_data_is_sent_and_taken_back_whole(calling: Calling, engine: Engine) -> None:
    friend, player = await open_line(engine), await calling(money=500)
    await credit(engine, await engine.subscriber(player.msisdn), 100 * MB, Unit.OCTETS)
    await player.say("5", "2", friend.msisdn, "20", "1")
    assert await total(engine, friend.msisdn, Unit.OCTETS) == 20 * MB
    again = await player.again("s2")
    await again.say("5", "3")
    again.stands_in("transfer.gift").sees("20 MB to ..")
    (await again.say("1")).stands_in("transfer.undo").sees("Take back 20 MB from ..")
    (await again.say("1")).stands_in("transfer.undone").sees("20 MB taken back. Balance 100 MB.")
    assert (await total(engine, friend.msisdn, Unit.OCTETS), await total(engine, player.msisdn)) == (0, 500)


async def test_without_a_gift_there_is_nothing_to_take_back(calling: Calling) -> None:
    (await (await calling()).say("5", "3")).stands_in("transfer.refused").sees("There is nothing to take back.")


async def test_a_session_that_was_lost_sends_once(calling: Calling, engine: Engine) -> None:
    friend, player = await open_line(engine), await calling(money=20_000)
    await player.say("5", "1", friend.msisdn, "50", "1")
    done = player.shown()
    assert (await player.replay()).shown() == done
    assert await total(engine, friend.msisdn) == 5_000


async def test_the_same_gift_again_is_asked_about_with_its_fee(calling: Calling, engine: Engine) -> None:
    friend, player = await open_line(engine), await calling(money=20_000)
    await player.say("5", "1", friend.msisdn, "50", "1")
    again = await (await player.again("s2")).say("5", "1", friend.msisdn, "50")
    again.stands_in("transfer.confirm").sees("Again?", f"KES 50.00 to ..{friend.msisdn[-4:]}, fee KES 2.00")


async def test_who_ended_since_the_number_was_typed_gets_nothing(calling: Calling, engine: Engine) -> None:
    friend, player = await open_line(engine), await calling(money=20_000)
    await player.say("5", "1", friend.msisdn, "50")
    await engine.accounts.erase_person(friend.account, by="amina")
    (await player.say("1")).stands_in("transfer.refused").sees("This number cannot receive.")
    assert await total(engine, player.msisdn) == 20_000


@pytest.mark.parametrize(
    "shape",
    ["+254 {0} {1}", "0{0} {1}", "(0{0}) {1}", "0{0}-{1}", "\u200e+254 {0}\u00a0{1}\u200f", "{0}{1}"],
)
async def test_a_number_is_understood_as_people_write_and_paste_it(
    calling: Calling, engine: Engine, shape: str
) -> None:
    friend, player = await open_line(engine), await calling(money=20_000)
    number = friend.msisdn.removeprefix("+254")
    await player.say("5", "1", shape.format(number[:3], number[3:]), "50")
    player.stands_in("transfer.confirm").sees(f"to {friend.msisdn}?")


async def test_ninety_eight_is_an_amount_where_there_is_no_page_to_turn(calling: Calling, engine: Engine) -> None:
    friend, player = await open_line(engine), await calling(money=20_000)
    (await player.say("5", "1", friend.msisdn, "98")).sees("Send KES 98.00 to ")


@pytest.mark.parametrize("typed", ["0.5", "050", "-5", "5*", "#", "", "٥٠٫٥", "1" * 10_000, "12,5"])
async def test_what_is_no_whole_amount_is_asked_for_again(calling: Calling, engine: Engine, typed: str) -> None:
    friend, player = await open_line(engine), await calling(money=20_000)
    await player.say("5", "1", friend.msisdn, typed)
    player.stands_in("transfer.amount").sees("Write a whole number.\nHow much, in whole KES?")


async def test_who_has_too_little_to_send_is_offered_a_recharge(calling: Calling, engine: Engine) -> None:
    friend, player = await open_line(engine), await calling(money=1_000)
    await player.say("5", "1", friend.msisdn, "50", "1")
    player.stands_in("transfer.refused").sees("Your balance is too low", "1 Try again", "2 Recharge")
    (await player.say("2")).stands_in("recharge.number")


async def test_a_line_that_may_not_spend_is_told_whom_to_call(
    calling: Calling, engine: Engine, operator: Operator
) -> None:
    friend, player = await open_line(engine), await calling(money=20_000)
    line = await engine.subscriber(player.msisdn)
    await engine.accounts.set_status(line, LineStatus.BARRED, reason="test", by="alice")
    player = await player.again("s2")
    player.sees("Your line is barred.", f"Help: {operator.support_number}")
    await player.say("5", "1", friend.msisdn, "50", "1")
    player.stands_in("transfer.refused").sees("Your line is barred.", f"Help: {operator.support_number}")


async def test_the_pin_is_asked_for_where_the_operator_wants_it(
    engine: Engine, operator: Operator, texts: Texts
) -> None:
    pins = operator.pins.model_copy(update={"required_for": ("transfer",)})
    machine = Machine(declared(operator.model_copy(update={"pins": pins})), texts)
    friend, line = await open_line(engine), await open_line(engine, money=20_000)
    await engine.set_pin(line, "2580")
    player = await Player(engine, machine, line.msisdn).dial()
    (await player.say("5", "1", friend.msisdn, "50")).stands_in("transfer.pin")
    (await player.say("1357")).stands_in("transfer.pin").sees("Wrong PIN.")
    (await player.say("2580")).stands_in("transfer.confirm")


async def test_what_may_be_sent_no_longer_is_refused_where_its_amount_was_asked_for(
    engine: Engine, operator: Operator, texts: Texts
) -> None:
    live = operator.model_copy()
    machine = Machine(declared(live), texts)
    friend, line = await open_line(engine), await open_line(engine, money=20_000)
    player = await Player(engine, machine, line.msisdn).dial()
    (await player.say("5", "2", friend.msisdn)).stands_in("transfer.amount")
    live.adopt(operator.model_copy(update={"transfers": operator.transfers[:1]}))
    (await player.say("20")).stands_in("transfer.amount").sees("This cannot be sent.")
