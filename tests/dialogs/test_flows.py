"""Whole conversations over a real engine: what a person says and what they see."""

from __future__ import annotations

import msgspec
import pytest

from dialogs.words import Place
from engine.api import BatchState, Engine
from engine.words import LineStatus, Unit
from settings import Operator
from tests.dialogs.conftest import Calling
from tests.dialogs.player import Player
from tests.engine.shop import sell_vouchers


async def money(player: Player) -> int:
    return (await player.engine.subscriber(player.msisdn)).total(Unit.MONEY)


# --- menus and balance ---


async def test_the_main_menu_greets_with_the_money_balance(calling: Calling) -> None:
    player = await calling(money=15_000)
    player.stands_in("main_menu.home").sees(
        "Rasid Kenya: KES 150.00", "1 Balance", "2 Recharge", "3 Bundles", "4 My account"
    )
    assert player.screen.back == "Exit"
    assert player.screen.home is None


async def test_zero_in_the_main_menu_ends_the_session(calling: Calling) -> None:
    player = await (await calling()).say("0")
    player.stands_in("main_menu.goodbye").sees("Goodbye.")
    assert player.screen.ends


async def test_balance_shows_money_and_each_bucket_with_what_is_left_and_until_when(calling: Calling) -> None:
    player = await calling(money=40_000)
    await player.say("3", "8", "1")
    await (await player.again("s2")).say("1")
    fresh = await (await player.again("s3")).say("1")
    fresh.sees(
        "Balance: KES 100.00 until ", "Combo week: 1 GB of 1 GB until ", "60 min of 60 min", "100 SMS of 100 SMS"
    )


async def test_back_and_home_lead_the_same_way_everywhere(calling: Calling) -> None:
    player = await (await calling(money=5_000)).say("4", "1")
    (await player.stands_in("language.choose").say("0")).stands_in("account.home")
    (await player.say("0")).stands_in("main_menu.home")
    (await player.say("3", "1", "0")).stands_in("bundles.list")
    (await player.say("00")).stands_in("main_menu.home")
    assert player.place.trail == []


@pytest.mark.parametrize("given", ["9", "98", "01", "", "x", "1 1", "-1", "²", "999999"])
async def test_an_unknown_option_shows_the_same_screen_and_says_so(calling: Calling, given: str) -> None:
    player = await (await calling()).say(given)
    player.stands_in("main_menu.home").sees("No such choice.\nRasid Kenya:")
    (await player.say("1")).stands_in("balance.show")


@pytest.mark.parametrize("given", [" 1 ", "١", "۱", "\u200f1", "１"])
async def test_digits_of_other_scripts_and_spaces_are_understood(calling: Calling, given: str) -> None:
    (await (await calling()).say(given)).stands_in("balance.show")


@pytest.mark.parametrize(
    ("status", "says"), [(LineStatus.SUSPENDED, "Your line is suspended."), (LineStatus.BARRED, "Your line is barred.")]
)
async def test_a_line_that_may_not_spend_reads_its_balance_and_buys_nothing(
    calling: Calling, engine: Engine, status: LineStatus, says: str
) -> None:
    player = await calling(money=50_000)
    await engine.accounts.set_status(await engine.subscriber(player.msisdn), status, reason="test", by="alice")
    player = await player.again("s2")
    player.sees(says)
    (await player.say("1")).sees("KES 500.00")
    (await player.say("00", "3", "1", "1")).stands_in("bundles.refused").sees(f"{says} Nothing was done.")
    assert await money(player) == 50_000


# --- recharge ---


async def test_a_voucher_recharges_after_one_confirm_screen(calling: Calling, engine: Engine) -> None:
    player = await calling(money=1_000)
    (number,) = await sell_vouchers(engine, 5_000)
    await player.say("2")
    assert player.stands_in("recharge.number").screen.secret
    await player.say(number)
    player.stands_in("recharge.confirm").sees(f"Recharge with voucher ..{number[-4:]}?", "1 Recharge")
    assert player.screen.home is None
    await player.say("1")
    player.stands_in("recharge.done").sees("Recharged KES 50.00. Balance KES 60.00 until ", "Ref ")
    assert player.screen.ends
    assert await money(player) == 6_000


async def test_a_voucher_number_typed_at_the_main_menu_goes_straight_to_confirm(
    calling: Calling, engine: Engine
) -> None:
    player = await calling()
    (number,) = await sell_vouchers(engine, 5_000)
    (await player.say(number)).stands_in("recharge.confirm")
    (await player.say("1")).stands_in("recharge.done")
    assert await money(player) == 5_000


async def test_the_place_never_holds_the_voucher_number(calling: Calling, engine: Engine) -> None:
    player = await calling()
    (number,) = await sell_vouchers(engine)
    for given in (number, "0", "2", f" {number[:4]}-{number[4:]} "):
        await player.say(given)
        assert number.encode() not in msgspec.msgpack.encode(player.place)
        assert msgspec.msgpack.decode(msgspec.msgpack.encode(player.place), type=Place) == player.place


async def test_back_from_the_confirm_screen_moves_nothing(calling: Calling, engine: Engine) -> None:
    player = await calling()
    (number,) = await sell_vouchers(engine)
    (await player.say(number, "0")).stands_in("main_menu.home")
    assert await money(player) == 0


