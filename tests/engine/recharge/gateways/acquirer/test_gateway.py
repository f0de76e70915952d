"""The acquiring bank, over TCP, against a host that speaks ISO 8583 by its own table of fields."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from engine.recharge.gateways.acquirer.codes import REASONS, reason_of
from engine.recharge.gateways.acquirer.gateway import Gateway
from engine.recharge.gateways.acquirer.messages import (
    pack,
    read_private,
    rrn,
)
from engine.recharge.gateways.contract import (
    BadCallback,
    DeclineReason,
    GatewayState,
    Payer,
    RefundRequest,
    SettlementRow,
)
from sandbox.payments.server import PaymentsSandbox
from tests.engine.recharge.gateways.acquirer.account import by_token, made
from tests.engine.recharge.gateways.peers import IMPATIENT, callback, get_text, ref


@pytest.fixture
async def bank(providers: PaymentsSandbox) -> AsyncIterator[Callable[..., Awaitable[Gateway]]]:
    """Makes a started gateway."""
    gateways: list[Gateway] = []

    async def start(seconds: float = 5.0, **options: Any) -> Gateway:
        gateway = made(providers.acquirer_port, seconds, **options)
        await gateway.start()
        gateways.append(gateway)
        return gateway

    yield start
    for gateway in gateways:
        await gateway.stop()


def types(providers: PaymentsSandbox) -> list[str]:
    return [message["t"] for message in providers.acquirer.heard if message["t"] != "0800"]


async def heard(providers: PaymentsSandbox, kind: str, count: int = 1, seconds: float = 10.0) -> None:
    async with asyncio.timeout(seconds):
        seen = types(providers)
        while seen.count(kind) < count:
            await asyncio.sleep(0.02)
            seen = types(providers)


async def test_a_payment_is_authorised_after_signing_on(bank: Any, providers: PaymentsSandbox) -> None:
    gateway = await bank()
    request = by_token()
    outcome = await gateway.charge(request)
    assert (outcome.state, outcome.amount, outcome.currency) == (GatewayState.CAPTURED, 5000, "KES")
    assert outcome.gateway_ref == rrn(request.payment_id)
    assert [(message["t"], message.get("70")) for message in providers.acquirer.heard] == [
        ("0800", "001"),
        ("0200", None),
    ]


async def test_no_card_number_is_ever_sent_and_the_token_goes_in_a_private_field(
    bank: Any, providers: PaymentsSandbox
) -> None:
    await (await bank()).charge(by_token())
    message = providers.acquirer.heard[-1]
    assert "2" not in message
    assert read_private(message["48"]) == {"TK": "tok_9f3c", "RF": "7F3K2M"}
    with pytest.raises(ValueError, match="card number"):
        pack({"t": "0200", "2": "4242424242424242"})


async def test_the_same_payment_asked_again_bears_the_same_numbers_and_is_charged_once(
    bank: Any, providers: PaymentsSandbox
) -> None:
    first_process, second_process = await bank(), await bank()
    request = by_token()
    one, two = await first_process.charge(request), await second_process.charge(request)
    assert one == two
    first, second = (message for message in providers.acquirer.heard if message["t"] == "0200")
    assert (first["11"], first["37"]) == (second["11"], second["37"])
    [payment] = providers.desk.ledger.all("acquirer")
    assert sum(moved.amount for moved in payment.movements) == 5000


@pytest.mark.parametrize("reason", ["funds", "cancelled", "wrong_pin", "limit", "method", "fraud", "other"])
async def test_a_refusal_says_why(bank: Any, script: Any, reason: str) -> None:
    gateway = await bank()
    await script("decline", reason=reason)
    outcome = await gateway.charge(by_token())
    assert (outcome.state, outcome.reason) == (GatewayState.DECLINED, DeclineReason(reason))


def test_every_code_that_is_not_listed_is_a_refusal_without_a_reason() -> None:
    assert reason_of("99") is reason_of("ZZ") is DeclineReason.OTHER
    assert all(len(code) == 2 for code in REASONS)


@pytest.mark.parametrize("play", ["lost", "late", "hang", "drop"])
async def test_a_payment_without_an_answer_is_unknown_and_taken_back(
    bank: Any, providers: PaymentsSandbox, script: Any, play: str
) -> None:
    gateway = await bank(IMPATIENT)
    await script(play, seconds=1.2)
    request = by_token()
    assert (await gateway.charge(request)).state is GatewayState.UNKNOWN
    await heard(providers, "0400")
    told = await asked(gateway, request)
    assert (told.state, told.reason) == (GatewayState.DECLINED, DeclineReason.TIMEOUT)
    assert all(payment.movements == [] for payment in providers.desk.ledger.all())


async def asked(gateway: Gateway, request: Any) -> Any:
    """As the recovery asks: when nobody can be waiting for the answer any more."""
    long_ago = datetime.now(UTC) - timedelta(minutes=5)
    async with asyncio.timeout(10):
        told = await gateway.status(ref(request, requested_at=long_ago))
        while told.state is GatewayState.UNKNOWN:
            told = await gateway.status(ref(request, requested_at=long_ago))
    return told


async def test_a_reversal_is_repeated_until_it_is_answered(bank: Any, providers: PaymentsSandbox, script: Any) -> None:
    gateway = await bank(0.2)
    await script("lost", face="acquirer")
    await script("hang", face="reversal", times=2)
    await gateway.charge(by_token())
    await heard(providers, "0401", 2)
    reversals = [message for message in providers.acquirer.heard if message["t"] in {"0400", "0401"}]
    assert [message["t"] for message in reversals] == ["0400", "0401", "0401"]
    assert len({(message["11"], message["37"], message["90"]) for message in reversals}) == 1
    assert reversals[0]["90"].startswith("0200")


async def test_a_payment_that_comes_after_its_reversal_is_refused(bank: Any, providers: PaymentsSandbox) -> None:
    gateway = await bank()
    request = by_token()
    assert (await gateway.cancel(ref(request))).state is GatewayState.DECLINED
    assert (await gateway.charge(request)).state is GatewayState.DECLINED
    assert all(payment.movements == [] for payment in providers.desk.ledger.all())


async def test_what_another_process_may_still_be_waiting_for_is_not_taken_back(
    bank: Any, providers: PaymentsSandbox
) -> None:
    gateway = await bank()
    assert (await gateway.status(ref(by_token()))).state is GatewayState.PENDING
    assert types(providers) == []


async def test_what_was_answered_is_not_taken_back_by_a_question(bank: Any, providers: PaymentsSandbox) -> None:
    gateway = await bank()
    request = by_token()
    outcome = await gateway.charge(request)
    long_ago = datetime.now(UTC) - timedelta(days=1)
    told = await gateway.status(ref(request, outcome.gateway_ref, requested_at=long_ago))
    assert told.state is GatewayState.UNKNOWN
    assert types(providers) == ["0200"]


async def test_a_bank_that_answers_questions_is_asked_and_nothing_is_taken_back(
    bank: Any, providers: PaymentsSandbox, script: Any
) -> None:
    gateway = await bank(IMPATIENT, on_timeout="inquire")
    made_after_all, never_made, declined = by_token(), by_token(), by_token()
    await script("lost")
    assert (await gateway.charge(made_after_all)).state is GatewayState.UNKNOWN
    await script("hang")
    assert (await gateway.charge(never_made)).state is GatewayState.UNKNOWN
    await script("decline", reason="limit")
    await gateway.charge(declined)
    told = await gateway.status(ref(made_after_all))
    assert (told.state, told.amount) == (GatewayState.CAPTURED, 5000)
    assert (await gateway.status(ref(never_made))).state is GatewayState.NOT_FOUND
    refusal = await gateway.status(ref(declined))
    assert (refusal.state, refusal.reason) == (GatewayState.DECLINED, DeclineReason.LIMIT)
    assert "0400" not in types(providers)
    await gateway.cancel(ref(made_after_all))
    assert (await gateway.status(ref(made_after_all))).state is GatewayState.DECLINED


async def test_what_is_held_is_taken_by_an_advice(bank: Any, providers: PaymentsSandbox) -> None:
    gateway = await bank(hold=True)
    request = by_token()
    assert (await gateway.charge(request)).state is GatewayState.HELD
    for _ in range(2):
        assert (await gateway.confirm(ref(request))).state is GatewayState.CAPTURED
    assert types(providers) == ["0100", "0220", "0220"]
    assert (await gateway.confirm(ref(by_token()))).state is GatewayState.NOT_FOUND
    [payment] = providers.desk.ledger.all("acquirer")
    assert sum(moved.amount for moved in payment.movements) == 5000


async def test_a_refund_asked_twice_is_given_once(bank: Any, providers: PaymentsSandbox) -> None:
    gateway = await bank()
    request = by_token()
    outcome = await gateway.charge(request)
    payment = ref(request, outcome.gateway_ref)
    some = RefundRequest(payment=payment, refund_id=uuid4(), amount=2000, reason="x")
    for _ in range(2):
        given = await gateway.refund(some)
        assert (given.state, given.amount, given.gateway_ref) == (GatewayState.REFUNDED, 2000, outcome.gateway_ref)
    too_much = RefundRequest(payment=payment, refund_id=uuid4(), amount=3001, reason="x")
    assert (await gateway.refund(too_much)).state is GatewayState.DECLINED
    text = await get_text(f"{providers.base_url}/acquirer/settlement.csv")
    rows = list(gateway.read_settlement(text.splitlines(keepends=True)))
    assert [(row.gateway_ref, row.amount) for row in rows if isinstance(row, SettlementRow)] == [
        (outcome.gateway_ref, 5000),
        (outcome.gateway_ref, -2000),
    ]


async def test_many_requests_are_on_their_way_at_once_and_each_gets_its_own_answer(
    bank: Any, providers: PaymentsSandbox, script: Any
) -> None:
    gateway = await bank()
    await script("slow", seconds=0.3)
    requests = [by_token(amount=100 * number) for number in range(1, 60)]
    outcomes = await asyncio.gather(*map(gateway.charge, requests))
    assert [outcome.amount for outcome in outcomes] == [request.amount for request in requests]
    assert len([message for message in providers.acquirer.heard if message.get("70") == "001"]) == 1


async def test_a_broken_line_is_taken_up_again(bank: Any, providers: PaymentsSandbox) -> None:
    gateway = await bank()
    assert (await gateway.charge(by_token())).state is GatewayState.CAPTURED
    providers.acquirer.hang_up()
    await asyncio.sleep(0.05)
    assert (await gateway.charge(by_token())).state is GatewayState.CAPTURED
    assert len([message for message in providers.acquirer.heard if message.get("70") == "001"]) == 2


async def test_without_a_line_nothing_has_left_us(dead_port: int) -> None:
    gateway = made(dead_port, IMPATIENT)
    await gateway.start()
    assert (await gateway.charge(by_token())).state is GatewayState.NOT_FOUND
    assert (await gateway.confirm(ref(by_token()))).state is not GatewayState.NOT_FOUND
    assert (await gateway.cancel(ref(by_token()))).state is GatewayState.UNKNOWN
    await gateway.stop()


@pytest.mark.parametrize("amount", [0, -1, 10**12, 10**16])
async def test_an_amount_that_field_4_cannot_hold_is_never_sent(
    bank: Any, providers: PaymentsSandbox, amount: int
) -> None:
    gateway = await bank()
    assert (await gateway.charge(by_token(amount=amount))).state is GatewayState.DECLINED
    assert (await gateway.charge(by_token(currency="UGX"))).state is GatewayState.DECLINED
    assert (await gateway.charge(by_token(payer=Payer(token="two words")))).state is GatewayState.DECLINED
    assert types(providers) == []


def test_a_bank_takes_no_callbacks() -> None:
    with pytest.raises(BadCallback) as refused:
        made(9).read_callback(callback(b"{}"))
    assert refused.value.status == 404
