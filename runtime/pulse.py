"""What every process does each second or two, told to Redis, so that one page can show what all of them do together.

A beat holds how much each watched counter grew since the last one, under a stream's own time: beats of all processes
add up, a process that ends takes nothing with it, and clocks of machines play no part. Beats older than a quarter of an
hour are dropped; Prometheus has the rest. Losing Redis loses a chart.
"""

from __future__ import annotations

import asyncio
import secrets
from collections import deque
from collections.abc import Iterable, Mapping
from typing import NamedTuple, cast

import msgspec
import structlog
from prometheus_client import Counter, Histogram
from redis.asyncio import Redis
from redis.exceptions import RedisError

from runtime.metrics import Metrics
from runtime.pausing import pause

log = structlog.get_logger(__name__)

KEY = "pulse"
#: seconds between two beats of a process, and for which beats are kept
EVERY_SECONDS, KEPT_SECONDS = 2.0, 900
#: beats that are read in one go
CHUNK = 2_000


class Series(NamedTuple):
    """One sample of a meter: its name (``rasid_operations_total``) and its labels."""

    name: str
    labels: frozenset[tuple[str, str]]

    def label(self, name: str) -> str:
        """The value of a label; nothing where it has none."""
        return dict(self.labels).get(name, "")


class Beat(NamedTuple):
    """What one process did since its last beat."""

    #: seconds since 1970, by Redis's clock
    at: float
    #: ``ussd`` or ``bot``, and which of them
    process: str
    grew: Mapping[Series, float]


class _Told(msgspec.Struct):
    process: str
    #: name, labels, growth
    grew: list[tuple[str, dict[str, str], float]]


class Pulse:
    """The beats of one process."""

    def __init__(self, redis: Redis, metrics: Metrics, kind: str) -> None:
        """``kind`` is what the process is: ``ussd`` or ``bot``."""
        self._redis = redis
        self._process = f"{kind}-{secrets.token_hex(3)}"
        self._watched: tuple[Counter | Histogram, ...] = (
            metrics.turn_seconds,
            metrics.operations,
            metrics.settlement_seconds,
            metrics.gateway_seconds,
            metrics.gateway_callbacks,
            metrics.outbox_deliveries,
        )
        self._known: dict[Series, float] = {}

    async def run(self, stop: asyncio.Event) -> None:
        """Beat until ``stop``. Without Redis nothing is told, and what happened meanwhile is told later."""
        while not stop.is_set():
            try:
                await self.beat()
            except (RedisError, OSError) as error:
                log.info("pulse_not_told", error=type(error).__name__)
            await pause(stop, EVERY_SECONDS)

    async def beat(self) -> None:
        """Tell what grew since the last beat that was told. Raises ``RedisError``."""
        now = self._samples()
        grew = [
            (series.name, dict(series.labels), value - self._known.get(series, 0.0))
            for series, value in now.items()
            if value > self._known.get(series, 0.0)
        ]
        told = msgspec.msgpack.encode(_Told(self._process, grew))
        seconds, _ = await self._redis.time()
        oldest = int((seconds - KEPT_SECONDS) * 1000)
        await self._redis.xadd(KEY, {"told": told}, minid=str(oldest), approximate=True)
        self._known = now

    def _samples(self) -> dict[Series, float]:
        return {
            Series(sample.name, frozenset(sample.labels.items())): sample.value
            for meter in self._watched
            for family in meter.collect()
            for sample in family.samples
            if not sample.name.endswith("_created")
        }


class Listener:
    """The beats of all processes that are kept, read once however many look."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._decoder = msgspec.msgpack.Decoder(_Told)
        self._beats: deque[Beat] = deque()
        self._last = ""
        self._lock = asyncio.Lock()

    async def beats(self) -> tuple[float, list[Beat]]:
        """Redis's time now, in seconds since 1970, and the beats kept, oldest first. Raises ``RedisError``."""
        async with self._lock:
            seconds, micros = await self._redis.time()
            now = seconds + micros / 1e6
            while fresh := await self._redis.xrange(KEY, min=self._next(now), count=CHUNK):
                for entry, fields in cast(list[tuple[bytes, dict[bytes, bytes]]], fresh):
                    self._last = entry.decode()
                    told = self._decoder.decode(fields[b"told"])
                    at = int(self._last.partition("-")[0]) / 1000
                    self._beats.append(Beat(at, told.process, _series(told.grew)))
                if len(fresh) < CHUNK:
                    break
            while self._beats and self._beats[0].at < now - KEPT_SECONDS:
                self._beats.popleft()
            return now, list(self._beats)

    def _next(self, now: float) -> str:
        return f"({self._last}" if self._last else str(int((now - KEPT_SECONDS) * 1000))


def _series(grew: Iterable[tuple[str, dict[str, str], float]]) -> dict[Series, float]:
    return {Series(name, frozenset(labels.items())): value for name, labels, value in grew}


def quantile(buckets: Mapping[float, float], share: float) -> float | None:
    """The value below which ``share`` of what was measured lies, as Prometheus' ``histogram_quantile`` tells it.

    ``buckets``: upper bound → how many were at most that. None where nothing was measured. What lies beyond the last
    bound is told as that bound.
    """
    bounds = sorted(buckets)
    total = buckets[bounds[-1]] if bounds else 0.0
    if total <= 0:
        return None
    wanted, below, low = share * total, 0.0, 0.0
    for bound in bounds:
        if buckets[bound] >= wanted:
            if bound == float("inf"):
                return low
            inside = buckets[bound] - below
            return low + (bound - low) * ((wanted - below) / inside if inside else 1.0)
        below, low = buckets[bound], bound
    return low
