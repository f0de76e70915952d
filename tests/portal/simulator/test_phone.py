from __future__ import annotations

import json
import re
from uuid import uuid4

import gsm0338
import pytest
from playwright.async_api import Page, expect

from channels.sms.simulator.carrier import inbox
from engine.words import Unit
from tests.portal.simulator.conftest import FACE_VALUE, Running

# One loop for all of them, because they share the browser.
pytestmark = [pytest.mark.needs("chromium"), pytest.mark.asyncio(loop_scope="session")]

ALICE = "+254712345001"


async def say(page: Page, typed: str) -> None:
    """Type an answer or a number, press the green key, wait for what the phone shows then."""
    field = page.get_by_label("Number to dial, or answer")
    await field.fill(typed)
    await field.press("Enter")
    await page.locator(".display:is([data-mode=menu], [data-mode=notice])").wait_for()


async def choose(page: Page, option: str) -> None:
    """Answer with the number that stands before ``option`` on the screen."""
    shown = await page.locator(".screen").inner_text()
    number = re.search(rf"^(\d+)\W+{option}", shown, re.MULTILINE)
    assert number, f"no option {option!r} on: {shown}"
    await say(page, number[1])


async def dial_voucher(page: Page, server: Running) -> None:
    """Dial the first voucher as a shortcut: what shows is its confirm screen."""
    await say(page, f"*123*{server.vouchers[0]}#")
    await expect(page.locator(".screen")).to_contain_text(server.vouchers[0][-4:])


async def airtime(server: Running) -> int:
    return (await server.engine.subscriber(ALICE)).total(Unit.MONEY)


async def test_a_recharge_through_the_menus_shows_in_phone_glass_and_inbox(page: Page, server: Running) -> None:
    await say(page, "*123#")
    await choose(page, "Recharge")
    await page.locator("#vouchers .card").first.click()
    await expect(page.get_by_label("Number to dial, or answer")).to_have_value(server.vouchers[0])
    await say(page, server.vouchers[0])
    await choose(page, "Recharge")
    said = await page.locator(".screen").inner_text()
    reference = await page.locator(".reference").inner_text()
    assert reference.removeprefix("ref ") in said
    await expect(page.locator(".operation")).to_contain_text("KES 0.00 → KES 50.00")
    await expect(page.locator("#tally-operations")).to_have_text("1")
    await expect(page.locator(".latest")).to_contain_text("50.00")
    await expect(page.locator("#vouchers .card").first).to_have_class(re.compile("spent"))
    assert await airtime(server) == FACE_VALUE


async def test_an_answer_lost_after_the_confirmation_has_one_effect_when_dialled_again(
    page: Page, server: Running
) -> None:
    await dial_voucher(page, server)
    await page.get_by_role("radio", name="answer is lost").check()
    await say(page, "1")
    await expect(page.locator(".screen")).to_contain_text("Connection problem")
    await page.locator(".operation").wait_for()
    await page.get_by_role("button", name="Redial").click()
    await page.locator(".hop").nth(2).locator(".timing").wait_for()
    await expect(page.locator("#tally-sessions")).to_have_text("2")
    await expect(page.locator("#tally-operations")).to_have_text("1")
    await expect(page.locator("#tally-transfers")).to_have_text("1")
    await expect(page.locator("#verdict")).to_have_text("The answer was lost. One effect in the books.")
    assert await airtime(server) == FACE_VALUE


async def test_the_same_hop_sent_twice_at_once_gets_equal_answers_and_one_effect(page: Page, server: Running) -> None:
    await dial_voucher(page, server)
    await page.get_by_role("radio", name="comes twice").check()
    await say(page, "1")
    await expect(page.locator(".hop").first).to_contain_text("answers equal")
    await expect(page.locator("#tally-hops")).to_have_text("3")
    await expect(page.locator("#tally-operations")).to_have_text("1")
    assert await airtime(server) == FACE_VALUE


async def test_a_hop_repeated_after_its_answer_was_lost_gets_the_lost_answer(page: Page, server: Running) -> None:
    await dial_voucher(page, server)
    await page.get_by_role("radio", name="answer is lost").check()
    await say(page, "1")
    await page.get_by_role("button", name="Repeat the last hop").click()
    await expect(page.locator(".screen")).to_contain_text("KES 50.00")
    await expect(page.locator(".hop").first).to_contain_text("answers equal")
    await expect(page.locator(".hop").first).to_contain_text("byte for byte")
    assert await airtime(server) == FACE_VALUE


async def test_an_answer_that_comes_after_hanging_up_is_not_shown(page: Page, server: Running) -> None:
    await page.get_by_role("radio", name="slow back").check()
    field = page.get_by_label("Number to dial, or answer")
    await field.fill("*123#")
    await field.press("Enter")
    await page.locator(".display[data-mode=busy]").wait_for()
    await page.get_by_role("button", name="Cancel and hang up").click()
    await page.locator(".hop").wait_for()
    await expect(page.locator(".display")).to_have_attribute("data-mode", "idle")


