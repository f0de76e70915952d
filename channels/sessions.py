"""The session store: one Redis script begins a turn, one ends it.

A turn owns its line's lock between the two; its value is a fencing token, so who was held up past the lock's life
cannot overwrite what the next holder saved. Answers are kept by hop key: a hop that comes again gets the same bytes.

Nothing here is truth: losing all of it costs people a redial. Keys hold a keyed digest of the number, hop keys are
keyed digests of what was typed; neither the number nor the typed text is ever stored, and an answer that shows a number
is sealed. All keys of a turn carry the line's digest as hash tag, so a script runs on one node of a Redis Cluster.
Coded to Redis 6.2.
"""

from __future__ import annotations

import asyncio
import math
import random
import re
import time
from base64 import urlsafe_b64encode
from collections.abc import Awaitable, Sequence
from typing import Any, NamedTuple, cast
from uuid import UUID

import msgspec
import structlog
from hiredis import pack_command
from redis.asyncio import Redis
from redis.asyncio.connection import AbstractConnection
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import NoScriptError, RedisError, ResponseError

from channels.session import Begun, Ended, Left, Line, Session
from channels.session_scripts import BEGIN, CLOSE, END, FORGETS
from channels.turn import Event, Turn
from runtime.batching import Batcher
from runtime.keyring import Keyring

log = structlog.get_logger(__name__)

#: answers and sessions outlive the gateway's own session by this much, for late retries
GRACE_SECONDS = 600
#: of a digest that names a key; 12 bytes are 16 letters without padding
NAME_BYTES = 12
#: seconds without a try after Redis failed: a turn must not wait for the time-out of the one before
REST_SECONDS = 1.0
#: seconds that Redis has to take a connection, and to answer one pipeline
CONNECT_SECONDS, ANSWER_SECONDS = 0.5, 1.0

#: what a line's last session is written behind: what its keys derive from
UUID_BYTES = 16
#: seconds in which an equal input is a retry where a gateway does not number its hops: nobody reads and types in less
SAME_SECONDS = 2.0
#: a number in full, as a confirm screen shows the other side's, and what a sealed answer begins with: MessagePack never
NUMBER, SEALED = re.compile(rb"\+\d{7}"), b"\xc1"

#: how often a hop looks whether the one before it is through: first wait and longest wait in seconds
FIRST_WAIT, LONGEST_WAIT = 0.005, 0.1


class SessionsDown(Exception):
    """Redis cannot be reached: the turn has to do without a session."""


def answer_life(turn: Turn) -> int:
    """For how many microseconds an equal hop is this one again; 0: for ever. A session's start happens only once."""
    return int(SAME_SECONDS * 1_000_000) if turn.unnumbered and turn.event is not Event.NEW else 0


class _Call(NamedTuple):
    """One script waiting for its pipeline."""

    script: str
    keys: tuple[str, ...]
    arguments: tuple[bytes | int | str, ...]


def connect(url: str) -> Redis:
    """A client that gives up quickly and never tries again by itself: a turn rather goes on without a session."""
    return Redis.from_url(
        url,
        socket_timeout=ANSWER_SECONDS,
        socket_connect_timeout=CONNECT_SECONDS,
        retry=Retry(NoBackoff(), 0),
        health_check_interval=0,
    )


