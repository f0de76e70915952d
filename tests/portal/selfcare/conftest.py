"""A whole server with the portal on, texts delivered into the simulator's inbox, and people with browsers."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import aiohttp
import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page

from channels.sms.simulator.carrier import inbox
from engine.api import Engine
from engine.words import Adjust, Purchase, Subscriber, Unit
from opening import Opened
from portal.base.sessions import Kept, Sessions
from portal.selfcare.devices import Devices
from portal.simulator.live import readable
from settings import GatewaySettings, PortalSettings, Settings
from tests.portal.simulator.conftest import EXAMPLES, KEY, delivering, seed, serving
from ussd_server import SERVICES

AXE = Path(__file__).parent.parent / "axe-core" / "axe.min.js"
#: country, number of its first sample line, that line's language
KENYA, QATAR = ("kenya", "+254712345001", "en"), ("qatar", "+97433123001", "ar")


@dataclass(frozen=True)
class Running:
    """A server that listens, and what a test needs to look behind it."""

    url: str
    services: Opened
    vouchers: list[str]
    msisdn: str

    @property
    def engine(self) -> Engine:
        return self.services.engine

    async def line(self) -> Subscriber:
        return await self.engine.subscriber(self.msisdn)

    async def texts(self, msisdn: str | None = None) -> list[str]:
        """What the phone has been sent, the oldest first."""
        name = inbox(self.services.keyring, msisdn or self.msisdn)
        kept = await self.services.redis.xrange(name)
        return [readable(fields)["text"] for _, fields in kept]

    async def code(self) -> str:
        """The latest six digits that were texted to the line."""
        for _ in range(200):
            found = [code for one in await self.texts() for code in re.findall(r"(?<!\d)\d{6}(?!\d)", one)]
            if found:
                return found[-1]
            await asyncio.sleep(0.05)
        raise AssertionError("no code was texted")


@pytest.fixture
def place(request: pytest.FixtureRequest) -> tuple[str, str, str]:
    """Whose sample operator is served; a test may ask for another with ``parametrize(indirect=True)``."""
    return getattr(request, "param", KENYA)


@pytest.fixture
def settings(
    database_url: str, redis_url: str, place: tuple[str, str, str], monkeypatch: pytest.MonkeyPatch
) -> Settings:
    for name in ("DATABASE_URL", "DATABASE_OWNER_URL", "REDIS_URL", "PORT"):
        monkeypatch.delenv(name, raising=False)
    return Settings(
        database_url=database_url,
        redis_url=redis_url,
        operator=EXAMPLES / f"{place[0]}.toml",
        keys={1: KEY},
        simulator=True,
        portal=PortalSettings(),
        gateways={"africastalking": GatewaySettings(adapter="africastalking")},
    )


@pytest_asyncio.fixture(loop_scope="session")
async def server(settings: Settings, place: tuple[str, str, str]) -> AsyncIterator[Running]:
    """The server; the first sample line has some money and a bundle."""
    async with serving(settings) as (url, runner):
        services = runner.app[SERVICES]
        vouchers = await seed(services)
        running = Running(url, services, vouchers, place[1])
        line = await running.line()
        await services.engine.set_language(line, place[2])
        await spend(running, Adjust, unit=Unit.MONEY, amount=200_000, reason="test")
        product = next(
            one for one in services.operator.products if one.grants[0].unit == "octets" and not one.grants[0].categories
        )
        await spend(running, Purchase, product=product.code, price=product.price)
        async with delivering(settings, services):
            yield running


async def spend(server: Running, kind: Callable[..., Any], **what: Any) -> None:
    """Post an operation of the line; it must go through."""
    line = await server.line()
    asked = {"account": line.account, "line_id": line.line_id, "key": uuid4(), "source": "test"}
    answer = await server.engine.post(kind(**asked, asked_at=datetime.now(UTC), **what))
    assert answer.ok, answer


@pytest.fixture
def width(request: pytest.FixtureRequest) -> int:
    """Pixels that the window is wide."""
    return getattr(request, "param", 1280)


@pytest_asyncio.fixture(loop_scope="session")
async def page(browser: Browser, server: Running, width: int) -> AsyncIterator[Page]:
    """A fresh browser. Whatever a test does: nothing is asked of another host, nothing breaks the policy."""
    context = await browser.new_context(viewport={"width": width, "height": 800}, locale="en")
    opened = await context.new_page()
    requested: list[str] = []
    errors: list[str] = []

    def heard(message: Any) -> None:
        # A page that says what was wrong with a form answers 422, which Chromium tells as an error.
        if message.type == "error" and not any(one in message.text for one in ("422", "429")):
            errors.append(message.text)

    opened.on("request", lambda request: requested.append(request.url))
    opened.on("console", heard)
    opened.on("pageerror", lambda error: errors.append(str(error)))
    yield opened
    await context.close()
    assert [url for url in requested if not url.startswith(f"{server.url}/")] == []
    assert errors == []


async def session_of(server: Running, msisdn: str | None = None) -> tuple[str, str]:
    """Name and value of the cookie of somebody who has signed in."""
    sessions = Sessions(server.services.redis, server.services.keyring, "portal", Kept(began_at=0))
    line = await server.engine.subscriber(msisdn or server.msisdn)
    kept = Kept(began_at=time.time(), msisdn=line.msisdn, signed_in=True, line_id=line.line_id)
    visit = await sessions.begin(kept)
    await Devices(server.services.redis, sessions).note(
        visit, line.line_id, "Mozilla/5.0 (Linux; Android 10) Chrome/120"
    )
    return "rasid_portal", visit.cookie


@pytest_asyncio.fixture(loop_scope="session")
async def inside(page: Page, server: Running) -> Page:
    """Signed in, at home."""
    name, value = await session_of(server)
    await page.context.add_cookies([{"name": name, "value": value, "url": server.url}])
    await page.goto(f"{server.url}/portal")
    return page


class Caller:
    """A browser without a screen, signed in."""

    def __init__(self, base: str, http: aiohttp.ClientSession) -> None:
        self.base, self.http = base, http

    async def get(self, path: str, **headers: str) -> tuple[int, str]:
        """Status and body; ``path`` stands below ``/portal`` unless it begins with two slashes."""
        async with self.http.get(self._url(path), headers=headers) as answer:
            return answer.status, await answer.text()

    async def data(self, path: str) -> bytes:
        """A file."""
        async with self.http.get(self._url(path)) as answer:
            assert answer.status == 200
            return await answer.read()

    async def send(self, page: str, action: str, **fields: str) -> tuple[int, str, str]:
        """Fill the form of a page and send it: status, path and body of where that leads."""
        _, body = await self.get(page)
        hidden = dict(re.findall(r'<input type="hidden" name="(form|once)" value="([0-9a-f]+)"', body))
        async with self.http.post(self._url(action), data={**hidden, **fields}) as answer:
            return answer.status, answer.url.path, await answer.text()

    def _url(self, path: str) -> str:
        return self.base + path[1:] if path.startswith("//") else f"{self.base}/portal{path}"


@asynccontextmanager
async def calling(server: Running, msisdn: str | None = None) -> AsyncIterator[Caller]:
    """A caller for one line."""
    name, value = await session_of(server, msisdn)
    async with aiohttp.ClientSession(cookies={name: value}, headers={"Accept": "text/html"}) as http:
        yield Caller(server.url, http)


@pytest_asyncio.fixture(loop_scope="session")
async def caller(server: Running) -> AsyncIterator[Caller]:
    """Signed in, without a browser."""
    async with calling(server) as one:
        yield one


async def sign_in(page: Page, server: Running) -> None:
    await page.goto(f"{server.url}/portal")
    await page.locator("#number").fill(server.msisdn)
    await page.locator("main button").click()
    await page.locator("#code").fill(await server.code())
    await page.locator("main button").click()
    await page.locator(".gauges").wait_for()


async def is_accessible(page: Page) -> None:
    """axe-core finds nothing against WCAG 2.2 AA, and nothing is wider than the window."""
    # Run beside the page, so that its own policy stays in force.
    found = await page.evaluate(
        f"""async () => {{ {AXE.read_text()};
        const result = await axe.run({{runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]}});
        return result.violations.map((one) => one.id + ": " + one.nodes.map((node) => node.html).join(" | ")); }}"""
    )
    assert found == []
    assert await page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
