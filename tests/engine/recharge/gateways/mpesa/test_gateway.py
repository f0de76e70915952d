"""M-Pesa against Daraja as the sandbox plays it."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest

from engine.recharge.gateways.contract import (
    DeclineReason,
    GatewayState,
    Payer,
    RefundRequest,
)
from engine.recharge.gateways.http import NotSent
from engine.recharge.gateways.mpesa.client import Daraja, password, timestamp
from engine.recharge.gateways.mpesa.gateway import Gateway
from engine.recharge.gateways.mpesa.options import MpesaOptions
from sandbox.payments.server import PaymentsSandbox
from tests.engine.recharge.gateways.mpesa.account import OPTIONS, made, pushed
from tests.engine.recharge.gateways.peers import (
    IMPATIENT,
    SENSELESS,
    Broken,
    Shop,
    charge,
    post,
    ref,
)


@pytest.fixture
async def impatient(providers: PaymentsSandbox, shop: Shop) -> AsyncIterator[Gateway]:
    gateway = made(f"{providers.base_url}/mpesa", shop.url, IMPATIENT)
    yield gateway
    await gateway.stop()


async def test_a_push_is_pending_its_callback_names_the_receipt_and_the_query_agrees(
    gateway: Gateway, shop: Shop
) -> None:
    request = pushed(shop)
    pending = await gateway.charge(request)
    assert pending.state is GatewayState.PENDING and pending.gateway_ref is not None
    [heard] = await shop.until(1)
    answer = gateway.read_callback(heard)
    [event] = answer.events
    assert heard.path_secret == "own-secret"
    assert event.ask_status and event.status_ref == pending.gateway_ref
    assert (event.outcome.state, event.outcome.amount, event.outcome.currency) == (GatewayState.CAPTURED, 5000, "KES")
    assert event.payer_msisdn == "+254712345678"
    assert abs((event.outcome.at - datetime.now(UTC)).total_seconds()) < 60
    asked = await gateway.status(ref(request, event.status_ref))
    assert (asked.state, asked.amount) == (GatewayState.CAPTURED, 5000)
    assert json.loads(answer.body)["ResultCode"] == 0


async def test_while_the_payer_types_the_query_says_pending(
    gateway: Gateway, providers: PaymentsSandbox, shop: Shop
) -> None:
    providers.desk.pace = 1.0
    request = pushed(shop)
    pending = await gateway.charge(request)
    assert (await gateway.status(ref(request, pending.gateway_ref))).state is GatewayState.PENDING
    # A push cannot be called back, and nothing is held.
    assert (await gateway.cancel(ref(request, pending.gateway_ref))).state is GatewayState.PENDING
    assert (await gateway.confirm(ref(request, pending.gateway_ref))).state is GatewayState.PENDING


@pytest.mark.parametrize("reason", ["funds", "cancelled", "timeout", "wrong_pin", "limit"])
async def test_a_failed_push_has_no_metadata_and_says_why(
    gateway: Gateway, shop: Shop, script: Any, reason: str
) -> None:
    await script("decline", reason=reason)
    request = pushed(shop)
    pending = await gateway.charge(request)
    [heard] = await shop.until(1)
    assert b"CallbackMetadata" not in heard.body
    [event] = gateway.read_callback(heard).events
    asked = await gateway.status(ref(request, pending.gateway_ref))
    for outcome in (event.outcome, asked):
        assert (outcome.state, outcome.reason) == (GatewayState.DECLINED, DeclineReason(reason))


async def test_one_payment_told_by_push_and_by_c2b_bears_one_reference(
    gateway: Gateway, shop: Shop, script: Any
) -> None:
    await script("twice")
    await gateway.charge(pushed(shop))
    events = [gateway.read_callback(heard).events[0] for heard in await shop.until(2)]
    assert {event.outcome.gateway_ref for event in events} == {events[0].outcome.gateway_ref}
    # And the account that M-Pesa notes for a push is the reference we gave it.
    assert [event.account_number[:6] for event in events if event.account_number] == ["7F3K2M"]
    assert all(event.ask_status for event in events)


@pytest.mark.parametrize("play", ["hang", "late", "slow", "drop"])
async def test_a_push_without_an_answer_is_unknown_and_stays_so_without_a_reference(
    impatient: Gateway, shop: Shop, script: Any, play: str
) -> None:
    await script(play, seconds=1.2)
    request = pushed(shop)
    assert (await impatient.charge(request)).state is GatewayState.UNKNOWN
    assert (await impatient.status(ref(request))).state is GatewayState.UNKNOWN
    if play == "hang":
        return
    # What was pushed after all is told on the payment's own path, with the reference to ask by.
    [event] = impatient.read_callback((await shop.until(1))[0]).events
    asked = await impatient.status(ref(request, event.status_ref))
    assert asked.state is GatewayState.CAPTURED


async def test_a_server_error_of_theirs_is_unknown(gateway: Gateway, shop: Shop, script: Any) -> None:
    await script("error")
    assert (await gateway.charge(pushed(shop))).state is GatewayState.UNKNOWN


@pytest.mark.parametrize("amount", [1, 99, 5050, 0, -100, 10**16])
async def test_amounts_are_whole_shillings(
    gateway: Gateway, providers: PaymentsSandbox, shop: Shop, amount: int
) -> None:
    assert (await gateway.charge(pushed(shop, amount=amount))).state is GatewayState.DECLINED
    assert list(providers.desk.ledger.all()) == []


async def test_another_currency_and_a_payer_without_a_number_are_refused(gateway: Gateway, shop: Shop) -> None:
    assert (await gateway.charge(pushed(shop, currency="UGX"))).provider_code == "currency"
    assert (await gateway.charge(pushed(shop, payer=Payer(token="x")))).provider_code == "no_msisdn"


async def test_without_a_path_of_its_own_nothing_is_pushed(gateway: Gateway, providers: PaymentsSandbox) -> None:
    assert (await gateway.charge(charge())).state is GatewayState.NOT_FOUND
    assert list(providers.desk.ledger.all()) == []


async def test_a_number_that_cannot_pay_is_declined(gateway: Gateway, shop: Shop) -> None:
    outcome = await gateway.charge(pushed(shop, payer=Payer(msisdn="+255712345678")))
    assert (outcome.state, outcome.reason) == (GatewayState.DECLINED, DeclineReason.METHOD)


async def test_texts_are_cut_to_what_a_push_holds(gateway: Gateway, providers: PaymentsSandbox, shop: Shop) -> None:
    outcome = await gateway.charge(pushed(shop, reference="R" * 40, description="D" * 40))
    assert outcome.state is GatewayState.PENDING
    [payment] = providers.desk.ledger.all()
    assert payment.details["account"] == "R" * 12


async def test_a_token_that_they_have_forgotten_is_fetched_anew(
    gateway: Gateway, providers: PaymentsSandbox, shop: Shop
) -> None:
    assert (await gateway.charge(pushed(shop))).state is GatewayState.PENDING
    await post(f"{providers.base_url}/mpesa/forget-tokens")
    assert (await gateway.charge(pushed(shop))).state is GatewayState.PENDING


async def test_a_token_is_used_until_shortly_before_its_end(providers: PaymentsSandbox) -> None:
    now = 1000.0
    options = MpesaOptions(**{**OPTIONS, "base_url": f"{providers.base_url}/mpesa"})
    daraja = Daraja(options, timeout_seconds=5, clock=lambda: now)
    first = await daraja._access_token()
    now += 3599 - 61
    assert await daraja._access_token() == first
    now += 2
    assert await daraja._access_token() != first
    await daraja.close()


async def test_without_a_token_nothing_has_left_us(providers: PaymentsSandbox, shop: Shop, dead_port: int) -> None:
    for gateway in (
        made(f"{providers.base_url}/mpesa", shop.url, consumer_secret="wrong"),
        made(f"http://127.0.0.1:{dead_port}", shop.url),
    ):
        assert (await gateway.charge(pushed(shop))).state is GatewayState.NOT_FOUND
        assert (await gateway.status(ref(charge(), "ws_CO_1"))).state is GatewayState.UNKNOWN
        await gateway.start()
        await gateway.stop()
    daraja = Daraja(MpesaOptions(**{**OPTIONS, "base_url": f"http://127.0.0.1:{dead_port}"}), timeout_seconds=1)
    with pytest.raises(NotSent):
        await daraja.query("ws_CO_1")
    await daraja.close()


@pytest.mark.parametrize("answer", SENSELESS, ids=lambda answer: str(answer[0]) + str(answer[1][:9]))
async def test_an_answer_that_makes_no_sense_is_unknown(broken: Broken, shop: Shop, answer: tuple[int, bytes]) -> None:
    gateway = made(broken.url, shop.url)
    broken.answer = answer
    assert (await gateway.charge(pushed(shop))).state is GatewayState.UNKNOWN
    assert (await gateway.status(ref(charge(), "ws_CO_1"))).state is GatewayState.UNKNOWN
    assert (await gateway.status(ref(charge(), "RKTQDM7W6S"))).state is GatewayState.UNKNOWN
    refund = RefundRequest(payment=ref(charge(), "RKTQDM7W6S"), refund_id=uuid4(), amount=100, reason="x")
    assert (await gateway.refund(refund)).state is GatewayState.UNKNOWN
    await gateway.stop()


@pytest.mark.parametrize(
    ("status", "state"),
    [(status, GatewayState.NOT_FOUND) for status in (400, 403, 404, 429)]
    + [(status, GatewayState.UNKNOWN) for status in (408, 409, 425, 499, 500, 503)],
)
async def test_only_what_is_turned_away_unread_may_be_pushed_elsewhere(
    broken: Broken, shop: Shop, status: int, state: GatewayState
) -> None:
    gateway = made(broken.url, shop.url)
    broken.answer = (status, b'{"errorCode": "new"}')
    assert (await gateway.charge(pushed(shop))).state is state
    await gateway.stop()


def test_the_password_is_of_nairobis_time() -> None:
    options = MpesaOptions(**OPTIONS)
    at = timestamp(datetime(2026, 11, 21, 22, 30, 5, tzinfo=UTC))
    assert at == "20261122013005"
    assert base64.b64decode(password(options, at)).decode() == f"{options.shortcode}{options.passkey}{at}"


# --- C2B, reversal, status of a receipt ---


async def test_a_payer_who_begins_it_is_checked_by_the_account_they_typed(
    gateway: Gateway, providers: PaymentsSandbox, shop: Shop
) -> None:
    told = {"account": "0712345678", "amount": 100, "msisdn": "254700000001"}
    assert (await post(f"{providers.base_url}/mpesa/pay", json=told))["accepted"]
    checked, confirmed = (gateway.read_callback(heard) for heard in await shop.until(2))
    [check], [paid] = checked.events, confirmed.events
    assert (check.outcome.state, paid.outcome.state) == (GatewayState.PENDING, GatewayState.CAPTURED)
    assert check.account_number == paid.account_number == "0712345678"
    assert (paid.outcome.amount, paid.payer_msisdn, paid.payment_id) == (10_000, "+254700000001", None)
    assert checked.refusal is not None and confirmed.refusal is None
    shop.body = checked.refusal
    assert not (await post(f"{providers.base_url}/mpesa/pay", json=told))["accepted"]


async def test_a_confirmation_is_asked_about_and_the_result_names_the_payment(
    gateway: Gateway, providers: PaymentsSandbox, shop: Shop
) -> None:
    told = {"account": "A", "amount": 100, "msisdn": "254700000001"}
    receipt = (await post(f"{providers.base_url}/mpesa/pay", json=told))["receipt"]
    request = charge(amount=10_000)
    assert (await gateway.status(ref(request, receipt))).state is GatewayState.PENDING
    [event] = gateway.read_callback((await shop.until(3))[2]).events
    assert (event.payment_id, event.outcome.state) == (request.payment_id, GatewayState.CAPTURED)
    assert (event.outcome.gateway_ref, event.outcome.amount) == (receipt, 10_000)
    # Of a receipt that nobody knows nothing is known.
    await gateway.status(ref(request, "AAAAAAAAAA"))
    assert gateway.read_callback((await shop.until(4))[3]).events[0].outcome.state is GatewayState.UNKNOWN


async def test_a_reversal_is_told_by_a_result_and_a_refused_one_says_that_the_money_stays(
    gateway: Gateway, shop: Shop
) -> None:
    request = pushed(shop)
    await gateway.charge(request)
    receipt = gateway.read_callback((await shop.until(1))[0]).events[0].outcome.gateway_ref
    refund = RefundRequest(payment=ref(request, receipt), refund_id=uuid4(), amount=5000, reason="wrong line")
    assert (await gateway.refund(refund)).state is GatewayState.PENDING
    [done] = gateway.read_callback((await shop.until(2))[1]).events
    assert (done.payment_id, done.outcome.state, done.outcome.amount) == (
        request.payment_id,
        GatewayState.REFUNDED,
        5000,
    )
    beyond = RefundRequest(payment=ref(request, receipt), refund_id=uuid4(), amount=6000, reason="again")
    await gateway.refund(beyond)
    [refused] = gateway.read_callback((await shop.until(3))[2]).events
    assert (refused.payment_id, refused.outcome.state) == (request.payment_id, GatewayState.CAPTURED)


async def test_what_cannot_be_reversed_is_refused_before_it_is_asked(gateway: Gateway) -> None:
    for reference, amount, why in (
        (None, 100, "no_receipt"),
        ("ws_CO_1", 100, "no_receipt"),
        ("RKTQDM7W6S", 150, "whole_shillings"),
        ("RKTQDM7W6S", 0, "whole_shillings"),
        ("RKTQDM7W6S", -100, "whole_shillings"),
    ):
        refund = RefundRequest(payment=ref(charge(), reference), refund_id=uuid4(), amount=amount, reason="x")
        outcome = await gateway.refund(refund)
        assert (outcome.state, outcome.provider_code) == (GatewayState.DECLINED, why)
