"""Home: gauges that follow the books, and where a balance went."""

from __future__ import annotations

import pytest
from playwright.async_api import Page, expect

from engine.words import Charge, Operation, Purchase, Unit
from portal.selfcare.shown import KINDS
from tests.portal.selfcare.conftest import Caller, Running, spend


async def use(server: Running, octets: int) -> None:
    await spend(server, Charge, unit=Unit.OCTETS, amount=octets)


@pytest.mark.needs("chromium")
@pytest.mark.asyncio(loop_scope="session")
async def test_a_charge_moves_the_gauge_without_a_reload(inside: Page, server: Running) -> None:
    data = inside.locator(".gauge.octets .left")
    before = await data.inner_text()
    await inside.evaluate("window.same = true")
    await use(server, 30_000_000)
    await expect(data).not_to_have_text(before)
    assert await data.inner_text() == "70 MB"
    assert await inside.locator(".gauge.octets .fill").get_attribute("stroke-dasharray") == "70 100"
    assert await inside.evaluate("window.same")


@pytest.mark.needs("chromium")
@pytest.mark.asyncio(loop_scope="session")
async def test_every_deduction_is_told_with_what_it_was_for(inside: Page, server: Running) -> None:
    await use(server, 1_000_000)
    await inside.reload()
    rows = inside.locator("section[aria-labelledby=why] tbody tr")
    assert "Use" in await rows.nth(0).inner_text() and "1 MB" in await rows.nth(0).inner_text()
    assert "Bundle: 100 MB 1 day" in await rows.nth(1).inner_text()


@pytest.mark.needs("chromium")
@pytest.mark.asyncio(loop_scope="session")
async def test_home_can_be_read_without_script(page: Page, server: Running, inside: Page) -> None:
    browser = page.context.browser
    assert browser is not None
    context = await browser.new_context(java_script_enabled=False, storage_state=await page.context.storage_state())
    plain = await context.new_page()
    await plain.goto(f"{server.url}/portal")
    assert "100 MB" in await plain.locator(".gauge.octets").inner_text()
    await context.close()


@pytest.mark.needs("chromium")
@pytest.mark.asyncio(loop_scope="session")
async def test_the_first_page_is_small(page: Page, server: Running) -> None:
    sizes: list[int] = []

    async def weigh(response: object) -> None:
        sizes.append(len(await response.body()))  # type: ignore[attr-defined]

    page.on("response", weigh)
    await page.goto(f"{server.url}/portal/sign-in")
    await page.wait_for_load_state("networkidle")
    assert len(sizes) >= 3 and sum(sizes) < 100_000


def test_every_kind_of_operation_has_a_name() -> None:
    kinds = {str(one.__struct_config__.tag) for one in Operation.__subclasses__()}
    assert kinds <= KINDS.keys()


@pytest.mark.asyncio(loop_scope="session")
async def test_the_history_says_what_for_as_the_home_page_does(caller: Caller, server: Running) -> None:
    await spend(server, Charge, unit=Unit.OCTETS, amount=5_000_000, category="video")
    product = server.services.operator.products[0]
    await spend(server, Purchase, product=product.code, price=product.price)
    _, page = await caller.get("/history")
    assert "<strong>Use: video</strong>" in page
    assert f"<strong>Bundle: {product.name['en']}</strong>" in page


@pytest.mark.needs("chromium")
@pytest.mark.asyncio(loop_scope="session")
async def test_a_page_that_the_browser_had_kept_is_asked_for_anew(inside: Page) -> None:
    async with inside.expect_navigation():
        await inside.evaluate("dispatchEvent(new PageTransitionEvent('pageshow', {persisted: true}))")
