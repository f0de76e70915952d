"""Who is at a page: a session in Redis under a signed cookie, sealed because a number is in it.

Losing Redis signs everybody out and costs nothing else. The cookie is the session's id and our signature of it; Redis
knows neither: it holds a keyed digest of the id and ciphertext.
"""

from __future__ import annotations

import hmac
import secrets
import time
from typing import Generic, TypeVar, cast
from uuid import UUID

import msgspec
from cryptography.exceptions import InvalidTag
from redis.asyncio import Redis

from runtime.keyring import Keyring

#: what the keys are derived for
PURPOSE = "page-session"
#: seconds without a request after which a session is over, and seconds after which it is over in any case
IDLE_SECONDS, LONGEST_SECONDS = 30 * 60, 12 * 3600


class Began(msgspec.Struct, frozen=True):
    """What is known of whoever is at a page: when their session began (seconds since 1970)."""

    began_at: float


class Kept(Began, frozen=True):
    """What is known of a subscriber at the page. ``msisdn`` is E.164, ``""`` before anybody has said one."""

    msisdn: str = ""
    #: the number was proved by a code
    signed_in: bool = False
    #: the line that had the number then: who gets the number later is somebody else
    line_id: UUID | None = None


K = TypeVar("K", bound=Began)


class Visit(msgspec.Struct, Generic[K], frozen=True):
    """One session: ``cookie`` is what the browser holds."""

    cookie: str
    kept: K


class Sessions(Generic[K]):
    """The sessions of one kind of pages: ``kind`` keeps those of subscribers and staff apart."""

    def __init__(
        self,
        redis: Redis,
        keyring: Keyring,
        kind: str,
        nobody: K,
        *,
        idle: int = IDLE_SECONDS,
        longest: int = LONGEST_SECONDS,
    ) -> None:
        """``nobody`` is what is known of who has said nothing yet; ``idle`` and ``longest`` are in seconds."""
        self._redis = redis
        self._keyring = keyring
        self._kind = kind
        self._nobody = nobody
        self._idle, self._longest = idle, longest
        self._decoder = msgspec.msgpack.Decoder(type(nobody))

    def visitor(self, cookie: str) -> Visit[K]:
        """Somebody who has said nothing yet, under the cookie they hold if it is ours, else under a fresh one.

        Nothing is kept for them, so that looking at the first page costs no memory.
        """
        return Visit(cookie if self._genuine(cookie) else self._fresh(), self._nobody)

    async def begin(self, kept: K) -> Visit[K]:
        """A session under a fresh id: who signs in gets another one than they came with."""
        visit = Visit(self._fresh(), kept)
        await self.keep(visit)
        return visit

    async def find(self, cookie: str, *, renew: bool = True) -> Visit[K] | None:
        """The session of a cookie; None if it is not ours or over. Raises ``RedisError``.

        It lasts longer with each request of a person: ``renew`` is false for those that an open page makes by itself.
        """
        if not self._genuine(cookie):
            return None
        name = self._name(cookie)
        asked = self._redis.getex(name, ex=self._idle) if renew else self._redis.get(name)
        sealed = cast(bytes | None, await asked)
        if sealed is None:
            return None
        try:
            plain = self._keyring.unseal(PURPOSE, sealed, name.encode(), self._keyring.current)
        except InvalidTag:  # sealed under a key that is not current any more
            return None
        kept = self._decoder.decode(plain)
        return None if time.time() - kept.began_at > self._longest else Visit(cookie, kept)

    async def lasts(self, visit: Visit[K]) -> bool:
        """Whether it is still there, without making it last longer. Raises ``RedisError``."""
        return await self.lasts_labelled(self.label(visit))

    def label(self, visit: Visit[K]) -> str:
        """What a session can be called by, 40 hexadecimal digits: nobody gets in with it."""
        return self.mark("name", visit.cookie)

    async def lasts_labelled(self, label: str) -> bool:
        """As ``lasts``, of the session of a label. Raises ``RedisError``."""
        return bool(await self._redis.exists(f"page:{label}"))

    async def end_labelled(self, label: str) -> None:
        """Forget the session of a label."""
        await self._redis.delete(f"page:{label}")

    async def keep(self, visit: Visit[K]) -> None:
        """Keep what is known now."""
        name = self._name(visit.cookie)
        sealed = self._keyring.seal(PURPOSE, msgspec.msgpack.encode(visit.kept), name.encode())
        await self._redis.set(name, sealed, ex=self._idle)

    async def end(self, visit: Visit[K]) -> None:
        """Forget it."""
        await self._redis.delete(self._name(visit.cookie))

    def form_token(self, visit: Visit[K]) -> str:
        """What a form of this session carries, so that no other site can send it (OWASP: synchronizer token)."""
        return self.mark("form", visit.cookie)

    def _fresh(self) -> str:
        token = secrets.token_urlsafe(32)
        return f"{token}.{self.mark('cookie', token)}"

    def _genuine(self, cookie: str) -> bool:
        token, _, mark = cookie.partition(".")
        return bool(token) and hmac.compare_digest(mark.encode(errors="replace"), self.mark("cookie", token).encode())

    def _name(self, cookie: str) -> str:
        return f"page:{self.mark('name', cookie)}"

    def mark(self, what: str, words: str) -> str:
        """A keyed digest of ``words``, 40 hexadecimal digits; ``what`` keeps digests of different purposes apart."""
        return self._keyring.digest(PURPOSE, f"{self._kind}|{what}|{words}".encode(errors="replace"))[:20].hex()
