"""Texts into the phone simulator's inbox: a capped Redis stream per number, named by the number's keyed digest."""

from __future__ import annotations

from redis.asyncio import Redis
from redis.exceptions import RedisError

from channels.sms.contract import CarrierError, Text
from runtime.keyring import Keyring

#: texts kept per number, and seconds they are kept after the last one
INBOX_LIMIT = 100
INBOX_SECONDS = 86_400


def inbox(keyring: Keyring, msisdn: str) -> str:
    """The stream of one number, given as E.164 with ``+``. Entries: message_id, from, text, at (ISO 8601)."""
    return f"sim:inbox:{keyring.digest('inbox', msisdn.encode())[:16].hex()}"


class Carrier:
    """Delivers into the simulator. A text that comes twice shows twice: the page drops doubles by ``message_id``."""

    def __init__(self, redis: Redis, keyring: Keyring) -> None:
        self._redis = redis
        self._keyring = keyring

    async def send(self, text: Text) -> None:
        """Append to the inbox. Raises ``CarrierError``, always retryable."""
        name = inbox(self._keyring, text.to)
        pipeline = self._redis.pipeline(transaction=False)
        pipeline.xadd(
            name,
            {"message_id": str(text.message_id), "from": text.sender, "text": text.text, "at": text.at.isoformat()},
            maxlen=INBOX_LIMIT,
            approximate=False,
        )
        pipeline.expire(name, INBOX_SECONDS)
        try:
            await pipeline.execute()
        except (RedisError, OSError) as error:
            raise CarrierError(type(error).__name__, retryable=True) from error
