"""Draws all pictures of the documentation, by one command: ``python docs/images/screenshots.py``.

It starts both sample operators (``manage.py demo``) on free ports, plays what the pictures show, and stops them. With
the address of a demo that runs already (``… http://localhost:8080``) only that operator's pictures are made. Needs the
packages of requirements-dev.txt and a Chromium.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyotp
from playwright.sync_api import Browser, Locator, Page, expect, sync_playwright

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
CHROMIUM = "/usr/bin/chromium"
#: pixels: a desk, and a small phone
WIDE, NARROW = (1440, 960), (360, 760)
#: milliseconds that a step may take, and that what moves needs to come to rest
PATIENCE, REST = 30_000, 700


def main() -> None:
    """Take every picture."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM)
        if len(sys.argv) > 1:
            kenya(browser, sys.argv[1].rstrip("/"))
        else:
            with demo("kenya") as told:
                kenya(browser, told["base_url"], told["staff"])
            with demo("qatar") as told:
                qatar(browser, told["base_url"])
        browser.close()


@contextmanager
def demo(operator: str) -> Iterator[dict[str, Any]]:
    """A sample operator that is served; what it says of itself."""
    command = [sys.executable, str(ROOT / "manage.py"), "demo", "--json", "--port", "8173"]
    command += ["--operator", str(ROOT / "examples" / f"{operator}.toml")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout is not None  # noqa: S101 - it is a pipe
        try:
            yield json.loads(process.stdout.readline())
        finally:
            process.terminate()


def kenya(browser: Browser, url: str, staff: Sequence[dict[str, str]] = ()) -> None:
    """The simulator in English, light, dark and small; the portal, and the console where ``staff`` signs in."""
    for name, scheme in (("simulator", "light"), ("simulator-dark", "dark")):
        with opened(browser, f"{url}/simulator?language=en", WIDE, scheme) as page:
            everything(page)
            page.screenshot(path=HERE / f"{name}.png")
            page.locator(".prompt:visible").get_by_role("button", name="Refuse").click()
    with opened(browser, f"{url}/simulator?language=en", NARROW, "light") as page:
        recharge(page, page.locator(".handset.active"))
        page.evaluate("scrollTo(0, 0)")
        page.screenshot(path=HERE / "simulator-phone.png", full_page=True)
    with opened(browser, f"{url}/simulator?language=en", WIDE, "light") as page:
        page.get_by_role("button", name="Two-minute tour").click()
        page.locator("#tour-next").click()
        page.locator(".handset.active .display[data-mode=menu]").wait_for()
        page.wait_for_timeout(REST)
        page.screenshot(path=HERE / "simulator-tour.png")
    portal(browser, url, 0, "portal")
    if staff:
        console(browser, url, staff[0], "console")


def qatar(browser: Browser, url: str) -> None:
    """The simulator in Arabic, from right to left."""
    with opened(browser, f"{url}/simulator?language=ar", WIDE, "light") as page:
        arabic = page.locator(".handset").nth(1)
        arabic.locator("[data-part=typed]").focus()
        send(arabic, f"*{page.locator('body').get_attribute('data-service-code')}#")
        recharge(page, page.locator(".handset").first)
        page.evaluate("scrollTo(0, 0)")
        page.screenshot(path=HERE / "simulator-arabic.png")
    portal(browser, url, 1, "portal-arabic")


def portal(browser: Browser, url: str, place: int, name: str) -> None:
    """The self-care portal of one of the lines, in its language; the code comes to its simulated phone."""
    with opened(browser, f"{url}/simulator?language=en", WIDE, "light") as phones:
        phone = phones.locator(".handset").nth(place)
        number = phone.locator("[data-part=line]").input_value()
        with opened(browser, f"{url}/portal/sign-in", NARROW, "light") as page:
            before = phone.locator("[data-part=latest] span").all_inner_texts()
            page.locator("#number").fill(number)
            page.locator("form button[type=submit]").click()
            page.locator("#code").wait_for()
            latest = phone.locator("[data-part=latest] span")
            if before:
                expect(latest).not_to_have_text(before[0], timeout=PATIENCE)
            digits = re.search(r"[0-9]{4,8}", latest.inner_text())
            assert digits is not None, "the text holds a code"  # noqa: S101 - a picture without it is none
            page.locator("#code").fill(digits[0])
            page.locator("form button[type=submit]").click()
            page.locator("#code").wait_for(state="detached")
            page.wait_for_timeout(REST)
            page.screenshot(path=HERE / f"{name}.png", full_page=True)


def console(browser: Browser, url: str, person: dict[str, str], name: str) -> None:
    """The operator's console: the line that the pictures before have played on."""
    with opened(browser, f"{url}/console", WIDE, "light") as page:
        page.locator("#name").fill(person["name"])
        page.locator("#password").fill(person["password"])
        page.locator("#code").fill(pyotp.TOTP(person["totp_secret"]).now())
        page.locator("form button[type=submit]").first.click()
        page.locator("#password").wait_for(state="detached")
        page.locator("input[type=search], input[name=q]").first.fill("+254712345001")
        page.keyboard.press("Enter")
        page.wait_for_timeout(3 * REST)
        page.screenshot(path=HERE / f"{name}.png")


@contextmanager
def opened(browser: Browser, url: str, size: tuple[int, int], scheme: str) -> Iterator[Page]:
    """A page, drawn twice as fine where it is small."""
    width, height = size
    context = browser.new_context(
        viewport={"width": width, "height": height},
        color_scheme="dark" if scheme == "dark" else "light",
        device_scale_factor=1.5 if size == WIDE else 2,
        locale="en-GB",
    )
    context.set_default_timeout(PATIENCE)
    page = context.new_page()
    page.goto(url)
    page.wait_for_timeout(REST)
    yield page
    context.close()


def everything(page: Page) -> None:
    """A recharge whose answer is lost, a payment that is asked for on the other phone, and use of the network."""
    first, second = page.locator(".handset").nth(0), page.locator(".handset").nth(1)
    recharge(page, first)
    page.locator("#use-now").click()
    page.locator("#flow-messages li").nth(3).wait_for()
    second.locator("[data-part=typed]").focus()
    for typed in (f"*{page.locator('body').get_attribute('data-service-code')}*2#", "2", "1", "1"):
        send(second, typed)
    second.locator(".prompt").wait_for()
    expect(page.locator("#flow-state")).to_have_text("ended", timeout=PATIENCE)
    page.wait_for_timeout(REST)
    page.evaluate("scrollTo(0, 0)")


def recharge(page: Page, phone: Locator) -> None:
    """Dial a scratch card, lose the answer to its confirmation, and let the gateway send that hop again."""
    phone.locator("[data-part=line]").focus()
    page.locator("#vouchers .card:not(.spent)").first.click()
    phone.locator("[data-part=call]").click()
    phone.locator(".display[data-mode=menu]").wait_for()
    page.locator('input[name="delivery"][value="lost"]').check(force=True)
    send(phone, "1")
    page.locator(".operation table").first.wait_for()
    page.locator("#repeat").click()
    page.locator("#hops .timing").nth(2).wait_for()
    phone.locator(".latest").wait_for()
    page.wait_for_timeout(REST)


def send(phone: Locator, typed: str) -> None:
    """Type and press the green key, and wait for what the phone shows then."""
    phone.locator("[data-part=typed]").fill(typed)
    phone.locator("[data-part=call]").click()
    phone.locator(".display:is([data-mode=menu], [data-mode=notice])").wait_for()


if __name__ == "__main__":
    main()
