"""What the processes of an installation say of themselves: a hash in Redis, each under a name of its own.

What a dead process said grows old, and is taken down by whoever reads next.
"""

from __future__ import annotations

import secrets
import time
from typing import Generic, TypeVar

import msgspec
import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

log = structlog.get_logger(__name__)

Word = TypeVar("Word")


class _Said(msgspec.Struct):
    """One process's word, and when it was said (seconds since 1970); a process of another version may say none."""

    at: float
    word: msgspec.Raw = msgspec.Raw(b"null")


class OtherVersion(ValueError):
    """A running process is of another version: what it says cannot be read."""

    def __init__(self) -> None:
        super().__init__("a running process is of another version than this one: restart it, then look again")


class Board(Generic[Word]):
    """One process's view of what all say."""

    def __init__(self, redis: Redis, key: str, word: type[Word], stale_seconds: float) -> None:
        """``stale_seconds``: who has said nothing for so long is dead."""
        self._redis = redis
        self._key = key
        self._stale_seconds = stale_seconds
        self._process = secrets.token_hex(6)
        self._decoder = msgspec.json.Decoder(word)

    async def say(self, word: Word) -> None:
        """Put up this process's word, in the place of its last one. What Redis does not take is said again later."""
        said = msgspec.json.encode(_Said(time.time(), msgspec.Raw(msgspec.json.encode(word))))
        try:
            await self._redis.hset(self._key, self._process, said)
        except (RedisError, OSError) as error:
            log.info("word_not_told", board=self._key, error=type(error).__name__)

    async def leave(self) -> None:
        """Take it down; where Redis is away, it grows old."""
        try:
            await self._redis.hdel(self._key, self._process)
        except (RedisError, OSError) as error:
            log.info("word_left", board=self._key, error=type(error).__name__)

    async def said(self) -> list[Word]:
        """What all living processes say. Raises ``OtherVersion``, and what Redis raises."""
        found = await self._redis.hgetall(self._key)
        words = {process: msgspec.json.decode(said, type=_Said) for process, said in found.items()}
        old = [process for process, said in words.items() if time.time() - said.at >= self._stale_seconds]
        if old:
            await self._redis.hdel(self._key, *old)
        try:
            return [self._decoder.decode(said.word) for process, said in words.items() if process not in old]
        except msgspec.ValidationError as error:
            raise OtherVersion from error
