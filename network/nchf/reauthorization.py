"""Telling the core that quotas have to be asked for anew, or that a session is to end (TS 32.290 §5.3.2.4, notify).

One worker in ``bot.py``. Every open session of an account is told at its ``notifyUri``; those of a line that staff bars
or ends are told to end.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Mapping
from functools import partial
from urllib.parse import urlsplit

import aiohttp
import msgspec

from engine.api import Engine
from engine.words import OpenSession
from network.changes import Changes
from network.nchf import wire
from network.nchf.service import INTERFACE
from runtime.breaker import Breaker

#: seconds that a network function may take, connecting included
PATIENCE = 5.0
#: answers that say that there is nothing to ask for any more
GONE = frozenset({404, 410})

_AGAIN, _NO_MORE = (
    msgspec.json.encode(wire.ChargingNotifyRequest(notification_type=name))
    for name in ("REAUTHORIZATION", "ABORT_CHARGING")
)


class Reauthorization:
    """The worker; several processes may have one."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._breakers: defaultdict[str, Breaker] = defaultdict(Breaker)

    async def run(self, stop: asyncio.Event) -> None:
        """Follow and tell until ``stop``; calls that are under way are finished."""
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=PATIENCE)) as http:
            await Changes(self._engine, INTERFACE, partial(self._tell, http)).run(stop)

    async def _tell(self, http: aiohttp.ClientSession, session: OpenSession, statuses: Mapping[str, str]) -> str | None:
        """What is wrong, if anything. That something is used up, a session learns with its next quota."""
        if "line" not in statuses and "active" not in statuses.values():
            return None
        breaker = self._breakers[urlsplit(session.notify).netloc]
        if not breaker.allows():
            return "nobody is there"
        body, headers = _NO_MORE if "line" in statuses else _AGAIN, {"Content-Type": "application/json"}
        try:
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
