"""A card that nobody has saved: from the portal to the payment service's page and back, in a real browser."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import msgspec
import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, expect

from engine.words import PaymentState, Unit
from sandbox.payments.server import PaymentsSandbox
from settings import PaymentGatewaySettings, Settings
from tests.portal.providers import ACCOUNTS
from tests.portal.selfcare.conftest import KENYA, QATAR, Caller, Running, is_accessible, session_of

browsed = pytest.mark.needs("chromium")
looped = pytest.mark.asyncio(loop_scope="session")


@pytest.fixture
def settings(settings: Settings, sandbox: PaymentsSandbox) -> Settings:
    """With a gateway to it; where payers come back to is set once the portal listens."""
    options = {
        "base_url": f"{sandbox.base_url}/stripe",
        "secret_key": ACCOUNTS.stripe_secret_key,
        "webhook_secrets": (ACCOUNTS.stripe_webhook_secret,),
        "return_url": "https://rasid.example/portal/paid",
    }
    gateway = PaymentGatewaySettings(adapter="stripe", options=options, callback_base="http://127.0.0.1:9")
    return settings.model_copy(update={"payment_gateways": {"stripe": gateway}})


@pytest_asyncio.fixture(loop_scope="session")
async def paying(server: Running, sandbox: PaymentsSandbox) -> Running:
    """The portal, and the card network that tells it what was paid."""
    gateway: Any = server.engine.payments._gateways.get("stripe")
    gateway._options = gateway._options.model_copy(update={"return_url": f"{server.url}/portal/paid"})
    told = {"stripe_webhook_url": f"{server.url}/payments/stripe/callback"}
    sandbox.desk.accounts = msgspec.structs.replace(sandbox.desk.accounts, **told)
    await server.engine.payments.start()
    return server


@pytest_asyncio.fixture(loop_scope="session")
async def shopper(browser: Browser, paying: Running, width: int) -> AsyncIterator[Page]:
    """Signed in; whatever a test does breaks no policy of our pages, on the way to another host neither."""
    context = await browser.new_context(viewport={"width": width, "height": 800}, locale="en")
    name, value = await session_of(paying)
    await context.add_cookies([{"name": name, "value": value, "url": paying.url}])
    page = await context.new_page()
    errors: list[str] = []
    page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: errors.append(str(error)))
    yield page
    await context.close()
    # A browser asks every host for an icon; the sandbox has none.
    assert [one for one in errors if "favicon" not in one and "404" not in one] == []


@browsed
@looped
@pytest.mark.parametrize(("place", "width"), [(KENYA, 1280), (QATAR, 360)], indirect=True)
async def test_a_payer_is_led_to_the_page_pays_there_and_sees_it_credited(
    shopper: Page, paying: Running, sandbox: PaymentsSandbox
) -> None:
    before = (await paying.line()).total(Unit.MONEY)
    await shopper.goto(f"{paying.url}/portal/pay")
    await is_accessible(shopper)
    await shopper.locator("#amount").fill("75")
    await shopper.locator("input[value=new_card]").check()
    await shopper.locator("input[name=keep]").check()
    await shopper.locator("main form button").click()
    await shopper.wait_for_url(f"{sandbox.base_url}/checkout/*")
    await is_accessible(shopper)
    await shopper.locator("input[value=refused]").check()
    await shopper.locator("button").click()
    await expect(shopper.locator("[role=alert]")).to_contain_text("Try another one")
    await shopper.locator("input[value=visa]").check()
    await shopper.locator("button").click()
    await shopper.wait_for_url(f"{paying.url}/portal/payments/*")
    (payment,) = await paying.engine.payments_of((await paying.line()).account)
    for _ in range(100):
        if (await paying.line()).total(Unit.MONEY) == before + 7_500:
            break
        await shopper.wait_for_timeout(50)
    await expect(shopper.locator("main .notice.good")).to_be_visible()
    await expect(shopper.locator("main form")).to_have_count(0)
    await is_accessible(shopper)
    assert (await paying.engine.payment(payment.payment_id)).state is PaymentState.SETTLED  # type: ignore[union-attr]
    await shopper.goto(f"{paying.url}/portal/cards")
    await expect(shopper.locator("main .item")).to_contain_text("Visa")
    # Nobody is texted the link that they have followed.
    assert not [one for one in await paying.texts() if "/checkout/" in one]


@browsed
@looped
async def test_who_comes_back_without_paying_can_go_on_or_call_it_off(
    shopper: Page, paying: Running, sandbox: PaymentsSandbox
) -> None:
    await shopper.goto(f"{paying.url}/portal/pay")
    await shopper.locator("#amount").fill("75")
    await shopper.locator("input[value=new_card]").check()
    await shopper.locator("main form button").click()
    await shopper.wait_for_url(f"{sandbox.base_url}/checkout/*")
    await shopper.locator("a").click()
    await shopper.wait_for_url(f"{paying.url}/portal/payments/*")
    await is_accessible(shopper)
    await shopper.locator("main a.button").first.click()
    await shopper.wait_for_url(f"{sandbox.base_url}/checkout/*")
    await shopper.locator("a").click()
    await shopper.get_by_role("button", name="Do not pay").click()
    await expect(shopper.locator("main .notice.bad")).to_be_visible()
    (payment,) = await paying.engine.payments_of((await paying.line()).account)
    assert (payment.state, payment.reason) == (PaymentState.DECLINED, "cancelled")


@looped
async def test_who_got_the_link_by_text_is_thanked_and_told_nothing_of_any_payment(paying: Running) -> None:
    async with aiohttp.ClientSession() as http:
        async with http.get(f"{paying.url}/portal/paid?payment=00000000-0000-4000-8000-000000000000") as answer:
            assert answer.status == 200
            assert "We text you as soon as your payment is credited." in await answer.text()


@looped
async def test_a_payment_service_leads_nowhere_but_to_a_payment(caller: Caller, paying: Running) -> None:
    for named in ("//evil.example", "../cards", "x" * 36, ""):
        status, body = await caller.get(f"/paid?payment={named}")
        assert status == 200 and "We text you" in body
