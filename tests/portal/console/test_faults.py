"""What the console cannot do is told on a page; what nobody can have typed is refused, and breaks nothing."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from uuid import uuid4

import aiohttp
import pytest
import pytest_asyncio
from sqlalchemy.exc import OperationalError

from engine.words import LineRef, Role
from portal.console.refs import write_line
from tests.portal.console.conftest import Client, Console

pytestmark = pytest.mark.asyncio(loop_scope="session")

KEY = f"|{uuid4()}"


@pytest_asyncio.fixture(loop_scope="session")
async def admin(console: Console) -> AsyncIterator[Client]:
    """An administrator at a browser."""
    jar = aiohttp.CookieJar(unsafe=True)
    async with aiohttp.ClientSession(cookie_jar=jar, headers={"Accept": "text/html"}) as http:
        one = Client(console.url, http)
        await one.sign_in(console.people[Role.ADMIN])
        yield one


async def line_of(console: Console) -> str:
    line = await console.engine.subscriber(console.services.operator.demo.subscribers[0].msisdn)
    return write_line(LineRef(*line.account, line.line_id))


async def test_what_no_page_of_ours_asks_for_is_refused_and_breaks_nothing(console: Console, admin: Client) -> None:
    line = await line_of(console)
    wrong = [
        *("/audit?by=%00", "/payments?gateway=%00", "/reviews/%00", "/disputes/%00", "/reconciliation/%00"),
        f"/payments?after=0001-01-01T00:00:00%2B14:00{KEY}",
        f"/payments?after=9999-12-31T23:59:59-14:00{KEY}",
        f"/lines/{line}?after=0001-01-01T00:00:00%2B00:00{KEY}",
        *(f"/reconciliation/figures?since={day}" for day in ("0001-01-01", "9999-12-31")),
        *("/ledger?until=9999-12-31", "/reconciliation.csv?since=yesterday", "/ledger/journal.csv?since=x"),
    ]
    assert {path: status for path in wrong if (status := (await admin.get(path))[0]) != 400} == {}
    assert (await admin.get(f"/lines/40000-{line.partition('-')[2]}"))[0] == 404
    await admin.get("")
    fields = {"once": uuid4().hex, "unit": "money", "way": "up"}
    assert (await admin.post(f"/lines/{line}/ask/adjust", why="a\0b", amount="1", **fields))[0] == 400
    status, page = await admin.post(f"/lines/{line}/ask/adjust", why="a reason", amount="1e999999999", **fields)
    assert status == 422 and "This amount is not possible." in page


async def test_every_refusal_and_fault_is_a_page_in_the_persons_language(
    console: Console, admin: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away() -> None:
        raise OperationalError("SELECT", {}, Exception("0712345001"))

    status, page = await admin.get("/nothing?lang=fr")
    assert status == 404 and 'lang="fr"' in page and "Vers la première page" in page
    status, page = await admin.post("/find", form="an older one", wanted="1")
    assert status == 403 and "<h1>Not allowed</h1>" in page
    monkeypatch.setattr(console.engine.staff, "members", away)
    status, page = await admin.get("/staff")
    assert status == 503 and "<h1>Not possible right now</h1>" in page and "0712345001" not in page


async def test_another_language_keeps_what_was_chosen_and_leads_from_a_form_to_a_page(
    console: Console, admin: Client
) -> None:
    _, page = await admin.get("/payments?state=settled&lang=en")
    assert 'href="/console/payments?state=settled&amp;lang=fr"' in page
    await admin.get("")
    status, page = await admin.post("/staff", name="X", role="support", why="new")
    leads = re.findall(r'href="/console(\S*\?lang=\w+)"', page)
    assert status == 422 and leads[0] == "/staff?lang=en"
    assert "A name has 2 to 32" in page
    assert [(await admin.get(path))[0] for path in leads] == [200] * 4


async def test_an_open_dashboard_keeps_no_session_alive_and_ends_with_the_account(
    console: Console, admin: Client
) -> None:
    redis, finance = console.services.redis, console.people[Role.FINANCE]
    async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as http:
        watching = Client(console.url, http)
        await watching.sign_in(finance)
        names = [name async for name in redis.scan_iter("page:*")]
        for name in names:
            await redis.expire(name, 100)
        async with http.get(f"{watching.url}/dashboard/live") as stream:
            await stream.content.readuntil(b"event: part")
            assert max([await redis.ttl(name) for name in names]) <= 100
            await console.engine.staff.disable(finance.name, by="root", why="left us")
            await stream.content.read()
    assert names
