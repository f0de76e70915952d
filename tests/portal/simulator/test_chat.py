"""Telegram on the simulator's phone: a person at the sandbox's Bot API, the bot behind its webhook."""

from __future__ import annotations

import pytest
import pytest_asyncio
from playwright.async_api import Locator, Page, expect

from engine.words import Unit
from sandbox.bot_api import BotApi
from tests.portal.simulator.conftest import FACE_VALUE, Running

pytestmark = [pytest.mark.needs("chromium"), pytest.mark.asyncio(loop_scope="session")]

ALICE = "+254712345001"


@pytest_asyncio.fixture(loop_scope="session")
async def chat(bot_api: BotApi, server: Running, page: Page) -> Page:
    """The page with the chat open, and the bot listening."""
    await bot_api.call("setWebhook", {"url": f"{server.url}/telegram/webhook", "secret_token": "secret-1"})
    await page.get_by_role("radio", name="Chat", exact=True).check(force=True)
    await expect(page.get_by_label("Message to send")).to_be_visible()
    return page


def said(page: Page) -> Locator:
    """What the bot has said, oldest first."""
    return page.locator('[data-part="chat-thread"] .in .text-body')


def written(page: Page) -> Locator:
    return page.locator('[data-part="chat-thread"] .out .text-body')


async def write(page: Page, typed: str) -> None:
    await page.get_by_label("Message to send").fill(typed)
    await page.get_by_label("Message to send").press("Enter")


async def tap(page: Page, label: str) -> None:
    await page.locator('[data-part="chat-thread"] .tap', has_text=label).last.click()


async def link(page: Page, server: Running) -> None:
    """The chat of the first line, linked to it by the code that its inbox shows."""
    await page.locator('[data-part="chat"] [data-text="/start"]').click()
    await page.get_by_label("Message to send").press("Enter")
    await expect(said(page)).to_contain_text("Write your mobile number")
    await write(page, ALICE)
    await expect(page.locator(".latest span")).to_contain_text("code")
    told = await page.locator(".latest span").inner_text()
    await write(page, next(word.strip(".") for word in told.split() if word.strip(".").isdigit()))
    await expect(said(page).last).to_contain_text("This chat now belongs to your number.")


async def test_a_chat_is_linked_by_the_code_in_the_inbox_and_tapped_through_by_edits(
    chat: Page, server: Running
) -> None:
    await link(chat, server)
    before = await said(chat).count()
    await tap(chat, "Balance")
    await expect(said(chat).last).to_contain_text("Balance: KES 0.00")
    await expect(said(chat)).to_have_count(before)
    await expect(chat.locator('[data-part="chat-thread"] .in .text-head').last).to_contain_text("edited")


async def test_a_scratch_card_is_recharged_in_the_chat_taken_out_of_it_and_shown_on_the_glass(
    chat: Page, server: Running
) -> None:
    await link(chat, server)
    await chat.locator("#vouchers .card").first.click()
    await chat.get_by_label("Message to send").press("Enter")
    await expect(said(chat).last).to_contain_text("Recharge")
    await expect(written(chat).filter(has_text=server.vouchers[0])).to_have_count(0)
    await tap(chat, "Recharge")
    await expect(said(chat).last).to_contain_text("Recharged KES 50.00")
    assert (await server.engine.subscriber(ALICE)).total(Unit.MONEY) == FACE_VALUE
    hop = chat.locator("#hops .hop").first
    await expect(hop).to_contain_text("Telegram")
    await expect(hop.locator(".operation")).to_contain_text("vouchers")
    await expect(chat.locator("#tally-operations")).to_have_text("1")
    await expect(chat.locator("#vouchers .card.spent")).to_have_count(1)


async def test_another_line_is_another_person_with_another_chat(chat: Page, server: Running) -> None:
    await write(chat, "hello")
    await expect(said(chat)).to_have_count(1)
    await chat.get_by_label("Line", exact=True).select_option("+254712345002")
    await expect(chat.locator('[data-part="chat-thread"] li')).to_have_count(0)
    await expect(chat.locator('[data-part="chat-id"]')).to_have_text("254712345002")


async def test_nothing_scrolls_sideways_while_chatting(chat: Page, server: Running) -> None:
    await link(chat, server)
    for width in (360, 768, 1024, 1366):
        await chat.set_viewport_size({"width": width, "height": 740})
        assert await chat.evaluate("() => document.documentElement.scrollWidth") <= width


async def test_without_a_sandbox_there_is_no_chat(page: Page) -> None:
    await expect(page.get_by_role("radio", name="Text", exact=True)).to_be_attached()
    await expect(page.get_by_role("radio", name="Chat", exact=True)).to_have_count(0)
