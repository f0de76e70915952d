"""Calling subscribers: one worker in ``bot.py``, several processes may have one.

Delivered at least once under a stable ``eventId``, in order for each account. A subscriber that fails is left alone by
its breaker, so that it holds up nobody else.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import time
from collections.abc import Iterable
from datetime import timedelta
from typing import Any
from uuid import UUID

import aiohttp
import structlog
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.resolver import ThreadedResolver

from engine.events.rules import SIGNATURE_HEADER, CallbackRefused, Retries, check_address, check_callback, sign
from engine.events.service import Delivery, Events, Target
from engine.events.tables import SendState
from runtime.breaker import Breaker, BreakerState
from runtime.pausing import pause
from runtime.trouble import Trouble
from settings import WebhookSettings

log = structlog.get_logger(__name__)

#: events given to queues in one go, and deliveries to one subscriber on their way at a time
FAN_LIMIT, WINDOW = 500, 64
#: seconds between two looks at the queue: the network shall hear within a second of what was paid
PAUSE = 0.1
#: seconds that a subscriber may take for one call, connecting included
PATIENCE = 10.0
#: seconds after which another process takes what this one claimed; far above ``PATIENCE``
LEASE = timedelta(seconds=60)
#: outcomes written down at a time
WRITERS = 2
#: answers that mean nobody is there, or not now: too many requests, bad gateway, unavailable, gateway time-out
AWAY = frozenset({429, 502, 503, 504})


class GuardedResolver(AbstractResolver):
    """Resolves a subscriber's name at the moment of the call and refuses what it must not lead to.

    The address that was looked at is the one that is connected to: a name that changes in between gains nothing.
    """

    def __init__(self, allowed: WebhookSettings) -> None:
        self._allowed = allowed
        self._names = ThreadedResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """The addresses of a name. Raises ``CallbackRefused`` if any of them is out of bounds."""
        found = await self._names.resolve(host, port, family)
        for one in found:
            check_address(host, ipaddress.ip_address(one["host"].partition("%")[0]), self._allowed)
        return found

    async def close(self) -> None:
        """Nothing is held."""
        await self._names.close()


class EventSender:
    """The delivery worker."""

    def __init__(
        self,
        events: Events,
        allowed: WebhookSettings,
        *,
        retries: Retries | None = None,
        patience: float = PATIENCE,
        lease: timedelta = LEASE,
    ) -> None:
        """``patience``: seconds for one call; ``lease``: how long a claim lasts."""
        self._events = events
        self._allowed = allowed
        self._retries = retries or Retries()
        self._patience = patience
        self._lease = lease
        self._breakers: dict[UUID, Breaker] = {}
        self._busy: dict[UUID, asyncio.Task[None]] = {}
        # The pool of connections belongs to others too.
        self._writing = asyncio.Semaphore(WRITERS)

    async def run(self, stop: asyncio.Event) -> None:
        """Fan out and deliver until ``stop``; calls that are under way are finished."""
        connector = aiohttp.TCPConnector(resolver=GuardedResolver(self._allowed), use_dns_cache=False, limit=0)
        timeout = aiohttp.ClientTimeout(total=self._patience)
        trouble = Trouble("events_failed")
        # What one subscriber sets is no business of another's on the same host.
        forgets = aiohttp.DummyCookieJar()
        async with aiohttp.ClientSession(connector=connector, timeout=timeout, cookie_jar=forgets) as http:
            while not stop.is_set():
                more = False
                with trouble:
                    more = await self._events.fan_out(FAN_LIMIT) >= FAN_LIMIT
                    for target in await self._events.due():
                        self._serve(http, target)
                if not more:
                    await pause(stop, PAUSE)
            if self._busy:
                await asyncio.wait(self._busy.values())

    def _serve(self, http: aiohttp.ClientSession, target: Target) -> None:
        """One task for each subscriber: a slow one waits alone."""
        who = target.subscription_id
        if who not in self._busy and self._breakers.setdefault(who, Breaker()).allows():
            task = asyncio.create_task(self._deliver_all(http, target))
            self._busy[who] = task
            task.add_done_callback(lambda _: self._busy.pop(who, None))

    async def _deliver_all(self, http: aiohttp.ClientSession, target: Target) -> None:
        breaker = self._breakers[target.subscription_id]
        window = 1 if breaker.state is not BreakerState.CLOSED else WINDOW
        try:
            while True:
                claimed = await self._events.claim(target.subscription_id, window, self._lease)
                if not claimed:
                    # Somebody else was faster. Half open, the probe that was allowed did not fail.
                    return
                errors = await asyncio.gather(*(self._deliver(http, target, one, breaker) for one in claimed))
                await self._keep(target, zip(claimed, errors, strict=True))
                if breaker.state is not BreakerState.CLOSED:
                    return
                window = WINDOW
        except Exception:
            # What was claimed comes back when its lease is over.
            log.exception("event_deliveries_failed", subscription=str(target.subscription_id))

    async def _deliver(
        self, http: aiohttp.ClientSession, target: Target, one: Delivery, breaker: Breaker
    ) -> str | None:
        """One attempt: what is wrong, if anything."""
        status, error = await self._call(http, target, one)
        # Who answers is there: what they will not take holds up its own account and nobody else.
        if status is None or status in AWAY:
            breaker.failed()
        else:
            breaker.succeeded()
        return error

    async def _keep(self, target: Target, attempts: Iterable[tuple[Delivery, str | None]]) -> None:
        """Write down what became of each attempt: those that were taken in one statement."""
        outcomes = list(attempts)
        async with self._writing:
            taken = [one for one, error in outcomes if error is None]
            if taken:
                await self._events.delivered(*taken)
            for one, error in outcomes:
                if error is not None:
                    await self._failed(target, one, error)

    async def _failed(self, target: Target, one: Delivery, error: str) -> None:
        state = await self._events.failed(one, error, self._retries)
        told = {"subscription": str(target.subscription_id), "event_id": str(one.event_id), "error": error}
        if state is SendState.PARKED:
            log.error("event_parked", attempts=one.attempts, **told)
        else:
            log.warning("event_not_taken", attempts=one.attempts, **told)

    async def _call(self, http: aiohttp.ClientSession, target: Target, one: Delivery) -> tuple[int | None, str | None]:
        """One POST: what the subscriber answered, if anything, and unless that was 2xx what is wrong."""
        if target.secret is None:
            return None, "its secret cannot be read: it has to be subscribed anew"
        headers: dict[str, Any] = {
            "Content-Type": "application/json",
            SIGNATURE_HEADER: sign(target.secret, one.body, int(time.time())),
        }
        try:
            check_callback(target.callback, self._allowed)
            # A redirect could lead anywhere: it is an answer like any other that is not 2xx.
            async with http.post(target.callback, data=one.body, headers=headers, allow_redirects=False) as response:
                good = response.status // 100 == 2
                return response.status, None if good else f"status {response.status}"
        except CallbackRefused as error:
            return None, str(error)
        except TimeoutError:
            return None, f"no answer within {self._patience:g} s"
        except (aiohttp.ClientError, OSError) as error:
            return None, type(error).__name__
