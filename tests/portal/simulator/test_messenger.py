"""Texting on the simulator's phone: out by the carrier's own path, back through outbox, delivery and inbox."""

from __future__ import annotations

from uuid import uuid4

import pytest
from playwright.async_api import Locator, Page, expect

from engine.words import Unit
from tests.portal.simulator.conftest import FACE_VALUE, Running

pytestmark = [pytest.mark.needs("chromium"), pytest.mark.asyncio(loop_scope="session")]

ALICE = "+254712345001"


def answers(page: Page) -> Locator:
    """The texts of the thread that came in, oldest first."""
    return page.locator(".thread .in .text-body")


async def open_texts(page: Page) -> None:
    await page.get_by_role("radio", name="Text", exact=True).check(force=True)
    await expect(page.get_by_label("Text to send")).to_be_visible()


async def text(page: Page, typed: str) -> str:
    """Send a text and wait for what comes back."""
    before = await answers(page).count()
    await page.get_by_label("Text to send").fill(typed)
    await page.get_by_role("button", name="Send").click()
    await expect(page.locator(".thread .out .text-state").last).to_have_text("sent")
    await expect(answers(page)).to_have_count(before + 1)
    return await answers(page).last.inner_text()


async def money(server: Running) -> int:
    return (await server.engine.subscriber(ALICE)).total(Unit.MONEY)


async def test_a_keyword_is_answered_in_thread_and_inbox_and_both_numbers_show(page: Page, server: Running) -> None:
    await open_texts(page)
    assert "Balance: KES 0.00" in await text(page, "bal")
    await expect(page.locator('[data-part="text-from"]')).to_have_text(ALICE)
    await expect(page.locator(".messenger .ends dd").nth(1)).to_have_text("123")
    await expect(page.locator(".thread .out .text-head b")).to_have_text(ALICE)
    await expect(page.locator(".thread .in .text-head b")).to_have_text("Rasid")
    await expect(page.locator(".latest")).to_contain_text("Balance: KES 0.00")


async def test_a_scratch_card_tapped_is_recharged_by_one_text_and_a_bundle_bought_by_two(
    page: Page, server: Running
) -> None:
    await open_texts(page)
    await page.locator("#vouchers .card").first.click()
    typed = await page.get_by_label("Text to send").input_value()
    assert typed == f"RCH {server.vouchers[0]}"
    await page.get_by_label("Text to send").press("Enter")
    await expect(answers(page).filter(has_text="Recharged KES 50.00")).to_have_count(1)
    assert await money(server) == FACE_VALUE
    assert "Reply 1 to confirm:" in await text(page, "BUY 1")
    await page.get_by_label("Text to send").fill("1")
    await page.get_by_label("Text to send").press("Enter")
    await expect(answers(page).filter(has_text="bought for KES 20.00")).to_have_count(1)
    await expect(answers(page)).to_have_count(3)
    assert await money(server) == FACE_VALUE - 2_000


async def test_the_tab_back_is_the_phone_as_it_was(page: Page, server: Running) -> None:
    await open_texts(page)
    await expect(page.locator(".display")).to_be_hidden()
    await page.get_by_role("radio", name="Dial", exact=True).check(force=True)
    await expect(page.locator(".display")).to_be_visible()
    await expect(page.locator('[data-part="messenger"]')).to_be_hidden()


async def test_dialling_a_code_from_the_panel_turns_the_phone_back(page: Page, server: Running) -> None:
    await open_texts(page)
    await page.get_by_role("button", name="*123# menu", exact=True).click()
    await expect(page.locator(".screen")).to_contain_text("1 Balance")
    await expect(page.locator(".display")).to_be_visible()


async def test_another_line_has_a_thread_of_its_own(page: Page, server: Running) -> None:
    await open_texts(page)
    await text(page, "bal")
    await page.get_by_label("Line", exact=True).select_option("+254712345002")
    await expect(page.locator('[data-part="text-from"]')).to_have_text("+254712345002")
    await expect(page.locator('[data-part="thread"] li')).to_have_count(0)
    assert (await text(page, "Salio")).startswith("Salio:")


async def test_nothing_scrolls_sideways_while_texting(page: Page, server: Running) -> None:
    await open_texts(page)
    await text(page, "HELP")
    for width in (360, 768, 1024, 1366):
        await page.set_viewport_size({"width": width, "height": 740})
        assert await page.evaluate("() => document.documentElement.scrollWidth") <= width


async def test_a_text_is_a_hop_on_the_glass_with_what_it_did_to_the_books(page: Page, server: Running) -> None:
    await open_texts(page)
    await page.locator("#vouchers .card").first.click()
    await page.get_by_label("Text to send").press("Enter")
    hop = page.locator("#hops .hop").first
    await expect(hop.locator(".operation")).to_contain_text("KES 50.00")
    await expect(hop.locator(".hop-state")).to_have_text("recharge.done")
    await expect(hop.locator(".badge").first).to_have_text("SMS")
    await expect(hop.locator(".hop-input")).to_have_text(f"RCH …{server.vouchers[0][-4:]}")
    await expect(page.locator("#tally-operations")).to_have_text("1")


async def test_an_address_in_a_text_can_be_followed(page: Page, server: Running) -> None:
    await open_texts(page)
    line = await server.engine.subscriber(ALICE)
    told = {"amount": 5_000, "currency": "KES", "reference": "7F3K2M", "url": "https://pay.example/c/1?a=b&c=d"}
    assert await server.engine.tell(line.account, line.line_id, uuid4(), "payment.action", told)
    link = answers(page).last.locator("a")
    await expect(link).to_have_text("https://pay.example/c/1?a=b&c=d")
    assert await link.get_attribute("href") == "https://pay.example/c/1?a=b&c=d"
