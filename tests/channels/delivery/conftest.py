"""The outbox of one line, workers, and carriers that send to servers on sockets."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any
from uuid import uuid4

import pytest
from redis.asyncio import Redis

from channels.chat.telegram.carrier import Carrier as Telegram
from channels.delivery import DeliveryWorker
from channels.routing import Route, Router
from channels.sms.contract import ErrorKind, Tools
from channels.sms.simulator.carrier import Carrier as Simulator, inbox
from dialogs.texts import Texts
from engine.api import Engine
from runtime.keyring import Keyring
from runtime.metrics import Metrics
from settings import Operator
from tests.channels.delivery.sockets import WORDS, OnASocket, route
from tests.channels.phone import MSISDN, Phone, Talk
from tests.doubles.africastalking import AfricasTalkingDouble
from tests.doubles.bot_api import TOKEN, BotApi


@pytest.fixture
async def recharged(talk: Talk, line: str, vouchers: list[str]) -> None:
    """A line that has just been recharged, its text waiting in the outbox."""
    phone = Phone(talk())
    await phone.dial(vouchers[0])
    await phone.say("1")


@pytest.fixture
def worker(engine: Engine, texts: Texts, operator: Operator) -> Callable[..., DeliveryWorker]:
    def make(*routes: Route, chats: dict[str, Route] | None = None) -> DeliveryWorker:
        return DeliveryWorker(
            engine=engine, router=Router(routes, chats), texts=texts, operator=operator, metrics=Metrics()
        )

    return make


@pytest.fixture
async def carrier(redis_client: Redis, keyring: Keyring) -> AsyncIterator[Callable[..., Awaitable[OnASocket]]]:
    """Makes carriers whose servers say what the test says, and take every text after that."""
    async with AsyncExitStack() as stack:

        async def make(*says: ErrorKind | str | None, drops_doubles: bool = False) -> OnASocket:
            server = await stack.enter_async_context(AfricasTalkingDouble())
            server.script.extend("accept" if one is None else WORDS.get(one, one) for one in says)
            made = OnASocket(server, Tools(redis=redis_client, keyring=keyring), drops_doubles=drops_doubles)
            stack.push_async_callback(made.close)
            return made

        yield make


@pytest.fixture
async def chat(redis_client: Redis, keyring: Keyring) -> AsyncIterator[tuple[Route, BotApi]]:
    """The way to chats, and the Bot API server that it leads to."""
    api = BotApi()
    await api.start()
    made = Telegram("telegram", {"token": TOKEN, "base_url": api.base_url}, Tools(redis=redis_client, keyring=keyring))
    yield route(made, "telegram"), api
    await made.close()
    await api.stop()


@pytest.fixture
def simulator(redis_client: Redis, keyring: Keyring) -> Simulator:
    return Simulator("simulator", {}, Tools(redis=redis_client, keyring=keyring))


@pytest.fixture
def texts_sent(redis_client: Redis, keyring: Keyring) -> Callable[[], Awaitable[list]]:
    async def read() -> list:
        return [entry for _, entry in await redis_client.xrange(inbox(keyring, MSISDN))]

    return read


@pytest.fixture
def told(engine: Engine, line: str) -> Callable[..., Awaitable[Any]]:
    """Writes one message to the line; returns its id."""

    async def tell(topic: str = "reply", **body: Any) -> Any:
        subscriber = await engine.subscriber(line)
        message_id = uuid4()
        body = body or {"text": "Balance KES 12.00"}
        assert await engine.tell(subscriber.account, subscriber.line_id, message_id, topic, body)
        return message_id

    return tell
