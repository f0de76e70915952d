"""A Bot API server, and bots that talk to it over real sockets."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable

import pytest
from redis.asyncio import Redis

from channels.chats import Chats, chat_profile
from channels.quota import Quota
from channels.sessions import SessionStore
from dialogs.notices import Notices
from dialogs.texts import Texts
from engine.api import Engine
from engine.words import Subscriber
from runtime.keyring import Keyring
from settings import Operator
from tests.channels.chat.person import AMINA, MONEY, Person
from tests.channels.texter import TextTalk
from tests.doubles.bot_api import BotApi
from tests.engine.shop import credit


@pytest.fixture
async def api() -> AsyncIterator[BotApi]:
    server = BotApi()
    await server.start()
    yield server
    await server.stop()


#: makes the machinery of chats as one process would; keywords swap a part
MakeChats = Callable[..., Chats]


@pytest.fixture
async def make_chats(
    *,
    texting: TextTalk,
    engine: Engine,
    store: SessionStore,
    redis_client: Redis,
    keyring: Keyring,
    texts: Texts,
    operator: Operator,
) -> MakeChats:
    def make(*, engine: Engine = engine, store: SessionStore = store, redis: Redis = redis_client) -> Chats:
        return Chats(
            engine=engine,
            conversation=texting(engine=engine, store=store, profile=chat_profile(operator), redis=redis),
            store=store,
            quota=Quota(redis, keyring),
            redis=redis,
            keyring=keyring,
            texts=texts,
            notices=Notices(texts, operator),
            operator=operator,
        )

    return make


@pytest.fixture
async def linked(engine: Engine, line: str) -> Subscriber:
    """A line with money for several bundles, linked to the chat ``AMINA``."""
    subscriber = await engine.subscriber(line)
    await credit(engine, subscriber, MONEY)
    assert await engine.link_chat("telegram", str(AMINA), line, await engine.link_code(subscriber))
    return await engine.subscriber(line)


@pytest.fixture
def amina(make_chats: MakeChats, linked: Subscriber) -> Person:
    return Person(make_chats())
