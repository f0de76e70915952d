"""What one turn did and how long each part took: for the metrics, and for the simulator's glass panel."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any, Protocol

import msgspec
from prometheus_client import Histogram
from redis.asyncio import Redis
from redis.exceptions import RedisError

from channels.turn import Reply, Turn
from engine.api import Engine
from engine.words import Answer, Operation, Payment
from runtime.metrics import Metrics

PHASES = ("begin", "read", "dialog", "layout", "end")
#: traces kept per gateway session or text, and for how long
TRACE_LIMIT = 100
TRACE_SECONDS = 3600


class TooLate(Exception):
    """The person was told to dial again before anything was asked for: nothing may be any more."""


class Trace:
    """The record of one turn. ``mark`` ends a phase: everything since the last mark was that phase."""

    __slots__ = (
        "_last",
        "_started",
        "answer",
        "before",
        "closed",
        "hop",
        "language",
        "ms",
        "operations",
        "outcome",
        "paying",
        "state",
        "typed",
    )

    def __init__(self, hop: bytes = b"") -> None:
        self.hop = hop
        self._started = self._last = time.perf_counter()
        #: phase → milliseconds
        self.ms: dict[str, float] = {}
        #: what was asked of the engine's one door
        self.operations: list[Operation] = []
        #: the answer to the last of them; None while it is on its way
        self.answer: Answer | None = None
        #: somebody may be asked to pay by now
        self.paying = False
        self.state = ""
        #: the state that the person stood in before, and what they typed there: never stored or logged as it is
        self.before = ""
        self.typed: list[str] = []
        #: the line's, once that was read
        self.language: str | None = None
        #: see ``go_on``
        self.closed = False
        #: answered, replayed (the stored answer was sent again), refused, malformed, late or failed
        self.outcome = "answered"

    def mark(self, phase: str) -> None:
        """Everything since the last mark belongs to ``phase``; phases that come again add up."""
        now = time.perf_counter()
        self.ms[phase] = self.ms.get(phase, 0.0) + (now - self._last) * 1000
        self._last = now

    def go_on(self) -> None:
        """Raise ``TooLate`` once the turn is ``closed``: its person has an answer without what is still to come."""
        if self.closed:
            raise TooLate

    def seconds(self) -> float:
        """How long the turn has taken so far."""
        return time.perf_counter() - self._started


class Watched:
    """The engine as a turn sees it: the same while the turn goes on, but its trace notes what is posted or asked for.

    It tells whether a late turn has money on its way, and the glass panel which operations to explain.
    """

    __slots__ = ("_engine", "_trace")

    def __init__(self, engine: Engine, trace: Trace) -> None:
        self._engine = engine
        self._trace = trace

    async def post(self, operation: Operation) -> Answer:
        """``Engine.post``, noted. Raises ``TooLate``."""
        self._trace.go_on()
        self._trace.operations.append(operation)
        self._trace.answer = None
        self._trace.answer = await self._engine.post(operation)
        return self._trace.answer

    async def pay(self, *args: Any, **named: Any) -> Payment:
        """``Engine.pay``, noted. Raises ``TooLate``, ``PaymentRefused`` and ``EngineUnavailable``."""
        self._trace.go_on()
        self._trace.paying = True
        return await self._engine.pay(*args, **named)

    def __getattr__(self, name: str) -> Any:
        self._trace.go_on()
        return getattr(self._engine, name)


class Listener(Protocol):
    """Who is told of every turn that was answered."""

    def note(self, turn: Turn, session: str, trace: Trace, reply: Reply) -> None:
        """One turn is over. ``session`` names where it lives in Redis. Must not wait, and must not fail."""
        ...


class TurnMeters:
    """The histograms of turns, looked up once by label: a turn is counted in about a microsecond."""

    def __init__(self, metrics: Metrics, listeners: Sequence[Listener] = ()) -> None:
        self._listeners = listeners
        self._turn_seconds = metrics.turn_seconds
        self._by_outcome: dict[tuple[str, str], Histogram] = {}
        self._by_phase = {phase: metrics.turn_phase_seconds.labels(phase) for phase in PHASES}

    def observe(self, turn: Turn, trace: Trace, session: str = "", reply: Reply | None = None) -> None:
        """Count one turn that is over, and tell of it if it was answered."""
        key = (turn.gateway, trace.outcome)
        seconds = self._by_outcome.get(key)
        if seconds is None:
            seconds = self._by_outcome[key] = self._turn_seconds.labels(*key)
        seconds.observe(trace.seconds())
        for phase, spent in trace.ms.items():
            self._by_phase[phase].observe(spent / 1000)
        if reply is not None:
            for listener in self._listeners:
                listener.note(turn, session, trace, reply)


class TracePublisher:
    """Puts traces where the simulator finds them: a short Redis list for each gateway session or text.

    Only made when the simulator is on. A trace holds keys and milliseconds, nothing that was typed.
    """

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    async def publish(self, under: str, trace: Trace) -> None:
        """Append one turn. A trace that cannot be kept is dropped: it must never cost a person the answer."""
        item = msgspec.json.encode(
            {
                "hop": trace.hop.hex(),
                "operations": [
                    {"account": [shard, str(account_id)], "key": str(operation.key)}
                    for operation in trace.operations
                    for shard, account_id in (operation.account,)
                ],
                "ms": {phase: round(spent, 3) for phase, spent in trace.ms.items()},
                "state": trace.state,
                "replayed": trace.outcome == "replayed",
            }
        )
        name = f"trace:{under}"
        pipeline = self._redis.pipeline(transaction=False)
        pipeline.rpush(name, item)
        pipeline.ltrim(name, -TRACE_LIMIT, -1)
        pipeline.expire(name, TRACE_SECONDS)
        try:
            await pipeline.execute()
        except (RedisError, OSError):
            return
