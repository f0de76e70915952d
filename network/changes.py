"""Telling the network what changed: what a line may use changes in the commit of a recharge, a purchase, an expiry.

That commit's event is followed here, and told to every open session of the account until each has taken it or the time
for telling is over. At least once: who is told twice does the same twice.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from uuid import UUID

import msgspec
import structlog

from engine.api import Delivery, Engine, Retries
from engine.words import AccountRef, OpenSession
from runtime.pausing import pause
from runtime.trouble import Trouble

log = structlog.get_logger(__name__)

TOPICS = ("provisioning.changed",)
#: accounts that are told at a time, and events given to queues in one go
WINDOW, FAN_LIMIT = 32, 500
#: seconds between two looks at the queue when nothing is due: service comes back within a second of a payment
PAUSE = 0.2
#: after which another process takes what this one claimed; above the patience of everything that is told
LEASE = timedelta(seconds=30)
#: tried again after a second, then after ever longer, and given up after an hour; who has to hear what changed since
#: waits no longer than the longest
RETRIES = Retries(first=timedelta(seconds=1), longest=timedelta(seconds=20), end=timedelta(hours=1))

#: tells a session of its counters' new statuses, counter → status; says what is wrong, if anything
Teller = Callable[[OpenSession, Mapping[str, str]], Awaitable[str | None]]


class Changes:
    """The worker of one interface; several processes may have one."""

    def __init__(self, engine: Engine, interface: str, tell: Teller) -> None:
        """``interface`` is who its sessions speak with (``nchf``, ``radius``, ``diameter``)."""
        self._engine = engine
        self._interface = interface
        self._tell = tell

    async def run(self, stop: asyncio.Event) -> None:
        """Follow and tell until ``stop``; what is under way is finished."""
        trouble = Trouble("changes_failed", interface=self._interface)
        while not stop.is_set():
            told = 0
            with trouble:
                told = await self.tell_due()
            if not told:
                await pause(stop, PAUSE)

    async def tell_due(self) -> int:
        """Tell what is due now, at most ``WINDOW`` accounts; returns how many."""
        events = self._engine.events
        queue = await events.follow(f"{self._interface}-changes", TOPICS)
        await events.fan_out(FAN_LIMIT)
        claimed = await events.claim(queue, WINDOW, LEASE)
        await asyncio.gather(*(self._account(one) for one in claimed))
        return len(claimed)

    async def _account(self, one: Delivery) -> None:
        statuses, line = _changed(one)
        if one.attempts > 1 and await self._overtaken(one, set(statuses), line):
            await self._engine.events.delivered(one)
            return
        # Lines that share a balance have rules of their own: that one is served less is no news of the others.
        more = {counter: status for counter, status in statuses.items() if status == "active"}
        sessions = await self._engine.sessions.open_sessions(AccountRef(one.shard, one.account_id))
        mine = [session for session in sessions if session.interface == self._interface and session.notify]
        told = [(session, statuses if line in (None, session.line.line_id) else more) for session in mine]
        errors = await asyncio.gather(*(self._tell(session, said) for session, said in told if said))
        error = next(filter(None, errors), None)
        if error is None:
            await self._engine.events.delivered(one)
            return
        state = await self._engine.events.failed(one, error, RETRIES)
        log.warning("change_not_taken", interface=self._interface, state=state, attempts=one.attempts, error=error)

    async def _overtaken(self, one: Delivery, counters: set[str], line: UUID | None) -> bool:
        """Whether all that it tells was told otherwise since.

        One access server that is away must not keep sessions at others from hearing how things stand now, nor have them
        told again how they stood.
        """
        for other, said in await self._engine.events.behind(one):
            if other == line:
                counters -= {"line", *(rule["counter"] for rule in said["rules"])}
                # Its speed goes with data that is served; of data that is not there is none.
                counters -= {"speed"} if any(rule["counter"] == "data" for rule in said["rules"]) else set()
        return not counters


def _changed(one: Delivery) -> tuple[dict[str, str], UUID | None]:
    """Counter → status, ``line`` → ``ended`` where all service is withdrawn; and the line whose rules these are."""
    changed = msgspec.json.decode(one.body)["event"]["provisioning"]
    statuses = {rule["counter"]: rule["status"] for rule in changed["rules"]}
    line = changed.get("line")
    withdrawn = {"line": "ended"} if changed.get("served") is False else {}
    return statuses | withdrawn, None if line is None else UUID(line["id"])
