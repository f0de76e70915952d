"""The live dashboard: what all processes do now, how long queues are, how gateways and carriers are, and the proof.

Rates, latencies and gateways come from the processes' own meters, by way of Redis (``runtime.pulse``), so every server
shows the same for all of them; queues are counted in Postgres; the proof is made once for all (``proof``).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

from aiohttp import web
from aiohttp_sse import EventSourceResponse
from redis.asyncio import Redis

from channels.health import RANK, CarrierHealth
from dialogs.values import text
from portal.base.streams import Streams
from portal.console.board import Board
from portal.console.desk import STAFF, Attendant, Desk, Route, get
from portal.console.figures import Figures, figures
from portal.console.names import QUEUES
from portal.console.proof import Proof, Prover
from runtime.pulse import EVERY_SECONDS, Listener

#: seconds after which an open page asks anew, so that nobody is followed for ever
STREAM_SECONDS = 900.0
#: queues in which nothing should wait for long, and where each is worked on
ALARMING = frozenset({"messages_parked", "payments_unknown", "events_parked", "disputes_overdue", "discrepancies_open"})
WORKED_ON = {
    "messages_parked": "/notifications",
    "payments_unknown": "/payments?state=unknown",
    "payments_refunding": "/payments?state=refunding",
    "payments_held": "/reviews",
    "discrepancies_open": "/reconciliation",
    "disputes_open": "/disputes",
    "disputes_overdue": "/disputes",
}
CARRIER_STATES = {0: (text("Well"), "good"), 1: (text("Ill"), "warn"), 2: (text("Down"), "bad")}


class Look(NamedTuple):
    """What was seen at one moment."""

    figures: Figures
    #: (name, length) of each queue
    queues: tuple[tuple[str, int], ...]
    carriers: dict[str, int]
    proof: Proof | None


class DashboardPages:
    """The dashboard, and the stream that keeps it true."""

    def __init__(self, desk: Desk, redis: Redis) -> None:
        self._board = Board(desk)
        self._engine = desk.engine
        self._listener = Listener(redis)
        self._carriers = CarrierHealth(redis)
        self._prover = Prover(desk.engine, redis)
        self._streams = Streams()
        self._last: tuple[float, Look] | None = None
        self._lock = asyncio.Lock()

    def routes(self) -> Sequence[Route]:
        """What they answer to."""
        return [get("/dashboard", STAFF, self._show), get("/dashboard/live", STAFF, self._follow, follows=True)]

    async def close(self, application: web.Application) -> None:
        """End every open stream, so that a stopping server waits for none."""
        await self._streams.close(application)
        await self._prover.close()

    async def _show(self, request: web.Request, person: Attendant) -> web.Response:
        shown = self._shown(await self._look())
        return self._board.page(request, person, "dashboard.html", here="/dashboard", **shown)

    async def _follow(self, request: web.Request, person: Attendant) -> web.StreamResponse:
        """The dashboard's inside, whenever it has changed."""
        return await self._streams.follow(request, partial(self._push, request, person))

    async def _push(self, request: web.Request, person: Attendant, stream: EventSourceResponse) -> None:
        before = ""
        async with asyncio.timeout(STREAM_SECONDS):
            while await self._board.desk.stays(person):
                shown = self._shown(await self._look())
                part = self._board.part(request, person, "dashboard_inside.html", **shown)
                if part != before:
                    before = part
                    await stream.send(part, event="part")
                await asyncio.sleep(EVERY_SECONDS)

    async def _look(self) -> Look:
        """What is seen now; all who look within a second share it."""
        async with self._lock:
            if self._last is None or time.monotonic() - self._last[0] > 1.0:
                now, beats = await self._listener.beats()
                queues, carriers, proof = await asyncio.gather(
                    self._engine.waiting(), self._carriers.states(), self._prover.latest()
                )
                look = Look(
                    figures(now, beats, self._engine.payment_gateways),
                    tuple((one.name, one.length) for one in queues),
                    {name: RANK[state] for name, state in sorted(carriers.items())},
                    proof,
                )
                self._last = time.monotonic(), look
            return self._last[1]

    def _shown(self, look: Look) -> dict[str, Any]:
        return {
            "figures": look.figures,
            "queues": [
                (QUEUES[name], length, WORKED_ON.get(name), "bad" if length and name in ALARMING else "")
                for name, length in look.queues
            ],
            "carriers": [(name, *CARRIER_STATES[rank]) for name, rank in look.carriers.items()],
            "proof": look.proof,
            "rate": rate,
            "seconds": seconds,
        }


def rate(value: float) -> str:
    """How often in a second."""
    return f"{value:,.1f}" if value < 100 else f"{value:,.0f}"


def seconds(value: float | None) -> str:
    """A time, in milliseconds below one second; a dash where nothing was measured."""
    if value is None:
        return "–"
    return f"{value * 1000:,.0f} ms" if value < 1 else f"{value:,.2f} s"
