"""From asking to crediting: each way that a provider can behave ends with the money counted once."""

from __future__ import annotations

import asyncio
from uuid import uuid4

import pytest

from engine.words import PaymentMethod, PaymentRefused, PaymentState
from tests.engine.payments.house import House
from tests.houses import Houses


@pytest.fixture
async def house(houses: Houses) -> House:
    """A house whose gateways soon give an answer up."""
    return await houses(patience=1.0)


async def test_a_payment_is_credited_by_its_callback_alone(house: House) -> None:
    line = await house.line()
    payment = await house.pay(line, 5_000)
    assert payment.state is PaymentState.PENDING
    settled = await house.until(payment, PaymentState.SETTLED)
    assert await house.money(line) == 5_000
    assert settled.gateway_ref is not None
    assert (await house.engine.find_payment(payment.reference.lower())) == settled
    assert [one.payment_id for one in await house.engine.payments_of(line.account)] == [payment.payment_id]
    await house.right()


async def test_a_card_is_charged_and_credited_before_the_answer(house: House) -> None:
    line = await house.line()
    payment = await house.pay(line, 5_000, method=PaymentMethod.CARD, token="card-token")
    assert payment.state is PaymentState.SETTLED
    assert await house.money(line) == 5_000
    await house.right()


async def test_the_same_key_is_the_same_payment_and_asks_once(house: House) -> None:
    line, key = await house.line(), uuid4()
    payments = await asyncio.gather(*(house.pay(line, 5_000, key) for _ in range(10)))
    assert len({payment.payment_id for payment in payments}) == 1
    await house.ended(payments[0])
    assert await house.money(line) == 5_000
    with pytest.raises(PaymentRefused, match="conflict"):
        await house.pay(line, 6_000, key)
    await house.right()


@pytest.mark.parametrize("play", ["approve", "slow", "duplicate", "early", "lost", "drop", "hang", "error", "late"])
async def test_whatever_the_provider_does_the_money_is_credited_once(house: House, play: str) -> None:
    line = await house.line()
    await house.plays(play, seconds=1.5)
    payment = await house.pay(line, 5_000, wait_seconds=0.2)
    ended = await house.ended(payment)
    assert ended.state is PaymentState.SETTLED
    assert await house.money(line) == await house.taken() == 5_000
    await house.right()


async def test_a_refusal_ends_it_with_a_reason_and_no_money(house: House) -> None:
    line = await house.line()
    await house.plays("decline", reason="funds")
    ended = await house.ended(await house.pay(line, 5_000))
    assert (ended.state, ended.reason) == (PaymentState.DECLINED, "funds")
    assert await house.money(line) == 0
    await house.right()
