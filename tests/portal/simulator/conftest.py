"""A whole server with the simulator on, its outbox being delivered, and a page of Chromium in front of it."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import web
from playwright.async_api import Browser, Page, expect

from channels.delivery import DeliveryWorker
from channels.routing import router
from channels.sms.contract import Tools
from channels.sms.simulator.carrier import Carrier
from commands.providers import sandbox_gateways
from dialogs.texts import Texts
from engine.api import Engine
from engine.recharge.tables import BatchState
from network.nchf.reauthorization import Reauthorization
from opening import Opened
from portal.simulator import offer_vouchers
from runtime.embedded.process import free_port
from sandbox.bot_api import BotApi
from sandbox.core import PacketCore
from sandbox.payments.desk import Accounts
from sandbox.payments.server import PaymentsSandbox
from settings import ApiKeySettings, GatewaySettings, Settings, TelegramSettings
from ussd_server import SERVICES, app

EXAMPLES = Path(__file__).resolve().parents[3] / "examples"
KEY = bytes(range(32)).hex()
#: of the packet core
API_KEY = "a key of the sandbox"
FACE_VALUE = 5_000

#: what goes on until it is told to stop
Work = Callable[[asyncio.Event], Coroutine[Any, Any, None]]


@dataclass(frozen=True)
class Running:
    """A server that listens, and what a test needs to look behind it."""

    url: str
    runner: web.AppRunner
    services: Opened
    vouchers: list[str]

    @property
    def engine(self) -> Engine:
        return self.services.engine


@pytest.fixture
def country(request: pytest.FixtureRequest) -> str:
    """Whose sample operator is served; a test may ask for another with ``parametrize(indirect=True)``."""
    return getattr(request, "param", "kenya")


@pytest_asyncio.fixture(loop_scope="session")
async def bot_api() -> AsyncIterator[BotApi]:
    """The sandbox's Bot API server."""
    api = BotApi("987654:simulator")
    await api.start()
    yield api
    await api.stop()


@pytest.fixture
def telegram(request: pytest.FixtureRequest) -> TelegramSettings | None:
    """The bot, of tests that ask for the chat: ``usefixtures("bot_api")``."""
    if "bot_api" not in request.fixturenames:
        return None
    base_url = request.getfixturevalue("bot_api").base_url
    return TelegramSettings(
        token="987654:simulator",
        mode="webhook",
        secret_token="secret-1",
        base_url=base_url,
        public_url="http://localhost",
        sandbox=True,
    )


@dataclass(frozen=True)
class Neighbours:
    """The sandbox's payment providers and packet core, and the server's port that they know."""

    port: int
    payers: PaymentsSandbox
    core: PacketCore


@pytest_asyncio.fixture(loop_scope="session")
async def neighbours() -> AsyncIterator[Neighbours]:
    """Both, with what they do quick enough for tests."""
    port = free_port()
    payers, core = PaymentsSandbox(pace=0.05), PacketCore(f"http://127.0.0.1:{port}", API_KEY, pace=0.05)
    await payers.start()
    await core.start()
    yield Neighbours(port, payers, core)
    await core.stop()
    await payers.stop()


@pytest.fixture
def beside(request: pytest.FixtureRequest) -> dict[str, Any]:
    """The settings that name the neighbours, of tests that ask for them: ``usefixtures("neighbours")``."""
    if "neighbours" not in request.fixturenames:
        return {}
    given: Neighbours = request.getfixturevalue("neighbours")
    ours = f"http://127.0.0.1:{given.port}"
    digest = hashlib.sha256(API_KEY.encode()).hexdigest()
    return {
        "port": given.port,
        "simulator_core": given.core.base_url,
        "payment_gateways": sandbox_gateways(given.payers, Accounts(), "KES", ours),
        "api_keys": {"core": ApiKeySettings(digest=digest, rights=("charging",))},
    }


