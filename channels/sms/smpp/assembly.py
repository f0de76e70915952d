"""Parts of a long text, kept until all are there: in any order, over any of our sessions and processes.

They lie in Redis, encrypted, because the parts of one text may come over different sessions. Redis is not where truth
lives, so by default nothing depends on it: no part is acknowledged before the whole has been handled, and losing Redis
means that the centre, which still has all of them, sends them again. Which part was handled is remembered for as long,
so a part repeated after that is acknowledged and does nothing.
"""

from __future__ import annotations

import asyncio
from typing import Final, Literal

from cryptography.exceptions import InvalidTag
from redis.asyncio import Redis

from channels.smpp.parts import Segment
from runtime.keyring import Keyring

#: seconds that parts are kept after the last one came, and that a handled text is remembered
KEEP_SECONDS: Final = 3600
MARK_BYTES = 8
#: what the key is derived for
PURPOSE: Final = "smpp-parts"
DONE: Final = b"done"


class Assembly:
    """The long texts of one message centre that are not whole yet."""

    def __init__(self, redis: Redis, keyring: Keyring, name: str) -> None:
        """``name``: the message centre's."""
        self._redis = redis
        self._keyring = keyring
        self._name = name
        self._waiting: dict[str, asyncio.Event] = {}

    def key(self, source: str, destination: str, segment: Segment, data_coding: int) -> str:
        """The text that a part belongs to."""
        named = f"{self._name}|{source}|{destination}|{segment.reference}|{segment.total}|{data_coding}"
        return f"smpp:parts:{self._keyring.digest('smpp-parts-key', named.encode())[:16].hex()}"

    async def add(self, key: str, segment: Segment) -> list[bytes] | Literal["handled", "waiting"]:
        """Keep a part: all of them in order once the last one is there, or what became of the text it belongs to.

        Raises ``RedisError``.
        """
        done = await self._done(key)
        if done:
            if self._mark(segment.number, segment.content) in done:
                return "handled"
            # The same reference for another text: eight bits come round.
            await self._redis.delete(key)
        sealed = self._keyring.seal(PURPOSE, segment.content, f"{key}|{segment.number}".encode())
        async with self._redis.pipeline(transaction=True) as pipeline:
            pipeline.hset(key, str(segment.number), sealed)
            pipeline.expire(key, KEEP_SECONDS)
            pipeline.hgetall(key)
            *_, kept = await pipeline.execute()
        parts = {int(number): self._unseal(key, number, value) for number, value in kept.items() if number != DONE}
        if len(parts) < segment.total or None in parts.values():
            return "waiting"
        return [part for _, part in sorted(parts.items()) if part is not None]

    def _unseal(self, key: str, number: bytes, sealed: bytes) -> bytes | None:
        try:
            return self._keyring.unseal(PURPOSE, sealed, f"{key}|{number.decode()}".encode(), self._keyring.current)
        except InvalidTag:  # sealed under a key that is no longer in force: the centre sends it again
            return None

    def message_id(self, key: str, parts: list[bytes]) -> str:
        """The name of a whole text: the same whenever its parts are sent again."""
        return self._keyring.digest("smpp-parts-id", b"|".join([key.encode(), *parts]))[:16].hex()

    async def handled(self, key: str, parts: list[bytes]) -> None:
        """The whole has been handled: forget its parts, remember that, let the others that wait be acknowledged."""
        marks = b"".join(self._mark(place, part) for place, part in enumerate(parts, 1))
        async with self._redis.pipeline(transaction=True) as pipeline:
            pipeline.delete(key)
            pipeline.hset(key, DONE.decode(), marks)
            pipeline.expire(key, KEEP_SECONDS)
            await pipeline.execute()
        waiting = self._waiting.pop(key, None)
        if waiting is not None:
            waiting.set()

    async def wait(self, key: str, segment: Segment, seconds: float) -> bool:
        """Wait for the rest of a text, and its handling, here or in another process. Whether it came to that."""
        waiting = self._waiting.setdefault(key, asyncio.Event())
        try:
            async with asyncio.timeout(seconds):
                await waiting.wait()
        except TimeoutError:
            self._waiting.pop(key, None)
            return self._mark(segment.number, segment.content) in await self._done(key)
        return True

    async def _done(self, key: str) -> list[bytes]:
        """The marks of the parts that were handled; none while the text is not whole."""
        marks = await self._redis.hget(key, DONE.decode())
        if not isinstance(marks, bytes):
            return []
        return [marks[place : place + MARK_BYTES] for place in range(0, len(marks), MARK_BYTES)]

    def _mark(self, number: int, content: bytes) -> bytes:
        return self._keyring.digest("smpp-parts-mark", bytes([number]) + content)[:MARK_BYTES]
