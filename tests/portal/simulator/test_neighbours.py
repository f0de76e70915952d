"""The phones' neighbours in a browser: a payer who is asked, a network that uses data, a visitor on the tour."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid5

import pytest
from playwright.async_api import Page, expect

from engine.words import Adjust, Purchase, Unit
from tests.portal.simulator.conftest import Running
from tests.portal.simulator.test_phone import choose, say

pytestmark = [
    pytest.mark.needs("chromium"),
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.usefixtures("neighbours"),
]

ALICE = "+254712345001"
AXE = Path(__file__).resolve().parents[1] / "axe-core" / "axe.min.js"


async def money(server: Running) -> int:
    return (await server.engine.subscriber(ALICE)).total(Unit.MONEY)


async def give(server: Running, minor: int) -> None:
    line = await server.engine.subscriber(ALICE)
    asked = {"account": line.account, "line_id": line.line_id, "source": "test", "asked_at": datetime.now(UTC)}
    key = uuid5(line.line_id, f"give {minor}")
    answer = await server.engine.post(Adjust(**asked, key=key, unit=Unit.MONEY, amount=minor, reason="test"))
    assert answer.ok


async def buy_day_bundle(server: Running) -> None:
    line = await server.engine.subscriber(ALICE)
    asked = {"account": line.account, "line_id": line.line_id, "source": "test", "asked_at": datetime.now(UTC)}
    bought = await server.engine.post(
        Purchase(**asked, key=uuid5(line.line_id, "bundle"), product="data_day_100mb", price=2_000)
    )
    assert bought.ok


async def ask_to_pay(page: Page) -> None:
    """From dialling to the prompt of the payer's provider: KES 50 by mobile money."""
    await say(page, "*123*2#")
    await choose(page, "M-Pesa")
    await choose(page, "KES 50.00")
    await choose(page, "Pay")
    await expect(page.locator(".prompt")).to_contain_text("Pay KES 50.00 to Rasid Kenya?")


async def test_a_payer_is_asked_on_the_phone_and_pays_or_refuses_there(page: Page, server: Running) -> None:
    await ask_to_pay(page)
    await page.get_by_role("button", name="Refuse").click()
    await expect(page.locator("#story")).to_contain_text("The payer refused KES 50.00.")
    assert await money(server) == 0

    await ask_to_pay_again(page)
    keypad = page.get_by_role("group", name="Keypad")
    for digit in "1234":
        await keypad.get_by_role("button", name=digit, exact=True).click()
    await page.get_by_role("button", name="Call or send").click()
    await expect(page.locator("#story")).to_contain_text("The line's money rose from KES 0.00 to KES 50.00.")
    await expect(page.locator(".prompt")).to_be_hidden()
    assert await money(server) == 5_000


async def ask_to_pay_again(page: Page) -> None:
    """The same after a first one, over the question whether it is meant again, if there is one."""
    await page.get_by_role("button", name="Cancel and hang up").click()
    await say(page, "*123*2#")
    await choose(page, "M-Pesa")
    await choose(page, "KES 50.00")
    await choose(page, "Pay")
    if not await page.locator(".prompt").is_visible() and await page.locator(".display[data-mode=menu]").count():
        await say(page, "1")
    await expect(page.locator(".prompt")).to_be_visible()


async def test_a_declined_payment_is_told_in_words_and_moves_no_money(page: Page, server: Running) -> None:
    await page.get_by_role("radio", name="is declined").check(force=True)
    await expect(page.locator("#story")).to_contain_text("The provider will decline the next payment")
    await say(page, "*123*2#")
    await choose(page, "M-Pesa")
    await choose(page, "KES 50.00")
    await choose(page, "Pay")
    await expect(page.locator("#story")).to_contain_text("The provider declined KES 50.00.")
    await expect(page.get_by_role("radio", name="goes through")).to_be_checked()
    assert await money(server) == 0


