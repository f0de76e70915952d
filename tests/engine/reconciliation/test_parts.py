"""What a gateway gave back in parts and told nobody of is found in its file, or by asking it, and booked once."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from engine.reconciliation.tables import Resolution
from engine.words import Payment, PaymentState
from settings import Operator
from tests.engine.payments.house import House, now
from tests.engine.reconciliation.files import kinds, of, paid, reconciled, square, today
from tests.engine.reconciliation.test_crediting import EVERYTHING, by_rule
from tests.houses import Houses


@pytest.fixture
async def careful(houses: Houses, operator: Operator) -> House:
    """A house that books nothing by rule."""
    return await houses(by_rule(operator, "never"))


def given_back(house: House, payment: Payment, *amounts: int) -> None:
    """Somebody gives parts back in the sandbox's console, which tells nobody."""
    one: Any = house.sandbox.desk.ledger.by_id("native", payment.gateway_ref or "")
    for place, amount in enumerate(amounts):
        one.give_back(f"console-{place}", amount)


def parts(payment: Payment, *amounts: int) -> list[str]:
    """Their lines in a file."""
    return [of(payment, amount=-one, at=now() + timedelta(seconds=place)) for place, one in enumerate(amounts)]


async def returned(house: House, payment: Payment) -> int:
    """How much of it the books have as given back."""
    found = await house.engine.payment(payment.payment_id)
    assert found is not None
    return found.returned


async def test_parts_that_a_file_states_are_booked_once_the_gateway_confirms_them(house: House) -> None:
    [payment] = await paid(house)
    given_back(house, payment, 1_000, 500)
    lines = [of(payment), *parts(payment, 1_000, 500)]
    for run in (await reconciled(house, *lines), await reconciled(house, *lines)):
        assert run.broken == 0
    assert await returned(house, payment) == 1_500
    assert await square(house) == [(3_500, 3_500, 0, 0)]
    assert await kinds(house) == []
    await house.right()


async def test_parts_that_the_gateway_does_not_confirm_stay_with_staff_who_may_book_them(house: House) -> None:
    [payment] = await paid(house)
    run = await reconciled(house, of(payment), *parts(payment, 1_000))
    assert (run.found, run.credited, await returned(house, payment)) == (1, 0, 0)
    assert await kinds(house) == [("status", "settled")]
    assert await square(house) == [(4_000, 5_000, 0, -1_000)]
    [one] = await house.engine.reconciliation.discrepancies()
    await house.engine.reconciliation.resolve(one.number, Resolution.CREDITED, by="alice", why="the bank's letter")
    assert await returned(house, payment) == 1_000
    assert await square(house) == [(4_000, 4_000, 0, 0)]
    await house.right()


async def test_by_no_rule_nothing_is_booked(careful: House) -> None:
    [payment] = await paid(careful)
    given_back(careful, payment, 1_000)
    run = await reconciled(careful, of(payment), *parts(payment, 1_000))
    assert (run.credited, await returned(careful, payment)) == (0, 0)
    assert await kinds(careful) == [("status", "settled")]
    await careful.right()


async def test_parts_that_were_told_before_agree_with_the_file_and_what_it_leaves_out_is_found(house: House) -> None:
    [payment] = await paid(house)
    one: Any = house.sandbox.desk.ledger.by_id("native", payment.gateway_ref or "")
    for place, amount in enumerate((1_000, 500), start=1):
        one.give_back(f"console-{place}", amount)
        house.sandbox.desk.told(one)
        while await returned(house, payment) < one.refunded:
            await house.engine.resume_payments()
    lines = [of(payment), *parts(payment, 1_000, 500)]
    run = await reconciled(house, *lines[:2])
    # So near to the end of the file's day the next one may state it.
    assert run.found == 1 and await kinds(house) in ([("timing", "not_stated")], [("missing_at_gateway", "not_stated")])
    assert await square(house) == [(4_000, 3_500, 0, 500)]
    await reconciled(house, *lines)
    assert await kinds(house) == []
    assert await square(house) == [(3_500, 3_500, 0, 0)]


async def test_parts_are_found_by_asking_the_gateway_and_booked(house: House) -> None:
    [payment] = await paid(house)
    given_back(house, payment, 1_000, 500)
    run = await house.engine.reconciliation.ask("sandbox", today(house), by="alice")
    assert (run.found, run.credited) == (1, 1)
    assert await returned(house, payment) == 1_500
    [ended] = await house.engine.reconciliation.discrepancies(EVERYTHING)
    assert ended.resolution is Resolution.CREDITED
    await house.right()


async def test_all_that_went_back_and_was_never_told_is_booked_too(house: House) -> None:
    [payment] = await paid(house)
    given_back(house, payment, 1_000, 4_000)
    await reconciled(house, of(payment), *parts(payment, 1_000, 4_000))
    found = await house.engine.payment(payment.payment_id)
    assert found is not None and found.state is PaymentState.CHARGED_BACK
    assert await kinds(house) == []
    assert await square(house) == [(0, 0, 0, 0)]
    await house.right()
