"""Telling a repeated message from the same words written twice.

A ``deliver_sm`` has no id. A message centre sends it again, under another sequence number, when our answer did not
reach it: after a crash, a broken link, a refusal. A person who types ``1`` twice sends the same octets as well. So each
distinct message has an entry in Redis with a count: it stays *open* until our acknowledgement has surely arrived, and
while it is open, the same octets are a repeat and get the same id; afterwards they are a new message and get the next.

Losing Redis costs this: within the hour, the same words once more are taken for a repeat, which does nothing twice. The
entry's name is a keyed digest, so nothing of what was written is stored.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from typing import Final, NamedTuple

import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

from channels.smpp.client.session import Session
from runtime.keyring import Keyring
from runtime.ongoing import Ongoing

log = structlog.get_logger(__name__)

#: how long a centre may go on repeating (the usual longest validity), and how long a finished entry is remembered:
#: longer than the hour in its id, so that a forgotten one cannot come up with the same id again
OPEN_SECONDS, CLOSED_SECONDS = 172_800, 7_200
HOUR: Final = 3600
#: seconds that an answer may be on its way: what was acknowledged so shortly before the last sign of life is in doubt
DOUBT_SECONDS: Final = 5.0

# KEYS: entry. ARGV: the hour, life of an open entry in seconds, seconds after which nobody repeats any more.
BEGIN = """
local entry = redis.call('HMGET', KEYS[1], 'count', 'hour', 'closed', 'at')
local count, hour = tonumber(entry[1] or '0'), entry[2] or ARGV[1]
local now = tonumber(redis.call('TIME')[1])
local old = now - tonumber(entry[4] or now) > tonumber(ARGV[3])
if entry[3] == '1' or old then count, hour = count + 1, ARGV[1] end
redis.call('HSET', KEYS[1], 'count', count, 'hour', hour, 'closed', '0', 'at', now)
redis.call('EXPIRE', KEYS[1], ARGV[2])
return {count, hour}
"""

# KEYS: entry. ARGV: count, closed or not, life in seconds. Another message may have taken the entry meanwhile.
MARK = """
if redis.call('HGET', KEYS[1], 'count') ~= ARGV[1] then return 0 end
redis.call('HSET', KEYS[1], 'closed', ARGV[2])
redis.call('EXPIRE', KEYS[1], ARGV[3])
return 1
"""


class Arrival(NamedTuple):
    """One message that has come, perhaps not for the first time."""

    key: str
    #: how often these octets had come before as messages of their own
    earlier: int
    #: the same for every repeat of it
    message_id: str


class Arrivals:
    """What has come in, as far as it could come again."""

    def __init__(self, redis: Redis, keyring: Keyring, name: str, repeat_seconds: int = OPEN_SECONDS) -> None:
        """``name``: the message centre's. ``repeat_seconds``: for so long it may go on repeating, at most."""
        self._keyring = keyring
        self._name = name
        self._repeat_seconds = repeat_seconds
        self._redis = redis
        self._begin = redis.register_script(BEGIN)
        self._mark = redis.register_script(MARK)
        #: acknowledged on a session and still in doubt, oldest first
        self._doubtful: dict[Session, deque[tuple[float, Arrival]]] = {}
        self._ongoing = Ongoing()

    async def begin(self, *fields: bytes) -> Arrival:
        """The message made of these fields, new or repeated. Raises ``RedisError``."""
        content = b"".join([len(one).to_bytes(4) + one for one in (self._name.encode(), *fields)])
        digest = self._keyring.digest("smpp-arrival", content)
        key = f"smpp:arrival:{digest[:16].hex()}"
        count, hour = await self._begin(keys=[key], args=[int(time.time()) // HOUR, OPEN_SECONDS, self._repeat_seconds])
        named = self._keyring.digest("smpp-arrival-id", digest + f"|{int(hour)}|{int(count)}".encode())
        return Arrival(key, int(count), named[:16].hex())

    async def acknowledged(self, arrival: Arrival, session: Session) -> None:
        """Our answer has been written to the session. What Redis does not learn now is a repeat later: harmless."""
        now = asyncio.get_running_loop().time()
        doubtful = self._doubtful.get(session)
        if doubtful is None:
            doubtful = self._doubtful[session] = deque()
            session.lost.add_done_callback(lambda _: self._lost(session))
        while doubtful and doubtful[0][0] < session.heard - DOUBT_SECONDS:
            doubtful.popleft()
        doubtful.append((now, arrival))
        await self._set(arrival, closed=True)
        if session.lost.done():  # while Redis was asked
            await self._set(arrival, closed=False)

    def _lost(self, session: Session) -> None:
        """What was acknowledged just before the end may not have reached the centre: open again."""
        doubtful = self._doubtful.pop(session, ())
        again = [arrival for at, arrival in doubtful if at >= session.heard - DOUBT_SECONDS]
        if again:
            self._ongoing.start(self._reopen(again))

    async def _reopen(self, arrivals: list[Arrival]) -> None:
        for arrival in arrivals:
            await self._set(arrival, closed=False)

    async def _set(self, arrival: Arrival, *, closed: bool) -> None:
        life = CLOSED_SECONDS if closed else OPEN_SECONDS
        try:
            await self._mark(keys=[arrival.key], args=[arrival.earlier, int(closed), life])
        except (RedisError, OSError) as error:
            log.warning("smpp_arrival_unmarked", error=type(error).__name__)

    async def settle(self) -> None:
        """Wait until all that is known is written."""
        await self._ongoing.drain()
