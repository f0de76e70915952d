"""Stripe against a server that speaks as Stripe does, and against Stripe's own library for signatures."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
import stripe

from engine.recharge.gateways.contract import (
    BadCallback,
    BadRow,
    CallbackRequest,
    DeclineReason,
    Event,
    GatewayState,
    Payer,
    RefundRequest,
    SettlementRow,
)
from engine.recharge.gateways.options import Tools, WrongOptions
from engine.recharge.gateways.stripe.codes import outcome_of
from engine.recharge.gateways.stripe.gateway import Gateway
from engine.recharge.gateways.stripe.money import from_stripe, to_stripe
from sandbox.payments.server import PaymentsSandbox
from tests.engine.recharge.gateways.peers import (
    ACCOUNTS,
    IMPATIENT,
    SENSELESS,
    Broken,
    Shop,
    callback,
    charge,
    get_text,
    post,
    ref,
)

NEW_SECRET, OLD_SECRET = ACCOUNTS.stripe_webhook_secret, "whsec_the_one_before"
CARD = Payer(token="cus_1/pm_card_visa")


def made(base_url: str, seconds: float = 5.0, **options: Any) -> Gateway:
    given = {
        "secret_key": ACCOUNTS.stripe_secret_key,
        "webhook_secrets": (NEW_SECRET, OLD_SECRET),
        "base_url": base_url,
        **options,
    }
    return Gateway("stripe", given, Tools(timeout_seconds=seconds))


@pytest.fixture
async def gateway(providers: PaymentsSandbox) -> AsyncIterator[Gateway]:
    gateway = made(f"{providers.base_url}/stripe", return_url="https://rasid.example/paid")
    await gateway.start()
    yield gateway
    await gateway.stop()


@pytest.fixture
async def impatient(providers: PaymentsSandbox) -> AsyncIterator[Gateway]:
    gateway = made(f"{providers.base_url}/stripe", IMPATIENT, search_lag_seconds=60)
    yield gateway
    await gateway.stop()


def by_card(**given: Any) -> Any:
    return charge(**{"payer": CARD, "currency": "USD", "amount": 1250, **given})


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


async def test_the_same_key_with_another_amount_is_refused_without_effect(
    gateway: Gateway, providers: PaymentsSandbox
) -> None:
    request = by_card()
    await gateway.charge(request)
    again = await gateway.charge(by_card(payment_id=request.payment_id, amount=9999))
    assert again.state is not GatewayState.CAPTURED
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


async def report(gateway: Gateway) -> list[SettlementRow]:
    text = await get_text(f"{gateway._options.base_url}/report.csv", ACCOUNTS.stripe_secret_key)
    rows = list(gateway.read_settlement(text.splitlines(keepends=True)))
    assert all(isinstance(row, SettlementRow) for row in rows)
    return rows


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
    assert (created.outcome.state, closed.outcome.state) == (GatewayState.CHARGEBACK, GatewayState.CAPTURED)
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
        (event("charge.dispute.created", status="warning_needs_response"), GatewayState.CHARGEBACK, False),
        (event("charge.dispute.closed", status="lost"), GatewayState.CHARGEBACK, False),
        (event("charge.dispute.closed", status="won"), GatewayState.CAPTURED, False),
        (event("charge.dispute.closed", status="warning_closed"), GatewayState.CAPTURED, False),
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
