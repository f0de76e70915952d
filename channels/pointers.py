"""What a hop leaves out, found again: the number of a session, or the session of a number.

Some gateways name the caller only when a session begins; some keep no session id at all. One pointer key in Redis
serves each: what it holds is sealed, because a number is in it. Losing it costs the person a redial.
"""

from __future__ import annotations

from collections.abc import Awaitable
from dataclasses import replace
from typing import cast
from uuid import uuid4

import msgspec
import structlog
from cryptography.exceptions import InvalidTag
from redis.asyncio import Redis
from redis.exceptions import RedisError

from channels.sessions import GRACE_SECONDS, SAME_SECONDS
from channels.turn import Event, Turn
from runtime.keyring import Keyring

log = structlog.get_logger(__name__)

#: what the purpose's key and the pointer's name are derived for
PURPOSE = "pointer"

# KEYS: the name of a number's session. ARGV: a fresh session id, its life in ms, ms in which a second start is a retry.
# Redis's own count of what is left of the key's life tells its age.
BEGIN = """
local left = redis.call('PTTL', KEYS[1])
if left > ARGV[2] - ARGV[3] then return redis.call('GET', KEYS[1]) end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return ARGV[1]
"""


class Pointer(msgspec.Struct, array_like=True):
    """What is known of a session beyond its name."""

    msisdn: str
    #: the adapter's own
    kept: str
    #: the session that an alias stands for
    session_id: str = ""


class Pointers:
    """The pointer keys of all gateways. One per process; a gateway that sends everything costs no call of Redis."""

    def __init__(self, redis: Redis, keyring: Keyring) -> None:
        self._redis = redis
        self._keyring = keyring
        self._decoder = msgspec.msgpack.Decoder(Pointer)

    async def complete(self, turn: Turn, session_seconds: int) -> Turn:
        """The turn with number, session id and ``kept`` as far as they can be known, and kept for what follows.

        ``session_seconds``: how long the gateway lets one session last. What stays empty is lost, and so is the
        session: without Redis nothing is found and nothing raised.
        """
        try:
            if turn.alias or (turn.pointed and not turn.session_id):
                return await self._aliased(turn, session_seconds)
            if not turn.session_id:
                return await self._named(turn, session_seconds)
            if turn.pointed:
                return await self._known(turn, session_seconds)
        except RedisError as error:
            log.warning("pointer_lost", gateway=turn.gateway, error=type(error).__name__)
        return turn

    async def forget(self, turn: Turn) -> None:
        """The session is over: what later hops of it leave out is not found any more."""
        if turn.session_id and not turn.pointed:
            return
        name = self._name(turn.gateway, "session", turn.session_id) if turn.session_id else self._number_name(turn)
        try:
            await self._redis.delete(name)
        except RedisError as error:
            log.warning("pointer_kept", gateway=turn.gateway, error=type(error).__name__)

    async def _named(self, turn: Turn, session_seconds: int) -> Turn:
        """With the id of the number's session. A start makes a new one, unless it is the last start repeated.

        Where hops are numbered the start's own number makes the id: repeated, it comes out the same.
        """
        name = self._number_name(turn)
        if turn.event is not Event.NEW:
            found = cast(bytes | None, await self._redis.get(name))
        else:
            fresh = self._digest(f"{name}|{turn.sequence}") if turn.sequence else uuid4().hex
            life_ms = (session_seconds + GRACE_SECONDS) * 1000
            again_ms = 0 if turn.sequence else int(SAME_SECONDS * 1000)
            began = self._redis.eval(BEGIN, 1, name, fresh, str(life_ms), str(again_ms))
            found = await cast(Awaitable[bytes | None], began)
        return replace(turn, session_id=found.decode()) if found else turn

    async def _aliased(self, turn: Turn, session_seconds: int) -> Turn:
        """With all that is known of the session that the alias stands for now, or else of the one that is named."""
        name = self._name(turn.gateway, "alias", turn.alias)
        if turn.event is Event.NEW and turn.msisdn:
            turn = await self._named(turn, session_seconds)
            if turn.alias:
                await self._keep(name, Pointer(turn.msisdn, turn.kept, turn.session_id), session_seconds)
            return await self._known(turn, session_seconds)
        found = await self._find(name, turn.gateway) if turn.alias else None
        if found is not None:
            turn = replace(turn, session_id=found.session_id, msisdn=found.msisdn, kept=found.kept)
            # Who has answered a screen and begins again under the same alias begins anew, however soon.
            await self._redis.delete(self._number_name(turn))
            return turn
        return await self._known(turn, session_seconds) if turn.session_id else turn

    async def _known(self, turn: Turn, session_seconds: int) -> Turn:
        """With the number and ``kept``; a hop that brings both is what later ones are completed from."""
        name = self._name(turn.gateway, "session", turn.session_id)
        if turn.msisdn and turn.event is Event.NEW:
            await self._keep(name, Pointer(turn.msisdn, turn.kept), session_seconds)
            return turn
        pointer = await self._find(name, turn.gateway)
        if pointer is None:
            return turn
        return replace(turn, msisdn=turn.msisdn or pointer.msisdn, kept=turn.kept or pointer.kept)

    async def _keep(self, name: str, pointer: Pointer, session_seconds: int) -> None:
        plain = msgspec.msgpack.encode(pointer)
        await self._redis.set(name, self._seal(name, plain), ex=session_seconds + GRACE_SECONDS)

    async def _find(self, name: str, gateway: str) -> Pointer | None:
        sealed = cast(bytes | None, await self._redis.get(name))
        if sealed is None:
            return None
        try:
            return self._decoder.decode(self._unseal(name, sealed))
        except (InvalidTag, msgspec.DecodeError):
            log.warning("pointer_unreadable", gateway=gateway)
            return None

    def _number_name(self, turn: Turn) -> str:
        number = turn.msisdn.strip().lstrip("+")
        return self._name(turn.gateway, "number", f"{number}|{turn.alias}" if turn.alias else number)

    def _name(self, gateway: str, kind: str, what: str) -> str:
        return f"pointer:{{{self._digest(f'{gateway}|{kind}|{what}')}}}"

    def _digest(self, words: str) -> str:
        return self._keyring.digest(PURPOSE, words.encode())[:16].hex()

    def _seal(self, name: str, plain: bytes) -> bytes:
        return self._keyring.seal(PURPOSE, plain, name.encode())

    def _unseal(self, name: str, sealed: bytes) -> bytes:
        return self._keyring.unseal(PURPOSE, sealed, name.encode(), self._keyring.current)
