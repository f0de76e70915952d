"""What Daraja posts to us, the options, and the statement."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import pytest

from configuration.options import WrongOptions
from engine.recharge.gateways.contract import (
    BadCallback,
    BadRow,
    CallbackRequest,
    GatewayState,
    RefundRequest,
    SettlementRow,
)
from engine.recharge.gateways.mpesa.gateway import Gateway
from sandbox.payments.server import PaymentsSandbox
from tests.engine.recharge.gateways.mpesa.account import SECRET, made, pushed
from tests.engine.recharge.gateways.peers import (
    Shop,
    asked_until,
    callback,
    get_text,
    ref,
)

# --- callbacks ---


def offline() -> Gateway:
    return made("http://127.0.0.1:9")


def refused(request: CallbackRequest) -> BadCallback:
    with pytest.raises(BadCallback) as error:
        offline().read_callback(request)
    return error.value


def stk(**given: Any) -> dict[str, Any]:
    values: dict[str, Any] = {
        "Amount": 50.0,
        "MpesaReceiptNumber": "RKTQDM7W6S",
        "TransactionDate": 20261121134211,
        "PhoneNumber": 254712345678,
        **given,
    }
    items = [{"Name": name, "Value": value} for name, value in values.items()]
    callback = {
        "CheckoutRequestID": "ws_CO_1",
        "ResultCode": 0,
        "CallbackMetadata": {"Item": [*items, {"Name": "Balance"}]},
    }
    return {"Body": {"stkCallback": callback}}


def body(content: Any) -> bytes:
    return json.dumps(content).encode()


def test_a_transaction_date_is_nairobis() -> None:
    [event] = offline().read_callback(callback(body(stk()), "own")).events
    assert event.outcome.at == datetime(2026, 11, 21, 10, 42, 11, tzinfo=UTC)


def test_a_number_hidden_behind_stars_is_nobodys() -> None:
    [event] = offline().read_callback(callback(body(stk(PhoneNumber="2547****678")), "own")).events
    assert event.payer_msisdn is None


@pytest.mark.parametrize(
    "content",
    [
        stk(Amount=0),
        stk(Amount=-50),
        stk(Amount=50.001),
        stk(Amount=10**14),
        stk(Amount=float("1e300")),
        stk(Amount=True),
        stk(Amount=None),
        stk(Amount="fifty"),
        stk(MpesaReceiptNumber="x'; --"),
        stk(MpesaReceiptNumber=None),
        stk(TransactionDate=20261399000000),
        stk(TransactionDate="now"),
        {"Body": {}},
        {"Body": {"stkCallback": {"CheckoutRequestID": "ws_CO_1"}}},
        {"Body": {"stkCallback": {"CheckoutRequestID": "ws_CO_1", "ResultCode": 0}}},
        {"Body": {"stkCallback": {"CheckoutRequestID": ["x"], "ResultCode": 1}}},
        {"Body": {"stkCallback": {"CheckoutRequestID": "w", "ResultCode": 0, "CallbackMetadata": {"Item": [1]}}}},
        [],
    ],
    ids=range(18),
)
def test_a_callback_that_makes_no_sense_is_refused(content: Any) -> None:
    assert refused(callback(body(content), "own")).status == 400


def test_truncated_and_oversized_callbacks_are_refused() -> None:
    whole = body(stk())
    assert refused(callback(whole[:-9], "own")).status == 400
    assert refused(callback(whole + b" " * 70_000, "own")).status == 413
    assert refused(callback(b"[" * 60_000, "own")).status == 400


def test_a_callback_on_no_payments_path_is_refused() -> None:
    assert refused(callback(body(stk()))).status == 404


@pytest.mark.parametrize("segment", ["-check", f"{SECRET}-", f"{SECRET}-refund-x", f"{SECRET}-pay-{UUID(int=7).hex}"])
def test_a_path_that_only_begins_like_ours_is_nothing_of_ours(segment: str) -> None:
    confirmation = {"TransID": "RKTQDM7W6S", "TransAmount": "10", "BusinessShortCode": "600638"}
    assert refused(callback(body(confirmation), segment)).status in {400, 404}


def test_who_knows_the_path_of_payers_own_payments_cannot_make_up_what_became_of_one() -> None:
    gateway, payment_id = offline(), UUID(int=7)
    said = {"ReceiptNo": "RKTQDM7W6S", "Amount": 50, "TransactionStatus": "Completed"}
    items = [{"Key": key, "Value": value} for key, value in said.items()]
    result = {"ResultCode": 0, "ConversationID": "AG_1", "ResultParameters": {"ResultParameter": items}}
    asked = gateway._result_url("status", payment_id).rpartition("/")[2]
    [event] = gateway.read_callback(callback(body({"Result": result}), asked)).events
    assert (event.payment_id, event.outcome.state, event.outcome.amount) == (payment_id, GatewayState.CAPTURED, 5_000)
    about, _, proof = asked.rpartition("-")
    for made_up in (about, f"{about}-{'0' * 32}", f"{SECRET}-status-{UUID(int=8).hex}-{proof}"):
        assert refused(callback(body({"Result": result}), made_up)).status == 404


@pytest.mark.parametrize(
    "change",
    [
        {"BusinessShortCode": "600999"},
        {"TransAmount": "-10"},
        {"TransAmount": "1e3"},
        {"TransAmount": "99999999999999999999"},
        {"TransTime": "20261340"},
        {"TransTime": "20261340000000"},
        {"TransTime": "00010101000000"},
        {"BillRefNumber": "\x00"},
        {"BillRefNumber": "x" * 41},
        {"TransID": ""},
    ],
    ids=str,
)
def test_a_confirmation_that_makes_no_sense_is_refused(change: dict[str, str]) -> None:
    whole = {
        "TransID": "RKTQDM7W6S",
        "TransTime": "20261121134211",
        "TransAmount": "10.00",
        "BusinessShortCode": "600638",
        "BillRefNumber": "0712345678",
        "MSISDN": "ab" * 32,
    }
    assert offline().read_callback(callback(body(whole), f"{SECRET}-paid")).events[0].payer_msisdn is None
    assert refused(callback(body(whole | change), f"{SECRET}-paid")).status == 400


@pytest.mark.parametrize("typed", [{"BillRefNumber": ""}, {}, {"BillRefNumber": None}], ids=str)
def test_a_till_asks_for_no_account(typed: dict[str, Any]) -> None:
    whole = {
        "TransID": "RKTQDM7W6S",
        "TransTime": "20261121134211",
        "TransAmount": "10.00",
        "BusinessShortCode": "600638",
    }
    [event] = offline().read_callback(callback(body(whole | typed), f"{SECRET}-paid")).events
    assert (event.account_number, event.outcome.amount) == ("", 1_000)


# --- settings and statement ---


@pytest.mark.parametrize(
    ("options", "public_url", "named"),
    [
        ({"kind": "till"}, "https://x.example", "till"),
        ({"till": "123456"}, "https://x.example", "till"),
        ({"initiator": ""}, "https://x.example", "initiator"),
        ({"shortcode": "abc"}, "https://x.example", "shortcode"),
        ({}, "", "public_url"),
    ],
)
def test_options_that_do_not_fit_are_refused_by_name(options: dict[str, str], public_url: str, named: str) -> None:
    with pytest.raises(WrongOptions, match=named):
        made("http://127.0.0.1:9", public_url, **options)


async def test_the_statement_lists_payments_and_reversals(
    gateway: Gateway, providers: PaymentsSandbox, shop: Shop
) -> None:
    request = pushed(shop, amount=1_250_000)
    pending = await gateway.charge(request)
    await asked_until(
        lambda: gateway.status(ref(request, pending.gateway_ref)), lambda said: said.state is GatewayState.CAPTURED
    )
    receipt = gateway.read_callback((await shop.until(1))[0]).events[0].outcome.gateway_ref
    refund = RefundRequest(payment=ref(request, receipt), refund_id=uuid4(), amount=1_250_000, reason="x")
    await gateway.refund(refund)
    text = await get_text(f"{providers.base_url}/mpesa/statement.csv")
    rows = list(gateway.read_settlement(text.splitlines(keepends=True)))
    assert [(row.gateway_ref, row.amount, row.state) for row in rows if isinstance(row, SettlementRow)] == [
        (receipt, 1_250_000, GatewayState.CAPTURED),
        (receipt, -1_250_000, GatewayState.REFUNDED),
    ]
    assert len(rows) == 2 and rows[0].account_number[:6] == "7F3K2M"


def test_broken_rows_of_the_statement_are_named_and_charges_are_no_payments() -> None:
    head = "Receipt No.,Completion Time,Details,Transaction Status,Paid In,Withdrawn,Reason Type,Linked Transaction ID"
    lines = [
        "Organization Statement",
        f"{head},A/C No.",
        "RKTQDM7W6S,21-11-2026 13:42:11,Pay Bill,Completed,50.00,,Pay Bill Online,,7F3K2M",
        "RKTQDM7W6T,21-11-2026 13:42:11,Pay Bill,Completed,fifty,,Pay Bill Online,,7F3K2M",
        "RKTQDM7W6U,21-11-2026 13:42:11,Charge,Completed,,-0.55,Pay Bill Charge,RKTQDM7W6S,",
        "RKTQDM7W6V,21-11-2026 13:42:11,Pay Bill,Failed,50.00,,Pay Bill Online,,7F3K2M",
        "RKTQDM7W6W,31-13-2026 13:42:11,Pay Bill,Completed,50.00,,Pay Bill Online,,7F3K2M",
        "RKTQDM7W6X,21-11-2026 13:42:11,Pay Bill,Completed,,,Pay Bill Online,,7F3K2M",
    ]
    rows = list(offline().read_settlement(lines))
    assert [row.line for row in rows if isinstance(row, BadRow)] == [4, 7, 8]
    [row] = [row for row in rows if isinstance(row, SettlementRow)]
    assert row.at == datetime(2026, 11, 21, 10, 42, 11, tzinfo=UTC)
