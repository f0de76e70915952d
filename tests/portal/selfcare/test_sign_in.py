"""Signing in by a code, in a real browser and by hand."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator

import aiohttp
import pytest
import pytest_asyncio
from playwright.async_api import Page

from portal.base.sessions import Kept, Sessions
from tests.portal.selfcare.conftest import KENYA, QATAR, Running, calling, is_accessible, session_of, sign_in

pytestmark = [pytest.mark.needs("chromium"), pytest.mark.asyncio(loop_scope="session")]


@pytest_asyncio.fixture(loop_scope="session")
async def client(server: Running) -> AsyncIterator[aiohttp.ClientSession]:
    """A browser without a screen."""
    async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as session:
        yield session


async def token(client: aiohttp.ClientSession, server: Running, path: str = "/portal/sign-in") -> str:
    async with client.get(server.url + path) as answer:
        return re.findall(r'name="form" value="([0-9a-f]+)"', await answer.text())[0]


async def ask(client: aiohttp.ClientSession, server: Running, number: str) -> tuple[int, str, str]:
    form = {"form": await token(client, server), "number": number}
    async with client.post(f"{server.url}/portal/sign-in", data=form, allow_redirects=True) as answer:
        body = re.sub(r'name="form" value="[0-9a-f]+"', "", await answer.text())
        return answer.status, str(answer.url.path), body


async def try_code(client: aiohttp.ClientSession, server: Running, code: str) -> str:
    form = {"form": await token(client, server, "/portal/sign-in/code"), "code": code}
    async with client.post(f"{server.url}/portal/sign-in/code", data=form) as answer:
        return answer.url.path


@pytest.mark.parametrize(("place", "width"), [(KENYA, 1280), (KENYA, 360), (QATAR, 1280), (QATAR, 360)], indirect=True)
async def test_a_texted_code_opens_home(page: Page, server: Running, place: tuple[str, str, str]) -> None:
    await page.goto(f"{server.url}/portal?lang={place[2]}")
    await page.goto(f"{server.url}/portal/sign-in?lang={place[2]}")
    await is_accessible(page)
    await page.locator("#number").fill(server.msisdn)
    await page.locator("main button").click()
    await page.locator("#code").wait_for()
    await is_accessible(page)
    await page.locator("#code").fill(await server.code())
    await page.locator("main button").click()
    await page.locator(".gauges").wait_for()
    assert await page.locator("html").get_attribute("lang") == place[2]
    assert await page.locator("html").get_attribute("dir") == ("rtl" if place[2] == "ar" else "ltr")
    await is_accessible(page)


async def test_a_number_that_nobody_has_is_answered_like_any_other(
    client: aiohttp.ClientSession, server: Running
) -> None:
    ours = await ask(client, server, server.msisdn)
    await server.code()
    assert await ask(client, server, "+254799999999") == ours
    assert await server.texts("+254799999999") == []
    assert await try_code(client, server, "000000") == "/portal/sign-in/code"


async def test_a_code_is_good_once_and_for_its_own_number_only(client: aiohttp.ClientSession, server: Running) -> None:
    await ask(client, server, server.msisdn)
    code = await server.code()
    await ask(client, server, "+254712345002")
    assert await try_code(client, server, code) == "/portal/sign-in/code"
    async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as other:
        # A second code would replace the first: this number was asked for before.
        form = {"form": await token(other, server), "number": server.msisdn}
        await other.post(f"{server.url}/portal/sign-in", data=form)
        await asyncio.sleep(0.5)
        assert await try_code(other, server, await server.code()) == "/portal"
        assert await try_code_again(client, server, await server.code()) == "/portal/sign-in/code"


async def try_code_again(client: aiohttp.ClientSession, server: Running, code: str) -> str:
    await ask(client, server, "0712345001")
    return await try_code(client, server, code)


async def test_a_number_may_ask_for_five_codes_an_hour_however_it_is_written(
    client: aiohttp.ClientSession, server: Running
) -> None:
    national = server.msisdn.removeprefix("+254")
    spellings = [server.msisdn, f"0{national}", f"254{national}", f"00254{national}", national, f"(0) {national}"]
    said = [await ask(client, server, one) for one in spellings]
    assert [status for status, _, _ in said] == [200] * 5 + [429]


async def test_without_a_session_every_page_asks_to_sign_in(client: aiohttp.ClientSession, server: Running) -> None:
    for path in ("/portal", "/portal/live"):
        async with client.get(server.url + path) as answer:
            assert answer.url.path == "/portal/sign-in", path


async def test_a_form_that_another_site_sends_does_nothing(client: aiohttp.ClientSession, server: Running) -> None:
    form = {"form": await token(client, server), "number": server.msisdn}
    async with client.post(
        f"{server.url}/portal/sign-in", data=form, headers={"Sec-Fetch-Site": "cross-site"}
    ) as answer:
        assert answer.status == 403
    async with client.post(f"{server.url}/portal/sign-in", data={**form, "form": "0" * 40}) as answer:
        assert answer.status == 403


async def test_signing_in_changes_the_session_and_signing_out_ends_it(page: Page, server: Running) -> None:
    await page.goto(f"{server.url}/portal/sign-in")
    before = {one["name"]: one["value"] for one in await page.context.cookies()}["rasid_portal"]
    await sign_in(page, server)
    within = next(one for one in await page.context.cookies() if one["name"] == "rasid_portal")
    assert within["value"] != before and within["httpOnly"] and within["sameSite"] == "Lax"
    await page.locator(".who button").click()
    await page.locator("#number").wait_for()
    await page.context.add_cookies([within])
    await page.goto(f"{server.url}/portal")
    assert page.url.endswith("/portal/sign-in")


async def test_who_gets_a_number_later_is_not_signed_in_by_its_old_line(
    client: aiohttp.ClientSession, server: Running
) -> None:
    line = await server.line()
    async with calling(server) as old:
        assert (await old.get(""))[0] == 200
        await server.engine.accounts.erase_person(line.account, by="test")
        again = await server.engine.create_line(server.msisdn, None, "en")
        assert again.line_id != line.line_id
        async with old.http.get(f"{server.url}/portal") as answer:
            assert answer.url.path == "/portal/sign-in"


async def test_an_open_page_shows_nothing_of_who_gets_the_number_later(server: Running) -> None:
    async with calling(server) as old, old.http.get(f"{server.url}/portal/live") as stream:
        await stream.content.readuntil(b"event: part")
        await server.engine.accounts.erase_person((await server.line()).account, by="test")
        await server.engine.create_line(server.msisdn, None, "en")
        assert b"event: part" not in await asyncio.wait_for(stream.content.read(), 5)


async def test_what_an_open_page_asks_by_itself_does_not_make_the_session_last(server: Running) -> None:
    _, cookie = await session_of(server)
    sessions = Sessions(server.services.redis, server.services.keyring, "portal", Kept(began_at=0))
    visit = await sessions.find(cookie)
    assert visit is not None
    name = f"page:{sessions.label(visit)}"
    await server.services.redis.expire(name, 60)
    async with aiohttp.ClientSession(cookies={"rasid_portal": cookie}) as http:
        async with http.get(f"{server.url}/portal/live") as stream:
            assert stream.content_type == "text/event-stream"
        assert await server.services.redis.ttl(name) <= 60
        async with http.get(f"{server.url}/portal"):
            assert await server.services.redis.ttl(name) > 60


async def test_redis_never_holds_the_number(inside: Page, server: Running) -> None:
    kept = [(key, await server.services.redis.dump(key)) async for key in server.services.redis.scan_iter("page:*")]
    assert kept
    digits = server.msisdn.lstrip("+").encode()
    assert all(digits not in key and digits not in (value or b"") for key, value in kept)


async def test_every_answer_carries_the_policy(client: aiohttp.ClientSession, server: Running) -> None:
    for path in ("/portal/sign-in", "/portal/static/page.css", "/portal/nothing"):
        async with client.get(server.url + path) as answer:
            policy = answer.headers["Content-Security-Policy"]
            assert "default-src 'none'" in policy and "unsafe" not in policy, path
            assert answer.headers["X-Content-Type-Options"] == "nosniff"
