"""How often something may be done for one person in a while: counted in Redis, found by a keyed digest."""

from __future__ import annotations

from redis.asyncio import Redis
from redis.exceptions import RedisError

from runtime.keyring import Keyring


class QuotaDown(Exception):
    """Redis cannot be reached: nobody knows how often it was."""


class Quota:
    """Counts within windows of fixed length that begin with the first count. Losing Redis begins them anew."""

    def __init__(self, redis: Redis, keyring: Keyring) -> None:
        self._redis = redis
        self._keyring = keyring

    async def count(self, what: str, who: str, seconds: int) -> int:
        """One more: how many that makes within ``seconds`` of the first. Raises ``QuotaDown``."""
        digest = self._keyring.digest("quota", f"{what}|{who}".encode())[:16].hex()
        name = f"quota:{{{digest}}}:{what}"
        pipeline = self._redis.pipeline(transaction=False)
        pipeline.set(name, 0, ex=seconds, nx=True)
        pipeline.incr(name)
        try:
            return int((await pipeline.execute())[1])
        except (RedisError, OSError) as error:
            raise QuotaDown from error
