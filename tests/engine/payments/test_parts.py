"""What a provider gives back in part by itself is taken back of the credit, once, whoever tells of it first."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest

from engine.payments import names
from engine.words import Charge, LineStatus, Payment, PaymentState, Subscriber, Unit
from tests.engine.payments.house import House
from tests.engine.shop import asking


def given_back(house: House, payment: Payment, amount: int, *, told: bool = True) -> None:
    """Somebody gives a part back in the sandbox's console, which tells of it, or does not."""
    one: Any = house.sandbox.desk.ledger.by_id("native", payment.gateway_ref or "")
    one.give_back(str(uuid4()), amount)
    if told:
        house.sandbox.desk.told(one)


async def paid(house: House, amount: int = 5_000) -> tuple[Subscriber, Payment]:
    """A payment that is credited."""
    line = await house.line()
    return line, await house.ended(await house.pay(line, amount))


async def booked(house: House, payment: Payment, returned: int) -> None:
    """Wait until so much of a payment stands in the books as given back."""
    while True:
        found = await house.engine.payment(payment.payment_id)
        assert found is not None
        if found.returned == returned:
            return
        await house.engine.resume_payments()


async def test_a_part_is_taken_of_the_credit_in_all_books_and_the_line_and_other_systems_are_told(
    house: House,
) -> None:
    line, payment = await paid(house)
    given_back(house, payment, 2_000)
    await booked(house, payment, 2_000)
    assert await house.money(line) == await house.taken() == await house.held_by_gateways() == 3_000
    events = await house.rows("SELECT event, amount FROM payment_history ORDER BY booked_at")
    assert events == [("settled", 5_000), ("part_returned", 2_000)]
    ((body,),) = await house.rows("SELECT body FROM outbox WHERE topic = 'payment.part_returned'")
    assert (body["amount"], body["balance"]) == (2_000, 3_000)
    ((told,),) = await house.rows("SELECT body FROM event WHERE topic = 'settlement.part_returned'")
    assert (told["amount"], told["taken"], told["payment_id"]) == (2_000, 2_000, str(payment.payment_id))
    kept = await house.rows("SELECT body->'returned' FROM payment_event WHERE body ? 'returned'")
    assert kept == [(2_000,)]
    await house.right()


async def test_what_is_spent_of_a_part_is_a_loss(house: House) -> None:
    line, payment = await paid(house)
    assert (await house.engine.post(asking(Charge, line, unit=Unit.MONEY, amount=4_500))).ok
    given_back(house, payment, 2_000)
    await booked(house, payment, 2_000)
    assert await house.money(line) == 0
    losses = await house.rows("SELECT amount FROM receivable WHERE debit = 'losses'")
    assert losses == [(1_500,)]
    assert await house.held_by_gateways() == await house.taken() == 3_000
    await house.right()


async def test_staff_gives_back_what_parts_have_left_and_no_more(house: House) -> None:
    line, payment = await paid(house)
    given_back(house, payment, 2_000)
    await booked(house, payment, 2_000)
    answer = await house.engine.payments.refund(payment.payment_id, "asked for it", "console:alice")
    assert answer is not None and answer.ok and answer.details["amount"] == 3_000
    assert await house.owed_back() == 3_000
    assert (await house.ended(payment)).state is PaymentState.REFUNDED
    assert await house.taken() == await house.owed_back() == await house.held_by_gateways() == 0
    assert await house.money(line) == 0
    await house.right()


async def test_the_part_that_leaves_nothing_ends_the_payment(house: House) -> None:
    line, payment = await paid(house)
    given_back(house, payment, 2_000)
    await booked(house, payment, 2_000)
    given_back(house, payment, 3_000)
    assert (await house.until(payment, PaymentState.CHARGED_BACK)).returned == 2_000
    assert await house.taken() == await house.held_by_gateways() == await house.money(line) == 0
    await house.right()


async def test_a_part_that_nobody_told_of_is_found_by_asking_for_a_payment_that_is_undecided(house: House) -> None:
    line = await house.line()
    await house.plays("lost")
    payment = await house.pay(line, 5_000)
    while not await house.taken():
        pass
    one: Any = house.sandbox.desk.ledger.by_key("native", str(payment.payment_id))
    one.give_back("console", 2_000)
    assert (await house.ended(payment)).state is PaymentState.SETTLED
    await booked(house, payment, 2_000)
    assert await house.money(line) == await house.held_by_gateways() == await house.taken() == 3_000
    await house.right()


async def test_a_part_whose_taker_was_killed_before_it_was_booked_is_booked_by_the_loop(house: House) -> None:
    line, payment = await paid(house)
    given_back(house, payment, 2_000)
    await booked(house, payment, 2_000)
    # As a kill between the door's commit and the end of its event leaves it.
    await house.run(
        "UPDATE gateway_event SET done_at = NULL, next_check_at = now() WHERE body->'outcome'->>'state' = 'refunded'"
    )
    while await house.engine.resume_payments():
        pass
    assert await house.rows("SELECT count(*) FROM gateway_event WHERE done_at IS NULL") == [(0,)]
    assert await house.money(line) == 3_000
    await house.right()


@pytest.mark.parametrize("status", [LineStatus.BARRED, LineStatus.TERMINATED])
async def test_a_part_is_taken_back_of_a_line_that_is_served_no_more(house: House, status: LineStatus) -> None:
    line, payment = await paid(house)
    await house.engine.accounts.set_status(line, status, reason="test", by="test")
    given_back(house, payment, 2_000)
    await booked(house, payment, 2_000)
    assert await house.held_by_gateways() == 3_000
    await house.right()


def test_the_key_of_a_part_follows_from_its_payment_and_what_went_back_in_all() -> None:
    payment_id = uuid4()
    keys = {names.part_key(payment_id, returned) for returned in (100, 100, 200)}
    assert len(keys) == 2 and names.part_key(uuid4(), 100) not in keys
