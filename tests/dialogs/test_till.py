"""Paying where the channel itself takes the money: who is offered it, and when a cart is handed over."""

from __future__ import annotations

from dataclasses import replace
from uuid import uuid4

import pytest

from dialogs.machine import Machine
from dialogs.words import Context
from engine.words import CheckoutSession, Payment, PaymentRefused, PaymentState, Refused, Subscriber
from settings import FraudRules, Operator
from tests.dialogs.player import Player
from tests.engine.payments.house import House
from tests.houses import Houses


class AtTill(Player):
    """A person on a channel that can take money in the session of that name; on any other without one."""

    at = ""

    async def context(self) -> Context:
        return replace(await super().context(), checkout=CheckoutSession("hubtel", self.at) if self.at else None)


@pytest.fixture
async def house(houses: Houses) -> House:
    """A house that takes mobile money, and money in sessions of Hubtel."""
    return await houses(only=("hubtel", "sandbox"))


async def till(house: House, machine: Machine, line: Subscriber, at: str, session: str = "s1") -> AtTill:
    """The recharge menu."""
    player = AtTill(house.engine, machine, line.msisdn, session)
    player.at = at
    await player.dial()
    await player.say("2")
    return player


async def asked(house: House, line: Subscriber, session: str, key: object = None, amount: int = 5_000) -> Payment:
    checkout = CheckoutSession("hubtel", session)
    return await house.pay(line, amount, key=key or uuid4(), checkout=checkout)  # type: ignore[arg-type]


async def test_the_channels_own_checkout_is_offered_beside_the_rest_and_hands_over_a_cart(
    house: House, machine: Machine
) -> None:
    line = await house.line()
    player = await till(house, machine, line, "8d44")
    player.sees("1 Voucher", "2 Hubtel", "3 M-Pesa")
    (await player.say("2", "1")).stands_in("pay.confirm").sees("Pay KES 50.00 by Hubtel?")
    assert await house.engine.payments_of(line.account) == []
    (await player.say("1")).stands_in("pay.asked")
    (payment,) = await house.engine.payments_of(line.account)
    assert player.step is not None
    assert player.step.checkout is not None
    assert (player.step.checkout.reference, player.step.checkout.amount) == (payment.reference, 5_000)
    assert (payment.gateway, payment.gateway_ref, payment.state) == ("hubtel", "8d44", PaymentState.PENDING)


async def test_what_was_paid_at_the_checkout_is_repeated_there_alone(house: House, machine: Machine) -> None:
    line = await house.line()
    player = await (await till(house, machine, line, "8d44")).say("2", "1", "1")
    assert player.step is not None
    cart = player.step.checkout
    assert cart is not None
    item = {"ItemId": cart.reference, "ItemName": cart.name, "Qty": 1, "Price": cart.amount / 100}
    order = {"SessionId": "8d44", "Mobile": line.msisdn, "Item": item}
    async with house.http.post(f"{house.sandbox.base_url}/hubtel/checkout", json=order) as taken:
        assert taken.status == 200
    (payment,) = await house.engine.payments_of(line.account)
    assert (await house.ended(payment)).state is PaymentState.SETTLED
    there, elsewhere = await till(house, machine, line, "9e55"), await till(house, machine, line, "")
    assert there.screen.numbered()[0][1].label == "Again: KES 50.00, Hubtel"
    assert "Again" not in elsewhere.shown()


async def test_who_goes_on_by_another_channel_is_not_asked_there(house: House, machine: Machine) -> None:
    line = await house.line()
    player = await till(house, machine, line, "8d44")
    await player.say("2", "1")
    player.at = ""
    (await player.say("1")).stands_in("pay.refused")
    assert await house.engine.payments_of(line.account) == []
    (await till(house, machine, line, "")).sees("1 Voucher", "2 M-Pesa")


async def test_a_payment_of_a_session_that_is_over_is_no_cart_of_another_one(house: House, machine: Machine) -> None:
    line = await house.line()
    await (await till(house, machine, line, "8d44")).say("2", "1", "1")
    # The first session was lost with its answer; the same inputs come again under the same key in another one.
    again = await till(house, machine, line, "9e55")
    await again.say("2", "1", "1")
    again.stands_in("pay.asked").sees("We are checking with Hubtel. You will not be charged twice.")
    assert again.step is not None
    assert again.step.checkout is None
    assert len(await house.engine.payments_of(line.account)) == 1


async def test_a_session_is_asked_for_one_payment_and_its_key_finds_it_again(house: House) -> None:
    line, key = await house.line(), uuid4()
    first = await asked(house, line, "8d44", key)
    assert (await asked(house, line, "8d44", key)).payment_id == first.payment_id
    with pytest.raises(PaymentRefused) as refused:
        await asked(house, line, "8d44", amount=7_000)
    assert refused.value.args[0] is Refused.METHOD


async def test_a_gateway_that_asks_in_no_session_is_no_checkout(house: House) -> None:
    for name in ("sandbox", "nobody"):
        with pytest.raises(PaymentRefused):
            await house.pay(await house.line(), checkout=CheckoutSession(name, "8d44"))


async def test_a_checkout_that_was_held_back_is_asked_for_by_phone_once_staff_lets_it_pass(
    houses: Houses, operator: Operator
) -> None:
    strict = operator.model_copy(update={"fraud": FraudRules(new_line_hours=24, new_line_weight=60)})
    house = await houses(strict, only=("hubtel", "sandbox"))
    line = await house.line()
    payment = await asked(house, line, "8d44")
    assert payment.state is PaymentState.REVIEW
    await house.engine.reviews.approve(payment.reference, by="amina", why="known customer")
    settled = await house.ended(payment)
    assert (settled.state, settled.gateway) == (PaymentState.SETTLED, "sandbox")
    assert await house.money(line) == await house.taken() == 5_000
