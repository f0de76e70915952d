"""Turns that take too long: another process has served the line meanwhile, or the person was told to try again."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
from redis.asyncio import Redis

from channels.session import Ended, Session
from channels.sessions import SessionStore
from channels.turn import Reply
from dialogs.words import Place
from engine.api import Engine
from runtime.keyring import Keyring
from tests.channels.doors import HASTY, SlowRead
from tests.channels.phone import Phone, Talk, money
from tests.engine.shop import credit
from tests.waiting import until


async def test_who_was_held_up_says_what_another_process_has_answered(
    talk: Talk, engine: Engine, line: str, store: SessionStore, redis_client: Redis
) -> None:
    door = SlowRead(engine)
    held_up, other = Phone(talk(engine=door)), Phone(talk())
    waiting = asyncio.create_task(held_up.dial("1"))
    await until(lambda: redis_client.delete(store.line(held_up.turn("1")).lock))
    answered = await other.dial("1")
    # What it would say by itself is another balance.
    await credit(engine, await engine.subscriber(line), 700)
    door.open.set()
    assert "0.00" in answered.text
    assert await waiting == answered


class Noting(SessionStore):
    """A session store that notes when a turn comes too late to be kept."""

    def __init__(self, redis: Redis, keyring: Keyring) -> None:
        super().__init__(redis, keyring)
        self.stale = asyncio.Event()

    async def end(self, *given: Any, **more: Any) -> Ended:
        ended = await super().end(*given, **more)
        if ended.stale:
            self.stale.set()
        return ended


async def test_who_was_held_up_waits_for_the_answer_of_who_holds_the_line_now(
    *, talk: Talk, engine: Engine, line: str, store: SessionStore, redis_client: Redis, keyring: Keyring
) -> None:
    door, answer = SlowRead(engine), Reply(text="said elsewhere", ends=True)
    noting = Noting(redis_client, keyring)
    await noting.load()
    phone = Phone(talk(engine=door, store=noting))
    waiting = asyncio.create_task(phone.dial("1"))
    at, hop = store.line(phone.turn("1")), store.hop(phone.turn("1"))
    await until(lambda: redis_client.delete(at.lock))
    begun = await store.begin(at, hop, 10_000)
    assert begun.token is not None
    door.open.set()
    await asyncio.wait_for(noting.stale.wait(), 5)
    stored = msgspec.msgpack.encode(answer)
    await store.end(at, hop, begun.token, answer=stored, session=Session(Place()), keep_seconds=180)
    assert await waiting == answer


async def test_who_was_told_to_try_again_before_anything_was_asked_for_is_credited_nothing_afterwards(
    talk: Talk, engine: Engine, line: str, vouchers: list[str]
) -> None:
    phone, door = Phone(talk()), SlowRead(engine)
    await phone.dial(vouchers[0])
    phone.conversation = talk(engine=door, profile=HASTY)
    assert (await phone.say("1")).label == "notice.try_again"
    door.open.set()
    await phone.conversation.drain()
    assert await money(engine) == 0


async def test_what_is_read_too_late_is_read_to_its_end_and_leads_to_nothing(
    talk: Talk, engine: Engine, line: str
) -> None:
    """Cut off in the middle it would cost a connection to Postgres, and on a busy day there are many such turns."""
    door = SlowRead(engine)
    phone = Phone(talk(engine=door, profile=HASTY))
    assert (await phone.dial()).label == "notice.try_again"
    door.open.set()
    await phone.conversation.drain()
    assert door.reads == 1
