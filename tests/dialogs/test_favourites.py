"""What a person does most stands first, under the number that it has for everybody."""

from __future__ import annotations

import pytest

from channels.layout import pages
from channels.turn import Budget
from dialogs.catalogue import machine_of
from dialogs.machine import Machine
from engine.api import Engine
from engine.words import Unit
from settings import Operator
from tests.dialogs.conftest import Calling
from tests.dialogs.player import Player
from tests.engine.payments.house import House
from tests.engine.shop import next_msisdn, open_line


def first_line(player: Player) -> str:
    """The first option as it stands on the screen."""
    number, option = player.screen.numbered()[0]
    return f"{number} {option.label}"


async def test_the_bundle_bought_most_stands_first_says_why_and_keeps_its_number(calling: Calling) -> None:
    player = await (await calling(money=90_000)).say("3")
    assert first_line(player) == "1 100 MB 1 day KES 20.00"
    await player.say("4", "1")
    again = await (await player.again("s2")).say("3")
    assert first_line(again) == "4 Again: Social 150 MB 1 day KES 10.00"
    (await again.say("2")).stands_in("bundles.confirm").sees("Buy 1 GB 7 days")
    usual = await (await player.again("s3")).say("3", "4")
    usual.stands_in("bundles.confirm").sees("Social 150 MB 1 day")


@pytest.mark.parametrize("septets", [182, 120])
async def test_the_favourite_stands_on_the_first_page_of_every_gateway(calling: Calling, septets: int) -> None:
    player = await (await calling(money=90_000)).say("3", "8", "1")
    again = await (await player.again("s2")).say("3")
    assert "8 Again: Combo week" in pages(again.screen, Budget(septets=septets, ucs2=80))[0]


async def test_a_session_that_is_lost_after_its_purchase_and_played_again_says_the_same(calling: Calling) -> None:
    before = await (await calling(money=90_000)).say("3", "4", "1")
    player = await (await before.again("s2")).say("3", "5", "1")
    replayed = await player.replay()
    assert replayed.shown() == player.shown()
    bought = [one.product for one in (await player.context()).subscriber.buckets if one.unit is not Unit.MONEY]
    assert sorted(bought) == ["social_day", "voice_day_30min"]


async def test_a_favourite_that_is_on_sale_no_more_is_not_offered(
    calling: Calling, engine: Engine, operator: Operator
) -> None:
    player = await (await calling(money=90_000)).say("3", "8", "1", "00", "3", "1", "1")
    without = operator.model_copy(update={"products": operator.products[:-1], "shortcuts": {}})
    engine.operator = without
    later = await Player(engine, machine_of(without), player.msisdn, "s2").dial()
    assert first_line(await later.say("3")) == "1 Again: 100 MB 1 day KES 20.00"


async def sent(player: Player, *numbers: str) -> Player:
    """The person gives KES 10 to each number, and stands where the next one is asked for."""
    for place, number in enumerate(numbers):
        player = await player.again(f"gift-{place}")
        (await player.say("5", "1", number, "10", "1")).stands_in("transfer.done")
    return await (await player.again("after")).say("5", "1")


async def test_the_last_numbers_are_options_where_one_is_asked_for_and_are_shown_by_their_end(
    calling: Calling, engine: Engine
) -> None:
    player = await (await calling(money=90_000)).say("5", "1")
    player.stands_in("transfer.number").sees("Send to which number?")
    assert player.screen.options == ()
    friends = [await open_line(engine) for _ in range(2)]
    player = await sent(player, *(one.msisdn for one in friends))
    ends = [f"..{one.msisdn[-4:]}" for one in friends]
    player.sees("Send to which number? Choose or type it:", f"1 To {ends[0]}", f"2 To {ends[1]}")
    (await player.say("2", "20")).stands_in("transfer.confirm").sees(f"to {friends[1].msisdn}?")
    await player.say("1")
    assert (await engine.subscriber(friends[1].msisdn)).total(Unit.MONEY) == 3_000


async def test_another_number_can_still_be_typed_and_what_is_none_is_said_so(calling: Calling, engine: Engine) -> None:
    one, other = await open_line(engine), await open_line(engine)
    player = await sent(await calling(money=90_000), one.msisdn)
    (await player.say("7")).stands_in("transfer.number").sees("That is no mobile number.")
    (await player.say(other.msisdn, "20")).stands_in("transfer.confirm").sees(other.msisdn)


async def test_a_gift_of_a_session_that_is_played_again_goes_to_the_same_number(
    calling: Calling, engine: Engine
) -> None:
    friends = [await open_line(engine) for _ in range(2)]
    player = await sent(await calling(money=90_000), *(one.msisdn for one in friends))
    (await player.say("2", "20", "1")).stands_in("transfer.done")
    assert (await player.replay()).shown() == player.shown()
    assert (await engine.subscriber(friends[1].msisdn)).total(Unit.MONEY) == 3_000


async def test_of_two_numbers_that_end_alike_only_one_is_offered(calling: Calling, engine: Engine) -> None:
    one = await open_line(engine)
    stem = next_msisdn()[:-4]
    twin = await engine.create_line(f"{stem[:-1]}9{one.msisdn[-4:]}")
    player = await sent(await calling(money=90_000), one.msisdn, twin.msisdn)
    assert [option.id for option in player.screen.options] == [str(one.line_id)]


async def test_an_erased_persons_number_is_offered_no_more(calling: Calling, engine: Engine) -> None:
    friend = await open_line(engine)
    player = await sent(await calling(money=90_000), friend.msisdn)
    await engine.accounts.erase_person(friend.account, by="amina")
    assert (await (await player.again("later")).say("5", "1")).screen.options == ()


async def test_the_last_recharge_for_another_is_repeated_with_amount_method_and_receiver(
    house: House, machine: Machine
) -> None:
    line, other = await house.line(), await house.line()
    player = await (await Player(house.engine, machine, line.msisdn).dial()).say("2", "3", other.msisdn, "1", "2", "1")
    (payment,) = await house.engine.payments_of(other.account)
    await house.ended(payment)
    end = f"..{other.msisdn[-4:]}"
    again = await (await player.again("s2")).say("2")
    number, option = again.screen.numbered()[0]
    assert option.label == f"Again: KES 100.00, M-Pesa, {end}"
    (await again.say(str(number))).stands_in("pay.confirm").sees(f"KES 100.00 to {other.msisdn}", payment.reference)
    (await again.say("0", "3")).stands_in("pay.number").sees("Choose or type the number to recharge:", f"1 To {end}")
    (await again.say("1", "1", "1")).stands_in("pay.confirm").sees(f"for {other.msisdn}?")
