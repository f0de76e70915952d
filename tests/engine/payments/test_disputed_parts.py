"""What a payer's bank takes of a payment in part: booked as that part, a case of its own, given again if it was won."""

from __future__ import annotations

import asyncio

import pytest

from engine.disputes.rules import CaseRefused
from engine.disputes.tables import Outcome
from engine.words import LineStatus, PaymentState
from sandbox.payments.shapes import charge_of, dispute_of, intent_of
from tests.engine.payments.house import House
from tests.engine.payments.stripe import cases, charged, disputed, event, made, paid, post, refunded, spend, state


async def events(cards: House) -> list[tuple[str, int]]:
    """The payment history: what happened, and to how much."""
    return await cards.rows("SELECT event, amount FROM payment_history ORDER BY booked_at")


async def test_a_part_is_taken_of_the_credit_once_however_often_it_is_told_and_is_one_case(cards: House) -> None:
    line, payment, one = await paid(cards)
    told = disputed(one, 2_000)
    assert set(await asyncio.gather(*(post(cards, told) for _ in range(5)))) == {200}
    assert await state(cards, payment) is PaymentState.SETTLED
    assert await cards.money(line) == await cards.held_by_gateways() == 3_000
    assert await events(cards) == [("settled", 5_000), ("part_returned", 2_000)]
    assert await cases(cards) == [("open", None, "dp_1: 20.00 KES")]
    assert await cards.alarms() == []
    await cards.right()


@pytest.mark.parametrize("first", ["needs_response", "won"])
async def test_a_part_that_was_won_is_given_again_whichever_is_told_first(cards: House, first: str) -> None:
    line, payment, one = await paid(cards)
    await spend(cards, line, 4_000)
    ends = ("needs_response", "won") if first == "needs_response" else ("won", "needs_response")
    for end in (*ends, "won"):
        assert await post(cards, disputed(one, 2_000, end)) == 200
    found = await cards.engine.payment(payment.payment_id)
    assert found is not None and (found.state, found.returned) == (PaymentState.SETTLED, 0)
    # Half of it was spent: what was a loss is none any more.
    assert await cards.money(line) == 1_000
    assert await cards.held_by_gateways() == 5_000
    assert await cards.rows(
        "SELECT sum(CASE WHEN debit = 'losses' THEN amount ELSE -amount END) FROM receivable"
        " WHERE 'losses' IN (debit, credit)"
    ) == [(0,)]
    assert await cases(cards) == [("resolved", "refused", "dp_1: 20.00 KES")]
    await cards.right()


@pytest.mark.parametrize(("end", "money"), [("won", 5_000), ("lost", 3_000)])
async def test_a_bank_that_decides_after_the_door_has_forgotten_what_it_took_takes_nothing_more(
    cards: House, end: str, money: int
) -> None:
    line, payment, one = await paid(cards)
    assert await post(cards, disputed(one, 2_000)) == 200
    for table in ("transfer", "operation"):
        await cards.run(f"UPDATE {table} SET booked_at = booked_at - interval '100 days'")
    assert await post(cards, disputed(one, 2_000, end)) == 200
    assert await cards.money(line) == await cards.held_by_gateways() == money
    assert await state(cards, payment) is PaymentState.SETTLED
    assert await cards.rows("SELECT count(*) FROM gateway_event WHERE done_at IS NULL") == [(0,)]


async def test_a_part_that_was_lost_is_taken_no_second_time(cards: House) -> None:
    line, payment, one = await paid(cards)
    for end in ("needs_response", "lost"):
        assert await post(cards, disputed(one, 2_000, end)) == 200
    assert await cards.money(line) == 3_000
    assert await cases(cards) == [("resolved", "chargeback_accepted", "dp_1: 20.00 KES")]
    assert await state(cards, payment) is PaymentState.SETTLED
    await cards.right()


@pytest.mark.parametrize(
    "order", [("refund", "dispute", "more"), ("dispute", "refund", "more"), ("more", "dispute", "refund")]
)
async def test_what_the_gateway_gives_back_and_what_a_bank_takes_are_told_apart_in_any_order(
    cards: House, order: tuple[str, ...]
) -> None:
    line, payment, one = await paid(cards)
    told = {"refund": refunded(one, 1_000), "more": refunded(one, 1_500), "dispute": disputed(one, 2_000)}
    for name in order:
        assert await post(cards, told[name]) == 200
    assert await cards.money(line) == 1_500
    assert await post(cards, disputed(one, 2_000, "won")) == 200
    found = await cards.engine.payment(payment.payment_id)
    assert found is not None and (found.state, found.returned) == (PaymentState.SETTLED, 1_500)
    assert await cards.money(line) == await cards.held_by_gateways() == 3_500
    assert await cards.alarms() == []
    await cards.right()