async def test_a_session_played_again_comes_out_with_the_same_effect_once(calling: Calling, engine: Engine) -> None:
    player = await calling()
    (number,) = await sell_vouchers(engine, 5_000)
    await player.say("2", number, "1")
    second = await player.replay()
    assert second.screen == player.screen
    assert second.place == player.place
    assert await money(player) == 5_000


async def test_a_voucher_recharged_a_moment_ago_is_told_with_its_reference(calling: Calling, engine: Engine) -> None:
    player = await calling()
    (number,) = await sell_vouchers(engine, 5_000)
    await player.say("2", number, "1")
    reference = player.screen.text.rsplit("Ref ")[1]
    second = await (await player.again("s2")).say("2", number)
    second.stands_in("recharge.already").sees("This voucher was recharged at ", f"ref {reference}")
    assert second.screen.ends
    assert await money(player) == 5_000


async def test_a_voucher_of_somebody_else_is_told_as_used(calling: Calling, engine: Engine) -> None:
    first, second = await calling(), await calling()
    (number,) = await sell_vouchers(engine, 5_000)
    await first.say(number, "1")
    (await second.say(number, "1")).stands_in("recharge.refused").sees("This voucher has been used.", "1 Try again")
    assert await money(second) == 0
    (await second.say("1")).stands_in("recharge.number")


async def test_an_unknown_voucher_may_be_tried_again_until_the_line_is_locked(
    calling: Calling, operator: Operator
) -> None:
    player = await calling()
    for last in range(operator.vouchers.free_tries + 1):
        await player.say("00", "2", f"{last:014d}", "1")
        if "Too many" in player.screen.text:
            break
        player.stands_in("recharge.refused").sees("No such voucher. Check the number.")
    await player.say("00", "2", "00000000000099", "1")
    player.stands_in("recharge.refused").sees("Too many wrong numbers. Try again after ")


@pytest.mark.parametrize("given", ["12", "1234567890123", "123456789012345", "abcdefghijklmn"])
async def test_what_cannot_be_a_voucher_number_is_asked_for_again(calling: Calling, given: str) -> None:
    player = await (await calling()).say("2", given)
    player.stands_in("recharge.number").sees("A voucher number has 14 digits.\nEnter the voucher number:")


async def test_a_recalled_voucher_has_its_sentence(calling: Calling, engine: Engine) -> None:
    player = await calling()
    (number,) = await sell_vouchers(engine, 5_000)
    found = await engine.vouchers.find_number(number)
    await engine.vouchers.move_batch(found.batch_id, BatchState.RECALLED, "bob")
    await player.say(number, "1")
    player.stands_in("recharge.refused").sees("This voucher was recalled. Take it back to the shop.")


# --- bundles ---


async def test_a_bundle_is_bought_after_one_confirm_screen_with_its_detail(calling: Calling) -> None:
    player = await (await calling(money=40_000)).say("3")
    player.stands_in("bundles.list").sees("1 100 MB 1 day KES 20.00", "8 Combo week KES 300.00")
    await player.say("8")
    player.stands_in("bundles.confirm").sees("Buy Combo week for KES 300.00?\n1 GB, 60 min, 100 SMS, 7 days", "1 Buy")
    await player.say("1")
    player.stands_in("bundles.done").sees("Combo week bought for KES 300.00, until ", "Balance KES 100.00", "Ref ")
    assert await money(player) == 10_000


async def test_too_little_money_says_how_much_is_missing_and_offers_a_recharge(calling: Calling) -> None:
    player = await (await calling(money=500)).say("3", "1", "1")
    player.stands_in("bundles.refused").sees("Your balance is too low: KES 15.00 missing.", "1 Recharge")
    assert await money(player) == 500
    (await player.say("1")).stands_in("recharge.number")


async def test_the_same_bundle_again_is_asked_about_and_bought_twice_on_a_second_yes(calling: Calling) -> None:
    player = await (await calling(money=10_000)).say("3", "1", "1")
    reference = player.screen.text.rsplit("Ref ")[1]
    second = await (await player.again("s2")).say("3", "1")
    second.stands_in("bundles.confirm").sees("Done at ", f"ref {reference}. Again?", "100 MB 1 day KES 20.00", "1 Buy")
    assert await money(player) == 8_000
    (await second.say("1")).stands_in("bundles.done")
    assert await money(player) == 6_000


async def test_two_purchases_of_one_endless_session_are_two_and_their_replay_none(calling: Calling) -> None:
    player = await calling(money=10_000)
    await player.say("3", "1", "1", "hello", "3", "1", "1")
    assert await money(player) == 6_000
    second = await player.replay()
    assert second.place.visits == player.place.visits == {"bundles.confirm": 2}
    assert await money(player) == 6_000


async def test_a_wrong_input_on_the_confirm_screen_counts_no_visit_and_moves_nothing(calling: Calling) -> None:
    player = await (await calling(money=10_000)).say("3", "1", "7", "2")
    player.stands_in("bundles.confirm").sees("No such choice.")
    assert player.place.visits == {"bundles.confirm": 1}
    assert await money(player) == 10_000


async def test_the_price_is_the_one_that_was_shown(
    calling: Calling, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    player = await (await calling(money=10_000)).say("3", "1")
    assert player.place.data["price"] == 2_000
    dearer = [one.model_copy(update={"price": one.price + 500}) for one in engine.operator.products]
    monkeypatch.setattr(engine, "products", lambda: tuple(dearer))
    await player.say("7")
    player.stands_in("bundles.confirm").sees("KES 20.00")
