"""Stripe's own page for a card: what is asked for, what it answers, and what makes no sense."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import aiohttp
import pytest

from engine.recharge.gateways.contract import BadCallback, DeclineReason, GatewayState, Payer
from engine.recharge.gateways.offers import OffersPage
from engine.recharge.gateways.stripe.gateway import Gateway
from engine.recharge.gateways.stripe.pages import back, card_of, session_form, session_outcome
from engine.recharge.gateways.stripe.webhook import read_event
from sandbox.payments.server import PaymentsSandbox
from tests.engine.recharge.gateways.peers import ACCOUNTS, charge, ref
from tests.engine.recharge.gateways.stripe.account import made

ON_PAGE, KEPT = Payer(page=True), Payer(page=True, keep=True)


def wanted(**given: Any) -> Any:
    return charge(**{"payer": ON_PAGE, "asked_at": datetime.now(UTC), **given})


async def pay(link: str | None, card: str = "visa") -> int:
    assert link is not None
    async with aiohttp.ClientSession() as http:
        async with http.post(link, data={"card": card}, allow_redirects=False) as answer:
            return answer.status


async def test_a_page_is_opened_once_for_each_payment(gateway: Gateway, providers: PaymentsSandbox) -> None:
    assert isinstance(gateway, OffersPage) and gateway.has_page
    request = wanted()
    first, second = await gateway.charge(request), await gateway.charge(request)
    assert first == second
    assert (first.state, first.amount, first.currency) == (GatewayState.PENDING, 5000, "KES")
    assert str(first.gateway_ref).startswith("cs_") and str(first.action_url).startswith(providers.base_url)
    assert len(list(providers.desk.ledger.all("stripe"))) == 1


async def test_paid_is_what_the_page_says_and_the_intent_is_its_name_from_then_on(gateway: Gateway) -> None:
    request = wanted(payer=KEPT)
    page = await gateway.charge(request)
    asked = ref(request, page.gateway_ref)
    assert (await gateway.status(asked)).state is GatewayState.PENDING
    assert await pay(page.action_url) == 303
    said = await gateway.status(asked)
    assert said.state is GatewayState.CAPTURED and str(said.gateway_ref).startswith("pi_")
    assert said.card is not None
    assert (said.card.brand, said.card.last_four) == ("Visa", "4242")
    assert said.card.token.startswith("cus_") and "/pm_" in said.card.token
    assert (await gateway.status(ref(request, said.gateway_ref))).card == said.card


async def test_nothing_is_said_of_a_card_that_its_payer_does_not_want_kept(gateway: Gateway) -> None:
    request = wanted()
    page = await gateway.charge(request)
    await pay(page.action_url)
    assert (await gateway.status(ref(request, page.gateway_ref))).card is None


async def test_a_page_can_be_closed_and_one_that_was_paid_on_cannot(gateway: Gateway) -> None:
    request = wanted()
    page = await gateway.charge(request)
    ended = await gateway.cancel(ref(request, page.gateway_ref))
    assert (ended.state, ended.reason) == (GatewayState.DECLINED, DeclineReason.CANCELLED)
    assert await pay(page.action_url) == 410
    other = wanted()
    page = await gateway.charge(other)
    await pay(page.action_url)
    assert (await gateway.cancel(ref(other, page.gateway_ref))).state is GatewayState.CAPTURED


async def test_what_was_reserved_on_a_page_is_taken_or_let_go(providers: PaymentsSandbox) -> None:
    options = {"return_url": "https://rasid.example/paid", "hold": True}
    gateway = made(f"{providers.base_url}/stripe", **options)
    for end, state in ((gateway.confirm, GatewayState.CAPTURED), (gateway.cancel, GatewayState.DECLINED)):
        request = wanted()
        page = await gateway.charge(request)
        await pay(page.action_url)
        asked = ref(request, page.gateway_ref)
        assert (await gateway.status(asked)).state is GatewayState.HELD
        assert (await end(asked)).state is state
    await gateway.stop()


async def test_without_a_place_to_come_back_to_there_is_no_page(providers: PaymentsSandbox) -> None:
    gateway = made(f"{providers.base_url}/stripe")
    assert not gateway.has_page
    assert (await gateway.charge(wanted())).state is GatewayState.DECLINED
    await gateway.stop()


@pytest.mark.parametrize("play", ["hang", "error", "drop"])
async def test_a_page_that_is_not_answered_is_unknown(providers: PaymentsSandbox, script: Any, play: str) -> None:
    gateway = made(f"{providers.base_url}/stripe", 0.6, return_url="https://rasid.example/paid")
    await script(play)
    assert (await gateway.charge(wanted())).state is GatewayState.UNKNOWN
    await gateway.stop()


async def test_what_stripe_does_not_take_is_declined(gateway: Gateway) -> None:
    outcome = await gateway.charge(wanted(asked_at=datetime.now(UTC) - timedelta(hours=2)))
    assert (outcome.state, outcome.provider_code) == (GatewayState.DECLINED, "parameter_invalid")


def test_what_is_sent_depends_on_the_payment_alone_and_names_no_number() -> None:
    request = wanted(payer=KEPT)
    given = {"return_url": "https://rasid.example/paid?a=1", "lasts": timedelta(hours=1), "holds": False}
    form = session_form(request, 5000, **given)
    assert form == session_form(request, 5000, **given)
    assert form["expires_at"] == str(int(request.asked_at.timestamp()) + 3600)
    assert form["success_url"] == f"https://rasid.example/paid?a=1&payment={request.payment_id}"
    assert form["payment_intent_data[metadata][payment_id]"] == str(request.payment_id)
    assert form["payment_intent_data[setup_future_usage]"] == "off_session"
    once = session_form(wanted(), 5000, **given)
    assert not [name for name in once if "setup_future_usage" in name or "customer" in name]


def test_an_address_keeps_what_it_asks_for() -> None:
    assert back("https://a.example/x?q=a%20b&e=#f", 7) == "https://a.example/x?q=a+b&e=&payment=7#f"


SESSION = {
    "id": "cs_1",
    "status": "open",
    "currency": "kes",
    "amount_total": 5000,
    "metadata": {"payment_id": "0b7b7b7e-0000-4000-8000-000000000001", "page": "true"},
    "payment_intent": None,
}


@pytest.mark.parametrize(
    "wrong", [{"status": "other"}, {"id": None}, {"amount_total": "5000"}, {"amount_total": 10**16}, {"status": None}]
)
def test_a_page_that_makes_no_sense_is_unknown(wrong: dict[str, Any]) -> None:
    assert session_outcome(SESSION).state is GatewayState.PENDING
    assert session_outcome(SESSION | wrong).state is GatewayState.UNKNOWN


def told(kind: str, found: dict[str, Any]) -> Any:
    return read_event({"id": "evt_1", "type": kind, "created": int(time.time()), "data": {"object": found}})


def test_only_what_moves_money_is_believed_of_a_pages_intent() -> None:
    intent = {"id": "pi_1", "currency": "kes", "amount": 5000, "metadata": SESSION["metadata"]}
    for status in ("requires_payment_method", "processing", "requires_action", "canceled"):
        assert told("payment_intent.payment_failed", intent | {"status": status}) is None
    paid = told("payment_intent.succeeded", intent | {"status": "succeeded"})
    assert (paid.outcome.state, paid.ask_status) == (GatewayState.CAPTURED, False)
    keeps = {"metadata": {**intent["metadata"], "keep": "true"}}  # type: ignore[dict-item]
    assert told("payment_intent.succeeded", intent | {"status": "succeeded"} | keeps).ask_status


def test_a_session_that_is_none_of_ours_tells_nothing_and_one_that_is_malformed_is_refused() -> None:
    paid = SESSION | {"status": "complete", "payment_status": "paid", "payment_intent": "pi_1"}
    event = told("checkout.session.completed", paid)
    assert (event.outcome.state, event.outcome.gateway_ref, event.status_ref) == (GatewayState.CAPTURED, "pi_1", "cs_1")
    assert told("checkout.session.completed", paid | {"metadata": {}}) is None
    for wrong in ({"id": "pi_1"}, {"currency": "KES!"}, {"amount_total": -1}, {"payment_intent": 7}):
        with pytest.raises(BadCallback):
            told("checkout.session.completed", paid | wrong)


CHARGE = {
    "payment_method": "pm_1",
    "payment_method_details": {"card": {"brand": "visa", "last4": "4242", "exp_month": 12, "exp_year": 2034}},
}


@pytest.mark.parametrize(
    "wrong",
    [
        {"setup_future_usage": None},
        {"customer": None},
        {"latest_charge": "ch_1"},
        {"latest_charge": CHARGE | {"payment_method": None}},
        {"latest_charge": CHARGE | {"payment_method_details": {"type": "link"}}},
        {"latest_charge": CHARGE | {"payment_method_details": {"card": {"exp_month": 13, "exp_year": 2034}}}},
    ],
)
def test_a_card_that_is_not_told_in_full_is_not_kept(wrong: dict[str, Any]) -> None:
    intent = {"setup_future_usage": "off_session", "customer": "cus_1", "latest_charge": CHARGE}
    card = card_of(intent)
    assert card is not None and card.expires_at == datetime(2035, 1, 1, tzinfo=UTC)
    assert card_of(intent | wrong) is None


async def test_the_page_tells_what_it_is_and_refuses_what_it_does_not_offer(
    gateway: Gateway, providers: PaymentsSandbox
) -> None:
    link = str((await gateway.charge(wanted(description="<b>Airtime</b>"))).action_url)
    async with aiohttp.ClientSession() as http:
        async with http.get(link) as answer:
            page = await answer.text()
        assert "no money moves" in page and "50" in page and "<b>" not in page
        async with http.post(link, data={"card": "none"}) as answer:
            assert "Choose a card." in await answer.text()
        async with http.get(f"{providers.base_url}/checkout/cs_none") as answer:
            assert answer.status == 404
        key = {"Authorization": f"Bearer {ACCOUNTS.stripe_secret_key}"}
        async with http.post(f"{providers.base_url}/stripe/v1/checkout/sessions", data={}, headers=key) as answer:
            assert answer.status == 400 and json.loads(await answer.text())["error"]["code"] == "parameter_missing"
