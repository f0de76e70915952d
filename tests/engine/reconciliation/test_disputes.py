"""What banks took and gave again, as Stripe's report states it, against what was booked under the disputes' names."""

from __future__ import annotations

from datetime import UTC

import pytest

from engine.words import Payment, PaymentState
from settings import Operator
from tests.engine.payments.house import House
from tests.engine.payments.stripe import cases, disputed, paid, post
from tests.engine.reconciliation.files import kinds, square, today
from tests.engine.reconciliation.test_crediting import by_rule
from tests.houses import Houses

HEADER = "created_utc,reporting_category,gross,fee,currency,payment_intent_id,payment_metadata[payment_id]"


@pytest.fixture
async def cards(houses: Houses, operator: Operator) -> House:
    """A house that takes cards by Stripe, which tells it nothing unless a test does, and believes its statements."""
    return await houses(by_rule(operator, "stated"), only=("stripe",))


async def reconciled(cards: House, payment: Payment, **gross: str) -> int:
    """A report of these categories with what each moved. Returns how many discrepancies it has."""
    at = f"{payment.created_at.astimezone(UTC):%Y-%m-%d %H:%M:%S}"
    of = f"{payment.gateway_ref},{payment.payment_id}"
    lines = [f"{at},{kind},{amount},0.00,kes,{of}" for kind, amount in gross.items()]
    run = await cards.engine.reconciliation.reconcile(
        "stripe", [HEADER, *lines], by="alice", source="file:s.csv", first=today(cards)
    )
    return run.found


@pytest.mark.parametrize("amount", ["20.00", "50.00"])
async def test_a_dispute_that_was_won_agrees_with_the_books_and_takes_nothing_more(cards: House, amount: str) -> None:
    line, payment, one = await paid(cards)
    for end in ("needs_response", "won"):
        assert await post(cards, disputed(one, int(float(amount) * 100), end)) == 200
    for _ in range(2):
        assert not await reconciled(cards, payment, charge="50.00", dispute=f"-{amount}", dispute_reversal=amount)
    assert await kinds(cards) == []
    assert await square(cards) == [(5_000, 5_000, 0, 0)]
    assert await cards.money(line) == 5_000
    await cards.right()


async def test_what_was_won_and_nobody_told_of_stays_with_staff(cards: House) -> None:
    line, payment, one = await paid(cards)
    assert await post(cards, disputed(one, 2_000)) == 200
    await reconciled(cards, payment, charge="50.00", dispute="-20.00", dispute_reversal="20.00")
    assert await kinds(cards) == [("status", "settled")]
    assert await square(cards) == [(5_000, 3_000, 0, 2_000)]
    assert await cards.money(line) == 3_000


async def test_a_dispute_that_nobody_told_of_is_booked_under_its_name_and_its_event_is_no_news(cards: House) -> None:
    line, payment, one = await paid(cards)
    one.dispute(2_000)
    await reconciled(cards, payment, charge="50.00", dispute="-20.00")
    assert await kinds(cards) == []
    assert await square(cards) == [(3_000, 3_000, 0, 0)]
    assert await post(cards, disputed(one, 2_000, name=f"dp_{one.id}")) == 200
    assert await cards.money(line) == 3_000
    assert [case[0] for case in await cases(cards)] == ["open"]
    await cards.right()


async def test_what_went_back_beside_a_dispute_is_booked_as_that_and_no_more(cards: House) -> None:
    line, payment, one = await paid(cards)
    one.dispute(2_000)
    assert await post(cards, disputed(one, 2_000, name=f"dp_{one.id}")) == 200
    one.give_back("console", 1_000)
    await reconciled(cards, payment, charge="50.00", dispute="-20.00", refund="-10.00")
    found = await cards.engine.payment(payment.payment_id)
    assert found is not None and (found.state, found.returned) == (PaymentState.SETTLED, 3_000)
    assert await cards.money(line) == 2_000
    assert await square(cards) == [(2_000, 2_000, 0, 0)]
    await cards.right()


async def test_a_dispute_that_nobody_told_of_is_found_by_asking_for_the_day(cards: House) -> None:
    line, payment, one = await paid(cards)
    one.dispute(2_000)
    run = await cards.engine.reconciliation.ask("stripe", today(cards), by="alice")
    assert (run.found, run.credited) == (1, 1)
    assert await cards.money(line) == 3_000
    run = await cards.engine.reconciliation.ask("stripe", today(cards), by="alice")
    assert run.found == 0
    assert (await cards.engine.payment(payment.payment_id)).returned == 2_000  # type: ignore[union-attr]
    await cards.right()
