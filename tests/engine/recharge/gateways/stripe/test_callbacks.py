"""Amounts as Stripe counts them, what it posts to us, and its report."""

from __future__ import annotations

import json
import time
from typing import Any
from uuid import UUID

import pytest
import stripe

from configuration.options import WrongOptions
from engine.recharge.gateways.contract import (
    BadCallback,
    BadRow,
    CallbackRequest,
    Dispute,
    Event,
    GatewayState,
    SettlementRow,
)
from engine.recharge.gateways.stripe.codes import disputes_of, outcome_of
from engine.recharge.gateways.stripe.gateway import Gateway
from engine.recharge.gateways.stripe.money import from_stripe, to_stripe
from sandbox.payments.server import PaymentsSandbox
from tests.engine.recharge.gateways.peers import (
    Shop,
    callback,
)
from tests.engine.recharge.gateways.stripe.account import NEW_SECRET, OLD_SECRET, by_card, made, report

# --- amounts ---


@pytest.mark.parametrize(
    ("minor", "currency", "theirs"),
    [(1250, "USD", 1250), (500, "JPY", 500), (500, "UGX", 50_000), (12_340, "BHD", 12_340), (500, "MGA", 500)],
)
def test_amounts_are_counted_as_stripe_counts_them(minor: int, currency: str, theirs: int) -> None:
    assert to_stripe(minor, currency) == theirs
    assert from_stripe(theirs, currency) == minor


def test_what_stripe_cannot_express_is_refused() -> None:
    with pytest.raises(ValueError, match="finer"):
        to_stripe(12_345, "BHD")
    with pytest.raises(ValueError, match="finer"):
        from_stripe(50_001, "UGX")


async def test_an_amount_that_cannot_be_paid_is_never_asked_for(gateway: Gateway, providers: PaymentsSandbox) -> None:
    for amount, currency in ((0, "USD"), (-1, "USD"), (10**16, "USD"), (12_345, "BHD")):
        assert (await gateway.charge(by_card(amount=amount, currency=currency))).state is GatewayState.DECLINED
    assert list(providers.desk.ledger.all()) == []


# --- events ---


def signed(body: bytes, secret: str = NEW_SECRET, at: float | None = None) -> str:
    """As Stripe's own library signs."""
    seconds = int(time.time() if at is None else at)
    digest = stripe.WebhookSignature._compute_signature(f"{seconds}.{body.decode()}", secret)
    return f"t={seconds},v1={digest}"


def event(kind: str = "payment_intent.succeeded", **found: Any) -> bytes:
    intent = {
        "id": "pi_1",
        "object": "payment_intent",
        "status": "succeeded",
        "amount": 1250,
        "amount_received": 1250,
        "currency": "usd",
        "payment_intent": "pi_1",
        "metadata": {"payment_id": "0192d6f0-0000-7000-8000-000000000001"},
        **found,
    }
    return json.dumps({"id": "evt_1", "type": kind, "created": 1_795_000_000, "data": {"object": intent}}).encode()


def offline() -> Gateway:
    return made("http://127.0.0.1:9")


def read(body: bytes) -> Event | None:
    events = offline().read_callback(callback(body, stripe_signature=signed(body))).events
    return events[0] if events else None


def refused(request: CallbackRequest) -> BadCallback:
    with pytest.raises(BadCallback) as error:
        offline().read_callback(request)
    return error.value


async def test_stripes_own_library_accepts_what_our_sandbox_signs(gateway: Gateway, shop: Shop) -> None:
    await gateway.charge(by_card())
    [heard] = await shop.until(1)
    header = heard.headers["stripe-signature"]
    assert stripe.WebhookSignature.verify_header(heard.body.decode(), header, NEW_SECRET, 300)


def test_what_stripes_own_library_signs_is_accepted_under_each_secret_in_force() -> None:
    body = event()
    for secret in (NEW_SECRET, OLD_SECRET):
        assert offline().read_callback(callback(body, stripe_signature=signed(body, secret))).events


def test_while_stripe_rotates_it_signs_twice_and_one_that_fits_is_enough() -> None:
    body, other = event(), "0" * 64
    header = f"{signed(body)},v1={other},v0={other}"
    assert offline().read_callback(callback(body, stripe_signature=header)).events


def test_forged_stale_and_truncated_events_are_refused() -> None:
    body = event()
    for header in ("", signed(body, "whsec_guessed"), signed(event(amount=1)), signed(body).replace("v1", "v0")):
        assert refused(callback(body, stripe_signature=header)).status == 401
    for seconds in (-301, 301):
        stale = signed(body, at=time.time() + seconds)
        assert refused(callback(body, stripe_signature=stale)).status == 401
    assert refused(callback(body[:-5], stripe_signature=signed(body))).status == 401
    assert refused(callback(body + b" " * 70_000, stripe_signature=signed(body))).status == 413


