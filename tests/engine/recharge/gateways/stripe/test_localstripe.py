"""Stripe as others have written it (localstripe): holding, taking, giving back, and the events that it signs."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import suppress
from uuid import uuid4

import aiohttp
import pytest

from engine.recharge.gateways.contract import GatewayState, RefundRequest
from engine.recharge.gateways.options import Tools
from engine.recharge.gateways.stripe.gateway import Gateway
from tests.engine.recharge.gateways.peers import Shop, charge, ref

KEY, SECRET = "sk_test_localstripe", "whsec_localstripe"
AUTHORIZED = {"Authorization": f"Bearer {KEY}"}


@pytest.fixture
async def localstripe(dead_port: int) -> AsyncIterator[str]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "localstripe", "--port", str(dead_port), "--from-scratch"),
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    url = f"http://127.0.0.1:{dead_port}"
    try:
        await answers(url)
        yield url
    finally:
        process.terminate()
        await process.wait()


async def answers(url: str) -> None:
    """Wait until localstripe does."""
    async with asyncio.timeout(30), aiohttp.ClientSession() as session:
        up = False
        while not up:
            await asyncio.sleep(0.1)
            with suppress(aiohttp.ClientError):
                async with session.get(f"{url}/v1/customers", headers=AUTHORIZED) as answer:
                    up = answer.status == 200


async def made(url: str, path: str, **form: str) -> str:
    async with aiohttp.ClientSession(headers=AUTHORIZED) as session:
        async with session.post(f"{url}/v1/{path}", data=form) as answer:
            content = await answer.json()
            assert answer.status == 200, content
            return str(content["id"])


async def reserved(url: str, payment_id: str) -> str:
    """A PaymentIntent that is held. Its own call: localstripe knows no descriptions."""
    card = {"card[number]": "4242424242424242", "card[exp_month]": "12", "card[exp_year]": "2040", "card[cvc]": "123"}
    method = await made(url, "payment_methods", type="card", **card)
    customer = await made(url, "customers")
    await made(url, f"payment_methods/{method}/attach", customer=customer)
    form = {"amount": "1250", "currency": "usd", "payment_method": method, "customer": customer}
    more = {"confirm": "true", "capture_method": "manual", "metadata[payment_id]": payment_id}
    return await made(url, "payment_intents", **form, **more)


async def test_what_localstripe_holds_is_taken_given_back_and_let_go(localstripe: str, shop: Shop) -> None:
    hook = {"url": f"{shop.url}/payments/stripe/callback", "secret": SECRET, "events": ["payment_intent.succeeded"]}
    async with aiohttp.ClientSession(headers=AUTHORIZED) as session:
        async with session.post(f"{localstripe}/_config/webhooks/rasid", json=hook) as answer:
            assert answer.status == 200
    options = {"secret_key": KEY, "webhook_secrets": (SECRET,), "base_url": localstripe, "hold": True}
    gateway = Gateway("stripe", options, Tools())
    request = charge(amount=1250, currency="USD")
    payment = ref(request, await reserved(localstripe, str(request.payment_id)))
    assert (await gateway.status(payment)).state is GatewayState.HELD
    taken = await gateway.confirm(payment)
    assert taken.state is GatewayState.CAPTURED and taken.gateway_ref == payment.gateway_ref
    [event] = gateway.read_callback((await shop.until(1, 20))[0]).events
    assert (event.payment_id, event.outcome.state) == (request.payment_id, GatewayState.CAPTURED)
    assert event.outcome.gateway_ref == payment.gateway_ref
    refund = RefundRequest(payment=payment, refund_id=uuid4(), amount=1250, reason="mistake")
    given = await gateway.refund(refund)
    assert (given.state, given.amount, given.currency) == (GatewayState.REFUNDED, 1250, "USD")
    other = ref(charge(), await reserved(localstripe, str(uuid4())))
    assert (await gateway.cancel(other)).state is GatewayState.DECLINED
    await gateway.stop()