@pytest.mark.parametrize("order", [("refund", "dispute"), ("dispute", "refund")])
async def test_parts_that_leave_nothing_end_the_payment_and_one_that_was_won_brings_it_back(
    cards: House, order: tuple[str, ...]
) -> None:
    line, payment, one = await paid(cards)
    told = {"refund": refunded(one, 2_000), "dispute": disputed(one, 3_000)}
    for name in order:
        assert await post(cards, told[name]) == 200
    assert await state(cards, payment) is PaymentState.CHARGED_BACK
    assert await cards.money(line) == await cards.held_by_gateways() == 0
    assert await post(cards, disputed(one, 3_000, "won")) == 200
    found = await cards.engine.payment(payment.payment_id)
    assert found is not None and (found.state, found.returned) == (PaymentState.SETTLED, 2_000)
    assert await cards.money(line) == await cards.held_by_gateways() == 3_000
    await cards.right()


@pytest.mark.parametrize("won", [("dp_1", "dp_2"), ("dp_2", "dp_1")])
async def test_each_of_two_disputes_is_won_on_its_own(cards: House, won: tuple[str, str]) -> None:
    line, payment, one = await paid(cards)
    amounts = {"dp_1": 2_000, "dp_2": 3_000}
    for name, amount in amounts.items():
        assert await post(cards, disputed(one, amount, name=name)) == 200
    assert await state(cards, payment) is PaymentState.CHARGED_BACK
    expected = 0
    for name in won:
        assert await post(cards, disputed(one, amounts[name], "won", name=name)) == 200
        expected += amounts[name]
        assert await cards.money(line) == await cards.held_by_gateways() == expected
    assert await state(cards, payment) is PaymentState.SETTLED
    assert await cards.alarms() == []
    await cards.right()


async def test_a_part_that_is_told_before_its_payment_was_heard_of_waits_for_its_credit(cards: House) -> None:
    line = await cards.line()
    await cards.plays("drop")
    payment = await charged(cards, line)
    assert payment.state is PaymentState.UNKNOWN
    named = dispute_of(made(cards)) | {"amount": 2_000, "metadata": {"payment_id": str(payment.payment_id)}}
    assert await post(cards, event("evt_1", "charge.dispute.created", named)) == 200
    assert await state(cards, payment) is PaymentState.SETTLED
    assert await cards.money(line) == 3_000
    await cards.right()


async def test_staff_gives_back_what_a_bank_has_left_and_its_event_is_no_news(cards: House) -> None:
    line, payment, one = await paid(cards)
    assert await post(cards, disputed(one, 2_000)) == 200
    one.disputed = 0  # the sandbox refuses to give back a charge that is disputed by no more than it says
    answer = await cards.engine.payments.refund(payment.payment_id, "asked for it", "console:alice")
    assert answer is not None and answer.ok and answer.details["amount"] == 3_000
    assert await post(cards, event("evt_r", "charge.refunded", charge_of(one) | {"amount_refunded": 3_000})) == 200
    assert (await cards.ended(payment)).state is PaymentState.REFUNDED
    assert await cards.money(line) == await cards.held_by_gateways() == 0
    assert one.refunded == 3_000
    assert await cards.alarms() == []
    await cards.right()


@pytest.mark.parametrize("amount", [2_000, 5_000])
async def test_a_dispute_of_what_was_given_back_is_one_alarm(cards: House, amount: int) -> None:
    _, payment, one = await paid(cards)
    await cards.engine.payments.refund(payment.payment_id, "asked for it", "console:alice")
    assert (await cards.ended(payment)).state is PaymentState.REFUNDED
    assert await post(cards, disputed(one, amount)) == 200
    assert await cards.alarms() == ["payment.disputed_after_refund"]
    assert [case[0] for case in await cases(cards)] == ["open"]
    await cards.right()


