"""A payment of a bill, and what becomes of the bill when the payment is taken back."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from engine.api import Engine
from engine.books.invariants import check_all
from engine.words import Charge, Code, LineStatus, Restore, Reverse, SetCreditLimit, Subscriber, Unit
from tests.engine.payers import captured, settled
from tests.engine.shop import asking, open_line


async def billed(engine: Engine, used: int) -> Subscriber:
    """A postpaid line that has used, and owes, ``used`` minor units."""
    line = await open_line(engine, postpaid=True)
    await engine.post(asking(SetCreditLimit, line, limit=10_000, reason="contract"))
    assert (await engine.post(asking(Charge, line, unit=Unit.MONEY, amount=used))).ok
    now = datetime.now(UTC)
    assert await engine.bills.make_bills(now - timedelta(hours=1), now) >= 1
    return await engine.subscriber(line.msisdn)


def opens(owner: psycopg.Connection[object], line: Subscriber) -> int:
    (amount,) = owner.execute(
        "SELECT open_amount FROM bill WHERE account_id = %s", (line.account.account_id,)
    ).fetchone()
    return amount


@pytest.mark.parametrize("chargeback", [False, True])
async def test_a_payment_of_a_bill_that_is_taken_back_is_owed_again(charging: Engine, owner, chargeback) -> None:
    line = await billed(charging, 4_000)
    answer = await settled(charging, owner, line, 5_000)
    assert answer.details["bills_paid"] == 4_000
    assert opens(owner, line) == 0
    (payment_id,) = owner.execute("SELECT payment_id FROM payment").fetchone()
    back = await charging.post(asking(Reverse, line, payment_id=payment_id, reason="wrong", chargeback=chargeback))
    assert (back.code, back.details["taken"]) == (Code.OK, 5_000)
    assert opens(owner, line) == 4_000
    # What is left of the limit of 10 000; nothing of the 1 000 that were more than the bill.
    assert (await charging.subscriber(line.msisdn)).total(Unit.MONEY) == 6_000
    assert await check_all(charging._database) == []


async def test_of_a_bill_that_is_used_up_again_a_chargeback_takes_what_is_left_and_the_rest_is_lost(
    charging: Engine, owner
) -> None:
    line = await billed(charging, 4_000)
    await settled(charging, owner, line, 4_000)
    assert (await charging.post(asking(Charge, line, unit=Unit.MONEY, amount=9_000))).ok
    (payment_id,) = owner.execute("SELECT payment_id FROM payment").fetchone()
    refund = asking(Reverse, line, payment_id=payment_id, reason="wrong")
    assert (await charging.post(refund)).code == Code.BALANCE_TOO_LOW
    back = await charging.post(asking(Reverse, line, payment_id=payment_id, reason="stolen", chargeback=True))
    assert (back.code, back.details["taken"]) == (Code.OK, 1_000)
    assert opens(owner, line) == 1_000
    assert await check_all(charging._database) == []


async def test_a_part_of_a_bills_payment_that_a_bank_takes_is_owed_again_until_it_is_won_however_often(
    charging: Engine, owner
) -> None:
    line = await billed(charging, 4_000)
    await settled(charging, owner, line, 5_000)
    (payment_id,) = owner.execute("SELECT payment_id FROM payment").fetchone()
    part = {"payment_id": payment_id, "reason": "chargeback", "chargeback": True}
    # What was more than the bill goes first; each time the bank asks for more it is another dispute.
    for amount, owed in ((2_500, 1_500), (4_000, 3_000)):
        taken = asking(Reverse, line, **part, returned=amount)
        back = await charging.post(taken)
        assert (back.code, back.details["taken"], back.details["left"]) == (Code.OK, amount, 5_000 - amount)
        assert opens(owner, line) == owed
        won = await charging.post(asking(Restore, line, payment_id=payment_id, reversal_key=taken.key))
        assert (won.code, won.details["credited"]) == (Code.OK, amount)
        assert opens(owner, line) == 0
        assert await check_all(charging._database) == []
    assert owner.execute("SELECT state, returned FROM payment").fetchone() == ("settled", 0)
    again = await charging.post(asking(Restore, line, payment_id=payment_id, reversal_key=taken.key))
    assert not again.ok


async def test_a_part_that_is_won_does_not_hide_that_the_rest_is_being_taken(charging: Engine, owner) -> None:
    line = await open_line(charging)
    await settled(charging, owner, line, 5_000)
    (payment_id,) = owner.execute("SELECT payment_id FROM payment").fetchone()
    taken = asking(Reverse, line, payment_id=payment_id, reason="chargeback", chargeback=True, returned=2_000)
    assert (await charging.post(taken)).ok
    owner.execute("UPDATE payment SET reason = 'chargeback', next_check_at = now()")
    won = await charging.post(asking(Restore, line, payment_id=payment_id, reversal_key=taken.key))
    assert won.code == Code.PAYMENT_CLOSED
    found = owner.execute("SELECT state, reason, next_check_at IS NULL, returned FROM payment").fetchone()
    assert found == ("settled", "chargeback", False, 2_000)


async def test_paying_a_bill_lifts_the_bar_of_who_was_overdue_and_no_other(charging: Engine, owner) -> None:
    for overdue, status in ((True, LineStatus.ACTIVE), (False, LineStatus.BARRED)):
        line = await billed(charging, 1_000)
        if overdue:
            owner.execute("UPDATE bill SET due_at = now() WHERE account_id = %s", (line.account.account_id,))
        owner.execute("UPDATE line SET status = 'barred' WHERE line_id = %s", (line.line_id,))
        assert (await settled(charging, owner, line, 1_000)).ok
        assert (await charging.subscriber(line.msisdn)).status is status


async def test_who_is_closed_may_still_pay_what_they_owe(charging: Engine, owner) -> None:
    line = await billed(charging, 1_000)
    owner.execute("UPDATE line SET status = 'terminated' WHERE line_id = %s", (line.line_id,))
    assert (await settled(charging, owner, line, 1_000)).ok
    payment_id = captured(owner, line, 500)
    assert payment_id
    assert opens(owner, line) == 0
