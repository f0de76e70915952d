"""A gateway without a file is asked: what it has and we do not, and the other way round, is found all the same."""

from __future__ import annotations

from datetime import timedelta

import pytest

from engine.words import PaymentState
from tests.engine.payments.house import House
from tests.engine.reconciliation.files import kinds, paid, reconciled, square, today
from tests.engine.reconciliation.test_crediting import lost


async def test_payments_that_the_gateway_confirms_leave_nothing_open(house: House) -> None:
    await paid(house, 3)
    run = await house.engine.reconciliation.ask("sandbox", today(house), by="alice")
    assert (run.rows, run.found, run.unanswered) == (3, 0, 0)
    assert await kinds(house) == []


async def test_money_that_the_gateway_has_and_nobody_was_credited_is_found_and_credited(house: House) -> None:
    line, _ = await lost(house)
    run = await house.engine.reconciliation.ask("sandbox", today(house), by="alice")
    assert (run.found, run.credited) == (1, 1)
    assert await house.money(line) == 5_000
    again = await house.engine.reconciliation.ask("sandbox", today(house), by="alice")
    assert (again.found, again.credited) == (0, 0)
    await house.right()


async def test_what_is_credited_and_the_gateway_has_never_heard_of_is_missing_there(house: House) -> None:
    [payment] = await paid(house)
    await house.run("UPDATE payment SET state = 'settled' WHERE payment_id = %s", payment.payment_id)
    await house.plays("decline", reason="funds")
    refused = await house.ended(await house.pay(await house.line(), 5_000))
    await house.run(
        "UPDATE payment SET state = 'settled', captured = amount, captured_currency = currency WHERE payment_id = %s",
        refused.payment_id,
    )
    run = await house.engine.reconciliation.ask("sandbox", today(house), by="alice")
    assert run.found == 1
    assert await kinds(house) == [("missing_at_gateway", "declined")]


async def test_what_is_not_answered_is_counted_and_changes_nothing(house: House, sandbox) -> None:
    await paid(house, 2)
    await sandbox.stop()
    run = await house.engine.reconciliation.ask("sandbox", today(house), by="alice")
    assert (run.rows, run.found, run.unanswered) == (2, 0, 2)
    assert await kinds(house) == []
    await sandbox.start()


async def test_only_payments_of_that_day_are_asked_about(house: House) -> None:
    await paid(house)
    run = await house.engine.reconciliation.ask("sandbox", today(house) - timedelta(days=1), by="alice")
    assert run.rows == 0


async def test_answers_do_not_count_in_the_figures_of_statements(house: House) -> None:
    payments = await paid(house, 1)
    await reconciled(house, *[])
    before = await square(house)
    await lost(house)
    await house.engine.reconciliation.ask("sandbox", today(house), by="alice")
    assert await square(house) == before
    assert payments[0].state is PaymentState.SETTLED


async def test_an_unknown_gateway_or_nobody_is_refused_by_name(house: House) -> None:
    with pytest.raises(LookupError, match="no gateway nobody"):
        await house.engine.reconciliation.ask("nobody", today(house), by="alice")
    with pytest.raises(ValueError, match="by: "):
        await house.engine.reconciliation.ask("sandbox", today(house), by="")