@pytest.fixture
def settings(
    *,
    database_url: str,
    redis_url: str,
    country: str,
    telegram: TelegramSettings | None,
    beside: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
) -> Settings:
    for name in ("DATABASE_URL", "DATABASE_OWNER_URL", "REDIS_URL", "PORT"):
        monkeypatch.delenv(name, raising=False)
    return Settings(
        database_url=database_url,
        redis_url=redis_url,
        operator=EXAMPLES / f"{country}.toml",
        keys={1: KEY},
        simulator=True,
        telegram=telegram,
        gateways={
            "africastalking": GatewaySettings(adapter="africastalking"),
            "africastalking-160": GatewaySettings(adapter="africastalking", septets=160),
            "africastalking-120": GatewaySettings(adapter="africastalking", septets=120),
        },
        **beside,
    )


@asynccontextmanager
async def serving(settings: Settings) -> AsyncIterator[tuple[str, web.AppRunner]]:
    """The server of these settings, on a free port unless they name one."""
    runner = web.AppRunner(await app(settings), access_log=None)
    await runner.setup()
    await runner.app[SERVICES].store.load()
    await web.TCPSite(runner, "127.0.0.1", settings.port if settings.simulator_core else 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}", runner
    finally:
        await runner.cleanup()


@asynccontextmanager
async def delivering(settings: Settings, services: Opened, *beside: Work) -> AsyncIterator[None]:
    """Texts are delivered into the simulator's inbox meanwhile, and what stands ``beside`` runs too."""
    texts = Carrier("simulator", {}, Tools(redis=services.redis, keyring=services.keyring))
    worker = DeliveryWorker(
        engine=services.engine,
        router=router(settings, {"simulator": texts}, services.redis),
        texts=Texts(services.operator.languages, services.operator.timezone),
        operator=services.operator,
        metrics=services.metrics,
    )
    stop = asyncio.Event()
    tasks = [asyncio.create_task(work(stop)) for work in (worker.run, *beside)]
    yield
    stop.set()
    await asyncio.gather(*tasks)


async def seed(services: Opened) -> list[str]:
    """The operator's sample lines and a few vouchers on sale; their numbers."""
    for line in services.operator.demo.subscribers:
        await services.engine.create_line(line.msisdn, line.imsi, line.language, line.pin)
    batch, numbers = await services.engine.vouchers.create_batch(FACE_VALUE, 4, "alice")
    for state in (BatchState.PRINTED, BatchState.SHIPPED, BatchState.ACTIVE):
        await services.engine.vouchers.move_batch(batch.batch_id, state, "bob")
    pins = [pin for _, pin in numbers]
    await offer_vouchers(services.redis, [{"pin": pin, "face_value": FACE_VALUE} for pin in pins])
    return pins


@pytest_asyncio.fixture(loop_scope="session")
async def server(settings: Settings) -> AsyncIterator[Running]:
    """The server with sample lines and vouchers; texts are delivered into the simulator's inbox."""
    async with serving(settings) as (url, runner):
        services = runner.app[SERVICES]
        vouchers, beside = await seed(services), []
        if settings.simulator_core:
            await services.engine.payments.start()
            beside.append(Reauthorization(services.engine).run)
        async with delivering(settings, services, *beside):
            yield Running(url, runner, services, vouchers)


@pytest_asyncio.fixture(loop_scope="session")
async def page(browser: Browser, server: Running) -> AsyncIterator[Page]:
    """The simulator, opened. Whatever a test does: nothing is asked of another host, nothing breaks the policy."""
    context = await browser.new_context(viewport={"width": 1100, "height": 900})
    opened = await context.new_page()
    requested: list[str] = []
    errors: list[str] = []

    def heard(message: Any) -> None:
        if message.type == "error":
            errors.append(message.text)

    opened.on("request", lambda request: requested.append(request.url))
    opened.on("console", heard)
    opened.on("pageerror", lambda error: errors.append(str(error)))
    await opened.goto(f"{server.url}/simulator")
    await opened.locator("#vouchers .card").first.wait_for()
    await expect(opened.locator("#wire")).to_have_text("live")
    yield opened
    await context.close()
    assert [url for url in requested if not url.startswith(f"{server.url}/")] == []
    assert errors == []
