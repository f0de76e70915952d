"""M-Pesa states receipts and what payers typed: both lead to the payment that was asked for by another name."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from engine.recharge.gateways.references import account_number
from engine.reconciliation.tables import Resolution
from engine.words import Payment, PaymentState
from settings import Operator
from tests.engine.payments.house import House
from tests.engine.reconciliation.files import kinds, square, today
from tests.houses import Houses

TITLE = "Organization statement"
HEADER = (
    "Receipt No.,Completion Time,Details,Transaction Status,Paid In,Withdrawn,Reason Type,Linked Transaction ID,A/C No."
)


def line(receipt: str, paid_in: str, account: str) -> str:
    """One line of the organisation's statement."""
    at = datetime.now(UTC).astimezone(ZoneInfo("Africa/Nairobi"))
    return f"{receipt},{at:%d-%m-%Y %H:%M:%S},Pay Bill,Completed,{paid_in},,Pay Bill,,{account}"


async def asked(house: House) -> Payment:
    """A payment by STK push that is credited under the name of its push, and whose receipt was never heard."""
    payment = await house.pay(await house.line(), 5_000)
    settled = await house.until(payment, PaymentState.SETTLED)
    await house.run(
        "UPDATE payment SET gateway = 'mpesa', gateway_ref = 'ws_CO_1', asked_ref = 'ws_CO_1' WHERE payment_id = %s",
        settled.payment_id,
    )
    await house.run("UPDATE payment_history SET gateway = 'mpesa', gateway_ref = 'ws_CO_1'")
    return settled


async def reconciled(house: House, *lines: str) -> int:
    """How many discrepancies a statement has."""
    run = await house.engine.reconciliation.reconcile(
        "mpesa", [TITLE, HEADER, *lines], by="alice", source="file:m.csv", first=today(house)
    )
    return run.found


def account(payment: Payment) -> str:
    """What its push carried as the account."""
    return account_number(payment.reference, payment.payment_id)


async def test_a_receipt_that_was_never_heard_is_found_by_the_account_of_its_push(house: House) -> None:
    payment = await asked(house)
    assert await reconciled(house, line("TEX1234567", "50.00", account(payment))) == 0
    assert await square(house) == [(5_000, 5_000, 0, 0)]


async def test_a_short_reference_is_never_taken_for_the_payment_itself(house: House) -> None:
    payment = await asked(house)
    assert await reconciled(house, line("TEX1234567", "50.00", payment.reference)) == 2
    assert sorted(await kinds(house)) == [("missing_here", "payment_unknown"), ("timing", "not_stated")]


async def test_another_amount_under_the_same_account_is_another_payment(house: House) -> None:
    payment = await asked(house)
    assert await reconciled(house, line("TEX1234567", "70.00", account(payment))) == 2
    assert sorted(await kinds(house)) == [("missing_here", "payment_unknown"), ("timing", "not_stated")]
    assert await square(house) == [(7_000, 5_000, 0, 2_000)]


async def reversed_in_part(house: House) -> tuple[Payment, list[str]]:
    """A payment of which the organisation's people have reversed a part in the portal, and the statement's lines."""
    payment = await house.ended(await house.pay(await house.line(), 5_000))
    receipt = payment.gateway_ref or ""
    at = datetime.now(UTC).astimezone(ZoneInfo("Africa/Nairobi"))
    back = f"TEY7654321,{at:%d-%m-%Y %H:%M:%S},Reversal,Completed,,-20.00,Pay Bill Reversal,{receipt},"
    return payment, [line(receipt, "50.00", account(payment)), back]


async def test_a_part_that_was_reversed_in_the_portal_is_booked_by_staff_from_the_statement(mpesa: House) -> None:
    payment, lines = await reversed_in_part(mpesa)
    await reconciled(mpesa, *lines)
    # M-Pesa says of a receipt that it stands, whatever was reversed of it.
    assert await kinds(mpesa) == [("status", "settled")]
    [one] = await mpesa.engine.reconciliation.discrepancies()
    await mpesa.engine.reconciliation.resolve(one.number, Resolution.CREDITED, by="alice", why="seen in the portal")
    found = await mpesa.engine.payment(payment.payment_id)
    assert found is not None and (found.state, found.returned) == (PaymentState.SETTLED, 2_000)
    assert await square(mpesa) == [(3_000, 3_000, 0, 0)]
    await mpesa.right()


@pytest.fixture
async def trusting(houses: Houses, operator: Operator) -> House:
    """A house that takes M-Pesa only, and what its statement says of money that was given back for true."""
    rules = operator.reconciliation.model_copy(update={"given_back": "stated"})
    return await houses(operator.model_copy(update={"reconciliation": rules}), only=("mpesa",))


async def test_a_part_that_was_reversed_in_the_portal_is_booked_by_rule_where_the_statement_is_enough(
    trusting: House,
) -> None:
    payment, lines = await reversed_in_part(trusting)
    for _ in range(2):
        await reconciled(trusting, *lines)
    found = await trusting.engine.payment(payment.payment_id)
    assert found is not None and (found.state, found.returned) == (PaymentState.SETTLED, 2_000)
    assert await square(trusting) == [(3_000, 3_000, 0, 0)]
    assert await kinds(trusting) == []
    await trusting.right()


async def test_what_a_part_has_left_of_a_receipt_is_given_back_and_its_result_ends_the_payment(trusting: House) -> None:
    payment, lines = await reversed_in_part(trusting)
    one: Any = trusting.sandbox.desk.ledger.by_id("mpesa", (await asked_by(trusting, payment)) or "")
    one.give_back("portal", 2_000)
    await reconciled(trusting, *lines)
    answer = await trusting.engine.payments.refund(payment.payment_id, "asked for it", "console:alice")
    assert answer is not None and answer.details["amount"] == 3_000
    await trusting.engine.resume_payments()
    # By the result of the reversal, which names what it has reversed and no sum: nothing else is asked.
    assert (await trusting.until(payment, PaymentState.REFUNDED)).returned == 2_000
    assert await trusting.rows("SELECT count(*) FROM event WHERE topic = 'alarm.raised'") == [(0,)]
    assert one.refunded == 5_000
    await trusting.right()


@pytest.mark.parametrize("stated", [True, False])
async def test_what_names_a_push_that_has_its_money_under_another_receipt_is_credited_only_if_that_is_stated_too(
    mpesa: House, stated: bool
) -> None:
    line_ = await mpesa.line()
    payment = await mpesa.ended(await mpesa.pay(line_, 5_000))
    # Paid once more under the push's account number: or told to us under a receipt that somebody has made up.
    once_more = "TEZ7654321"
    lines = [line(once_more, "50.00", account(payment))]
    lines += [line(payment.gateway_ref or "", "50.00", account(payment))] if stated else []
    await reconciled(mpesa, *lines)
    discrepancies = await mpesa.engine.reconciliation.discrepancies()
    assert [one.exact for one in discrepancies if one.name == once_more] == [stated]


async def test_an_answer_that_will_be_posted_later_is_none_yet_and_no_discrepancy(mpesa: House) -> None:
    await mpesa.ended(await mpesa.pay(await mpesa.line(), 5_000))
    run = await mpesa.engine.reconciliation.ask("mpesa", today(mpesa), by="alice")
    assert (run.rows, run.found, run.unanswered) == (1, 0, 1)
    assert await kinds(mpesa) == []


async def asked_by(house: House, payment: Payment) -> str | None:
    """The name of its push."""
    ((asked,),) = await house.rows("SELECT asked_ref FROM payment WHERE payment_id = %s", payment.payment_id)
    return str(asked)
