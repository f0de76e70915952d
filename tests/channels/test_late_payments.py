"""Turns that ask for a payment and run out of time: nobody is told to try again while somebody may be asked to pay."""

from __future__ import annotations

import pytest

from engine.words import Payment
from tests.channels.doors import HASTY, SlowDoor
from tests.channels.phone import Phone, Talk
from tests.engine.payments.house import House
from tests.houses import Houses

#: hops that the network may have to send again before a busy machine is in time
TRIES = 10


class SlowTill(SlowDoor):
    """The real engine, whose payments are asked for late, or not at all."""

    broken = False

    async def pay(self, *args, **named) -> Payment:
        if self.broken:
            raise ConnectionError
        await self.open.wait()
        return await self._engine.pay(*args, **named)


@pytest.fixture
async def house(houses: Houses) -> House:
    return await houses()


async def paying(phone: Phone) -> None:
    """Confirm a payment, and be told that it may be under way."""
    assert (await phone.dial("2*2*2")).label == "pay.confirm"
    told = await phone.say("1")
    for _ in range(TRIES):
        if told.label == "notice.try_again":
            # On a busy machine the time is up before anybody is asked: the network sends the hop again.
            told = await phone.send()
    assert told.ends
    assert told.label == "notice.paying"
    assert "before you pay again" in told.text


async def asked_late(talk: Talk, house: House) -> Phone:
    """Somebody whose payment was asked for after they had been answered."""
    line, till = await house.line(), SlowTill(house.engine)
    phone = Phone(talk(engine=till, profile=HASTY), msisdn=line.msisdn)
    await paying(phone)
    till.open.set()
    await phone.conversation.drain()
    return phone


async def test_who_hears_nothing_of_a_payment_in_time_is_told_to_look_before_paying_again(
    talk: Talk, house: House
) -> None:
    phone = await asked_late(talk, house)
    assert (await phone.send()).label == "pay.asked"
    (payment,) = await house.engine.payments_of((await house.engine.subscriber(phone.msisdn)).account)
    await house.ended(payment)
    assert await house.taken() == payment.amount


async def test_who_dials_anew_after_a_payment_ran_late_is_asked_before_the_same_is_paid_again(
    talk: Talk, house: House
) -> None:
    phone = await asked_late(talk, house)
    anew = Phone(talk(engine=house.engine), msisdn=phone.msisdn, session_id="ATUid_2")
    again = await anew.dial("2*2*2")
    assert again.label == "pay.confirm"
    assert "Again?" in again.text


async def test_a_payment_that_failed_on_its_way_is_not_called_undone(talk: Talk, house: House) -> None:
    line, till = await house.line(), SlowTill(house.engine)
    till.broken = True
    await paying(Phone(talk(engine=till), msisdn=line.msisdn))
