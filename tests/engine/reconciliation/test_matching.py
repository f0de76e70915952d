"""Each way in which a statement and the books can differ is found, named, and counted in the day's figures."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from engine.reconciliation.cases import Selection
from engine.words import PaymentState
from tests.engine.payments.house import House
from tests.engine.reconciliation.files import (
    HEADER,
    booked_at,
    kinds,
    noon,
    of,
    paid,
    reconciled,
    row,
    square,
    today,
)


async def test_a_statement_that_is_right_leaves_nothing_open(house: House) -> None:
    payments = await paid(house, 3)
    run = await reconciled(house, *map(of, payments))
    assert (run.rows, run.broken, run.found) == (3, 0, 0)
    assert await square(house) == [(15_000, 15_000, 0, 0)]


async def test_what_the_gateway_does_not_state_is_missing_there_once_its_day_is_over(house: House) -> None:
    stated, missing = await paid(house, 2)
    for payment in (stated, missing):
        await booked_at(house, payment, noon(house))
    await reconciled(house, of(stated, at=noon(house)), first=noon(house).date())
    assert await kinds(house) == [("missing_at_gateway", "not_stated")]
    assert await square(house) == [(5_000, 10_000, 0, -5_000)]


async def test_what_was_booked_close_to_the_end_of_a_statement_may_be_on_the_next_one(house: House) -> None:
    stated, late = await paid(house, 2)
    await reconciled(house, of(stated))
    assert await kinds(house) == [("timing", "not_stated")]
    assert (await square(house)) == [(5_000, 10_000, 0, -5_000)]
    run = await reconciled(house, of(late), first=today(house) + timedelta(days=1))
    assert (run.found, await kinds(house)) == (0, [])
    assert await square(house) == [(5_000, 5_000, 0, 0), (5_000, 5_000, 0, 0)]


async def test_money_of_a_payment_that_nobody_was_credited_is_missing_here(house: House) -> None:
    await house.plays("decline", reason="funds")
    declined = await house.ended(await house.pay(await house.line(), 5_000))
    await reconciled(house, of(declined))
    assert await kinds(house) == [("missing_here", PaymentState.DECLINED.value)]
    assert await square(house) == [(5_000, 0, 0, 5_000)]


async def test_money_that_nobody_here_has_heard_of_is_missing_here(house: House) -> None:
    await reconciled(house, row("stranger", 700, uuid4()))
    assert await kinds(house) == [("missing_here", "payment_unknown")]
    assert await square(house) == [(700, 0, 0, 700)]


@pytest.mark.parametrize("amount", [4_999, 5_001])
async def test_another_amount_is_found_in_both_directions(house: House, amount: int) -> None:
    [payment] = await paid(house)
    await reconciled(house, of(payment, amount=amount))
    assert await kinds(house) == [("amount", "settled")]
    assert await square(house) == [(amount, 5_000, 0, amount - 5_000)]


async def test_another_currency_is_open_in_both(house: House) -> None:
    [payment] = await paid(house)
    await reconciled(house, of(payment, currency="UGX"))
    assert await kinds(house) == [("currency", "settled")]
    assert sorted(await square(house)) == [(0, 5_000, 0, -5_000), (5_000, 0, 0, 5_000)]


async def test_what_the_gateway_gave_back_and_we_did_not_is_a_matter_of_status(house: House) -> None:
    [payment] = await paid(house)
    await reconciled(house, of(payment), of(payment, amount=-5_000))
    assert await kinds(house) == [("status", "settled")]
    assert await square(house) == [(0, 5_000, 0, -5_000)]


async def test_a_refund_that_both_sides_have_agrees(house: House) -> None:
    [payment] = await paid(house)
    assert await house.engine.payments.refund(payment.payment_id, "asked for", "console:alice") is not None
    await house.ended(payment)
    refunded = await house.until(payment, PaymentState.REFUNDED)
    run = await reconciled(house, of(refunded), of(refunded, amount=-5_000))
    assert run.found == 0
    assert await square(house) == [(0, 0, 0, 0)]


async def test_money_that_came_and_went_without_touching_the_books_is_nobodys(house: House) -> None:
    run = await reconciled(house, row("passing", 900, uuid4()), row("passing", -900))
    assert run.found == 0
    assert await square(house) == [(0, 0, 0, 0)]


async def test_what_is_stated_twice_is_a_duplicate(house: House) -> None:
    [payment] = await paid(house)
    now = datetime.now(UTC)
    await reconciled(house, of(payment, at=now), of(payment, at=now))
    assert await kinds(house) == [("duplicate", "told_twice")]
    assert await square(house) == [(10_000, 5_000, 0, 5_000)]


async def test_a_payment_that_is_stated_under_two_references_is_a_duplicate(house: House) -> None:
    [payment] = await paid(house)
    await reconciled(house, of(payment), of(payment, ref="another"))
    assert await kinds(house) == [("duplicate", "told_twice")]
    assert await square(house) == [(10_000, 5_000, 0, 5_000)]


async def test_a_payment_whose_reference_we_never_heard_is_found_by_our_own_id(house: House) -> None:
    [payment] = await paid(house)
    run = await reconciled(house, of(payment, ref="a-later-name"))
    assert run.found == 0
    assert await square(house) == [(5_000, 5_000, 0, 0)]


async def test_what_both_sides_have_far_apart_is_a_matter_of_timing_and_no_money_is_open(house: House) -> None:
    [payment] = await paid(house)
    await reconciled(house, of(payment, at=datetime.now(UTC) - timedelta(hours=30)))
    assert await kinds(house) == [("timing", "settled")]
    assert await square(house) == [(5_000, 5_000, 0, 0)]


async def test_the_same_file_again_changes_nothing(house: House) -> None:
    payments = await paid(house, 3)
    lines = [of(payments[0]), of(payments[1], amount=1), row("stranger", 700, uuid4())]
    first = await reconciled(house, *lines)
    before = await _all(house)
    again = await reconciled(house, *lines)
    assert (again.rows, again.found) == (first.rows, first.found) == (3, 3)
    assert await _all(house) == before


async def test_a_file_that_overlaps_another_states_nothing_twice(house: House) -> None:
    payments = await paid(house, 3)
    lines = [of(payment) for payment in payments]
    await reconciled(house, *lines[:2])
    run = await reconciled(house, *lines)
    assert run.found == 0
    assert await square(house) == [(15_000, 15_000, 0, 0)]


async def test_a_corrected_file_closes_what_it_corrects(house: House) -> None:
    [payment] = await paid(house)
    at = datetime.now(UTC)
    await reconciled(house, of(payment, at=at, amount=4_000))
    assert await kinds(house) == [("amount", "settled")]
    await reconciled(house, of(payment, at=at))
    [ended] = await house.engine.reconciliation.discrepancies(Selection(resolved=True))
    assert (ended.resolution, ended.live) == ("cleared", False)
    assert await square(house) == [(5_000, 5_000, 0, 0)]


async def test_what_had_cleared_and_differs_again_is_open_again(house: House) -> None:
    [payment] = await paid(house)
    at = datetime.now(UTC)
    for amount in (4_000, 5_000, 4_000):
        await reconciled(house, of(payment, at=at, amount=amount))
    assert await kinds(house) == [("amount", "settled")]
    assert await square(house) == [(4_000, 5_000, 0, -1_000)]


async def test_broken_lines_are_named_and_the_rest_is_done(house: House) -> None:
    payments = await paid(house, 2)
    bad = of(payments[0]).replace("5000", "a lot")
    run = await reconciled(house, of(payments[0]), bad, "", "too,few", of(payments[1]))
    assert (run.rows, run.broken, run.found) == (2, 2, 0)
    assert [(one.line, one.reason) for one in run.broken_lines] == [
        (3, "amount: not a whole number of minor units"),
        (5, "2 columns, not 8"),
    ]


async def test_without_a_day_a_file_is_of_the_day_that_most_of_its_rows_lie_in(house: House) -> None:
    await paid(house)
    yesterday = noon(house)
    run = await reconciled(
        house,
        row("a", 1, at=yesterday),
        row("b", 2, at=yesterday),
        row("c", 3, at=yesterday - timedelta(days=1)),
        first=None,
    )
    assert (run.first_day, run.last_day) == (yesterday.date(), yesterday.date())
    assert await square(house) == [(6, 0, 0, 6)]


async def test_a_file_of_several_days_has_figures_of_each(house: House) -> None:
    yesterday = noon(house)
    lines = [row("a", 1, at=yesterday), row("b", 2, at=yesterday - timedelta(days=1))]
    first = yesterday.date() - timedelta(days=1)
    await reconciled(house, *lines, first=first, last=yesterday.date())
    assert await square(house) == [(1, 0, 0, 1), (2, 0, 0, 2)]


async def test_gateways_are_told_apart(house: House) -> None:
    [payment] = await paid(house)
    await reconciled(house, of(payment))
    assert await house.engine.reconciliation.figures("mpesa") == []
    assert await kinds(house, gateway="mpesa") == []


@pytest.mark.parametrize(
    ("lines", "more", "error"),
    [
        ([], {"first": None}, "no line of the file can be read: no header"),
        ([HEADER], {"first": None}, "no line of the file can be read"),
        ([HEADER, "x"], {"last": datetime(2020, 1, 1, tzinfo=UTC).date()}, "until: 2020-01-01 is before"),
        ([HEADER], {"by": " "}, "by: who does this must be named"),
    ],
)
async def test_what_cannot_be_reconciled_is_refused_by_name_and_leaves_nothing(
    house: House, lines: list[str], more: dict[str, object], error: str
) -> None:
    asked = {"by": "alice", "source": "file:x", "first": today(house)} | more
    with pytest.raises(ValueError, match=error):
        await house.engine.reconciliation.reconcile("sandbox", lines, **asked)
    assert await house.rows("SELECT * FROM settlement_row") == []
    assert await house.rows("SELECT * FROM reconciliation_run") == []


async def test_an_unknown_gateway_is_refused_by_name(house: House) -> None:
    with pytest.raises(LookupError, match="no gateway nobody in the settings: there are mpesa, sandbox, stripe"):
        await reconciled(house, gateway="nobody")


async def _all(house: House) -> list[object]:
    tables = "settlement_row", "discrepancy", "discrepancy_change", "reconciliation_figure", "operation"
    return [await house.rows(f"SELECT t.* FROM {table} t ORDER BY 1, 2, 3, 4") for table in tables]
