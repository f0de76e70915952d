"""Recharging another number by payment: who sees what, who is told what, and who is credited."""

from __future__ import annotations

from typing import Any

import pytest

from dialogs.machine import Machine
from engine.words import LineStatus, PaymentMethod
from tests.dialogs.paying import credited, dialling
from tests.engine.payments.house import House


async def test_another_number_is_shown_before_it_is_paid_for_and_its_holder_is_credited(
    house: House, machine: Machine
) -> None:
    line, other = await house.line(), await house.line()
    player = await (await dialling(house, machine, line)).say("3")
    (await player.say("0799999999")).sees("This number cannot be recharged.")
    local = "0" + other.msisdn.removeprefix("+254")
    await player.say(local, "1", "1")
    player.stands_in("pay.confirm").sees(f"Pay KES 50.00 by M-Pesa for {other.msisdn}?")
    assert other.msisdn.removeprefix("+254") not in str(player.place)
    await player.say("1")
    assert await credited(house, other) == 5_000
    assert await credited(house, line) == 0
    (payment,) = await house.engine.payments_of(other.account)
    assert await house.engine.paid_by(payment, line.msisdn)


@pytest.mark.parametrize("by_card", [False, True])
async def test_who_pays_for_another_finds_the_payment_by_its_reference_and_a_stranger_does_not(
    house: House, machine: Machine, *, by_card: bool
) -> None:
    line, other, stranger = await house.line(), await house.line(), await house.line()
    card: dict[str, Any] = {"method": PaymentMethod.CARD, "token": "pm_card_visa"}
    payer = card if by_card else {"msisdn": line.msisdn}
    payment = await house.ended(await house.pay(other, 5_000, asked_by=line.line, **payer))
    asking = await (await dialling(house, machine, line)).say("4", "1")
    (await asking.stands_in("payments.find").say(payment.reference.lower())).stands_in("payments.show")
    asking.sees("KES 50.00", "paid", payment.reference)
    curious = await (await dialling(house, machine, stranger)).say("4", "1", payment.reference)
    curious.stands_in("payments.find").sees("This payment was not found.")


async def texted_after(house: House, machine: Machine, *, approve: bool) -> list[tuple[str, str]]:
    """Somebody asks to pay KES 50 for another line, hangs up and answers on their phone: what lines are texted then."""
    line, other = await house.line(), await house.line()
    desk = house.sandbox.base_url
    async with house.http.post(f"{desk}/phones", json={"numbers": [line.msisdn]}):
        player = await (await dialling(house, machine, line)).say("3", other.msisdn, "1", "1", "1")
    async with house.http.post(f"{desk}/phones", json={"numbers": [line.msisdn]}) as held:
        (prompt,) = (await held.json())["prompts"]
    async with house.http.post(f"{desk}/prompts/{prompt['face']}/{prompt['id']}", json={"approve": approve}):
        await credited(house, other)
    named = {line.line_id: "who paid", other.line_id: "who is credited"}
    player.stands_in("pay.asked").sees(f"Approve KES 50.00 on your phone. We will text ..{other.msisdn[-4:]}. Ref ")
    return [(topic, named[to]) for topic, to in await house.rows("SELECT topic, line_id FROM outbox")]


async def test_who_paid_hears_that_it_did_not_go_through_and_who_never_asked_hears_nothing(
    house: House, machine: Machine
) -> None:
    told = await texted_after(house, machine, approve=False)
    assert told == [("payment.declined", "who paid")]


async def test_who_is_credited_is_texted_and_who_paid_knows_that(house: House, machine: Machine) -> None:
    told = await texted_after(house, machine, approve=True)
    assert told == [("payment.done", "who is credited")]


async def test_a_payment_for_ones_own_number_typed_as_anothers_is_ones_own(house: House, machine: Machine) -> None:
    line = await house.line()
    await (await dialling(house, machine, line)).say("3", line.msisdn, "1", "1", "1")
    assert await credited(house, line) == 5_000
    assert await house.engine.favourites.receivers(line.line) == []


async def test_a_line_closed_meanwhile_is_not_paid_for(house: House, machine: Machine) -> None:
    line, other = await house.line(), await house.line()
    player = await (await dialling(house, machine, line)).say("3", other.msisdn, "1", "1")
    await house.engine.accounts.set_status(other, LineStatus.TERMINATED, reason="test", by="alice")
    (await player.say("1")).stands_in("pay.refused").sees("This number cannot be recharged.")
    assert await house.taken() == 0


async def test_a_new_card_is_offered_for_the_own_number_alone(house: House, machine: Machine) -> None:
    other = await house.line()
    player = await (await dialling(house, machine, await house.line())).say("3", other.msisdn)
    player.stands_in("pay.means").sees("1 M-Pesa")
    assert "New card" not in player.screen.text + " ".join(one.label for one in player.screen.options)
