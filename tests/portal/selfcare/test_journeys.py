"""What people do in the portal, in a real browser."""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime
from uuid import uuid4

import pytest
from playwright.async_api import Page, expect

from engine.words import Adjust, Charge, PinVerdict, Unit
from portal.selfcare.history import cell
from tests.portal.selfcare.conftest import KENYA, QATAR, Running, is_accessible, spend

browsed = pytest.mark.needs("chromium")
looped = pytest.mark.asyncio(loop_scope="session")


@browsed
@looped
@pytest.mark.parametrize(("place", "width"), [(KENYA, 1280), (KENYA, 360), (QATAR, 1280), (QATAR, 360)], indirect=True)
async def test_every_page_is_accessible_and_fits(inside: Page, server: Running) -> None:
    first = server.services.operator.products[0].code
    links = [await one.get_attribute("href") for one in await inside.locator(".nav a").all()]
    assert ("/portal/send" in links) == bool(server.services.operator.transfers)
    await spend(server, Charge, unit=Unit.OCTETS, amount=5_000_000)
    await inside.goto(f"{server.url}/portal/more")
    links += [await one.get_attribute("href") for one in await inside.locator("main a.item").all()]
    await inside.goto(f"{server.url}/portal/receipts")
    links.append(await inside.locator("main a.item").first.get_attribute("href"))
    for path in dict.fromkeys((*links, f"/portal/bundles/{first}", "/portal/pay", "/portal/data/erase")):
        await inside.goto(f"{server.url}{path}")
        await is_accessible(inside)


@browsed
@looped
@pytest.mark.parametrize(("place", "width"), [(KENYA, 1280), (QATAR, 360)], indirect=True)
async def test_a_bundle_is_bought_after_its_price_was_confirmed(inside: Page, server: Running) -> None:
    product = server.services.operator.products[1]
    before = (await server.line()).total(Unit.MONEY)
    await inside.goto(f"{server.url}/portal/bundles/{product.code}")
    await inside.locator("main form button").click()
    await inside.locator(".notice.good").wait_for()
    await is_accessible(inside)
    assert (await server.line()).total(Unit.MONEY) == before - product.price
    await inside.reload()
    assert (await server.line()).total(Unit.MONEY) == before - product.price
    # Asked for again within minutes, the page says so before it does it again.
    await inside.goto(f"{server.url}/portal/bundles/{product.code}")
    await inside.locator("main .notice.bad").wait_for()


@browsed
@looped
async def test_bundles_are_listed_with_what_there_is_to_spend(inside: Page, server: Running) -> None:
    await inside.goto(f"{server.url}/portal/bundles")
    assert await inside.locator("main > p").first.inner_text() == "You have KES 1,980.00."
    assert "KES 20.00 for 100 MB" in await inside.locator(".offer").first.inner_text()


@browsed
@looped
async def test_a_form_that_is_sent_twice_buys_once(inside: Page, server: Running) -> None:
    product = server.services.operator.products[0]
    before = (await server.line()).total(Unit.MONEY)
    await inside.goto(f"{server.url}/portal/bundles/{product.code}")
    statuses = await inside.evaluate(
        """async () => { const form = document.querySelector("main form"); const all = [];
        for (const _ of [1, 2]) { const body = new URLSearchParams(new FormData(form));
          all.push((await fetch(location.href, {method: "post", body})).status); } return all; }"""
    )
    assert statuses == [200, 200]
    assert (await server.line()).total(Unit.MONEY) == before - product.price


@browsed
@looped
async def test_a_price_that_the_person_was_not_shown_is_refused(inside: Page, server: Running) -> None:
    before = (await server.line()).total(Unit.MONEY)
    await inside.goto(f"{server.url}/portal/bundles/{server.services.operator.products[0].code}")
    await inside.evaluate("document.querySelector('[name=price]').value = '1'")
    await inside.locator("main form button").click()
    await expect(inside.locator(".notice.bad")).to_contain_text("The price is now")
    assert (await server.line()).total(Unit.MONEY) == before


@browsed
@looped
@pytest.mark.parametrize(("place", "width"), [(KENYA, 360), (QATAR, 1280)], indirect=True)
async def test_a_voucher_recharges_once(inside: Page, server: Running) -> None:
    before = (await server.line()).total(Unit.MONEY)
    for marked in (".notice.good", ".notice.bad"):
        await inside.goto(f"{server.url}/portal/recharge")
        await inside.locator("#voucher").fill(server.vouchers[0])
        await inside.locator("main form button").click()
        await inside.locator(marked).wait_for()
    assert (await server.line()).total(Unit.MONEY) == before + 5_000
    await inside.locator("#voucher").fill("12")
    await inside.locator("main form button").click()
    await inside.locator(".notice.bad").wait_for()


