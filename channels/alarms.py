"""What channels raise alarms for: what a process sees of its gateways, carriers and messages that needs a person now.

Adapters count, log and keep connections; they know of no alarms. A watch looks at those counts and connections, and
raises an alarm as something begins, once: it is armed again when that has been over for a while. How an alarm is
raised is given to it (``engine.events.alarms``: an event, a metric, a line of the log).
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any, NamedTuple

import structlog
from prometheus_client import Counter, Histogram

from channels.routing import Router
from channels.ussd.outbound import Outbound
from runtime.breaker import BreakerState
from runtime.metrics import Metrics
from runtime.pausing import pause

log = structlog.get_logger(__name__)

#: seconds between two looks; looks that a surge is counted over, and that a fault has to last for
EVERY_SECONDS, SURGE_LOOKS, FAULT_LOOKS = 10.0, 6, 3

#: an alarm's name and what it is about: two of the same name about different things are two
Fault = tuple[str, str]
#: raises an alarm: its name, then its facts; fails never
Raise = Callable[..., Awaitable[None]]
#: what is wrong right now
Look = Callable[[], Awaitable[Iterable[Fault]]]


class Surge(NamedTuple):
    """An alarm for many of one kind within a minute: one may always happen, and anybody can provoke some."""

    alarm: str
    #: the sample that is counted, the outcome that it counts, and the label that says what it is about
    sample: str
    outcome: str
    about: str
    least: int


SURGES = (
    Surge("gateway.answered_late", "rasid_turn_seconds_count", "late", "gateway", 5),
    Surge("carrier.unverified", "rasid_carrier_calls_total", "unverified", "carrier", 5),
    Surge("payment_callbacks.refused", "rasid_gateway_callbacks_total", "refused", "gateway", 5),
    Surge("messages.parked", "rasid_outbox_deliveries_total", "parked", "topic", 20),
)


def connections(router: Router, gateways: Mapping[str, Outbound]) -> Look:
    """Carriers that texts are kept from, and connections that are not there."""

    async def look() -> Iterable[Fault]:
        """As the process that keeps them knows it."""
        failing = [("carrier.failing", name) for name, state in router.states().items() if state != BreakerState.CLOSED]
        away = [("gateway.unconnected", name) for name, one in gateways.items() if not one.connected]
        # Only some carriers keep connections.
        unbound = [
            ("carrier.unconnected", one.name)
            for one in router.everyone()
            if not getattr(one.carrier, "connected", True)
        ]
        return failing + away + unbound

    return look


def overdue(count: Callable[[], Awaitable[int]]) -> Look:
    """Messages that should have left long ago: nobody delivers, or nobody can keep up. ``count`` says how many."""

    async def look() -> Iterable[Fault]:
        """As the database has it."""
        return [("messages.overdue", "outbox")] if await count() else []

    return look


class AlarmWatch:
    """The watch of one process."""

    def __init__(self, raise_alarm: Raise, metrics: Metrics, looks: Iterable[Look] = ()) -> None:
        """``looks``: what else may be wrong, beside what the process counts."""
        self._raise = raise_alarm
        self._metrics = metrics
        self._looks = tuple(looks)
        self._counts: deque[dict[Fault, float]] = deque([self._counted()], maxlen=SURGE_LOOKS + 1)
        self._lasting: dict[Fault, int] = {}
        #: what was raised, and for how many looks it has been over
        self._raised: dict[Fault, int] = {}

    async def run(self, stop: asyncio.Event) -> None:
        """Look until ``stop``."""
        while not stop.is_set():
            await pause(stop, EVERY_SECONDS)
            if not stop.is_set():
                await self.look()

    async def look(self) -> None:
        """Look once, and raise an alarm for what has begun."""
        now = self._surges() | await self._faults()
        self._raised = {
            fault: over
            for fault, before in self._raised.items()
            if (over := 0 if fault in now else before + 1) < SURGE_LOOKS
        }
        for fault, facts in now.items():
            if fault not in self._raised:
                self._raised[fault] = 0
                await self._raise(fault[0], about=fault[1], **facts)

    def _counted(self) -> dict[Fault, float]:
        """How often everything has happened that may become too much, since the process began."""
        watched: tuple[Counter | Histogram, ...] = (
            self._metrics.turn_seconds,
            self._metrics.carrier_calls,
            self._metrics.gateway_callbacks,
            self._metrics.outbox_deliveries,
        )
        by_name = {(surge.sample, surge.outcome): surge for surge in SURGES}
        counts: dict[Fault, float] = {}
        for sample in (sample for meter in watched for family in meter.collect() for sample in family.samples):
            surge = by_name.get((sample.name, sample.labels.get("outcome", "")))
            if surge is not None:
                fault = surge.alarm, sample.labels[surge.about]
                counts[fault] = counts.get(fault, 0.0) + sample.value
        return counts

    def _surges(self) -> dict[Fault, dict[str, Any]]:
        counts, before = self._counted(), self._counts[0]
        self._counts.append(counts)
        least = {surge.alarm: surge.least for surge in SURGES}
        grown = {fault: int(count - before.get(fault, 0.0)) for fault, count in counts.items()}
        return {fault: {"count": count} for fault, count in grown.items() if count >= least[fault[0]]}

    async def _faults(self) -> dict[Fault, dict[str, Any]]:
        """What has been wrong for some looks: connections come and go."""
        wrong: set[Fault] = set()
        for look in self._looks:
            try:
                wrong.update(await look())
            except Exception as error:  # noqa: BLE001 - who cannot look now looks again
                log.info("not_looked", error=type(error).__name__)
        self._lasting = {fault: self._lasting.get(fault, 0) + 1 for fault in wrong}
        return {fault: {} for fault, looks in self._lasting.items() if looks >= FAULT_LOOKS}
