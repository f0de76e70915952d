"""How well a process and its neighbours are: what processes tell each other of the carriers, and probes over HTTP."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Collection, Mapping

from aiohttp import web
from redis.asyncio import Redis
from redis.exceptions import RedisError

from channels.board import Board, OtherVersion
from channels.routing import Router
from channels.ussd.outbound import Outbound
from runtime.breaker import BreakerState
from runtime.metrics import Metrics
from runtime.pausing import pause

KEY = "carriers:health"
#: seconds between two words of one process, and until its last one is too old
EVERY_SECONDS, STALE_SECONDS = 2.0, 15.0
#: as the gauge shows them, and from good to bad
RANK = {BreakerState.CLOSED: 0, BreakerState.HALF_OPEN: 1, BreakerState.OPEN: 2}
#: seconds a part may take to show that it is well
PROBE_SECONDS = 2.0

#: how one part is: its ``status`` (``ok``, ``degraded``, ``failed``) and what more is known
Part = dict[str, object]


class CarrierHealth:
    """What the processes say of the carriers. Without Redis nothing is known, and nothing fails."""

    def __init__(self, redis: Redis) -> None:
        self._board = Board(redis, KEY, dict[str, BreakerState], STALE_SECONDS)

    async def run(self, router: Router, metrics: Metrics, stop: asyncio.Event) -> None:
        """Say how the routes are, to Redis and to the process's own gauge, until ``stop``; then take it back."""
        while not stop.is_set():
            states = router.states()
            show(states, metrics)
            await self.publish(states)
            await pause(stop, EVERY_SECONDS)
        await self._board.leave()

    async def publish(self, states: dict[str, BreakerState]) -> None:
        """Say how the carriers are now."""
        await self._board.say(states)

    async def states(self) -> dict[str, BreakerState]:
        """Carrier → how it is, of several processes the worst; empty while no process has said anything lately."""
        worst: dict[str, BreakerState] = {}
        try:
            for states in await self._board.said():
                for name, state in states.items():
                    worst[name] = max(worst.get(name, state), state, key=RANK.__getitem__)
        except (RedisError, OSError, OtherVersion):
            return {}
        return worst


def show(states: dict[str, BreakerState], metrics: Metrics) -> None:
    """Put the states into the gauge of ``/metrics``."""
    for name, state in states.items():
        metrics.carrier_breaker.labels(name).set(RANK[state])


def part(states: dict[str, BreakerState]) -> Part:
    """The carriers as a part of ``/health/ready``: ``failed`` only when no text can go anywhere."""
    well = all(state is BreakerState.CLOSED for state in states.values())
    dead = all(state is BreakerState.OPEN for state in states.values())
    status = "ok" if well else "failed" if dead else "degraded"
    return {"status": status, "carriers": dict(sorted(states.items()))}


def connections(gateways: Mapping[str, Outbound]) -> Part:
    """The gateways that we keep connections to, as a part of ``/health/ready``: one that is not bound degrades."""
    states = {name: "connected" if one.connected else "not connected" for name, one in sorted(gateways.items())}
    return {"status": "ok" if all(one.connected for one in gateways.values()) else "degraded", "gateways": states}


async def probe(ping: Callable[[], Awaitable[None]]) -> Part:
    """A part that answers, or why it does not."""
    started = time.perf_counter()
    try:
        async with asyncio.timeout(PROBE_SECONDS):
            await ping()
    except Exception as error:  # noqa: BLE001 - a probe tells what is wrong, whatever it is
        return {"status": "failed", "reason": type(error).__name__}
    return {"status": "ok", "ms": round((time.perf_counter() - started) * 1000, 2)}


def probes(
    parts: Callable[[], Awaitable[Mapping[str, Part]]],
    vital: Collection[str],
    states: Callable[[], Awaitable[dict[str, BreakerState]]],
    metrics: Metrics,
) -> list[web.RouteDef]:
    """``/health/live``, ``/health/ready`` and ``/metrics`` of a process.

    Ready is 200 unless one of the ``vital`` parts has failed, else 503; ``parts`` says which one is not well and why.
    ``states``: how the carriers are, for the metrics.
    """

    async def live(_request: web.Request) -> web.Response:
        """The process answers, whatever its neighbours do."""
        return web.json_response({"status": "ok"})

    async def ready(_request: web.Request) -> web.Response:
        """Failed by what is vital alone: anything else that is not well only degrades."""
        found = await parts()
        failed = any(found[name]["status"] == "failed" for name in vital if name in found)
        well = all(one["status"] == "ok" for one in found.values())
        status = "failed" if failed else "ok" if well else "degraded"
        return web.json_response({"status": status, "parts": dict(found)}, status=503 if failed else 200)

    async def meters(_request: web.Request) -> web.Response:
        """In the text format of Prometheus, with the carriers as they stand now."""
        show(await states(), metrics)
        return web.Response(body=metrics.render(), headers={"Content-Type": metrics.content_type})

    return [web.get("/health/live", live), web.get("/health/ready", ready), web.get("/metrics", meters)]


def delivery_probes(
    router: Router,
    metrics: Metrics,
    ping: Callable[[], Awaitable[None]],
    gateways: Mapping[str, Outbound] | None = None,
) -> web.Application:
    """The probes of the process that delivers and keeps connections: ready while at least one carrier takes texts."""

    async def parts() -> Mapping[str, Part]:
        """Postgres, the carriers, and the gateways that it keeps connections to."""
        found = {"postgres": await probe(ping), "carriers": part(router.states())}
        return {**found, "gateways": connections(gateways)} if gateways else found

    async def states() -> dict[str, BreakerState]:
        """This process's own word."""
        return router.states()

    application = web.Application()
    application.add_routes(probes(parts, ("postgres", "carriers"), states, metrics))
    return application
