"""The real engine behind doors that are slow or broken for as long as a test wants."""

from __future__ import annotations

import asyncio

from channels.turn import Profile
from engine.api import Engine
from engine.words import Answer, Operation, Subscriber
from tests.channels.phone import Phone

#: a gateway that gives up before a slow door opens
HASTY = Profile(deadline_seconds=1.3)


class SlowDoor:
    """The real engine behind a door that opens late."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.open = asyncio.Event()

    async def post(self, operation: Operation) -> Answer:
        await self.open.wait()
        return await self._engine.post(operation)

    def __getattr__(self, name: str):
        return getattr(self._engine, name)


class SlowRead(SlowDoor):
    """The real engine, whose reads take until they are let through."""

    #: reads that came to their end
    reads = 0

    async def post(self, operation: Operation) -> Answer:
        return await self._engine.post(operation)

    async def subscriber(self, msisdn: str) -> Subscriber:
        await self.open.wait()
        self.reads += 1
        return await self._engine.subscriber(msisdn)


class BrokenDoor(SlowDoor):
    """The real engine, out of order for as long as the test wants."""

    broken = True

    async def post(self, operation: Operation) -> Answer:
        if self.broken:
            raise ConnectionError
        return await self._engine.post(operation)


class Dying(SlowDoor):
    """A process that is killed when its operation is in the books, before the answer leaves."""

    def __init__(self, engine: Engine) -> None:
        super().__init__(engine)
        self.committed = asyncio.Event()

    async def post(self, operation):
        await self._engine.post(operation)
        self.committed.set()
        await asyncio.Event().wait()


async def late(phone: Phone) -> None:
    """Say yes to what the phone shows, and be promised the outcome."""
    reply = await phone.say("1")
    while reply.label != "notice.late":
        assert not reply.ends or reply.label == "notice.try_again"
        # On a busy machine the time is up before the door is reached: the network sends the hop again.
        reply = await (phone.send() if reply.ends else phone.say("1"))
