"""Finance and operations in a real browser: a held payment, the live dashboard, and every page at both widths."""

from __future__ import annotations

import asyncio

import pytest
from playwright.async_api import Browser, Page, expect

from engine.words import PaymentState, Role
from runtime.pulse import Pulse
from tests.portal.console.conftest import Console
from tests.portal.console.finance.ground import held_payment, settled_payment
from tests.portal.console.test_journeys import look_closely, sit_down
from tests.portal.selfcare.conftest import is_accessible

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.needs("chromium")]


async def test_a_held_payment_is_seen_with_its_facts_and_released(paying: Console, browser: Browser) -> None:
    held = await held_payment(paying)
    errors: list[str] = []
    page = await sit_down(browser, paying, Role.FINANCE, errors)
    await page.get_by_role("link", name="Held payments").click()
    await look_closely(page)
    await page.get_by_role("link", name=held.reference).click()
    await look_closely(page)
    await page.locator("#why-release").fill("Called back, it is them")
    await page.get_by_role("button", name="Let it pass").click()
    await expect(page.locator(".notice.good")).to_have_text("Released: the payer is asked now.")
    await expect(page.locator("tbody")).to_contain_text("Released by staff")
    await look_closely(page)
    found = await paying.engine.payment(held.payment_id)
    assert found is not None and found.state is not PaymentState.REVIEW
    assert errors == []
    await page.context.close()


async def test_the_dashboard_moves_without_a_reload(paying: Console, browser: Browser) -> None:
    errors: list[str] = []
    page = await sit_down(browser, paying, Role.SUPPORT, errors)
    await page.get_by_role("link", name="Dashboard").click()
    turns = page.locator("section[aria-labelledby=turns] .value")
    await expect(turns).to_have_text("0.0")
    await page.evaluate("window.same = true")
    stop = asyncio.Event()
    busy = asyncio.create_task(serve_turns(paying, stop))
    await expect(turns).not_to_have_text("0.0", timeout=30_000)
    await expect(page.locator(".proof.good h2")).to_have_text("The books are right", timeout=30_000)
    stop.set()
    await busy
    assert await page.evaluate("window.same")
    await look_closely(page)
    assert errors == []
    await page.context.close()


async def serve_turns(console: Console, stop: asyncio.Event) -> None:
    """What the meters of a busy server tell."""
    pulse = Pulse(console.services.redis, console.services.metrics, "ussd")
    while not stop.is_set():
        console.services.metrics.turn_seconds.labels("africastalking", "answered").observe(0.01)
        await pulse.beat()
        await asyncio.sleep(0.2)


async def test_every_page_is_accessible_and_fits_a_phone_in_arabic_from_right_to_left(
    paying: Console,
    browser: Browser,
) -> None:
    payment = await settled_payment(paying)
    await paying.engine.disputes.open(payment.reference, "never arrived", "amina")
    errors: list[str] = []
    page = await sit_down(browser, paying, Role.ADMIN, errors, locale="ar", color_scheme="dark")
    await page.set_viewport_size({"width": 360, "height": 800})
    for path in await links(page):
        await page.goto(f"{paying.url}{path}")
        await is_accessible(page)
    for path, inner in (("/payments", "tbody a"), ("/disputes", "tbody a"), ("/vouchers", "tbody a")):
        await page.goto(f"{paying.url}/console{path}")
        await page.locator(inner).first.click()
        await page.wait_for_load_state()
        await is_accessible(page)
    await page.goto(f"{paying.url}/console/dialogs/recharge")
    drawn = "document.querySelector('.drawing img').naturalWidth"
    assert await page.evaluate(drawn) > 0
    await is_accessible(page)
    assert errors == []
    await page.context.close()


async def links(page: Page) -> list[str]:
    """The pages of finance and operations in the navigation."""
    found = [await one.get_attribute("href") or "" for one in await page.locator(".side a").all()]
    return [one for one in found if one not in ("/console", "/console/staff", "/console/me", "/console/requests")]
