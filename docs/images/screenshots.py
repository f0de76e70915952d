"""Draws the pictures of the documentation from a running demo: ``python docs/images/screenshots.py http://localhost:8080``.

Start ``python manage.py demo`` first. Each picture spends a voucher of the demo: it loses the answer to a confirmed
recharge, sends that hop again, and shows what came of it. Needs the packages of requirements-dev.txt and a Chromium.
"""

from __future__ import annotations

import sys
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

HERE = Path(__file__).parent
CHROMIUM = "/usr/bin/chromium"


def main(base_url: str) -> None:
    """Take every picture."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM)
        shoot(browser, base_url, "simulator.png", 0, width=1440, scheme="light")
        shoot(browser, base_url, "simulator-dark.png", 1, width=1440, scheme="dark")
        shoot(browser, base_url, "simulator-phone.png", 2, width=360, scheme="light")
        browser.close()


def shoot(browser: Browser, base_url: str, name: str, card: int, *, width: int, scheme: str) -> None:
    """One picture of a recharge whose answer was lost; ``card`` counts the demo's vouchers, ``width`` is in pixels."""
    wide = width > 700
    context = browser.new_context(
        viewport={"width": width, "height": 960 if wide else 760},
        color_scheme="dark" if scheme == "dark" else "light",
        device_scale_factor=1.5 if wide else 2,
    )
    page = context.new_page()
    page.goto(f"{base_url}/simulator")
    recharge(page, card)
    page.evaluate("scrollTo(0, 0)")
    page.screenshot(path=HERE / name, full_page=not wide)
    context.close()


def recharge(page: Page, card: int) -> None:
    """Dial a voucher, lose the answer to its confirmation, and let the gateway send that hop again."""
    page.locator("#vouchers .card").nth(card).click()
    page.get_by_role("button", name="Call or send").click()
    page.wait_for_selector("#display[data-mode=menu]")
    page.get_by_role("radio", name="lose the answer").check()
    page.get_by_label("Number to dial, or answer").fill("1")
    page.get_by_role("button", name="Call or send").click()
    page.wait_for_selector("#display[data-mode=notice]")
    page.wait_for_selector(".operation table")
    page.get_by_role("button", name="Repeat last hop").click()
    page.locator("#hops .timing").nth(2).wait_for()
    page.wait_for_selector("#texts li")
    page.wait_for_timeout(500)


if __name__ == "__main__":
    main(sys.argv[1].rstrip("/"))
