"""Screens that people were shown, on their way to where the funnel is made of them.

Noted in memory while a turn is answered, stored together a moment later. When storing does not keep up, those that
wait are dropped, and the log says how many: they must never cost a person the answer.
"""

from __future__ import annotations

import asyncio
from collections import deque
from datetime import UTC, datetime

import structlog

from channels.trace import Trace
from channels.turn import Reply, Turn
from engine.api import Engine, Hop
from runtime.keyring import Keyring
from runtime.pausing import pause

log = structlog.get_logger(__name__)

#: seconds between two statements, hops of one statement, and hops that may wait
FLUSH_SECONDS, BATCH, WAITING_MOST = 1.0, 1000, 20_000
#: what a share of sessions is of
PERCENT = 100


class HopLog:
    """Keeps the hops of a share of all sessions."""

    def __init__(self, engine: Engine, keyring: Keyring, percent: int) -> None:
        """``percent`` of the sessions, picked by their digest: of each all hops or none."""
        self._engine = engine
        self._keyring = keyring
        self._percent = percent
        self._waiting: deque[Hop] = deque(maxlen=WAITING_MOST)

    def note(self, turn: Turn, session: str, trace: Trace, reply: Reply) -> None:
        """Note the screen that a turn was answered with."""
        if not self._percent or trace.outcome != "answered" or not trace.state:
            return
        name = self._keyring.digest("hops", session.encode())[:8]
        if name[0] * 256 + name[1] >= 65_536 * self._percent // PERCENT:
            return
        if len(self._waiting) == WAITING_MOST:
            log.warning("hops_dropped", hops=WAITING_MOST)
            self._waiting.clear()
        hop = Hop(name, datetime.now(UTC), turn.gateway, trace.language or "", trace.state, reply.ends)
        self._waiting.append(hop)

    async def run(self, stop: asyncio.Event) -> None:
        """Store what was noted, again and again until ``stop``; then what is left."""
        while not stop.is_set():
            await pause(stop, FLUSH_SECONDS)
            await self.flush()

    async def flush(self) -> None:
        """Store what was noted. What cannot be stored is dropped."""
        while self._waiting:
            batch = [self._waiting.popleft() for _ in range(min(BATCH, len(self._waiting)))]
            try:
                await self._engine.hops.keep(batch)
            except Exception as error:  # noqa: BLE001 - the database may be away: people are answered all the same
                log.warning("hops_not_kept", hops=len(batch), error=type(error).__name__)
                return
