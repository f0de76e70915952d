"""What open sessions cost in Redis: many people at once, each in the middle of a dialogue that people really have.

The dialogues are played once each, on the real engine, and what the conversation stores for their hops is noted. The
same hops are then stored for every other line, through the same store.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any, NamedTuple

from redis.asyncio import Redis

from bench.figures import Chapter, Ratio, Sample, Series
from bench.house import House
from bench.machine import memory_mb
from bench.people import FIRST_NUMBER
from channels.conversation import Conversation
from channels.session import Line
from channels.sessions import SessionStore, connect
from channels.turn import Budget, Event, Profile, Turn
from dialogs.catalogue import machine_of
from dialogs.notices import Notices
from engine.api import Engine, open_engine
from engine.storage.sharding import new_id
from engine.words import Adjust, Unit
from runtime.keyring import Keyring
from runtime.metrics import Metrics
from settings import Operator

#: open sessions, and the megabytes of Redis that they may take together
SESSIONS, MOST_MB = 100_000, 150.0
#: what people had typed when they were counted: some have just dialled, some stand before a purchase
WALKS = ((), ("1",), ("3",), ("3", "1"), ("3", "1"), ("2", "12345678"), ("5", "1", "0712345678"))
GATEWAY = "africastalking"
PROFILE = Profile(budget=Budget(), deadline_seconds=10.0, session_seconds=180)
#: turns stored at the same time
AT_ONCE = 256


class Stored(NamedTuple):
    """What one hop left in the store."""

    text: str
    more: dict[str, Any]


class Noting(SessionStore):
    """A session store that notes what it is given."""

    noted: list[dict[str, Any]]

    async def end(self, line: Line, hop: bytes, token: bytes, **more: Any) -> Any:
        """Store, and note what was stored."""
        self.noted.append(more)
        return await super().end(line, hop, token, **more)


async def measure(house: House, operator: Operator, *, runs: int, tell: Callable[[str], None]) -> Chapter:
    """Megabytes for ``SESSIONS`` open sessions, and how fast they are stored."""
    keyring = Keyring({1: os.urandom(32)})
    redis = connect(house.redis.url)
    engine = await open_engine(await house.create_database("sessions"), operator, keyring, redis=redis)
    try:
        walks = [await _walk(engine, redis, keyring, walk) for walk in WALKS]
        samples, megabytes, resident = [], [], 0.0
        for run in range(runs):
            tell(f"run {run + 1} of {runs}: {SESSIONS:,} open sessions")
            await redis.flushall()
            before = await _used(redis)
            samples.append(await _fill(SessionStore(redis, keyring), walks))
            megabytes.append((await _used(redis) - before) / 1e6)
            resident = memory_mb(house.redis.pid)
    finally:
        await engine.close()
        await redis.aclose()
    hops = sum(len(walk) for walk in walks) / len(walks)
    return Chapter(
        series=[Series(subject="turn stored", load=AT_ONCE, samples=samples)],
        ratios=[
            Ratio(
                name=f"{MOST_MB:g} MB / memory of {SESSIONS:,} sessions",
                values=[MOST_MB / one for one in megabytes],
                target=1.0,
            )
        ],
        memory_mb={"open sessions": round(max(megabytes), 1), "redis with them": resident},
        facts={"sessions": SESSIONS, "hops_each": round(hops, 2), "bytes_each": round(max(megabytes) * 1e6 / SESSIONS)},
    )


async def _used(redis: Redis) -> int:
    """Bytes that Redis holds in values (``used_memory``)."""
    return int((await redis.info("memory"))["used_memory"])


async def _walk(engine: Engine, redis: Redis, keyring: Keyring, typed: tuple[str, ...]) -> list[Stored]:
    """Play a dialogue on a line of its own, and return what was stored for each of its hops."""
    msisdn = f"+{FIRST_NUMBER + 90_000_000 + int(new_id().int % 9_000_000)}"
    subscriber = await engine.create_line(msisdn, language=engine.operator.languages[0])
    credit = Adjust(
        account=subscriber.account,
        line_id=subscriber.line_id,
        key=new_id(),
        asked_at=datetime.now(UTC),
        source="bench",
        unit=Unit.MONEY,
        amount=100_000,
        reason="bench",
    )
    await engine.post(credit)
    store = Noting(redis, keyring)
    store.noted = []
    machine = machine_of(engine.operator)
    conversation = Conversation(
        engine=engine,
        machine=machine,
        notices=Notices(machine.texts, engine.operator),
        store=store,
        profiles={GATEWAY: PROFILE},
        metrics=Metrics(),
    )
    texts = ["*".join(typed[:length]) for length in range(len(typed) + 1)]
    for text in texts:
        await conversation.turn(_turn(msisdn, "ATUid_walk" + msisdn, text))
    return [Stored(text, more) for text, more in zip(texts, store.noted, strict=True)]


async def _fill(store: SessionStore, walks: list[list[Stored]]) -> Sample:
    """Store the walks for every line, several lines at once; turns a second."""
    lines = iter(range(SESSIONS))
    started = time.perf_counter()
    stored = sum(await asyncio.gather(*(_keep(store, walks, lines) for _ in range(AT_ONCE))))
    return Sample(rate=round(stored / (time.perf_counter() - started), 1))


async def _keep(store: SessionStore, walks: list[list[Stored]], lines: Iterator[int]) -> int:
    stored = 0
    for place in lines:
        session_id = f"ATUid_{new_id().hex}"
        for text, more in walks[place % len(walks)]:
            turn = _turn(f"+{FIRST_NUMBER + place}", session_id, text)
            line, hop = store.line(turn), store.hop(turn)
            begun = await store.begin(line, hop, 10_000)
            if begun.token is None:
                raise RuntimeError("a line is held by nobody else here")
            await store.end(line, hop, begun.token, **more)
            stored += 1
    return stored


def _turn(msisdn: str, session_id: str, text: str) -> Turn:
    return Turn(
        channel="ussd",
        gateway=GATEWAY,
        session_id=session_id,
        msisdn=msisdn,
        text=text,
        event=Event.RESUME if text else Event.NEW,
        cumulative=True,
    )
