"""Recharging by payment: what a person says and sees, over real gateways of the sandbox."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from dialogs.machine import Machine
from engine.words import PaymentState
from tests.dialogs.conftest import Calling
from tests.dialogs.paying import credited, dialling
from tests.dialogs.player import Player
from tests.engine.payments.house import House
from tests.engine.shop import sell_vouchers


async def test_without_gateways_recharge_asks_for_the_voucher_at_once(calling: Calling) -> None:
    (await (await calling()).say("2")).stands_in("recharge.number")


async def test_recharge_offers_voucher_and_payment_and_takes_a_voucher_number_at_once(
    house: House, machine: Machine
) -> None:
    player = await dialling(house, machine, await house.line())
    player.stands_in("pay.home").sees("1 Voucher", "2 M-Pesa", "3 For another number", "4 My payments")
    (number,) = await sell_vouchers(house.engine, 5_000)
    (await player.say(number)).stands_in("recharge.confirm")
    (await player.say("1")).sees("Recharged KES 50.00")


async def test_mobile_money_is_chosen_confirmed_and_approved_on_the_phone(house: House, machine: Machine) -> None:
    line = await house.line()
    await house.plays("late", seconds=4.0)
    player = await dialling(house, machine, line)
    (await player.say("2")).stands_in("pay.amount").sees("1 KES 50.00", "6 Other amount")
    (await player.say("2")).stands_in("pay.confirm").sees("Pay KES 100.00 by M-Pesa?", "1 Pay")
    assert await house.engine.payments_of(line.account) == []
    (await player.say("1")).stands_in("pay.asked").sees("Ref ")
    assert player.screen.ends
    assert await credited(house, line) == await house.taken() == 10_000


async def test_an_outcome_that_nobody_knows_is_said_so_and_nothing_is_charged_twice(
    house: House, machine: Machine
) -> None:
    line = await house.line()
    await house.plays("drop")
    player = await (await dialling(house, machine, line)).say("2", "2", "1")
    (payment,) = await house.engine.payments_of(line.account)
    if payment.state is PaymentState.UNKNOWN:
        player.sees("We are checking with M-Pesa. You will not be charged twice.", payment.reference)
    await (await player.replay()).say()
    assert await credited(house, line) == await house.taken() == 10_000


async def test_a_session_played_again_is_the_same_payment(house: House, machine: Machine) -> None:
    line = await house.line()
    player = await (await dialling(house, machine, line)).say("2", "1", "1")
    again = await Player(house.engine, machine, line.msisdn, "s1").dial()
    await again.say("2", "2", "1", "1")
    again.stands_in("pay.asked")
    assert player.screen.state == again.screen.state
    assert len(await house.engine.payments_of(line.account)) == 1


async def test_a_payment_that_nobody_knows_of_yet_is_asked_about_as_asked_for(house: House, machine: Machine) -> None:
    await house.plays("late", seconds=30.0)
    line = await house.line()
    await (await dialling(house, machine, line)).say("2", "1", "1")
    second = await (await dialling(house, machine, line, "s2")).say("2", "1")
    second.stands_in("pay.confirm").sees("Asked at ", "Again?")


@pytest.mark.parametrize(("plays", "told"), [("late", "Received KES 50.00"), ("decline", "not enough money")])
async def test_who_dials_again_after_a_payment_has_ended_is_told_how(
    house: House, machine: Machine, plays: str, told: str
) -> None:
    await house.plays(plays)
    player = await (await dialling(house, machine, await house.line())).say("2", "1")
    confirming = player.place
    await player.say("1")
    (payment,) = await house.engine.payments_of((await player.context()).subscriber.account)
    await house.ended(payment)
    for left in (confirming, player.place):
        back = await machine.come_back(left, await player.context(), ask=True)
        if left.state == "pay.refused":
            assert back is None, "it was told at once"
            continue
        assert back is not None and back.screen.state == "main_menu.home"
        assert told in back.screen.text.partition("\n")[0]


async def test_the_same_payment_in_a_new_session_is_asked_about_first(house: House, machine: Machine) -> None:
    line = await house.line()
    await (await dialling(house, machine, line)).say("2", "1", "1")
    (payment,) = await house.engine.payments_of(line.account)
    await house.ended(payment)
    second = await (await dialling(house, machine, line, "s2")).say("2", "1")
    second.stands_in("pay.confirm").sees("Done at ", f"ref {payment.reference}. Again?", "KES 50.00 M-Pesa")
    (await second.say("1")).stands_in("pay.asked")
    assert await credited(house, line) == 10_000


async def test_the_last_recharge_is_the_first_option(house: House, machine: Machine) -> None:
    line = await house.line()
    await house.ended(await house.pay(line, 25_000))
    await house.run("UPDATE payment SET created_at = created_at - interval '1 day'")
    player = await dialling(house, machine, line, "s2")
    player.sees("1 Voucher")
    number, again = player.screen.numbered()[0]
    assert again.label == "Again: KES 250.00, M-Pesa"
    (await player.say(str(number))).stands_in("pay.confirm").sees("Pay KES 250.00 by M-Pesa?")
    await player.say("1")
    assert await credited(house, line) == 50_000


async def test_ones_payments_are_listed_with_how_far_they_have_come(house: House, machine: Machine) -> None:
    line = await house.line()
    await house.ended(await house.pay(line, 5_000))
    await house.plays("decline", reason="funds")
    await house.ended(await house.pay(line, 7_000))
    player = await (await dialling(house, machine, line)).say("4")
    player.stands_in("payments.list").sees("1 KES 70.00 not paid", "2 KES 50.00 paid", "3 Where is my payment?")
    (await player.say("2")).stands_in("payments.show").sees("KES 50.00", "paid")
    (await player.say("1")).stands_in("payments.list")


async def test_a_refusal_of_the_payers_side_is_said_in_words(house: House, machine: Machine) -> None:
    await house.plays("decline", reason="funds", face="stripe")
    line = await house.line()
    ends = datetime.now(UTC) + timedelta(days=30)
    await house.engine.cards.save(line, "stripe", "pm_card", brand="Visa", last_four="4242", expires_at=ends)
    player = await dialling(house, machine, line)
    player.sees("3 Visa ..4242")
    (await player.say("3", "1")).sees("Pay KES 50.00 by Visa ..4242?")
    (await player.say("1")).stands_in("pay.refused").sees("There is not enough money to pay with.", "1 Try again")


async def test_a_saved_card_pays_and_one_forgotten_meanwhile_does_not(house: House, machine: Machine) -> None:
    line = await house.line()
    ends = datetime.now(UTC) + timedelta(days=30)
    card = await house.engine.cards.save(line, "stripe", "pm_card", brand="Visa", last_four="4242", expires_at=ends)
    player = await (await dialling(house, machine, line)).say("3", "1", "1")
    player.stands_in("pay.asked")
    assert await credited(house, line) == 5_000
    late = await (await dialling(house, machine, line, "s2")).say("3", "2")
    await house.engine.forget_card(line, card.card_id)
    (await late.say("1")).stands_in("pay.refused").sees("This card is no longer saved.")
    assert await credited(house, line) == 5_000


@pytest.mark.parametrize(
    ("typed", "says"), [("1", "The least is KES 5.00."), ("900000", "The most is KES 150,000.00."), ("x", "whole KES")]
)
async def test_an_amount_beyond_the_limits_is_refused_as_it_is_typed(
    house: House, machine: Machine, typed: str, says: str
) -> None:
    player = await (await dialling(house, machine, await house.line())).say("2", "6", typed)
    player.stands_in("pay.typed").sees(says)
    (await player.say("120")).sees("Pay KES 120.00 by M-Pesa?")


async def test_what_the_guard_refuses_is_said_with_its_limit(house: House, machine: Machine) -> None:
    line = await house.line()
    await house.ended(await house.pay(line, 15_000_000))
    await house.run("UPDATE payment SET amount = 29999000")
    player = await (await dialling(house, machine, line)).say("2", "1", "1")
    player.stands_in("pay.refused").sees("One day allows KES 300,000.00.")


async def test_a_payment_that_is_held_back_says_so(house: House, machine: Machine) -> None:
    line = await house.line()
    await house.run("UPDATE line SET sim_changed_at = now() - interval '1 hour'")
    player = await (await dialling(house, machine, line)).say("2", "1", "1")
    player.stands_in("pay.asked").sees("We check your payment first and text you. Ref ")
    assert await house.taken() == 0


async def test_a_new_card_is_paid_with_by_a_link_that_is_texted(house: House, machine: Machine) -> None:
    line = await house.line()
    player = await dialling(house, machine, line)
    player.sees("5 New card")
    (await player.say("5")).stands_in("pay.keep").sees("Keep this card for next time?", "1 Yes", "2 No")
    (await player.say("1", "1")).sees("Pay KES 50.00 by a new card?")
    (await player.say("1")).stands_in("pay.asked").sees("We text you a link to pay KES 50.00 by card. Ref ")
    (payment,) = await house.engine.payments_of(line.account)
    ((body,),) = await house.rows("SELECT body FROM outbox WHERE topic = 'payment.action'")
    async with house.http.post(body["url"], data={"card": "visa"}, allow_redirects=False):
        assert await credited(house, line) == 5_000
    (card,) = await house.engine.saved_cards(line)
    assert (card.brand, card.last_four) == ("Visa", "4242")
    assert payment.state is PaymentState.PENDING


def numbered(player: Player, label: str) -> str:
    """What is typed for an option."""
    return next(str(number) for number, one in enumerate(player.screen.options, 1) if one.label == label)


async def test_a_member_of_a_shared_account_sees_payments_for_their_own_line_and_the_owner_all(
    house: House, machine: Machine
) -> None:
    owner = await house.line()
    child = await house.line(account=owner.account)
    paid = [await house.ended(await house.pay(line, amount)) for line, amount in ((owner, 5_000), (child, 3_000))]
    for line, seen in ((owner, ("KES 50.00 paid", "KES 30.00 paid")), (child, ("KES 30.00 paid",))):
        player = await dialling(house, machine, line, f"of {line.line_id}")
        await player.say(numbered(player, "My payments"))
        player.stands_in("payments.list").sees(*seen)
        assert ("50.00" in player.shown()) == (line is owner)
        await player.say(numbered(player, "Where is my payment?"), paid[0].reference)
        player.stands_in("payments.show" if line is owner else "payments.find")
