"""How well carriers and connections are: a hash in Redis that processes tell each other by, probes over HTTP.

Each process writes what its breakers say under a name of its own; what a dead process wrote grows old and counts no
more.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Awaitable, Callable, Mapping

import msgspec
import structlog
from aiohttp import web
from redis.asyncio import Redis
from redis.exceptions import RedisError

from channels.routing import Router
from channels.ussd.outbound import Outbound
from runtime.breaker import BreakerState
from runtime.metrics import Metrics

log = structlog.get_logger(__name__)

KEY = "carriers:health"
#: seconds between two words of one process, and until its last one is too old
EVERY_SECONDS, STALE_SECONDS = 2.0, 15.0
#: as the gauge shows them, and from good to bad
RANK = {BreakerState.CLOSED: 0, BreakerState.HALF_OPEN: 1, BreakerState.OPEN: 2}


class Word(msgspec.Struct):
    """What one process said, and when (seconds since 1970)."""

    at: float
    states: dict[str, BreakerState]


class CarrierHealth:
    """What the processes say of the carriers. Without Redis nothing is known, and nothing fails."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._process = secrets.token_hex(6)
        self._decoder = msgspec.json.Decoder(Word)

    async def run(self, router: Router, metrics: Metrics, stop: asyncio.Event) -> None:
        """Say how the routes are, to Redis and to the process's own gauge, until ``stop``; then take it back."""
        while not stop.is_set():
            states = router.states()
            show(states, metrics)
            await self.publish(states)
            try:
                await asyncio.wait_for(stop.wait(), EVERY_SECONDS)
            except TimeoutError:
                continue
        try:
            await self._redis.hdel(KEY, self._process)
        except (RedisError, OSError):
            return

    async def publish(self, states: dict[str, BreakerState]) -> None:
        """Say how the carriers are now."""
        try:
            await self._redis.hset(KEY, self._process, msgspec.json.encode(Word(time.time(), states)))
        except (RedisError, OSError) as error:
            log.info("carrier_health_not_told", error=type(error).__name__)

    async def states(self) -> dict[str, BreakerState]:
        """Carrier → how it is, of several processes the worst; empty while no process has said anything lately."""
        try:
            said = await self._redis.hgetall(KEY)
        except (RedisError, OSError):
            return {}
        worst: dict[str, BreakerState] = {}
        old: list[bytes | str] = []
        for process, word in said.items():
            heard = self._decoder.decode(word)
            if heard.at < time.time() - STALE_SECONDS:
                old.append(process)
                continue
            for name, state in heard.states.items():
                worst[name] = max(worst.get(name, state), state, key=RANK.__getitem__)
        if old:
            await self._redis.hdel(KEY, *old)
        return worst


def show(states: dict[str, BreakerState], metrics: Metrics) -> None:
    """Put the states into the gauge of ``/metrics``."""
    for name, state in states.items():
        metrics.carrier_breaker.labels(name).set(RANK[state])


def part(states: dict[str, BreakerState]) -> dict[str, object]:
    """The carriers as a part of ``/health/ready``: ``failed`` only when no text can go anywhere."""
    well = all(state is BreakerState.CLOSED for state in states.values())
    dead = all(state is BreakerState.OPEN for state in states.values())
    status = "ok" if well else "failed" if dead else "degraded"
    return {"status": status, "carriers": dict(sorted(states.items()))}


def connections(gateways: Mapping[str, Outbound]) -> dict[str, object]:
    """The gateways that we keep connections to, as a part of ``/health/ready``: one that is not bound degrades."""
    states = {name: "connected" if one.connected else "not connected" for name, one in sorted(gateways.items())}
    return {"status": "ok" if all(one.connected for one in gateways.values()) else "degraded", "gateways": states}


def probes(
    router: Router,
    metrics: Metrics,
    ping: Callable[[], Awaitable[None]],
    gateways: Mapping[str, Outbound] | None = None,
) -> web.Application:
    """``/health/live``, ``/health/ready`` and ``/metrics`` of the process that delivers and keeps connections.

    Ready is 200 while Postgres answers and at least one carrier takes texts, else 503.
    """

    async def live(_request: web.Request) -> web.Response:
        """The process answers, whatever its neighbours do."""
        return web.json_response({"status": "ok"})

    async def ready(_request: web.Request) -> web.Response:
        """By the worst of its parts: 503 where one has failed."""
        postgres: dict[str, object] = {"status": "ok"}
        try:
            async with asyncio.timeout(2.0):
                await ping()
        except Exception as error:  # noqa: BLE001 - a probe tells what is wrong, whatever it is
            postgres = {"status": "failed", "reason": type(error).__name__}
        parts: dict[str, dict[str, object]] = {"postgres": postgres, "carriers": part(router.states())}
        if gateways:
            parts["gateways"] = connections(gateways)
        known = {str(one["status"]) for one in parts.values()}
        status = "failed" if "failed" in known else "degraded" if "degraded" in known else "ok"
        detail = {"status": status, "parts": parts}
        return web.json_response(detail, status=503 if status == "failed" else 200)

    async def meters(_request: web.Request) -> web.Response:
        """With the carriers as they stand now."""
        show(router.states(), metrics)
        return web.Response(body=metrics.render(), headers={"Content-Type": metrics.content_type})

    application = web.Application()
    application.add_routes(
        [web.get("/health/live", live), web.get("/health/ready", ready), web.get("/metrics", meters)]
    )
    return application
