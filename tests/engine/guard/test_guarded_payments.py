"""Payments behind the guard, over a real database, Redis and gateways."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from psycopg.pq import TransactionStatus
from redis.asyncio import Redis

from engine.guard.velocity import Windows
from engine.words import Listed, ListKind, PaymentRefused, PaymentState, Refused
from settings import FraudRules, MethodRules, Operator, PaymentRules, Velocity
from tests.engine.payments.mpesa import made_for
from tests.engine.payments.test_mpesa_pushes import told, worked
from tests.houses import Houses

BY_PAYER = Velocity(of="payer", most=2, minutes=10, weight=60)


def rules(operator: Operator, payments: PaymentRules | None = None, **fraud: object) -> Operator:
    update = {"fraud": FraudRules.model_validate(fraud), "payments": payments or PaymentRules()}
    return operator.model_copy(update=update)


async def test_too_many_payments_of_one_payer_are_held_for_review_whoever_they_are_for(
    guarded: Houses, operator: Operator
) -> None:
    house = await guarded(rules(operator, velocity=(BY_PAYER,)))
    payer = await house.line()
    states = [(await house.pay(await house.line(), msisdn=payer.msisdn)).state for _ in range(3)]
    assert states[2] is PaymentState.REVIEW
    assert PaymentState.REVIEW not in states[:2]
    assert (await house.pay(await house.line())).state is not PaymentState.REVIEW


async def test_the_same_payment_asked_for_again_counts_once(guarded: Houses, operator: Operator) -> None:
    house = await guarded(rules(operator, velocity=(BY_PAYER,)))
    line, key = await house.line(), uuid4()
    payments = [await house.pay(line, key=key) for _ in range(5)]
    assert len({one.payment_id for one in payments}) == 1
    assert (await house.pay(line)).state is not PaymentState.REVIEW


async def test_nobody_is_asked_for_what_is_held_until_staff_lets_it_pass(guarded: Houses, operator: Operator) -> None:
    house = await guarded(rules(operator, new_line_hours=24, new_line_weight=60))
    line = await house.line()
    payment = await house.pay(line, 5_000)
    assert payment.state is PaymentState.REVIEW
    await house.engine.resume_payments()
    assert await house.taken() == 0
    (held,) = await house.engine.reviews.waiting()
    assert (held.reference, held.score, held.reasons) == (payment.reference, 60, ("line_new",))
    approved = await house.engine.reviews.approve(payment.reference.lower(), by="amina", why="known customer")
    assert approved.state is PaymentState.CREATED
    assert (await house.ended(payment)).state is PaymentState.SETTLED
    assert await house.money(line) == await house.taken() == 5_000
    actions = await house.rows('SELECT "by", what, why FROM staff_action ORDER BY at')
    assert actions == [("amina", "payment.review.approve", "known customer")]
    await house.right()


async def test_what_staff_lets_pass_long_after_it_was_held_is_asked_for_all_the_same(
    guarded: Houses, operator: Operator
) -> None:
    house = await guarded(rules(operator, new_line_hours=24, new_line_weight=60))
    payment = await house.pay(await house.line(), 5_000)
    await house.run("UPDATE payment SET created_at = created_at - interval '40 hours'")
    await house.engine.reviews.approve(payment.reference, by="amina", why="called back")
    assert (await house.ended(payment)).state is PaymentState.SETTLED


async def test_what_staff_refuses_ends_and_the_person_is_told(guarded: Houses, operator: Operator) -> None:
    house = await guarded(rules(operator, new_line_hours=24, new_line_weight=60))
    payment = await house.pay(await house.line(), 5_000)
    refused = await house.engine.reviews.refuse(payment.reference, by="amina", why="stolen card")
    assert (refused.state, refused.reason) == (PaymentState.DECLINED, "fraud")
    assert await house.rows("SELECT topic FROM outbox") == [("payment.declined",)]
    assert await house.taken() == 0
    with pytest.raises(LookupError, match="waits for review"):
        await house.engine.reviews.approve(payment.reference, by="omar", why="no, wait")
    await house.right()


async def test_a_score_that_is_high_enough_is_refused_and_nothing_but_the_decision_is_stored(
    guarded: Houses, operator: Operator
) -> None:
    house = await guarded(rules(operator, new_line_hours=24, new_line_weight=100))
    line = await house.line()
    with pytest.raises(PaymentRefused) as refused:
        await house.pay(line, 5_000)
    assert refused.value.args[0] is Refused.RISK
    assert await house.rows("SELECT count(*) FROM payment") == [(0,)]
    decided = await house.rows("SELECT verdict, layer, code, score, reasons, inputs->>'amount' FROM payment_decision")
    assert decided == [("refuse", "fraud", "risk", 100, ["line_new"], "5000")]


async def test_every_payment_has_its_decision_with_the_facts_and_the_application_cannot_change_it(
    guarded: Houses, operator: Operator, database_url: str
) -> None:
    house = await guarded(rules(operator, velocity=(BY_PAYER,)))
    line = await house.line()
    payment = await house.pay(line, 5_000)
    ((verdict, payment_id, inputs),) = await house.rows("SELECT verdict, payment_id, inputs FROM payment_decision")
    assert (verdict, payment_id) == ("allow", payment.payment_id)
    assert inputs["windows"] == {"payer/10": 1}
    assert line.msisdn not in str(inputs)
    with psycopg.connect(database_url) as connection:
        connection.execute("SET ROLE rasid_app")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("UPDATE payment_decision SET score = 0")


async def test_while_redis_is_lost_nobody_is_asked_for_money_and_balances_are_read(
    guarded: Houses, operator: Operator
) -> None:
    nowhere: Redis = Redis(host="127.0.0.1", port=1)
    house = await guarded(rules(operator, velocity=(BY_PAYER,)), redis=nowhere)
    line = await house.line(money=700)
    with pytest.raises(PaymentRefused) as refused:
        await house.pay(line, 5_000)
    assert refused.value.args[0] is Refused.RISK_UNKNOWN
    assert await house.money(line) == 700
    assert await house.taken() == 0


async def test_who_is_on_the_block_list_pays_nothing_until_taken_off(guarded: Houses, operator: Operator) -> None:
    house = await guarded(rules(operator))
    line, payer = await house.line(), await house.line()
    lists = house.engine.lists
    await lists.put(ListKind.PAYER, payer.msisdn, Listed.BLOCK, by="amina", why="chargebacks")
    with pytest.raises(PaymentRefused) as refused:
        await house.pay(line, msisdn=payer.msisdn)
    assert refused.value.args[0] is Refused.BLOCKED
    assert await house.rows("SELECT count(*) FROM guard_list WHERE reason LIKE '%%' || %s || '%%'", payer.msisdn) == [
        (0,)
    ]
    assert await lists.take_off(ListKind.PAYER, payer.msisdn, by="amina", why="settled")
    assert not await lists.take_off(ListKind.PAYER, payer.msisdn, by="amina", why="settled")
    assert (await house.pay(line, msisdn=payer.msisdn)).state is not PaymentState.DECLINED


async def test_a_listing_ends_when_its_time_is_over(guarded: Houses, operator: Operator) -> None:
    house = await guarded(rules(operator))
    line = await house.line()
    ended = datetime.now(UTC) - timedelta(seconds=1)
    await house.engine.lists.put(ListKind.SUBSCRIBER, line, Listed.BLOCK, by="amina", why="a day off", until=ended)
    assert await house.engine.lists.find(ListKind.SUBSCRIBER, line) is None
    assert (await house.pay(line)).state is not PaymentState.DECLINED


async def test_who_is_trusted_is_not_held(guarded: Houses, operator: Operator) -> None:
    house = await guarded(rules(operator, new_line_hours=24, new_line_weight=60))
    line = await house.line()
    await house.engine.lists.put(ListKind.SUBSCRIBER, line, Listed.ALLOW, by="amina", why="the head office")
    assert (await house.pay(line)).state is not PaymentState.REVIEW
    assert (await house.pay(await house.line())).state is PaymentState.REVIEW


async def test_a_day_holds_no_more_than_its_limit_however_many_ask_at_once(guarded: Houses, operator: Operator) -> None:
    limits = PaymentRules(methods={"mobile_money": MethodRules(most=5_000, per_day=12_000)})
    house = await guarded(rules(operator, limits))
    line = await house.line()
    outcomes = await asyncio.gather(*(house.pay(line, 5_000) for _ in range(6)), return_exceptions=True)
    refused = [one for one in outcomes if isinstance(one, PaymentRefused)]
    assert [(one.args[0], one.limit) for one in refused] == [(Refused.DAILY_LIMIT, 12_000)] * 4
    assert len(await house.engine.payments_of(line.account)) == 2


async def test_a_day_holds_no_more_than_its_limit_whichever_processes_are_asked(
    guarded: Houses, operator: Operator
) -> None:
    limits = PaymentRules(methods={"mobile_money": MethodRules(most=5_000, per_day=7_000)})
    first, second = [await guarded(rules(operator, limits)) for _ in range(2)]
    for _ in range(5):
        line = await first.line()
        asked = (house.pay(line, 5_000) for house in (first, second) * 3)
        outcomes = await asyncio.gather(*asked, return_exceptions=True)
        assert [one.args[0] for one in outcomes if isinstance(one, PaymentRefused)] == [Refused.DAILY_LIMIT] * 5
        assert len(await first.engine.payments_of(line.account)) == 1


async def test_who_was_to_pay_for_somebody_else_is_known_again(guarded: Houses, operator: Operator) -> None:
    house = await guarded(rules(operator))
    payer, other = await house.line(), await house.line()
    payment = await house.pay(other, msisdn=payer.msisdn)
    assert await house.engine.paid_by(payment, payer.msisdn)
    assert not await house.engine.paid_by(payment, other.msisdn)


async def test_what_nobody_decides_about_ends_after_its_term_and_the_person_is_told(
    guarded: Houses, operator: Operator
) -> None:
    given = rules(operator, PaymentRules(review_hours=2), new_line_hours=24, new_line_weight=60)
    house = await guarded(given)
    payment = await house.pay(await house.line(), 5_000)
    assert payment.state is PaymentState.REVIEW
    ((left,),) = await house.rows("SELECT next_check_at - created_at FROM payment")
    assert left == timedelta(hours=2)
    await house.hurry()
    await house.engine.resume_payments()
    ended = await house.engine.payment(payment.payment_id)
    assert ended is not None and (ended.state, ended.reason) == (PaymentState.DECLINED, "fraud")
    assert await house.rows("SELECT topic FROM outbox") == [("payment.declined",)]
    assert await house.engine.reviews.waiting() == []
    assert await house.taken() == 0
    await house.right()


async def test_what_was_let_pass_late_counts_once_though_its_confirmation_names_no_account(
    guarded: Houses, operator: Operator
) -> None:
    house = await guarded(rules(operator, new_line_hours=24, new_line_weight=60), only=("mpesa",))
    line = await house.line()
    await house.plays("lost")
    payment = await house.pay(line, 5_000)
    assert payment.state is PaymentState.REVIEW
    await house.run("UPDATE payment SET created_at = created_at - interval '20 hours'")
    await house.run("UPDATE payment_asked SET asked_at = asked_at - interval '20 hours'")
    await house.engine.reviews.approve(payment.reference, by="amina", why="known customer")
    await house.engine.resume_payments()
    await house.hurry()
    assert (await house.ended(payment)).state is PaymentState.SETTLED
    told(house, made_for(house, payment))
    await worked(house, "c2b:%")
    assert await house.rows("SELECT state FROM payment") == [("settled",)]
    assert await house.money(line) == await house.taken() == 5_000
    await house.right()


async def test_no_transaction_is_open_while_redis_is_asked(
    guarded: Houses, operator: Operator, monkeypatch: pytest.MonkeyPatch
) -> None:
    house = await guarded(rules(operator, velocity=(BY_PAYER,)))
    await house.pay(await house.line())
    # The writer's connection, as it stands whenever the windows are asked.
    seen = Windows.seen
    steady = house.engine.payments._opening._writer._connection
    assert steady is not None
    stood = []

    async def watched(windows: Windows, *given: Any) -> Any:
        assert steady._driver is not None
        stood.append(steady._driver.info.transaction_status)
        return await seen(windows, *given)

    monkeypatch.setattr(Windows, "seen", watched)
    for _ in range(3):
        await house.pay(await house.line())
    assert stood == [TransactionStatus.IDLE] * 3
