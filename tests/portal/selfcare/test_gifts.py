"""Sending to another line, and taking it back."""

from __future__ import annotations

import pytest
from playwright.async_api import Page, expect

from engine.words import Unit
from tests.portal.selfcare.conftest import QATAR, Running, is_accessible

pytestmark = [pytest.mark.needs("chromium"), pytest.mark.asyncio(loop_scope="session")]


async def fill(page: Page, server: Running, number: str, amount: str) -> None:
    await page.goto(f"{server.url}/portal/send")
    await page.locator("#number").fill(number)
    await page.locator("#unit").select_option("money")
    await page.locator("#amount").fill(amount)
    await page.locator("form[action$=send] button").click()


@pytest.mark.parametrize("width", [360, 1280], indirect=True)
async def test_a_gift_is_confirmed_with_its_fee_and_can_be_taken_back(inside: Page, server: Running) -> None:
    rules = next(one for one in server.services.operator.transfers if one.unit == "money")
    other = server.services.operator.demo.subscribers[1].msisdn
    before = (await server.line()).total(Unit.MONEY)
    had = (await server.engine.subscriber(other)).total(Unit.MONEY)
    amount = max(rules.least, 1_000)
    fee = server.engine.agreements.gift_fee(Unit.MONEY, amount)
    await fill(inside, server, other, f"{amount / 100:.2f}")
    await is_accessible(inside)
    # Whole: one wrong digit costs the whole amount.
    assert other in await inside.locator("main p").first.inner_text()
    await inside.locator("form[action$=now] button").click()
    await inside.locator(".notice.good").wait_for()
    assert (await server.line()).total(Unit.MONEY) == before - amount - fee
    assert (await server.engine.subscriber(other)).total(Unit.MONEY) == had + amount
    await inside.goto(f"{server.url}/portal/send")
    await is_accessible(inside)
    await inside.locator("form[action$=back] button").click()
    await inside.locator(".notice.good").wait_for()
    assert (await server.line()).total(Unit.MONEY) == before
    assert (await server.engine.subscriber(other)).total(Unit.MONEY) == had


@pytest.mark.parametrize(
    ("number", "amount", "said"),
    [
        ("+254799999999", "10", "This number cannot receive."),
        ("0712345001", "10", "This is your own number."),
        ("+254712345002", "1", "The least is KES 5.00."),
        ("+254712345002", "9999", "The most is KES 1,000.00."),
        ("+254712345002", "x", "This amount is not possible."),
    ],
)
async def test_a_gift_that_cannot_be_given_says_why(
    inside: Page, server: Running, number: str, amount: str, said: str
) -> None:
    await fill(inside, server, number, amount)
    await expect(inside.locator(".notice.bad")).to_have_text(said)


@pytest.mark.parametrize("place", [QATAR], indirect=True)
async def test_where_the_operator_allows_no_gifts_there_is_no_page(inside: Page, server: Running) -> None:
    assert (await inside.context.request.get(f"{server.url}/portal/send")).status == 404
