"""The console in a real browser: a caller on the line, a second person, an administrator; accessible at both widths."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.async_api import Browser, Page, expect

from engine.words import Role, Unit
from tests.portal.console.codes import code_of
from tests.portal.console.conftest import Console
from tests.portal.selfcare.conftest import is_accessible

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.needs("chromium")]


async def sit_down(browser: Browser, console: Console, role: Role, errors: list[str], **options: Any) -> Page:
    """A browser of its own with somebody of this role signed in; what breaks the policy stands in ``errors``."""
    context = await browser.new_context(viewport={"width": 1280, "height": 800}, **{"locale": "en", **options})
    page = await context.new_page()

    def heard(message: Any) -> None:
        # A page that says what was wrong with a form answers 422, which Chromium tells as an error.
        if message.type == "error" and "422" not in message.text:
            errors.append(message.text)

    page.on("console", heard)
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("request", lambda one: None if one.url.startswith(f"{console.url}/") else errors.append(one.url))
    person = console.people[role]
    await page.goto(f"{console.url}/console")
    await page.locator("#name").fill(person.name)
    await page.locator("#password").fill(person.password)
    await page.locator("#code").fill(code_of(person))
    await page.locator("main button").click()
    await page.wait_for_url(f"{console.url}/console")
    return page


async def look_closely(page: Page) -> None:
    """Accessible and not wider than the window, on a screen and on a phone."""
    for width in (1280, 360):
        await page.set_viewport_size({"width": width, "height": 800})
        await is_accessible(page)
    await page.set_viewport_size({"width": 1280, "height": 800})


async def money(console: Console) -> int:
    line = await console.engine.subscriber(console.services.operator.demo.subscribers[0].msisdn)
    return line.total(Unit.MONEY)


async def test_a_caller_is_found_helped_and_what_is_too_much_waits_for_a_second_person(
    console: Console, browser: Browser
) -> None:
    errors: list[str] = []
    page = await sit_down(browser, console, Role.SUPPORT, errors)
    await page.keyboard.press("/")
    await page.keyboard.type("0712 345 001")
    await page.keyboard.press("Enter")
    await expect(page.locator("h1")).to_have_text("+254712345001")
    assert "712345001" not in page.url
    line = page.url
    await correct(page, "20", "Ticket 1: dropped call")
    await expect(page.locator("main .tag").first).to_have_text("Done")
    assert await money(console) == 2_000
    await page.goto(line)
    await look_closely(page)
    await expect(page.locator("tbody")).to_contain_text("Ticket 1: dropped call")
    await correct(page, "2000", "Ticket 2: a month of data was lost")
    await expect(page.locator("main .tag").first).to_have_text("Waits for approval")
    await expect(page.locator("main")).to_contain_text("Somebody else of finance or administration")
    assert await money(console) == 2_000

    other = await sit_down(browser, console, Role.FINANCE, errors)
    await other.get_by_role("link", name="Correct the balance").click()
    await look_closely(other)
    await other.locator("#why").fill("Seen the ticket")
    await other.get_by_role("button", name="Approve and do it").click()
    await expect(other.locator("main .tag").first).to_have_text("Done")
    assert await money(console) == 202_000
    assert errors == []
    await page.context.close()
    await other.context.close()


async def correct(page: Page, amount: str, why: str) -> None:
    await page.get_by_role("link", name="Correct the balance").first.click()
    await page.locator("#amount").fill(amount)
    await page.locator("#why").fill(why)
    await page.locator("main form button").click()


async def test_an_administrator_makes_an_account_in_arabic_and_who_has_it_gets_in_on_a_phone(
    console: Console, browser: Browser
) -> None:
    errors: list[str] = []
    page = await sit_down(browser, console, Role.ADMIN, errors, locale="ar")
    assert await page.locator("html").get_attribute("dir") == "rtl"
    await page.goto(f"{console.url}/console/staff")
    await look_closely(page)
    await page.locator("#name").fill("noor")
    await page.locator("#role").select_option("support")
    await page.locator("form.form #why").fill("جديدة في الفريق")
    await page.locator("form.form button").click()
    said = await page.locator(".made dd").all_inner_texts()
    assert said[0] == "noor" and said[3].startswith("otpauth://totp/")
    member = next(one for one in await console.engine.staff.members() if one.name == "noor")
    assert member.role is Role.SUPPORT
    made = console.people[Role.SUPPORT]._replace(name=said[0], password=said[1], secret=said[2])
    console.people[Role.SUPPORT] = made
    phone = await sit_down(browser, console, Role.SUPPORT, errors, locale="ar", has_touch=True)
    await phone.goto(f"{console.url}/console/me")
    # Disabled, she is out at the next click.
    await page.locator("summary").first.wait_for()
    await console.engine.staff.disable("noor", by="root", why="left us")
    await phone.goto(f"{console.url}/console/me")
    assert phone.url == f"{console.url}/console/sign-in"
    assert errors == []
    await page.context.close()
    await phone.context.close()
