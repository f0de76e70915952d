"""The console on a running server, people of every role who can sign in, and a client that holds cookies."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import aiohttp
import pytest
import pytest_asyncio
from aiohttp import web

from engine.api import Engine
from engine.staff.service import Credentials
from engine.words import Role
from settings import ConsoleSettings, GatewaySettings, Settings
from tests.portal.console.codes import code_of
from tests.portal.simulator.conftest import EXAMPLES, KEY, seed, serving
from ussd_server import SERVICES, Opened

FORM = re.compile(r'name="form" value="([0-9a-f]+)"')


@dataclass
class Console:
    """A server that listens, and what a test needs to look behind it."""

    url: str
    services: Opened
    vouchers: list[str]
    app: web.Application
    people: dict[Role, Credentials] = field(default_factory=dict)

    @property
    def engine(self) -> Engine:
        return self.services.engine


class Client:
    """A browser without a screen: keeps cookies, sends forms with the token of the page before."""

    def __init__(self, url: str, http: aiohttp.ClientSession) -> None:
        self.url = f"{url}/console"
        self.http = http
        self.token = ""

    async def get(self, path: str) -> tuple[int, str]:
        async with self.http.get(self.url + path, allow_redirects=False) as answer:
            text = await answer.text(errors="replace")
            found = FORM.search(text)
            self.token = found[1] if found else self.token
            return answer.status, text

    async def post(self, path: str, **fields: str) -> tuple[int, str]:
        """Send a form. A redirection answers with where it leads."""
        data = {"form": self.token, **fields}
        async with self.http.post(self.url + path, data=data, allow_redirects=False) as answer:
            text = await answer.text()
            return answer.status, answer.headers.get("Location", text)

    async def sign_in(self, person: Credentials) -> None:
        await self.get("/sign-in")
        status, where = await self.post("/sign-in", name=person.name, password=person.password, code=code_of(person))
        assert (status, where) == (303, "/console"), where
        await self.get("")


@pytest.fixture
def settings(database_url: str, redis_url: str, monkeypatch: pytest.MonkeyPatch) -> Settings:
    for name in ("DATABASE_URL", "DATABASE_OWNER_URL", "REDIS_URL", "PORT"):
        monkeypatch.delenv(name, raising=False)
    return Settings(
        database_url=database_url,
        redis_url=redis_url,
        operator=EXAMPLES / "kenya.toml",
        keys={1: KEY},
        console=ConsoleSettings(),
        gateways={"africastalking": GatewaySettings(adapter="africastalking")},
    )


@pytest_asyncio.fixture(loop_scope="session")
async def console(settings: Settings) -> AsyncIterator[Console]:
    """The server with sample lines, vouchers, and one person of each role."""
    async with serving(settings) as (url, runner):
        services = runner.app[SERVICES]
        running = Console(url, services, await seed(services), runner.app)
        for role in Role:
            made = await services.engine.staff.add(role.value, role, by="root", why="test")
            running.people[role] = made
        yield running


@pytest_asyncio.fixture(loop_scope="session")
async def client(console: Console) -> AsyncIterator[Client]:
    """Somebody who has not signed in."""
    async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as http:
        yield Client(console.url, http)