@pytest.mark.parametrize(
    ("body", "state", "asks"),
    [
        (event(), GatewayState.CAPTURED, False),
        (event("payment_intent.processing", status="processing"), GatewayState.PENDING, False),
        (event("payment_intent.amount_capturable_updated", status="requires_capture"), GatewayState.HELD, False),
        (event("payment_intent.payment_failed", status="requires_payment_method"), GatewayState.DECLINED, True),
        (event("payment_intent.canceled", status="canceled"), GatewayState.DECLINED, True),
        (event("charge.refunded", amount_refunded=250), GatewayState.REFUNDED, False),
        (event("charge.refund.updated", status="failed"), GatewayState.REFUND_FAILED, False),
        (event("refund.failed", status="failed"), GatewayState.REFUND_FAILED, False),
        (event("charge.dispute.created", status="needs_response"), GatewayState.CHARGEBACK, False),
        # The bank only asked at first.
        (event("charge.dispute.funds_withdrawn", status="needs_response"), GatewayState.CHARGEBACK, False),
        (event("charge.dispute.closed", status="lost"), GatewayState.CHARGEBACK, False),
        (event("charge.dispute.closed", status="won"), GatewayState.REINSTATED, False),
    ],
)
def test_each_kind_of_event_says_what_has_become_of_the_payment(body: bytes, state: GatewayState, asks: bool) -> None:
    found = read(body)
    assert found is not None
    assert (found.outcome.state, found.ask_status, found.outcome.gateway_ref) == (state, asks, "pi_1")
    assert found.payment_id == UUID("0192d6f0-0000-7000-8000-000000000001")


@pytest.mark.parametrize(
    "body",
    [
        event("customer.created"),
        event("payment_intent.partially_funded", status="something_new"),
        event("charge.refunded", payment_intent=None, amount_refunded=1),
        event("charge.refund.updated", status="succeeded"),
        # The bank only asks: no money has moved.
        event("charge.dispute.created", status="warning_needs_response"),
        event("charge.dispute.closed", status="warning_closed"),
    ],
)
def test_events_that_tell_nothing_of_a_payment_are_taken_and_forgotten(body: bytes) -> None:
    assert read(body) is None


@pytest.mark.parametrize(
    "body",
    [
        event(amount_received=0),
        event(amount_received=-1),
        event(amount_received=10**16),
        event(amount=10**400),
        event(amount="1250"),
        event(currency="US$"),
        event(currency=None),
        event(id=["pi_1"]),
        event("charge.refunded", amount_refunded=-1),
        event("charge.refunded", amount_refunded=1.5),
        event("charge.dispute.created", amount=0),
        b'{"id": "evt_1", "type": "payment_intent.succeeded"}',
        b'{"type": "payment_intent.succeeded"}',
        b"[]",
        b"{",
    ],
    ids=range(15),
)
def test_a_signed_event_that_makes_no_sense_is_refused_all_the_same(body: bytes) -> None:
    assert refused(callback(body, stripe_signature=signed(body))).status == 400


def test_a_status_that_nobody_knows_is_unknown() -> None:
    assert outcome_of({"id": "pi_1", "status": "new", "amount": 1, "currency": "usd"}).state is GatewayState.UNKNOWN
    assert outcome_of({}).state is GatewayState.UNKNOWN


def test_of_disputes_what_makes_no_sense_is_left_out() -> None:
    whole = {"id": "dp_1", "status": "lost", "amount": 700}
    asks = whole | {"status": "warning_needs_response"}
    told = disputes_of([None, "dp_0", {}, whole | {"amount": "7"}, whole | {"id": 7}, asks, whole], "USD")
    assert told == (Dispute(name="dp_1", amount=700, ended=True),)


# --- settings and report ---


@pytest.mark.parametrize(
    ("options", "named"),
    [({"webhook_secrets": ()}, "webhook_secrets"), ({"secret_key": ""}, "secret_key"), ({"speed": 1}, "speed")],
)
def test_wrong_options_are_refused_by_name(options: dict[str, Any], named: str) -> None:
    with pytest.raises(WrongOptions, match=named):
        made("http://127.0.0.1:9", **options)


async def test_the_report_names_our_payment_and_stripes_fee(gateway: Gateway) -> None:
    request = by_card(amount=10_000)
    outcome = await gateway.charge(request)
    [row] = await report(gateway)
    assert (row.payment_id, row.gateway_ref, row.amount) == (request.payment_id, outcome.gateway_ref, 10_000)
    assert (row.fee, row.currency, row.state) == (290, "USD", GatewayState.CAPTURED)


def test_broken_rows_of_the_report_are_named_and_payouts_are_no_payments() -> None:
    lines = [
        "reporting_category,payment_intent_id,gross,fee,currency,created_utc",
        "charge,pi_1,12.50,0.36,usd,2026-11-21 10:42:11",
        "payout,,-12.14,0.00,usd,2026-11-21 10:42:11",
        "refund,pi_1,12.50,0.00,usd,2026-11-21 10:42:11",
        "charge,pi_2,12.505,0.36,usd,2026-11-21 10:42:11",
        "charge,pi_2,NaN,0.36,usd,2026-11-21 10:42:11",
        "dispute,pi_1,-12.50,15.00,usd,2026-11-21 10:42:11",
    ]
    rows = list(offline().read_settlement(lines))
    assert [row.line for row in rows if isinstance(row, BadRow)] == [4, 5, 6]
    assert [row.amount for row in rows if isinstance(row, SettlementRow)] == [1250, -1250]
