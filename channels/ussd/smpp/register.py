"""What a centre's session number stands for now, and which answers have been sent: in Redis, for all processes.

A session number is one octet and comes round: the same person's session 7 of this morning is not that of tonight, and
idempotency keys of money are derived from the session's id. So each session gets an id of its own when it begins, and
its number leads to it for as long as sessions are kept. Losing Redis costs a redial.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from redis.asyncio import Redis

from runtime.keyring import Keyring

#: an answer that is being sent is nobody else's to send for so long; a process that dies meanwhile leaves it to others
CLAIM_MS: Final = 15_000
#: an answer that was taken is not sent again within this time
SAID_SECONDS: Final = 900
PUSHED, DIALLED = b"p", b"d"


class Known(NamedTuple):
    """A session under way."""

    session_id: str
    #: we began it
    pushed: bool


class Register:
    """The sessions of one centre."""

    def __init__(self, redis: Redis, keyring: Keyring, name: str, session_seconds: int) -> None:
        """``name``: the gateway's in the settings. ``session_seconds``: how long a session is known."""
        self._redis = redis
        self._keyring = keyring
        self._name = name
        self._seconds = session_seconds

    async def begin(self, msisdn: str, reference: bytes, session: Known) -> None:
        """From now on the person's sessions under this reference are this one. Raises ``RedisError``."""
        value = (PUSHED if session.pushed else DIALLED) + session.session_id.encode()
        await self._redis.set(self._key(msisdn, reference), value, ex=self._seconds)

    async def find(self, msisdn: str, reference: bytes) -> Known | None:
        """The session under way; None where none is, or its time is over. Raises ``RedisError``."""
        value = await self._redis.get(self._key(msisdn, reference))
        return Known(value[1:].decode(), value[:1] == PUSHED) if isinstance(value, bytes) else None

    async def claim(self, message_id: str) -> bool:
        """Whether the answer to this message is ours to send: nobody has sent it or is doing so."""
        return bool(await self._redis.set(f"ussd:said:{message_id}", b"claimed", px=CLAIM_MS, nx=True))

    async def said(self, message_id: str) -> None:
        """The centre has taken the answer."""
        await self._redis.set(f"ussd:said:{message_id}", b"said", ex=SAID_SECONDS)

    async def unsaid(self, message_id: str) -> None:
        """It has not: should the message come again, its answer is sent again."""
        await self._redis.delete(f"ussd:said:{message_id}")

    def _key(self, msisdn: str, reference: bytes) -> str:
        named = f"{self._name}|{msisdn.lstrip('+')}|".encode() + reference
        return f"ussd:smpp:{self._keyring.digest('ussd-smpp', named)[:16].hex()}"
