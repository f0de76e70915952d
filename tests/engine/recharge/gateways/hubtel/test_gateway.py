"""Hubtel's checkout at the gateway: what its status means, and what of a fulfilment is read."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from configuration.options import WrongOptions
from engine.recharge.gateways.contract import BadCallback, GatewayState, Outcome, Payer, RefundRequest
from engine.recharge.gateways.hubtel.gateway import Gateway
from engine.recharge.gateways.options import Tools
from tests.engine.recharge.gateways.peers import ACCOUNTS, IMPATIENT, SENSELESS, Broken, callback, charge, ref

SECRET = "fulfilment_of_ours_1"
SESSION = "3c796dac28174f73"
ORDER = "ac3307bcca744561"
FULFILMENT: dict[str, Any] = {
    "SessionId": SESSION,
    "OrderId": ORDER,
    "ExtraData": {},
    "OrderInfo": {"Status": "Paid", "Payment": {"AmountPaid": 50.0, "IsSuccessful": True}},
}


def made(url: str, **options: Any) -> Gateway:
    given = {
        "client_id": ACCOUNTS.hubtel_client_id,
        "client_secret": ACCOUNTS.hubtel_client_secret,
        "pos": ACCOUNTS.hubtel_pos,
        "path_secret": SECRET,
        "currency": "KES",
        "status_url": url,
        "fulfilment_url": f"{url}/callback",
        **options,
    }
    return Gateway("hubtel", given, Tools(timeout_seconds=IMPATIENT))


@pytest.fixture
async def gateway(broken: Broken) -> AsyncIterator[Gateway]:
    gateway = made(broken.url)
    yield gateway
    await gateway.stop()


def transaction(status: str = "Paid", **more: Any) -> tuple[int, bytes]:
    data = {"status": status, "clientReference": SESSION, "amount": 50.0, "charges": 0.5, "amountAfterCharges": 49.5}
    answer = {"message": "Successful", "responseCode": "0000", "data": {**data, **more}}
    return 200, json.dumps(answer).encode()


async def said(gateway: Gateway) -> Outcome:
    return await gateway.status(ref(charge(), SESSION))


@pytest.mark.parametrize(
    ("status", "state"),
    [
        ("Paid", GatewayState.CAPTURED),
        ("paid", GatewayState.CAPTURED),
        ("Unpaid", GatewayState.PENDING),
        ("Refunded", GatewayState.REFUNDED),
        ("Whatever", GatewayState.UNKNOWN),
    ],
)
async def test_the_status_says_what_is_true(gateway: Gateway, broken: Broken, status: str, state: GatewayState) -> None:
    broken.answer = transaction(status)
    outcome = await said(gateway)
    assert outcome.state is state
    if state is GatewayState.CAPTURED:
        assert (outcome.gateway_ref, outcome.amount, outcome.currency, outcome.fee) == (SESSION, 5000, "KES", 50)


@pytest.mark.parametrize(
    "wrong",
    [
        {"clientReference": "another"},
        {"amount": "50"},
        {"amount": None},
        {"amount": True},
        {"amount": -50.0},
        {"amount": 50.001},
        {"amount": 1e300},
        {"amountAfterCharges": None},
    ],
)
async def test_money_that_makes_no_sense_is_unknown(gateway: Gateway, broken: Broken, wrong: dict[str, Any]) -> None:
    broken.answer = transaction(**wrong)
    assert (await said(gateway)).state is GatewayState.UNKNOWN


@pytest.mark.parametrize("answer", [*SENSELESS, (401, b"{}"), (403, b"{}"), (200, b'{"responseCode": "4000"}')])
async def test_an_answer_that_makes_no_sense_is_unknown(
    gateway: Gateway, broken: Broken, answer: tuple[int, bytes]
) -> None:
    broken.answer = answer
    assert (await said(gateway)).state is GatewayState.UNKNOWN
    assert (await gateway.cancel(ref(charge(), SESSION))).state is GatewayState.UNKNOWN


async def test_a_provider_that_is_not_there_is_unknown_and_takes_no_outcome(dead_port: int) -> None:
    gateway = made(f"http://127.0.0.1:{dead_port}")
    assert (await said(gateway)).state is GatewayState.UNKNOWN
    (event,) = gateway.read_callback(callback(json.dumps(FULFILMENT).encode(), SECRET)).events
    assert await gateway.conclude(event, delivered=True) is False
    await gateway.stop()


async def test_a_checkout_that_nobody_began_waits_until_it_is_called_off(gateway: Gateway, broken: Broken) -> None:
    for broken.answer in ((404, b"{}"), transaction("Unpaid")):
        assert (await said(gateway)).state is GatewayState.PENDING
        assert (await gateway.cancel(ref(charge(), SESSION))).state is GatewayState.DECLINED
    broken.answer = transaction()
    assert (await gateway.cancel(ref(charge(), SESSION))).state is GatewayState.CAPTURED


async def test_without_a_session_nobody_is_asked(gateway: Gateway) -> None:
    asked = await gateway.charge(charge(payer=Payer(msisdn="+254712345678", session=SESSION)))
    assert (asked.state, asked.gateway_ref) == (GatewayState.PENDING, SESSION)
    for session in ("", "a b", "x" * 65):
        outcome = await gateway.charge(charge(payer=Payer(msisdn="+254712345678", session=session)))
        assert (outcome.state, outcome.provider_code) == (GatewayState.NOT_FOUND, "no_session")
    assert (await gateway.charge(charge(currency="USD"))).state is GatewayState.DECLINED
    assert (await gateway.status(ref(charge()))).state is GatewayState.NOT_FOUND


def test_of_a_fulfilment_only_the_names_are_read_and_the_status_is_asked(gateway: Gateway) -> None:
    read = gateway.read_callback(callback(json.dumps(FULFILMENT).encode(), SECRET))
    (event,) = read.events
    assert read.shared_path
    assert event.ask_status
    assert (event.status_ref, event.outcome) == (SESSION, Outcome(state=GatewayState.CAPTURED, gateway_ref=ORDER))
    failed = {**FULFILMENT, "OrderInfo": {"Payment": {"IsSuccessful": False}}}
    (event,) = gateway.read_callback(callback(json.dumps(failed).encode(), SECRET)).events
    assert event.outcome.state is GatewayState.DECLINED


@pytest.mark.parametrize(
    ("body", "secret", "status"),
    [
        (FULFILMENT, "", 404),
        (FULFILMENT, SECRET + "x", 404),
        (FULFILMENT, "\udc80", 404),
        ([], SECRET, 400),
        ({**FULFILMENT, "SessionId": None}, SECRET, 400),
        ({**FULFILMENT, "OrderId": "a b"}, SECRET, 400),
        ({**FULFILMENT, "OrderId": "x" * 65}, SECRET, 400),
        ({**FULFILMENT, "ExtraData": "x" * 70_000}, SECRET, 413),
    ],
)
def test_a_fulfilment_that_is_not_ours_or_makes_no_sense_is_refused(
    gateway: Gateway, body: Any, secret: str, status: int
) -> None:
    with pytest.raises(BadCallback) as refused:
        gateway.read_callback(callback(json.dumps(body).encode(), secret))
    assert refused.value.status == status


async def test_refunds_are_left_to_staff(gateway: Gateway) -> None:
    request = charge()
    refund = RefundRequest(payment=ref(request, ORDER), refund_id=request.payment_id, amount=5000, reason="refund")
    assert (await gateway.refund(refund)).state is GatewayState.DECLINED


def test_wrong_options_are_refused_by_name() -> None:
    with pytest.raises(WrongOptions) as refused:
        made("ftp://nowhere", path_secret="short", pos="")
    assert {name for name, _ in refused.value.args[0]} == {"status_url", "fulfilment_url", "path_secret", "pos"}
