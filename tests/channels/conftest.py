"""A session store on real Redis, and conversations on the real engine."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from redis.asyncio import Redis

from channels.conversation import Conversation
from channels.delivery import DeliveryWorker
from channels.quota import Quota
from channels.routing import Route, Router
from channels.sessions import SessionStore, connect
from channels.sms.contract import Tools
from channels.sms.simulator.carrier import Carrier as Simulator, inbox
from channels.text_turn import TextProfile, text_profile
from channels.texts import TextConversation
from channels.trace import TracePublisher
from channels.turn import Budget, Profile
from dialogs.catalogue import declared
from dialogs.machine import Machine
from dialogs.notices import Notices
from dialogs.texts import Texts
from engine.api import Engine
from engine.recharge.tables import BatchState
from engine.words import Subscriber
from runtime.embedded.process import free_port
from runtime.keyring import Keyring
from runtime.metrics import Metrics
from settings import CarrierSettings, Operator
from tests.channels.phone import FACE_VALUE, MSISDN, Talk
from tests.channels.servers import ROOT, Variables
from tests.channels.texter import TextTalk
from tests.engine.shop import credit
from tests.serving import Client, ClientOf

#: the texts that a phone was sent in the end
Told = Callable[[], Awaitable[list[str]]]


@pytest.fixture
async def client_of() -> AsyncIterator[ClientOf]:
    """Serves applications, each to a client of its own."""
    async with AsyncExitStack() as stack:

        async def serve(application: web.Application) -> Client:
            return await stack.enter_async_context(TestClient(TestServer(application)))

        yield serve


@pytest.fixture
async def redis_client(redis_url: str) -> AsyncIterator[Redis]:
    client = connect(redis_url)
    yield client
    await client.aclose()


@pytest.fixture
async def store(redis_client: Redis, keyring: Keyring) -> SessionStore:
    store = SessionStore(redis_client, keyring)
    await store.load()
    return store


@pytest.fixture(scope="session")
def texts(operator: Operator) -> Texts:
    return Texts(operator.languages, operator.timezone)


@pytest.fixture
def profile() -> Profile:
    return Profile(budget=Budget(), deadline_seconds=8.0, session_seconds=180)


@pytest.fixture
async def talk(engine: Engine, store: SessionStore, operator: Operator, texts: Texts, profile: Profile) -> Talk:
    """Makes conversations as one process would: ``talk(engine=…, store=…, profile=…)`` swaps a part."""

    def make(
        *,
        engine: Engine = engine,
        store: SessionStore = store,
        profile: Profile = profile,
        publisher: TracePublisher | None = None,
    ) -> Conversation:
        return Conversation(
            engine=engine,
            machine=Machine(declared(operator), texts),
            notices=Notices(texts, operator),
            store=store,
            profiles=defaultdict(lambda: profile),
            metrics=Metrics(),
            publisher=publisher,
        )

    return make


@pytest.fixture
async def texting(
    *, engine: Engine, store: SessionStore, operator: Operator, texts: Texts, redis_client: Redis, keyring: Keyring
) -> TextTalk:
    """Makes conversations by text as one process would: ``texting(engine=…, profile=…)`` swaps a part."""

    def make(
        *,
        engine: Engine = engine,
        store: SessionStore = store,
        operator: Operator = operator,
        profile: TextProfile | None = None,
        redis: Redis = redis_client,
        machine: Machine | None = None,
    ) -> TextConversation:
        return TextConversation(
            engine=engine,
            machine=machine or Machine(declared(operator), texts),
            notices=Notices(texts, operator),
            store=store,
            profiles=defaultdict(lambda: profile or text_profile()),
            metrics=Metrics(),
            operator=operator,
            quota=Quota(redis, keyring),
            keyring=keyring,
        )

    return make


@pytest.fixture
async def line(engine: Engine) -> str:
    """The number of a line with nothing on it."""
    await engine.create_line(MSISDN, language="en")
    return MSISDN


@pytest.fixture
async def vouchers(engine: Engine) -> list[str]:
    """Numbers of vouchers on sale, of ``FACE_VALUE`` each."""
    batch, numbers = await engine.vouchers.create_batch(FACE_VALUE, 5, "amina")
    for state in (BatchState.PRINTED, BatchState.SHIPPED, BatchState.ACTIVE):
        await engine.vouchers.move_batch(batch.batch_id, state, by="baraka")
    return [number for _, number in numbers]


@pytest.fixture
async def rich(engine: Engine, line: str) -> Subscriber:
    """A line with money for several bundles."""
    subscriber = await engine.subscriber(line)
    await credit(engine, subscriber, 100_000)
    return await engine.subscriber(line)


@pytest.fixture
def guarded(operator: Operator) -> Operator:
    """The operator, who wants the PIN before money moves."""
    rules = operator.pins.model_copy(update={"required_for": ("purchase", "recharge")})
    return operator.model_copy(update={"pins": rules})


@pytest.fixture
def variables(database_url: str, redis_url: str, tmp_path: Path) -> Variables:
    """The environment of a server; ``gateway`` lines go into its settings file."""

    def make(*gateway: str, simulator: bool = False) -> dict[str, str]:
        config = tmp_path / "rasid.toml"
        lines = [
            f'operator = "{ROOT / "examples" / "kenya.toml"}"',
            f"simulator = {str(simulator).lower()}",
            "[keys]",
            f'1 = "{bytes(range(32)).hex()}"',
            "[gateways.africastalking]",
            'adapter = "africastalking"',
            *gateway,
        ]
        config.write_text("\n".join(lines), encoding="utf-8")
        ours = {"DATABASE_URL": database_url, "REDIS_URL": redis_url, "RASID_CONFIG": str(config)}
        return {"PATH": os.environ["PATH"], "PORT": str(free_port()), "RASID_HOST": "127.0.0.1", **ours}

    return make


@pytest.fixture
def told(*, engine: Engine, owner, texts, operator, redis_client, keyring) -> Told:
    """The texts on the line's phone, once all that waits was due and delivered."""
    carrier = Simulator("simulator", {}, Tools(redis=redis_client, keyring=keyring))
    route = Route("simulator", carrier, CarrierSettings(adapter="simulator", per_second=1000.0))
    worker = DeliveryWorker(
        engine=engine, router=Router([route]), texts=texts, operator=operator, metrics=Metrics()
    )  # fmt: skip

    async def read() -> list[str]:
        owner.execute("UPDATE outbox SET due_at = now() WHERE state = 'due'")
        while await worker.deliver():
            pass
        return [entry[b"text"].decode() for _, entry in await redis_client.xrange(inbox(keyring, MSISDN))]

    return read
