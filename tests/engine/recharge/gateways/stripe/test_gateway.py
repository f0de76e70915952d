"""Stripe against a server that speaks as Stripe does, and against Stripe's own library for signatures."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from engine.recharge.gateways.contract import DeclineReason, GatewayState, Payer, RefundRequest, SettlementRow
from engine.recharge.gateways.offers import OffersStatements
from engine.recharge.gateways.stripe.gateway import Gateway
from sandbox.payments.server import PaymentsSandbox
from tests.engine.recharge.gateways.peers import (
    IMPATIENT,
    SENSELESS,
    Broken,
    Shop,
    post,
    ref,
)
from tests.engine.recharge.gateways.stripe.account import by_card, made, report


@pytest.fixture
async def impatient(providers: PaymentsSandbox) -> AsyncIterator[Gateway]:
    gateway = made(f"{providers.base_url}/stripe", IMPATIENT, search_lag_seconds=60)
    yield gateway
    await gateway.stop()


async def test_a_saved_card_is_charged_and_the_event_names_the_payment(gateway: Gateway, shop: Shop) -> None:
    request = by_card()
    outcome = await gateway.charge(request)
    assert (outcome.state, outcome.amount, outcome.currency) == (GatewayState.CAPTURED, 1250, "USD")
    [event] = gateway.read_callback((await shop.until(1))[0]).events
    assert (event.payment_id, event.outcome.gateway_ref) == (request.payment_id, outcome.gateway_ref)
    assert (event.outcome.state, event.ask_status) == (GatewayState.CAPTURED, False)


async def test_the_same_payment_asked_again_is_charged_once(gateway: Gateway, providers: PaymentsSandbox) -> None:
    request = by_card()
    first, second = await gateway.charge(request), await gateway.charge(request)
    assert first == second
    assert len(list(providers.desk.ledger.all("stripe"))) == 1


async def test_the_same_key_with_another_form_says_nothing_of_the_first_call(
    gateway: Gateway, providers: PaymentsSandbox
) -> None:
    request = by_card()
    await gateway.charge(request)
    again = await gateway.charge(by_card(payment_id=request.payment_id, amount=9999))
    assert (again.state, again.provider_code) == (GatewayState.UNKNOWN, "idempotency_error")
    assert len(list(providers.desk.ledger.all("stripe"))) == 1


@pytest.mark.parametrize("reason", ["funds", "limit", "method", "wrong_pin", "fraud", "other"])
async def test_a_refusal_says_why_and_its_event_is_asked_about(
    gateway: Gateway, shop: Shop, script: Any, reason: str
) -> None:
    await script("decline", reason=reason)
    outcome = await gateway.charge(by_card())
    assert (outcome.state, outcome.reason) == (GatewayState.DECLINED, DeclineReason(reason))
    [event] = gateway.read_callback((await shop.until(1))[0]).events
    # A later try may have overtaken it: events come in any order.
    assert event.outcome.state is GatewayState.DECLINED and event.ask_status


async def test_a_card_whose_bank_wants_to_see_the_payer_comes_with_a_link(
    gateway: Gateway, shop: Shop, script: Any
) -> None:
    await script("action")
    request = by_card()
    outcome = await gateway.charge(request)
    assert outcome.state is GatewayState.PENDING and outcome.action_url and outcome.gateway_ref
    [event] = gateway.read_callback((await shop.until(1))[0]).events
    assert (event.outcome.state, event.outcome.action_url) == (GatewayState.PENDING, outcome.action_url)
    await post(outcome.action_url, data={"yes": "1"})
    [done] = gateway.read_callback((await shop.until(2))[1]).events
    assert (done.payment_id, done.outcome.state) == (request.payment_id, GatewayState.CAPTURED)


async def test_without_a_place_to_come_back_to_such_a_card_is_declined(providers: PaymentsSandbox, script: Any) -> None:
    gateway = made(f"{providers.base_url}/stripe")
    await script("action")
    outcome = await gateway.charge(by_card())
    assert (outcome.state, outcome.reason) == (GatewayState.DECLINED, DeclineReason.METHOD)
    await gateway.stop()


async def test_what_waits_for_the_payer_can_be_ended(gateway: Gateway, script: Any) -> None:
    await script("action")
    request = by_card()
    pending = await gateway.charge(request)
    ended = await gateway.cancel(ref(request, pending.gateway_ref))
    assert (ended.state, ended.reason) == (GatewayState.DECLINED, DeclineReason.CANCELLED)


@pytest.mark.parametrize(
    ("play", "then"),
    [
        ("hang", GatewayState.UNKNOWN),
        ("error", GatewayState.UNKNOWN),
        ("drop", GatewayState.CAPTURED),
        ("late", GatewayState.PENDING),
    ],
)
async def test_no_answer_is_unknown_until_the_search_finds_the_payment(
    impatient: Gateway, script: Any, play: str, then: GatewayState
) -> None:
    await script(play, seconds=5.0)
    request = by_card()
    assert (await impatient.charge(request)).state is GatewayState.UNKNOWN
    assert (await impatient.status(ref(request))).state is then


async def test_only_what_should_have_been_found_by_now_was_never_made(impatient: Gateway) -> None:
    fresh, old = ref(by_card()), ref(by_card(), requested_at=datetime.now(UTC) - timedelta(seconds=61))
    assert (await impatient.status(fresh)).state is GatewayState.UNKNOWN
    assert (await impatient.status(old)).state is GatewayState.NOT_FOUND


async def test_what_is_held_is_taken_by_confirm_or_let_go_by_cancel(providers: PaymentsSandbox, shop: Shop) -> None:
    gateway = made(f"{providers.base_url}/stripe", hold=True)
    taken, let_go = by_card(), by_card()
    one, two = await gateway.charge(taken), await gateway.charge(let_go)
    assert one.state is two.state is GatewayState.HELD
    for _ in range(2):
        assert (await gateway.confirm(ref(taken, one.gateway_ref))).state is GatewayState.CAPTURED
        assert (await gateway.cancel(ref(let_go, two.gateway_ref))).state is GatewayState.DECLINED
    assert (await gateway.cancel(ref(taken, one.gateway_ref))).state is GatewayState.CAPTURED
    states = {gateway.read_callback(heard).events[0].outcome.state for heard in await shop.until(4)}
    assert states == {GatewayState.HELD, GatewayState.CAPTURED, GatewayState.DECLINED}
    await gateway.stop()


async def test_a_refund_asked_twice_is_given_once_and_the_event_tells_all_of_it(gateway: Gateway, shop: Shop) -> None:
    request = by_card()
    outcome = await gateway.charge(request)
    payment = ref(request, outcome.gateway_ref)
    some = RefundRequest(payment=payment, refund_id=uuid4(), amount=250, reason="mistake")
    assert (await gateway.refund(some)) == (await gateway.refund(some))
    rest = RefundRequest(payment=payment, refund_id=uuid4(), amount=1000, reason="mistake")
    assert (await gateway.refund(rest)).state is GatewayState.REFUNDED
    events = [gateway.read_callback(heard).events[0] for heard in await shop.until(3)]
    given = sorted(event.outcome.amount for event in events if event.outcome.state is GatewayState.REFUNDED)
    assert given == [250, 1250]
    assert (await gateway.status(payment)).state is GatewayState.REFUNDED
    more = RefundRequest(payment=payment, refund_id=uuid4(), amount=1, reason="more")
    assert (await gateway.refund(more)).state in {GatewayState.REFUNDED, GatewayState.DECLINED}
    assert sum(row.amount for row in await report(gateway)) == 0


async def test_a_dispute_is_a_chargeback_and_a_won_one_gives_the_money_back_to_us(
    gateway: Gateway, providers: PaymentsSandbox, shop: Shop
) -> None:
    request = by_card()
    outcome = await gateway.charge(request)
    await shop.until(1)
    url = f"{providers.base_url}/stripe/disputes/{outcome.gateway_ref}"
    await post(f"{url}/needs_response")
    await shop.until(2)
    assert (await gateway.status(ref(request, outcome.gateway_ref))).state is GatewayState.CHARGEBACK
    await post(f"{url}/won")
    created, closed = (gateway.read_callback(heard).events[0] for heard in (await shop.until(3))[1:])
    assert (created.outcome.state, closed.outcome.state) == (GatewayState.CHARGEBACK, GatewayState.REINSTATED)
    assert created.outcome.gateway_ref == closed.outcome.gateway_ref == outcome.gateway_ref


async def test_what_stripe_turns_away_unread_moves_nothing(
    providers: PaymentsSandbox, broken: Broken, dead_port: int
) -> None:
    wrong_key = made(f"{providers.base_url}/stripe", secret_key="sk_test_wrong")
    too_fast, gone = made(broken.url), made(f"http://127.0.0.1:{dead_port}")
    broken.answer = (429, b'{"error": {"code": "rate_limit"}}')
    for gateway in (wrong_key, too_fast, gone):
        assert (await gateway.charge(by_card())).state is GatewayState.NOT_FOUND
        assert (await gateway.status(ref(by_card(), "pi_1"))).state is GatewayState.UNKNOWN
        await gateway.stop()
    assert list(providers.desk.ledger.all()) == []


@pytest.mark.parametrize("answer", SENSELESS, ids=lambda answer: str(answer[0]) + str(answer[1][:9]))
async def test_an_answer_that_makes_no_sense_is_unknown(broken: Broken, answer: tuple[int, bytes]) -> None:
    gateway, request = made(broken.url, hold=True), by_card()
    broken.answer = answer
    assert (await gateway.charge(request)).state is GatewayState.UNKNOWN
    for asked in (gateway.status, gateway.confirm, gateway.cancel):
        assert (await asked(ref(request, "pi_1"))).state is GatewayState.UNKNOWN
    refund = RefundRequest(payment=ref(request, "pi_1"), refund_id=uuid4(), amount=1, reason="x")
    assert (await gateway.refund(refund)).state is GatewayState.UNKNOWN
    await gateway.stop()


@pytest.mark.parametrize("token", ["", "4242424242424242", "pm_x&amount=1", "cus_1/", "tok 1"])
async def test_only_a_token_is_a_card(gateway: Gateway, providers: PaymentsSandbox, token: str) -> None:
    outcome = await gateway.charge(by_card(payer=Payer(token=token)))
    assert (outcome.state, outcome.reason) == (GatewayState.DECLINED, DeclineReason.METHOD)
    assert list(providers.desk.ledger.all()) == []


async def test_the_report_of_a_span_is_run_and_fetched_and_holds_what_moved_in_it(
    gateway: Gateway, providers: PaymentsSandbox
) -> None:
    request = by_card()
    outcome = await gateway.charge(request)
    now = datetime.now(UTC)
    [one] = providers.desk.ledger.all("stripe")
    one.movements[0].at = now - timedelta(hours=2)
    day, hour = now - timedelta(days=1), now - timedelta(hours=1)
    assert isinstance(gateway, OffersStatements)
    lines = await gateway.fetch_settlement(day, hour)
    assert lines is not None
    with lines:
        [row] = gateway.read_settlement(lines)
    assert isinstance(row, SettlementRow)
    assert (row.gateway_ref, row.payment_id, row.amount) == (outcome.gateway_ref, request.payment_id, 1250)
    before = await gateway.fetch_settlement(day - timedelta(days=1), day)
    assert before is not None
    with before:
        assert list(gateway.read_settlement(before)) == []
    assert await gateway.fetch_settlement(day, now + timedelta(hours=1)) is None  # their data do not reach that far


async def test_a_report_is_not_to_be_had_from_who_cannot_be_reached_or_makes_no_sense(
    broken: Broken, dead_port: int
) -> None:
    since = datetime.now(UTC) - timedelta(days=1)
    for url in (broken.url, f"http://127.0.0.1:{dead_port}"):
        for answer in SENSELESS:
            broken.answer = answer
            gateway = made(url)
            assert await gateway.fetch_settlement(since, since + timedelta(hours=1)) is None
            await gateway.stop()