async def test_the_network_uses_a_bundle_up_stops_and_goes_on_when_one_is_bought(page: Page, server: Running) -> None:
    await give(server, 2_000)
    await buy_day_bundle(server)
    await expect(page.locator(".gauge-left")).to_have_text("100 MB")
    await page.locator("#use-amount").select_option("octets:1000000000")
    await page.locator("#use-category").select_option(label="video")
    await page.get_by_role("button", name="Use now").click()
    await expect(page.locator("#flow-state")).to_have_text("no quota: stopped")
    await expect(page.locator("#flow-used")).to_have_text("100 MB / 1 GB")
    await expect(page.locator("#story")).to_contain_text("the flow stopped after 100 MB")
    await expect(page.locator(".gauge-left")).to_have_count(0)
    await give(server, 25_000)
    await say(page, "*123*3#")
    await choose(page, "1 GB 7 days")
    await choose(page, "Buy")
    await expect(page.locator("#story")).to_contain_text("Quota is granted again: the flow goes on.")
    await expect(page.locator("#story")).to_contain_text("The session ended: 1 GB used and charged.")
    await expect(page.locator("#flow-messages [data-what=notified]").first).to_contain_text("REAUTHORIZATION")
    await expect(page.locator(".gauge-left")).to_have_text("100 MB")


async def test_the_tour_is_taken_by_keyboard_counts_a_card_once_and_can_be_left(page: Page, server: Running) -> None:
    await page.get_by_role("button", name="Two-minute tour").focus()
    await page.keyboard.press("Enter")
    place, following = page.locator("#tour-place"), page.locator("#tour-next")
    steps = int((await place.inner_text()).split()[-1])
    assert steps == 9
    for step in range(1, steps + 1):
        await expect(place).to_have_text(f"{step} of {steps}", timeout=20_000)
        await expect(following).to_be_focused()
        await expect(page.locator(".toured")).to_be_visible()
        await page.keyboard.press("Enter")
    await expect(page.locator("#tour")).to_be_hidden()
    assert await money(server) == 5_000
    await expect(page.locator("#tally-operations")).to_have_text("1")
    await page.get_by_role("button", name="Two-minute tour").click()
    await page.keyboard.press("Escape")
    await expect(page.locator("#tour")).to_be_hidden()
    await expect(page.locator(".toured")).to_have_count(0)


@pytest.mark.parametrize("language", ["en", "ar"])
async def test_the_page_is_accessible_and_shows_one_phone_at_a_time_on_a_small_screen(
    page: Page, server: Running, language: str
) -> None:
    await page.set_viewport_size({"width": 1440, "height": 900})
    await page.goto(f"{server.url}/simulator?language={language}")
    await expect(page.locator(".handset")).to_have_count(2)
    await page.locator("#add-phone").click()
    lines = [await page.locator('[data-part="line"]').nth(place).input_value() for place in range(3)]
    assert len(set(lines)) == 3
    await page.locator("#vouchers .card").first.click()
    await page.keyboard.press("Enter")
    await page.locator(".display[data-mode=menu]").wait_for()
    await page.locator(".hop .timing").first.wait_for()
    for width in (1440, 360):
        await page.set_viewport_size({"width": width, "height": 800})
        await expect(page.locator(".handset:visible")).to_have_count(3 if width > 360 else 1)
        assert await page.evaluate("() => document.documentElement.scrollWidth") <= width
        found = await faults(page)
        assert found == []
    await page.locator(".handset:visible [data-part=remove]").click()
    await expect(page.locator(".handset")).to_have_count(2)


async def faults(page: Page) -> list[str]:
    """What axe-core has to say against the page, WCAG 2.2 A and AA. Its script comes in past the page's policy."""
    client = await page.context.new_cdp_session(page)
    await client.send("Runtime.evaluate", {"expression": AXE.read_text()})
    tags = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
    result = await page.evaluate("async (tags) => (await axe.run({ runOnly: tags })).violations", tags)
    await client.detach()
    return [f"{one['id']}: {node['target']} {node['failureSummary']}" for one in result for node in one["nodes"]]