@browsed
@looped
async def test_what_another_line_did_is_not_shown(inside: Page, server: Running) -> None:
    other = await server.engine.subscriber("+254712345002")
    answer = await server.engine.post(
        Adjust(
            account=other.account,
            key=uuid4(),
            asked_at=datetime.now(UTC),
            source="test",
            unit=Unit.MONEY,
            amount=500,
            reason="test",
        )
    )
    for path in (f"outcome/{answer.key}", f"payments/{answer.key}"):
        found = await inside.context.request.get(f"{server.url}/portal/{path}")
        assert found.status == 404


@browsed
@looped
async def test_history_is_filtered_and_paged_by_key(inside: Page, server: Running) -> None:
    for _ in range(21):
        await spend(server, Charge, unit=Unit.OCTETS, amount=1_000)
    await inside.goto(f"{server.url}/portal/history?only=use")
    assert await inside.locator(".list > li").count() == 20
    await inside.get_by_role("link", name="Earlier").click()
    # The list grows in place; without script the link leads to the rest.
    await expect(inside.locator(".list > li")).to_have_count(21)
    await expect(inside.get_by_role("link", name="Earlier")).to_have_count(0)
    await inside.goto(f"{server.url}/portal/history")
    await inside.locator(".chips").get_by_role("link", name="Bundles").click()
    await expect(inside.locator(".list > li")).to_have_count(1)
    # Whoever goes on by keyboard stands where they were.
    assert await inside.evaluate("document.activeElement.id") == "only-bundles"
    bad = await inside.context.request.get(f"{server.url}/portal/history?after=x")
    assert bad.status == 400


@browsed
@looped
async def test_the_file_says_what_the_books_say(inside: Page, server: Running) -> None:
    await spend(server, Charge, unit=Unit.OCTETS, amount=7_000_000)
    answer = await inside.context.request.get(f"{server.url}/portal/history.csv")
    assert answer.headers["content-type"].startswith("text/csv")
    rows = list(csv.DictReader(io.StringIO(await answer.text())))
    assert (rows[0]["kind"], rows[0]["unit"], rows[0]["change"], rows[0]["left"]) == (
        "charge",
        "octets",
        "-7000000",
        "93000000",
    )
    money = sum(int(row["change"]) for row in rows if row["unit"] == "money")
    assert money == (await server.line()).total(Unit.MONEY)


@pytest.mark.parametrize(
    ("value", "written"),
    [
        *(("=1+1", "'=1+1"), ("+254", "'+254"), ("@x", "'@x"), ("-5", "-5"), ("-5+1", "'-5+1"), ("\tx", "'\tx")),
        *(
            ("\n=1", "'\n=1"),
            (" =1", "' =1"),
            ("\uff1d1", "'\uff1d1"),
            ("\uff0b1", "'\uff0b1"),
            (" a", " a"),
            ("a", "a"),
        ),
    ],
)
def test_no_cell_is_a_formula(value: str, written: str) -> None:
    assert cell(value) == written


@browsed
@looped
@pytest.mark.parametrize(("place", "width"), [(KENYA, 1280), (QATAR, 360)], indirect=True)
async def test_settings_are_kept(inside: Page, server: Running, place: tuple[str, str, str]) -> None:
    other = next(one for one in server.services.operator.languages if one != place[2])
    await inside.goto(f"{server.url}/portal/settings")
    await inside.locator(f"input[name=language][value={other}]").check()
    await inside.locator("form[action$=language] button").click()
    await inside.locator(".notice.good").wait_for()
    assert await inside.locator("html").get_attribute("lang") == other
    await inside.goto(f"{server.url}/portal/settings?at=limits")
    await inside.locator("form[action*=cap] input[name=most]").first.fill("50")
    await inside.locator("form[action*=cap] button").first.click()
    await inside.locator(".notice.good").wait_for()
    rules = await server.engine.usage.spending_rules(await server.line())
    assert next(one.day_cap for one in rules.meters if one.unit is Unit.OCTETS) == 50_000_000
    await inside.goto(f"{server.url}/portal/settings")
    before = rules.out_of_bundle
    await inside.locator("form[action$=beyond] button").click()
    await inside.locator(".notice.good").wait_for()
    assert (await server.engine.usage.spending_rules(await server.line())).out_of_bundle is not before
    await inside.goto(f"{server.url}/portal/settings")
    await inside.locator("form[action$=news] button").click()
    await inside.locator(".notice.good").wait_for()
    assert (await server.engine.preferences(await server.line())).opted_out


@browsed
@looped
async def test_a_pin_is_changed_by_who_knows_it(inside: Page, server: Running) -> None:
    for old, new, again, marked in (
        ("9999", "8264", "8264", ".notice.bad"),
        ("2580", "8264", "8265", ".notice.bad"),
        ("2580", "1234", "1234", ".notice.bad"),
        ("2580", "8264", "8264", ".notice.good"),
    ):
        await inside.goto(f"{server.url}/portal/settings?at=pin")
        for name, value in (("#pin", old), ("#fresh", new), ("#again", again)):
            await inside.locator(name).fill(value)
        await inside.locator("form[action$=pin] button").click()
        await inside.locator(marked).wait_for()
    assert await server.engine.check_pin(await server.line(), "8264") is PinVerdict.RIGHT