async def test_the_keypad_dials_as_the_keyboard_does(page: Page, server: Running) -> None:
    for key in ("star", "1", "2", "3", "3", "hash"):
        await page.get_by_role("group", name="Keypad").get_by_role("button", name=key, exact=True).click()
    for _ in range(2):
        await page.get_by_role("button", name="Clear the last character").click()
    await page.get_by_role("group", name="Keypad").get_by_role("button", name="hash").click()
    await page.get_by_role("button", name="Call or send").click()
    await expect(page.locator(".screen")).to_contain_text("Balance")


async def test_a_code_of_another_service_never_reaches_the_server(page: Page, server: Running) -> None:
    await say(page, "*100#")
    await expect(page.locator(".screen")).to_have_text("Connection problem or invalid MMI code.")
    await expect(page.locator(".hop")).to_have_count(0)


async def test_voucher_numbers_are_masked_in_the_glass_panel(page: Page, server: Running) -> None:
    await dial_voucher(page, server)
    await page.locator(".hop .timing").wait_for()
    assert server.vouchers[0] not in await page.locator(".glass").inner_text()


async def test_nothing_scrolls_sideways_on_any_screen(page: Page, server: Running) -> None:
    await dial_voucher(page, server)
    await say(page, "1")
    await page.locator(".operation table").first.wait_for()
    await page.locator(".latest").wait_for()
    for width in (360, 768, 1024, 1366):
        await page.set_viewport_size({"width": width, "height": 740})
        assert await page.evaluate("() => document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("country", ["qatar"], indirect=True)
async def test_an_arabic_screen_reads_from_right_to_left_and_counts_in_ucs2(page: Page, server: Running) -> None:
    arabic = next(line.msisdn for line in server.services.operator.demo.subscribers if line.language == "ar")
    await page.get_by_label("Line", exact=True).select_option(arabic)
    await say(page, "*123#")
    await expect(page.locator(".screen")).to_have_attribute("dir", "rtl")
    await expect(page.locator('[data-part="meter-unit"]')).to_have_text("UCS-2 units")
    await expect(page.locator('[data-part="meter-most"]')).to_have_text("80")


async def test_texts_are_shown_as_text_whatever_they_hold(page: Page, server: Running) -> None:
    hostile = "<img src=/simulator/x onerror=\"document.title='taken'\"><b>bold</b>"
    stored = {"message_id": str(uuid4()), "from": "<i>Rasid</i>", "text": hostile, "at": "2026-11-21T10:00:00+00:00"}
    await server.services.redis.xadd(inbox(server.services.keyring, ALICE), stored)
    await expect(page.locator(".thread .text-body")).to_have_text(hostile)
    assert await page.locator(".thread img, .thread i, .thread .text-body b").count() == 0


async def test_a_text_delivered_twice_is_shown_once(page: Page, server: Running) -> None:
    name = inbox(server.services.keyring, ALICE)
    for message_id, text in (("same", "once"), ("same", "once"), ("other", "last")):
        stored = {"message_id": message_id, "from": "Rasid", "text": text, "at": "2026-11-21T10:00:00+00:00"}
        await server.services.redis.xadd(name, stored)
    await expect(page.locator(".thread .text-body")).to_have_text(["once", "last"])


async def test_the_counter_agrees_with_the_gsm_alphabet_of_a_library(page: Page) -> None:
    codec = gsm0338.Codec()
    characters = [chr(code) for code in (*range(0x20, 0x500), *range(0x600, 0x700), *range(0x2000, 0x2100))]

    def septets(character: str) -> int | None:
        try:
            return len(codec.encode(character)[0])
        except UnicodeError:
            return None

    counted = await page.evaluate(
        """async (characters) => {
          const { measure } = await import("/simulator/static/septets.js");
          return characters.map(measure).map(({ unit, used }) => (unit === "septets" ? used : null));
        }""",
        characters,
    )
    differing = {c: (septets(c), n) for c, n in zip(characters, counted, strict=True) if septets(c) != n}
    assert json.dumps(differing) == "{}"


async def test_another_number_is_typed_as_people_do_and_a_wrong_one_leaves_the_other_phones_alone(
    page: Page, server: Running
) -> None:
    await page.locator("#add-phone").click()
    second = page.locator(".handset").nth(1)
    await second.locator("[data-part=line]").select_option("")
    for typed, shown in (("not a number", "no such line"), ("0722 345 003", "KES 0.00")):
        await second.locator("[data-part=other]").fill(typed)
        await second.locator("[data-part=other]").press("Tab")
        await expect(second.locator("[data-part=money]")).to_have_text(shown)
    await expect(second.locator("[data-part=other]")).to_have_value("+254722345003")
    await expect(page.locator("[data-on-phone]").first).to_have_text("2+254722345003")
    stored = {"message_id": "one", "from": "Rasid", "text": "hello there", "at": "2026-11-21T10:00:00+00:00"}
    await server.services.redis.xadd(inbox(server.services.keyring, "+254722345003"), stored)
    await expect(second.locator(".latest")).to_contain_text("hello there")
    await expect(page.locator("#wire")).to_have_text("live")
