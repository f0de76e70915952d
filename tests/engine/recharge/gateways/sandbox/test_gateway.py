"""The sandbox gateway against its own server, over sockets."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from engine.recharge.gateways.contract import (
    DeclineReason,
    GatewayState,
    RefundRequest,
    SettlementRow,
)
from engine.recharge.gateways.sandbox.gateway import Gateway
from sandbox.payments.server import PaymentsSandbox
from tests.engine.recharge.gateways.peers import (
    ACCOUNTS,
    IMPATIENT,
    SENSELESS,
    Broken,
    Shop,
    asked_until,
    charge,
    get_text,
    post,
    ref,
)
from tests.engine.recharge.gateways.sandbox.account import CARD, made


@pytest.fixture
async def gateway(providers: PaymentsSandbox) -> AsyncIterator[Gateway]:
    gateway = made(providers.base_url)
    await gateway.start()
    yield gateway
    await gateway.stop()


@pytest.fixture
async def impatient(providers: PaymentsSandbox) -> AsyncIterator[Gateway]:
    gateway = made(providers.base_url, IMPATIENT)
    yield gateway
    await gateway.stop()


def at_shop(shop: Shop, **given: Any) -> Any:
    return charge(callback_url=f"{shop.url}/payments/sandbox/callback", **given)


async def test_who_pays_by_phone_is_waited_for_and_the_callback_tells(gateway: Gateway, shop: Shop) -> None:
    request = at_shop(shop)
    pending = await gateway.charge(request)
    assert pending.state is GatewayState.PENDING
    [heard] = await shop.until(1)
    [event] = gateway.read_callback(heard).events
    assert event.payment_id == request.payment_id and not event.ask_status
    assert (event.outcome.state, event.outcome.amount, event.outcome.currency) == (GatewayState.CAPTURED, 5000, "KES")
    assert event.outcome.gateway_ref == pending.gateway_ref
    assert (await gateway.status(ref(request))).state is GatewayState.CAPTURED


async def test_a_card_is_charged_at_once(gateway: Gateway, shop: Shop) -> None:
    assert (await gateway.charge(at_shop(shop, payer=CARD))).state is GatewayState.CAPTURED


async def test_the_same_payment_asked_again_is_the_same_payment(gateway: Gateway, shop: Shop) -> None:
    request = at_shop(shop, payer=CARD)
    first, second = await gateway.charge(request), await gateway.charge(request)
    assert first.gateway_ref == second.gateway_ref
    rows = list(gateway.read_settlement((await statement(gateway)).splitlines()))
    assert len(rows) == 1


async def test_our_id_with_another_amount_says_nothing_of_the_first_call(gateway: Gateway, shop: Shop) -> None:
    request = at_shop(shop, payer=CARD)
    await gateway.charge(request)
    again = await gateway.charge(at_shop(shop, payer=CARD, payment_id=request.payment_id, amount=9_900))
    assert (again.state, again.provider_code) == (GatewayState.UNKNOWN, "payment_differs")


async def statement(gateway: Gateway) -> str:
    return await get_text(f"{gateway._options.base_url}/v1/settlement.csv", ACCOUNTS.api_key)


@pytest.mark.parametrize("reason", ["funds", "cancelled", "timeout", "wrong_pin", "limit", "method", "fraud", "other"])
async def test_a_refusal_says_why(gateway: Gateway, shop: Shop, script: Any, reason: str) -> None:
    await script("decline", reason=reason)
    outcome = await gateway.charge(at_shop(shop, payer=CARD))
    assert (outcome.state, outcome.reason) == (GatewayState.DECLINED, DeclineReason(reason))


@pytest.mark.parametrize(
    ("play", "then"),
    [
        ("hang", GatewayState.NOT_FOUND),
        ("error", GatewayState.NOT_FOUND),
        ("drop", GatewayState.CAPTURED),
        ("slow", GatewayState.PENDING),
        ("late", GatewayState.PENDING),
    ],
)
async def test_no_answer_is_unknown_and_never_declined_until_the_status_tells(
    impatient: Gateway, shop: Shop, script: Any, play: str, then: GatewayState
) -> None:
    await script(play, seconds=5.0)
    request = at_shop(shop, payer=CARD)
    assert (await impatient.charge(request)).state is GatewayState.UNKNOWN
    assert (await impatient.status(ref(request))).state is then


@pytest.mark.parametrize("play", ["late", "slow"])
async def test_a_payment_that_succeeds_after_the_time_out_is_told_all_the_same(
    impatient: Gateway, shop: Shop, script: Any, play: str
) -> None:
    await script(play, seconds=1.2)
    request = at_shop(shop)
    assert (await impatient.charge(request)).state is GatewayState.UNKNOWN
    [heard] = await shop.until(1)
    [event] = impatient.read_callback(heard).events
    assert (event.payment_id, event.outcome.state) == (request.payment_id, GatewayState.CAPTURED)


async def test_a_callback_that_comes_three_times_is_one_event(gateway: Gateway, shop: Shop, script: Any) -> None:
    await script("duplicate")
    await gateway.charge(at_shop(shop))
    heard = await shop.until(3)
    assert len({gateway.read_callback(one).events[0].event_id for one in heard}) == 1


async def test_a_callback_can_come_before_the_answer(gateway: Gateway, shop: Shop, script: Any) -> None:
    await script("early")
    await gateway.charge(at_shop(shop))
    assert len(shop.heard) == 1


async def test_a_lost_callback_is_made_up_for_by_the_status(gateway: Gateway, shop: Shop, script: Any) -> None:
    await script("lost")
    request = at_shop(shop)
    assert (await gateway.charge(request)).state is GatewayState.PENDING
    told = await asked_until(lambda: gateway.status(ref(request)), lambda said: said.state is not GatewayState.PENDING)
    assert told.state is GatewayState.CAPTURED
    assert shop.heard == []


async def test_a_shop_that_is_down_is_called_again(gateway: Gateway, shop: Shop) -> None:
    shop.status = 503
    await gateway.charge(at_shop(shop))
    await shop.until(1)
    shop.status = 200
    first, second = (await shop.until(2))[:2]
    assert first.body == second.body


async def test_the_outcome_can_be_chosen_by_the_amount(gateway: Gateway, shop: Shop) -> None:
    outcome = await gateway.charge(at_shop(shop, payer=CARD, amount=101_00))
    assert (outcome.state, outcome.reason) == (GatewayState.DECLINED, DeclineReason.FUNDS)


async def test_what_is_held_is_taken_by_confirm_or_let_go_by_cancel(providers: PaymentsSandbox, shop: Shop) -> None:
    gateway = made(providers.base_url, hold=True)
    taken, let_go = at_shop(shop, payer=CARD), at_shop(shop, payer=CARD)
    assert gateway.holds
    assert (await gateway.charge(taken)).state is (await gateway.charge(let_go)).state is GatewayState.HELD
    assert (await gateway.confirm(ref(taken))).state is GatewayState.CAPTURED
    assert (await gateway.cancel(ref(let_go))).state is GatewayState.DECLINED
    # What is taken cannot be let go any more: the answer says what is true.
    assert (await gateway.cancel(ref(taken))).state is GatewayState.CAPTURED
    assert (await gateway.confirm(ref(let_go))).state is GatewayState.DECLINED
    await gateway.stop()


async def test_a_payer_who_has_to_follow_a_link_is_waited_for(gateway: Gateway, shop: Shop, script: Any) -> None:
    await script("action")
    outcome = await gateway.charge(at_shop(shop, payer=CARD))
    assert outcome.state is GatewayState.PENDING and outcome.action_url
    assert "Is it you?" in await get_text(outcome.action_url)
    await post(outcome.action_url, data={"yes": "1"})
    [heard] = await shop.until(1)
    assert gateway.read_callback(heard).events[0].outcome.state is GatewayState.CAPTURED


async def test_a_refund_asked_twice_is_given_once_and_never_more_than_was_paid(gateway: Gateway, shop: Shop) -> None:
    request = at_shop(shop, payer=CARD)
    await gateway.charge(request)
    some = RefundRequest(payment=ref(request), refund_id=uuid4(), amount=2000, reason="mistake")
    first, second = await gateway.refund(some), await gateway.refund(some)
    assert first.state is second.state is GatewayState.REFUNDED
    assert first.amount == second.amount == 2000
    too_much = RefundRequest(payment=ref(request), refund_id=uuid4(), amount=3001, reason="mistake")
    assert (await gateway.refund(too_much)).state is GatewayState.DECLINED
    rows = list(gateway.read_settlement((await statement(gateway)).splitlines()))
    assert sum(row.amount for row in rows if isinstance(row, SettlementRow)) == 3000


async def test_nothing_is_known_of_a_payment_that_was_never_made(gateway: Gateway) -> None:
    assert (await gateway.status(ref(charge()))).state is GatewayState.NOT_FOUND
    assert (await gateway.confirm(ref(charge()))).state is GatewayState.NOT_FOUND


@pytest.mark.parametrize("amount", [0, -1, -5000, 10**15 + 1, 2**63])
async def test_an_amount_that_cannot_be_paid_is_never_asked_for(gateway: Gateway, amount: int) -> None:
    request = charge(amount=amount)
    assert (await gateway.charge(request)).state is GatewayState.DECLINED
    assert (await gateway.status(ref(request))).state is GatewayState.NOT_FOUND


async def test_a_charge_that_never_left_says_so_and_a_question_stays_unknown(dead_port: int) -> None:
    gateway = made(f"http://127.0.0.1:{dead_port}")
    request = charge()
    assert (await gateway.charge(request)).state is GatewayState.NOT_FOUND
    assert (await gateway.status(ref(request))).state is GatewayState.UNKNOWN
    refund = RefundRequest(payment=ref(request, "sb_1"), refund_id=uuid4(), amount=1, reason="")
    assert (await gateway.refund(refund)).state is GatewayState.UNKNOWN
    await gateway.stop()


@pytest.mark.parametrize("answer", SENSELESS, ids=lambda answer: str(answer[0]) + str(answer[1][:9]))
async def test_an_answer_that_makes_no_sense_is_unknown(broken: Broken, answer: tuple[int, bytes]) -> None:
    gateway, request = made(broken.url), charge(payer=CARD)
    broken.answer = answer
    assert (await gateway.charge(request)).state is GatewayState.UNKNOWN
    for asked in (gateway.status, gateway.confirm, gateway.cancel):
        assert (await asked(ref(request, "sb_1"))).state is GatewayState.UNKNOWN
    await gateway.stop()


async def test_a_wrong_key_moves_nothing(providers: PaymentsSandbox, shop: Shop) -> None:
    gateway = made(providers.base_url, api_key="wrong")
    assert (await gateway.charge(at_shop(shop))).state is GatewayState.NOT_FOUND
    await gateway.stop()


async def test_the_provider_remembers_over_its_own_restart(shop: Shop, tmp_path: Path) -> None:
    state = tmp_path / "payments.jsonl"
    paid, waiting = at_shop(shop, payer=CARD), at_shop(shop)
    # Nobody answers the first callback, so it is still on its way when the server stops.
    shop.status = 503
    async with running(state) as gateway:
        await gateway.charge(paid)
        assert (await gateway.charge(waiting)).state is GatewayState.PENDING
        await shop.until(1)
    state.write_bytes(state.read_bytes() + b'{"face": "native", "id": "cut sho')
    shop.status = 200
    shop.heard.clear()
    async with running(state) as gateway:
        assert (await gateway.status(ref(paid))).state is GatewayState.CAPTURED
        told = {gateway.read_callback(one).events[0].payment_id for one in await shop.until(2)}
        assert told == {paid.payment_id, waiting.payment_id}


@asynccontextmanager
async def running(state: Path) -> AsyncIterator[Gateway]:
    """A gateway at a server with a memory, and with payers who take their time."""
    server = PaymentsSandbox(state=state, pace=1.0)
    await server.start()
    gateway = made(server.base_url)
    try:
        yield gateway
    finally:
        await gateway.stop()
        await server.stop()
