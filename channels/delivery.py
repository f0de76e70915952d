"""Delivery of the outbox: claim what is due, render, hand to a carrier, keep what became of it. At least once.

A carrier that is known not to have a text makes room for the next one; a text that a carrier may have goes to no other.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import structlog

from channels.layout import can_be_septets, transliterate
from channels.menus import MenuAlerts
from channels.promises import PROMISE, outcome
from channels.routing import Route, Router
from channels.sms.contract import CarrierError, ErrorKind, Outgoing, Sent
from dialogs.messages import render_message
from dialogs.texts import Texts
from engine.api import Engine
from engine.words import Channel, DeliveryState, Message
from runtime.breaker import BreakerState
from runtime.metrics import Metrics
from runtime.pausing import pause
from runtime.trouble import Trouble
from settings import Operator

log = structlog.get_logger(__name__)

#: messages in one claim, and claims being worked on at the same time
CLAIM_LIMIT, CLAIMS_AT_ONCE = 100, 6
#: seconds a claimed message is ours; a worker that dies leaves it to others after that
LEASE_SECONDS = 60
#: seconds between looks at an outbox that does not fill a claim: shortest, and longest once it stays empty. An alert
#: leaves within a second of its commit
IDLE_SHORTEST, IDLE_LONGEST = 0.05, 0.25
#: seconds of a carrier's rate that are claimed ahead, and that a message waits for its turn before it is given back
AHEAD_SECONDS, TURN_SECONDS = 0.5, 5.0
#: seconds until the second try; doubled each time, up to the longest
BACKOFF_FIRST, BACKOFF_LONGEST = 5.0, 3600.0
#: tries before a message is parked for staff
TRY_LIMIT = 12
#: topics that go to the line itself, never into a chat: answers to texts, and what guards the line
TEXT_ONLY = ("reply", PROMISE, "security.")


class Leg(NamedTuple):
    """One way to a person: a route, and their address on it."""

    route: Route
    to: str


class DeliveryWorker:
    """Empties the outbox until it is stopped. Several may run: they skip what others have claimed."""

    def __init__(
        self,
        *,
        engine: Engine,
        router: Router,
        texts: Texts,
        operator: Operator,
        metrics: Metrics,
        menus: MenuAlerts | None = None,
    ) -> None:
        """``menus``: who tells alerts by a menu on the phone's screen, where somebody can."""
        self._menus = menus
        self._engine = engine
        self._router = router
        self._texts = texts
        self._operator = operator
        self._metrics = metrics

    async def run(self, stop: asyncio.Event) -> None:
        """Deliver until ``stop`` is set. What is claimed by then is still sent and marked."""
        idle = IDLE_SHORTEST
        working: set[asyncio.Task[None]] = set()
        trouble = Trouble("delivery_failed")
        while not stop.is_set():
            messages: Sequence[Message] = ()
            # Postgres away, most likely. Leases run out by themselves, so nothing is lost.
            with trouble:
                messages = await self._claim()
            if messages:
                task = asyncio.create_task(self._work(messages))
                working.add(task)
                task.add_done_callback(working.discard)
                if len(working) >= CLAIMS_AT_ONCE:
                    await asyncio.wait(working, return_when=asyncio.FIRST_COMPLETED)
            if len(messages) < CLAIM_LIMIT:
                # A claim costs the same for one message and for a hundred: let some gather.
                await pause(stop, idle * random.uniform(0.8, 1.2))
            idle = IDLE_SHORTEST if messages else min(idle * 1.3, IDLE_LONGEST)
        await asyncio.gather(*working)

    async def deliver(self) -> int:
        """Claim one batch, send it, mark it. Returns how many were claimed."""
        messages = await self._claim()
        await self._work(messages)
        return len(messages)

    async def _claim(self) -> Sequence[Message]:
        # Not more than can leave soon: what waits here is out of reach of whoever could send it sooner.
        limit = min(CLAIM_LIMIT, self._router.headroom(AHEAD_SECONDS))
        return await self._engine.claim_messages(limit, LEASE_SECONDS) if limit > 0 else ()

    async def _work(self, messages: Sequence[Message]) -> None:
        results = await asyncio.gather(*(self._deliver(message) for message in messages), return_exceptions=True)
        for message, result in zip(messages, results, strict=True):
            if isinstance(result, BaseException):  # its lease runs out, and it is tried again
                log.error("message_not_kept", message_id=str(message.message_id), reason=type(result).__name__)

    async def _deliver(self, message: Message) -> None:
        """One message: handed over, to be tried again, or parked, and recorded as that."""
        if message.msisdn is None:
            await self._to_nobody(message)
            return
        if self._menus is not None and message.handed_to is None and await self._menus.takes(message):
            return
        legs = self._legs(message, message.msisdn)
        if message.handed_to is not None:
            legs = self._after_silence(message, legs)
            if not legs:
                await self._park(message, message.handed_to, f"unknown: {message.handed_to} may have it")
                return
        if message.topic == PROMISE:
            await self._keep_promise(message, legs)
            return
        try:
            text = render_message(message, self._texts, self._operator)
        except Exception as error:
            log.exception("message_unsendable", topic=message.topic, message_id=str(message.message_id))
            await self._park(message, None, type(error).__name__)
            return
        await self._try_legs(message, legs, text)

    async def _keep_promise(self, message: Message, legs: list[Leg]) -> None:
        """Say what became of an operation whose outcome was promised by a process that is no more."""
        text = await outcome(self._engine, self._texts, message)
        if text is None:
            await self._engine.told.drop_message((message.shard, message.message_id))
            return
        await self._try_legs(message, legs, text)

    def _legs(self, message: Message, msisdn: str) -> list[Leg]:
        """The ways to a person, best first."""
        channel = Channel.SMS if message.topic.startswith(TEXT_ONLY) else message.channel
        chat = self._router.chats.get(channel)
        legs = [Leg(chat, message.chats[channel])] if chat is not None and channel in message.chats else []
        prefer = message.body.get("carrier") if message.topic == "reply" else None
        return [*legs, *(Leg(route, msisdn) for route in self._router.to_number(msisdn, channel, prefer))]

    def _after_silence(self, message: Message, legs: list[Leg]) -> list[Leg]:
        """The ways that are left for a message that a carrier may have."""
        same = [leg for leg in legs if leg.route.name == message.handed_to]
        if same and same[0].route.drops_doubles:
            return same
        return legs if message.repeatable else []

    async def _try_legs(self, message: Message, legs: Sequence[Leg], text: str) -> None:
        """Offer a message to one carrier after the other, until one has it or may have it."""
        refusal = CarrierError("no_carrier", ErrorKind.PERMANENT)
        refused_by: str | None = None
        waits: list[float] = []
        for place, leg in enumerate(legs):
            route = leg.route
            if route.breaker.state is BreakerState.OPEN:
                waits.append(route.breaker.opens_in())
                continue
            wait = await route.rate.acquire(TURN_SECONDS)
            if wait > 0:
                waits.append(wait)
                break
            if not route.breaker.allows():
                waits.append(route.breaker.opens_in())
                continue
            try:
                sent = await self._hand_over(message, leg, text)
            except CarrierError as error:
                refusal, refused_by = error, route.name
                if error.kind in {ErrorKind.RETRY, ErrorKind.REROUTE} and place + 1 < len(legs):
                    self._count(message, "rerouted")
                    await self._note(message, route, error)
                    continue
                break
            await self._keep_sent(message, route, sent)
            return
        if refused_by is None and waits:
            # Nobody was asked: it costs no try.
            await self._engine.postpone_messages([message], _in(min(waits)))
            return
        await self._keep_refusal(message, refused_by, refusal, resting=bool(waits))

    async def _hand_over(self, message: Message, leg: Leg, text: str) -> Sent:
        """Give one text to one carrier. Raises ``CarrierError``; what else goes wrong on the way is ``unknown``."""
        route = leg.route
        if route.name not in self._router.chats and can_be_septets(text):
            text = transliterate(text)  # one ê more than the alphabet has would make two SMS of one
        outgoing = Outgoing(
            message_id=message.message_id, to=leg.to, sender=self._operator.sender, text=text, at=message.created_at
        )
        async with route.window:
            if not route.drops_doubles:
                await self._engine.hand_over(message, route.name)
            started = time.perf_counter()
            try:
                sent = await route.carrier.send(outgoing)
            except CarrierError as error:
                self._blame(route, error)
                raise
            except Exception as error:
                log.exception("carrier_broke", carrier=route.name, message_id=str(message.message_id))
                unknown = CarrierError(type(error).__name__, ErrorKind.UNKNOWN)
                self._blame(route, unknown)
                raise unknown from error
            finally:
                self._metrics.carrier_seconds.labels(route.name).observe(time.perf_counter() - started)
        route.breaker.succeeded()
        return sent

    def _blame(self, route: Route, error: CarrierError) -> None:
        self._metrics.carrier_sends.labels(route.name, error.kind.value).inc()
        if error.kind in {ErrorKind.RETRY, ErrorKind.UNKNOWN}:
            route.breaker.failed()
        else:
            route.breaker.succeeded()
        if error.kind is ErrorKind.THROTTLED:
            route.rate.pause(min(error.retry_after or 1.0, TURN_SECONDS))

    # -- what became of it ------------------------------------------------------------------------------------------

    async def _keep_sent(self, message: Message, route: Route, sent: Sent) -> None:
        # Ids within chats are counted anew in each chat, and nobody reports on them.
        carrier_id = None if route.name in self._router.chats else sent.carrier_id
        self._metrics.carrier_sends.labels(route.name, "sent").inc()
        self._count(message, "delivered")
        self._metrics.outbox_wait_seconds.observe(max(0.0, (datetime.now(UTC) - message.created_at).total_seconds()))
        await self._engine.record_attempt(message, route.name, carrier_id, DeliveryState.SENT)

    async def _note(self, message: Message, route: Route, error: CarrierError) -> None:
        """Keep a refusal that another carrier may make good; until then the message stays ours."""
        later = _in(LEASE_SECONDS)
        await self._engine.record_attempt(message, route.name, None, DeliveryState.FAILED, error.reason, retry_at=later)

    async def _keep_refusal(
        self, message: Message, carrier: str | None, error: CarrierError, *, resting: bool = False
    ) -> None:
        """What nobody took: to be tried again, or parked. ``resting``: there is a carrier that was not asked."""
        unsure = error.kind is ErrorKind.UNKNOWN
        hopeless = error.kind is ErrorKind.PERMANENT or (error.kind is ErrorKind.REROUTE and not resting)
        hopeless |= message.attempts >= TRY_LIMIT
        if unsure:
            route = next((one for one in self._router.everyone() if one.name == carrier), None)
            hopeless |= not message.repeatable and not (route is not None and route.drops_doubles)
        reason = f"unknown: {error.reason}" if unsure else error.reason
        if hopeless:
            await self._park(message, carrier, reason, unsure=unsure)
            return
        self._count(message, "retried")
        log.warning("message_failed", **_named(message), carrier=carrier, reason=reason, outcome="retried")
        wait = max(backoff(message.attempts), error.retry_after or 0.0)
        state = DeliveryState.QUEUED if unsure else DeliveryState.FAILED
        await self._engine.record_attempt(message, carrier, None, state, reason, retry_at=_in(wait), unsure=unsure)

    async def _park(self, message: Message, carrier: str | None, reason: str, *, unsure: bool = False) -> None:
        self._count(message, "parked")
        log.warning("message_failed", **_named(message), carrier=carrier, reason=reason, outcome="parked")
        state = DeliveryState.QUEUED if unsure or message.handed_to is not None else DeliveryState.FAILED
        await self._engine.record_attempt(message, carrier, None, state, reason, unsure=unsure)

    async def _to_nobody(self, message: Message) -> None:
        if not message.topic.startswith("alarm."):
            await self._park(message, None, "no_number")
            return
        # To the operator: staff reads it from the log and the metrics until the console shows alarms.
        log.warning("operator_alarm", topic=message.topic, **message.body)
        self._count(message, "logged")
        await self._engine.record_attempt(message, None, None, DeliveryState.SENT)

    def _count(self, message: Message, outcome: str) -> None:
        self._metrics.outbox_deliveries.labels(message.topic, outcome).inc()


def backoff(attempts: int) -> float:
    """Seconds until the next try after ``attempts`` tries: doubling, bounded, with jitter of a quarter either way."""
    return float(min(BACKOFF_FIRST * 2 ** max(attempts - 1, 0), BACKOFF_LONGEST) * random.uniform(0.75, 1.25))


def _in(seconds: float) -> datetime:
    return datetime.now(UTC) + timedelta(seconds=seconds)


def _named(message: Message) -> dict[str, object]:
    return {"topic": message.topic, "message_id": str(message.message_id), "attempts": message.attempts}