async def test_a_part_won_for_a_line_that_has_ended_credits_nobody_and_is_an_alarm(cards: House) -> None:
    line, _, one = await paid(cards)
    assert await post(cards, disputed(one, 2_000)) == 200
    await cards.engine.accounts.set_status(line, LineStatus.TERMINATED, reason="test", by="test")
    assert await post(cards, disputed(one, 2_000, "won")) == 200
    assert await cards.alarms() == ["payment.not_restored"]
    await cards.right()


async def test_a_part_whose_taker_was_killed_before_its_case_was_kept_is_done_by_the_loop(cards: House) -> None:
    line, _, one = await paid(cards)
    assert await post(cards, disputed(one, 2_000)) == 200
    # As a kill between the door's commit and the case leaves it.
    await cards.run("DELETE FROM dispute_evidence")
    await cards.run("DELETE FROM dispute")
    await cards.run(
        "UPDATE gateway_event SET done_at = NULL, next_check_at = now() WHERE event_id = 'evt_dp_1_needs_response'"
    )
    while await cards.engine.resume_payments():
        pass
    assert [case[0] for case in await cases(cards)] == ["open"]
    assert await cards.money(line) == 3_000
    await cards.right()


@pytest.mark.parametrize("amount", [2_000, 5_000])
async def test_what_a_bank_takes_in_another_currency_is_an_alarm_and_not_booked(cards: House, amount: int) -> None:
    line, payment, one = await paid(cards)
    dollars = dispute_of(one) | {"id": "dp_1", "amount": amount, "currency": "usd"}
    assert await post(cards, event("evt_1", "charge.dispute.created", dollars)) == 200
    assert await state(cards, payment) is PaymentState.SETTLED
    assert await cards.money(line) == 5_000
    assert await cards.alarms() == ["payment.taken_back_in_part"]
    await cards.right()


async def test_staff_moves_no_money_by_the_case_of_a_bank(cards: House) -> None:
    line, payment, one = await paid(cards)
    assert await post(cards, disputed(one, 2_000)) == 200
    [case] = await cards.engine.disputes.list()
    assert case.payment_id == payment.payment_id and case.by_bank
    with pytest.raises(CaseRefused, match="bank"):
        await cards.engine.disputes.resolve(case.number, Outcome.REFUND, "kind", "bob")
    accepted, answer = await cards.engine.disputes.resolve(case.number, Outcome.CHARGEBACK_ACCEPTED, "so be it", "bob")
    assert (answer, accepted.outcome) == (None, Outcome.CHARGEBACK_ACCEPTED)
    assert await cards.money(line) == 3_000
    assert await post(cards, disputed(one, 2_000, "won")) == 200
    assert await cards.money(line) == 5_000
    await cards.right()


async def test_the_case_of_a_bank_holds_what_its_gateway_called_to_say(cards: House) -> None:
    _, payment, one = await paid(cards)
    intent = event("evt_paid", "payment_intent.succeeded", intent_of(one, ""))
    for body in (intent, disputed(one, 2_000)):
        assert await post(cards, body) == 200
    [case] = await cards.engine.disputes.list()
    _, evidence = await cards.engine.disputes.find(case.number)
    called = [one.body["event_id"] for one in evidence if one.layer == "callback"]
    assert sorted(called) == ["evt_dp_1_needs_response", "evt_paid"]
    # What was booked of it is there, too.
    kinds = [one.body["kind"] for one in evidence if one.layer == "operation"]
    assert "settle" in kinds and str(payment.payment_id) in str(
        [one.body for one in evidence if one.layer == "gateway"]
    )


async def test_all_of_a_payment_that_a_bank_takes_is_a_case_too(cards: House) -> None:
    line, payment, one = await paid(cards)
    for end, money, outcome in (("needs_response", 0, None), ("won", 5_000, "refused")):
        assert await post(cards, disputed(one, 5_000, end)) == 200
        assert await cards.money(line) == money
        assert [case[1] for case in await cases(cards)] == [outcome]
    assert await state(cards, payment) is PaymentState.SETTLED
    await cards.right()


async def test_a_dispute_that_nobody_told_of_is_found_by_asking_for_a_payment_that_is_undecided(cards: House) -> None:
    line = await cards.line()
    await cards.plays("drop")
    payment = await charged(cards, line)
    made(cards).dispute(2_000)
    assert (await cards.ended(payment)).state is PaymentState.SETTLED
    assert await cards.money(line) == 3_000
    assert [case[0] for case in await cases(cards)] == ["open"]
    await cards.right()
