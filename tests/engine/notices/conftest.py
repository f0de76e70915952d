"""The database as its owner sees it, and a line that is told things."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from psycopg.rows import dict_row

from engine.api import Engine
from engine.words import Subscriber
from tests.engine.shop import open_line


@pytest.fixture
def owner(database_url: str) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(database_url, autocommit=True, row_factory=dict_row) as connection:
        yield connection


@pytest.fixture
async def person(engine: Engine) -> Subscriber:
    return await open_line(engine)


@pytest.fixture
def tell(engine: Engine, person: Subscriber) -> Callable[..., Awaitable[UUID]]:
    async def tell(topic: str = "reply", **body: Any) -> UUID:
        message_id = uuid4()
        assert await engine.tell(person.account, person.line_id, message_id, topic, body or {"text": "Hello"})
        return message_id

    return tell
