"""Telling the core that quotas have to be asked for anew, or that a session is to end (TS 32.290 §5.3.2.4, notify).

One worker in ``bot.py``. What a line may use changes in the commit of a recharge, a purchase, an expiry; that commit's
event is followed here and told to every open session of the account at its ``notifyUri``, until the network has taken
it or the session is over. Sessions of a line that staff bars or ends are told to end.
At least once: a session that is told twice asks twice.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Mapping
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

import aiohttp
import msgspec
import structlog

from engine.api import Delivery, Engine, Retries
from engine.words import AccountRef, OpenSession
from network.nchf import wire
from network.nchf.service import INTERFACE
from runtime.breaker import Breaker
from runtime.pausing import pause

log = structlog.get_logger(__name__)

#: the queue's name, and what is followed
QUEUE, TOPICS = "nchf-reauthorization", ("provisioning.changed",)
#: accounts that are told at a time, and events given to queues in one go
WINDOW, FAN_LIMIT = 32, 500
#: seconds between two looks at the queue when nothing is due: service comes back within a second of a payment
PAUSE = 0.2
#: seconds that a network function may take, connecting included
PATIENCE = 5.0
#: after which another process takes what this one claimed
LEASE = timedelta(seconds=30)
#: a session asks again by itself when its quota's validity is over: nothing is worth telling for long
RETRIES = Retries(first=timedelta(seconds=1), longest=timedelta(seconds=30), end=timedelta(minutes=10))
#: answers that say that there is nothing to ask for any more
GONE = frozenset({404, 410})

_AGAIN, _NO_MORE = (
    msgspec.json.encode(wire.ChargingNotifyRequest(notification_type=name))
    for name in ("REAUTHORIZATION", "ABORT_CHARGING")
)


class Reauthorization:
    """The worker; several processes may have one."""

    def __init__(self, engine: Engine, *, patience: float = PATIENCE) -> None:
        """``patience``: seconds for one call."""
        self._engine = engine
        self._timeout = aiohttp.ClientTimeout(total=patience)
        self._breakers: defaultdict[str, Breaker] = defaultdict(Breaker)

    async def run(self, stop: asyncio.Event) -> None:
        """Follow and tell until ``stop``; calls that are under way are finished."""
        async with aiohttp.ClientSession(timeout=self._timeout) as http:
            while not stop.is_set():
                try:
                    told = await self.tell_due(http)
                except Exception:
                    # Postgres is away: the next look tries again.
                    log.exception("reauthorization_failed")
                    told = 0
                if not told:
                    await pause(stop, PAUSE)

    async def tell_due(self, http: aiohttp.ClientSession) -> int:
        """Tell what is due now, at most ``WINDOW`` accounts; returns how many."""
        events = self._engine.events
        queue = await events.follow(QUEUE, TOPICS)
        await events.fan_out(FAN_LIMIT)
        claimed = await events.claim(queue, WINDOW, LEASE)
        await asyncio.gather(*(self._tell(http, one) for one in claimed))
        return len(claimed)

    async def _tell(self, http: aiohttp.ClientSession, one: Delivery) -> None:
        if one.attempts > 1 and await self._overtaken(one):
            await self._engine.events.delivered(one)
            return
        body = _told(_changed(one))
        listening = [] if body is None else await self._listening(one, ended=body is _NO_MORE)
        errors = await asyncio.gather(*(self._notify(http, session, body or b"") for session in listening))
        error = next(filter(None, errors), None)
        if error is None:
            await self._engine.events.delivered(one)
        else:
            state = await self._engine.events.failed(one, error, RETRIES)
            log.warning("reauthorization_not_taken", state=state, attempts=one.attempts, error=error)

    async def _overtaken(self, one: Delivery) -> bool:
        """Whether what waits behind it tells the same sessions how things stand now.

        One network function that is away must not keep others from hearing that.
        """
        line = _line_of(one)
        said = [(other, _told(changed)) for other, changed in await self._engine.events.behind(one)]
        return any(body is _AGAIN or (body is _NO_MORE and other == line) for other, body in said)

    async def _listening(self, one: Delivery, *, ended: bool) -> list[OpenSession]:
        """The account's sessions, whose balance it is; of a line that is served no more its own."""
        sessions = await self._engine.sessions.open_sessions(AccountRef(one.shard, one.account_id))
        line = _line_of(one) if ended else None
        return [
            session
            for session in sessions
            if session.interface == INTERFACE and session.notify and (line is None or session.line.line_id == line)
        ]

    async def _notify(self, http: aiohttp.ClientSession, session: OpenSession, body: bytes) -> str | None:
        """What is wrong, if anything."""
        breaker = self._breakers[urlsplit(session.notify).netloc]
        if not breaker.allows():
            return "nobody is there"
        try:
            headers = {"Content-Type": "application/json"}
            # TS 32.291 §6.1.5.2: a network function may send us on to another instance of its own (307, 308).
            async with http.post(session.notify, data=body, headers=headers, max_redirects=2) as response:
                status = response.status
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            breaker.failed()
            return type(error).__name__
        if status >= 500 or status == 429:
            breaker.failed()
        else:
            breaker.succeeded()
        return None if status // 100 == 2 or status in GONE else f"status {status}"


def _changed(one: Delivery) -> Mapping[str, Any]:
    changed: Mapping[str, Any] = msgspec.json.decode(one.body)["event"]["provisioning"]
    return changed


def _line_of(one: Delivery) -> UUID | None:
    line = _changed(one).get("line")
    return None if line is None else UUID(line["id"])


def _told(changed: Mapping[str, Any]) -> bytes | None:
    """What its sessions are to do. That something is used up, a session learns with its next quota."""
    if changed.get("served") is False:
        return _NO_MORE
    return _AGAIN if any(rule["status"] == "active" for rule in changed["rules"]) else None
