"""Delivery of the outbox: claim what is due, render, hand to a carrier, mark. At least once, under a stable id."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import structlog

from channels.sms.contract import Carrier, CarrierError, ErrorKind, Outgoing
from dialogs.messages import render_message
from dialogs.texts import Texts
from engine.api import Engine
from engine.words import Message
from runtime.metrics import Metrics
from settings import Operator

log = structlog.get_logger(__name__)

CLAIM_LIMIT = 100
#: seconds a claimed message is ours; a worker that dies leaves it to others after that
LEASE_SECONDS = 60
#: seconds between looks at an empty outbox: shortest and longest
IDLE_SHORTEST, IDLE_LONGEST = 0.2, 1.0
#: seconds until the second try; doubled each time, up to the longest
BACKOFF_FIRST, BACKOFF_LONGEST = 5.0, 3600.0
#: tries before a message is parked for staff
TRY_LIMIT = 12
#: texts on their way to the carrier at the same time
SEND_LIMIT = 20
#: refusals after which the one carrier there is may take the text later
RETRYABLE = frozenset({ErrorKind.RETRY, ErrorKind.THROTTLED, ErrorKind.REROUTE})


class DeliveryWorker:
    """Empties the outbox until it is stopped. Several may run: they skip what others have claimed."""

    def __init__(self, *, engine: Engine, carrier: Carrier, texts: Texts, operator: Operator, metrics: Metrics) -> None:
        self._engine = engine
        self._carrier = carrier
        self._texts = texts
        self._operator = operator
        self._metrics = metrics
        self._slots = asyncio.Semaphore(SEND_LIMIT)

    async def run(self, stop: asyncio.Event) -> None:
        """Deliver until ``stop`` is set. What is claimed by then is still sent and marked."""
        idle = IDLE_SHORTEST
        while not stop.is_set():
            try:
                delivered = await self.deliver()
            except Exception:
                # Postgres away, most likely. Leases run out by themselves, so nothing is lost.
                log.exception("delivery_failed")
                delivered = 0
                idle = IDLE_LONGEST
            if delivered:
                idle = IDLE_SHORTEST
                continue
            await _pause(stop, idle * random.uniform(0.8, 1.2))
            idle = min(idle * 1.3, IDLE_LONGEST)

    async def deliver(self) -> int:
        """Claim one batch, send it, mark it. Returns how many were claimed."""
        messages = await self._engine.claim_messages(CLAIM_LIMIT, LEASE_SECONDS)
        if not messages:
            return 0
        outcomes = await asyncio.gather(*(self._send(message) for message in messages))
        sent = [message for message, failure in zip(messages, outcomes, strict=True) if failure is None]
        if sent:
            await self._engine.messages_delivered(sent)
        await self._mark_failed([(m, failure) for m, failure in zip(messages, outcomes, strict=True) if failure])
        return len(messages)

    async def _send(self, message: Message) -> CarrierError | None:
        """Hand one message over; the failure is returned, so that one bad message cannot stop the others."""
        if message.msisdn is None:
            # To the operator: staff reads it from the log and the metrics until the console shows alarms.
            log.warning("operator_alarm", topic=message.topic, **message.body)
            self._metrics.outbox_deliveries.labels(message.topic, "logged").inc()
            return None
        try:
            outgoing = Outgoing(
                message_id=message.message_id,
                to=message.msisdn,
                sender=self._operator.sender,
                text=render_message(message, self._texts, self._operator),
                at=message.created_at,
            )
            async with self._slots:
                await self._carrier.send(outgoing)
        except CarrierError as error:
            return error
        except Exception as error:
            log.exception("message_unsendable", topic=message.topic, message_id=str(message.message_id))
            return CarrierError(type(error).__name__, ErrorKind.PERMANENT)
        self._metrics.outbox_deliveries.labels(message.topic, "delivered").inc()
        return None

    async def _mark_failed(self, failed: Sequence[tuple[Message, CarrierError]]) -> None:
        for message, failure in failed:
            parked = failure.kind not in RETRYABLE or message.attempts >= TRY_LIMIT
            outcome = "parked" if parked else "retried"
            log.warning(
                "message_failed",
                topic=message.topic,
                message_id=str(message.message_id),
                reason=failure.reason,
                attempts=message.attempts,
                outcome=outcome,
            )
            self._metrics.outbox_deliveries.labels(message.topic, outcome).inc()
            retry_at = None if parked else datetime.now(UTC) + timedelta(seconds=backoff(message.attempts))
            await self._engine.messages_failed([message], retry_at)


def backoff(attempts: int) -> float:
    """Seconds until the next try after ``attempts`` tries: doubling, bounded, with jitter of a quarter either way."""
    return float(min(BACKOFF_FIRST * 2 ** max(attempts - 1, 0), BACKOFF_LONGEST) * random.uniform(0.75, 1.25))


async def _pause(stop: asyncio.Event, seconds: float) -> None:
    try:
        await asyncio.wait_for(stop.wait(), seconds)
    except TimeoutError:
        return