class SessionStore:
    """Sessions, turn locks and stored answers of all gateways. Call ``load`` once before the first turn."""

    def __init__(self, redis: Redis, keyring: Keyring) -> None:
        self._redis = redis
        self._keyring = keyring
        self._digests: dict[str, str] = {}
        self._decoder = msgspec.msgpack.Decoder(Session)
        self._encoder = msgspec.msgpack.Encoder()
        self._calls: Batcher[_Call, Any] = Batcher(self._pipeline, most=128)
        self._down_until = 0.0
        #: how often Redis did not answer in time
        self.failures = 0

    async def load(self) -> None:
        """Put the scripts into Redis. Raises ``redis.RedisError``."""
        for script in (BEGIN, END, CLOSE):
            self._digests[script] = await self._redis.script_load(script)

    def hop(self, turn: Turn, length: int | None = None) -> bytes:
        """The key of one hop: equal for a retry, unreadable. ``length`` takes only so much of the typed text."""
        text = turn.text if length is None else turn.text[:length]
        words = f"{turn.gateway}|{turn.session_id}|{turn.sequence}|{text}"
        if turn.unnumbered:  # what was dialled and what is typed next may be the same characters
            words = f"{turn.event}|{words}"
        return self._keyring.digest("hop", words.encode())[:16]

    def line(self, turn: Turn) -> Line:
        """The keys of a turn. Numbers with and without ``+`` are one line."""
        number = turn.msisdn.strip().lstrip("+")
        tag = self._named("line", number)
        # Some gateways make the session's id of the number, which must not stand in a key; and a short one is cheap.
        name = self._named("session", f"{turn.gateway}|{turn.session_id}")
        return Line(f"turn:{{{tag}}}", f"session:{{{tag}}}:{name}", f"last:{{{tag}}}")

    def _named(self, kind: str, words: str) -> str:
        return urlsafe_b64encode(self._keyring.digest(kind, words.encode())[:NAME_BYTES]).decode()

    async def begin(self, line: Line, hop: bytes, lock_ms: int, *, answer_us: int = 0) -> Begun:
        """Take the line's lock for at most ``lock_ms``, or learn the stored answer. Raises ``SessionsDown``.

        ``answer_us``: microseconds after which an equal hop is a new one; 0: never. See ``answer_life``.
        """
        said = await self._call(_Call(BEGIN, line, (hop, lock_ms, answer_us)))
        if said[0] == b"answered":
            return Begun(answer=self._unsealed(line, said[1]))
        if said[0] == b"held":
            return Begun()
        return Begun(token=said[1], session=self._decode(said[2]), left=bool(said[3]))

    async def begin_by(self, deadline: float, line: Line, hop: bytes, lock_ms: int, *, answer_us: int = 0) -> Begun:
        """``begin``, waiting for whoever holds the line until ``deadline`` (the loop's clock); neither once it is past.

        Raises ``SessionsDown``.
        """
        wait, waited = FIRST_WAIT, False
        loop = asyncio.get_running_loop()
        while True:
            begun = await self.begin(line, hop, lock_ms, answer_us=answer_us)
            if begun.answer is not None or begun.token is not None or loop.time() + wait >= deadline:
                return begun._replace(waited=True) if waited else begun
            await asyncio.sleep(wait * random.uniform(0.5, 1.0))
            wait, waited = min(wait * 2, LONGEST_WAIT), True

    async def end(
        self,
        line: Line,
        hop: bytes,
        token: bytes,
        *,
        answer: bytes,
        session: Session,
        keep_seconds: int,
        answer_us: int = 0,
        origin: UUID | None = None,
        resume_seconds: int = 0,
        forgets: bool = False,
    ) -> Ended:
        """Save session and answer and let the lock go, unless another turn took the line. Raises ``SessionsDown``.

        ``origin``: given where the line may come back to this session within ``resume_seconds``. ``forgets``: there is
        nothing to come back to, in whatever session.
        """
        leaves = origin.bytes + line.name.encode() if origin is not None and resume_seconds else b""
        leaves = FORGETS if forgets else leaves
        kept = (
            self._encoder.encode(session),
            (keep_seconds + GRACE_SECONDS) * 1000,
            answer_us,
            leaves,
            resume_seconds * 1000,
            line.name,
        )
        said = await self._call(_Call(END, line, (token, hop, self._sealed(line, answer), *kept)))
        return Ended(said[0] == b"stale", self._unsealed(line, said[1]) if said[0] == b"answered" else None)

    def _sealed(self, line: Line, answer: bytes) -> bytes:
        if NUMBER.search(answer) is None:
            return answer
        return SEALED + self._keyring.seal("answer", answer, line.session.encode())

    def _unsealed(self, line: Line, kept: bytes) -> bytes:
        # Under the key in force: with another one the line itself has another name.
        if not kept.startswith(SEALED):
            return kept
        return self._keyring.unseal("answer", kept[1:], line.session.encode(), self._keyring.current)

    async def release(self, line: Line, hop: bytes, token: bytes) -> None:
        """Let the lock go and save nothing, so that the same hop may be tried again. Raises ``SessionsDown``."""
        await self._call(_Call(END, line, (token, hop, b"", b"", 0, 0, b"", 0, b"")))

    async def left(self, line: Line) -> Left | None:
        """The session that this line was last seen in with something left to do. None without Redis, too."""
        prefix = line.session.partition("}:")[0] + "}:"
        try:
            last = cast(bytes | None, await self._redis.get(line.last))
            if last is None:
                return None
            name = last[UUID_BYTES:].decode()
            found = await cast(Awaitable[list[bytes | None]], self._redis.hmget(prefix + name, ["session", "left"]))
        except (RedisError, OSError) as error:
            log.warning("left_not_found", error=type(error).__name__)
            return None
        session = self._decode(found[0] or found[1])
        return None if session is None else Left(session, UUID(bytes=last[:UUID_BYTES]), name)

    async def close(self, line: Line, *, heard_out: bool = False) -> None:
        """The session is over: nobody goes on in it. Answers stay a while. Raises ``SessionsDown``.

        ``heard_out``: the person has seen its last screen, so it leaves nothing behind.
        """
        name = line.name if heard_out else ""
        await self._call(_Call(CLOSE, (line.session, line.last), (GRACE_SECONDS * 1000, name)))

    async def ping(self) -> None:
        """Raise ``redis.RedisError`` unless Redis answers."""
        await self._redis.ping()

    def _decode(self, stored: bytes | None = None) -> Session | None:
        if not stored:
            return None
        try:
            return self._decoder.decode(stored)
        except msgspec.DecodeError:
            # Written by another release: the conversation rebuilds it from the gateway's text.
            log.warning("session_unreadable")
            return None

    async def _call(self, call: _Call) -> Any:
        if time.monotonic() < self._down_until:
            raise SessionsDown
        try:
            return await self._calls(call)
        except (RedisError, OSError) as error:
            if self._down_until < time.monotonic():
                log.warning("redis_down", error=type(error).__name__)
            self._down_until = time.monotonic() + REST_SECONDS
            self.failures += 1
            raise SessionsDown from error

    async def _pipeline(self, calls: Sequence[_Call]) -> list[Any]:
        """Run the scripts of concurrent turns in one round trip."""
        if not self._digests:
            await self.load()
        said = await self._send(calls)
        missing = [place for place, answer in enumerate(said) if isinstance(answer, NoScriptError)]
        if missing:
            # Redis was restarted. The other scripts of the pipeline have run: only these are sent again.
            await self.load()
            for place, answer in zip(missing, await self._send([calls[place] for place in missing]), strict=True):
                said[place] = answer
        return said

    async def _send(self, calls: Sequence[_Call]) -> list[Any]:
        """One pipeline over one connection, an answer or an error for each script.

        The client's own pipeline object costs twice as much per command, and this is paid twice in every turn.
        """
        pool = self._redis.connection_pool
        connection = await pool.get_connection()  # type: ignore[no-untyped-call]
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                await connection.send_packed_command(b"".join([self._packed(call) for call in calls]))
                return [await _answer(connection) for _ in calls]
        finally:
            # A connection that failed half-way has closed itself, so no later turn reads answers meant for this one.
            await pool.release(connection)

    def _packed(self, call: _Call) -> bytes:
        words: tuple[Any, ...] = ("EVALSHA", self._digests[call.script], len(call.keys), *call.keys, *call.arguments)
        return bytes(pack_command(words))


async def _answer(connection: AbstractConnection) -> Any:
    try:
        # Without a time-out of its own: one for the whole pipeline costs less than one for each answer.
        return await connection.read_response(timeout=math.inf)
    except ResponseError as error:
        return error
