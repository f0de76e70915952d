"""What channels raise alarms for: once as it begins, and again only after it has been over."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import psycopg
import pytest

from channels.alarms import FAULT_LOOKS, SURGE_LOOKS, AlarmWatch, Fault, connections, overdue
from channels.routing import Route, Router
from engine.api import Engine
from runtime.breaker import IN_A_ROW
from runtime.metrics import Metrics
from settings import CarrierSettings


class Heard:
    """Who is told of alarms."""

    def __init__(self) -> None:
        self.alarms: list[tuple[str, dict[str, Any]]] = []

    async def __call__(self, alarm: str, **facts: Any) -> None:
        self.alarms.append((alarm, facts))

    def names(self) -> list[tuple[str, str]]:
        """What was raised about what."""
        return [(alarm, facts["about"]) for alarm, facts in self.alarms]


@pytest.fixture
def heard() -> Heard:
    """Nobody has raised anything yet."""
    return Heard()


async def looks(watch: AlarmWatch, number: int) -> None:
    """So many looks after each other."""
    for _ in range(number):
        await watch.look()


def late(metrics: Metrics, number: int) -> None:
    """So many turns that missed their deadline."""
    for _ in range(number):
        metrics.turn_seconds.labels("africastalking", "late").observe(9.0)


async def test_many_late_answers_within_a_minute_are_one_alarm_and_few_are_none(heard: Heard) -> None:
    metrics = Metrics()
    watch = AlarmWatch(heard, metrics)
    late(metrics, 4)
    await watch.look()
    assert heard.alarms == []
    late(metrics, 1)
    await looks(watch, 2)
    assert heard.alarms == [("gateway.answered_late", {"about": "africastalking", "count": 5})]


async def test_few_of_each_minute_never_add_up_to_an_alarm(heard: Heard) -> None:
    metrics = Metrics()
    watch = AlarmWatch(heard, metrics)
    for _ in range(5):
        late(metrics, 2)
        await looks(watch, SURGE_LOOKS)
    assert heard.alarms == []


async def test_an_alarm_is_armed_again_once_it_has_been_over_for_a_minute(heard: Heard) -> None:
    metrics = Metrics()
    watch = AlarmWatch(heard, metrics)
    for _ in range(2):
        for _ in range(5):
            metrics.carrier_calls.labels("twilio", "text", "unverified").inc()
        await looks(watch, 2 * SURGE_LOOKS + 1)
    assert heard.names() == [("carrier.unverified", "twilio")] * 2


async def test_what_counts_as_refused_of_one_gateway_is_no_alarm_about_another(heard: Heard) -> None:
    metrics = Metrics()
    watch = AlarmWatch(heard, metrics)
    for gateway in ("mpesa", "stripe"):
        for _ in range(4):
            metrics.gateway_callbacks.labels(gateway, "refused").inc()
        metrics.gateway_callbacks.labels(gateway, "done").inc(100)
    await watch.look()
    assert heard.alarms == []
    metrics.gateway_callbacks.labels("mpesa", "refused").inc()
    await watch.look()
    assert heard.names() == [("payment_callbacks.refused", "mpesa")]


class Bound:
    """A carrier, or a gateway, that keeps a connection."""

    connected = True


async def test_a_carrier_that_refuses_and_connections_that_are_lost_are_alarms_once_they_last(heard: Heard) -> None:
    link, gateway = Bound(), Bound()
    given = CarrierSettings(adapter="simulator")
    failing, keeping = Route("twilio", object(), given), Route("smsc", link, given)  # type: ignore[arg-type]
    look = connections(Router((failing, keeping)), {"ussdc": gateway})  # type: ignore[dict-item]
    watch = AlarmWatch(heard, Metrics(), (look,))
    await looks(watch, FAULT_LOOKS)
    link.connected = gateway.connected = False
    for _ in range(IN_A_ROW):
        failing.breaker.failed()
    await looks(watch, FAULT_LOOKS - 1)
    assert heard.alarms == []
    await looks(watch, 2)
    assert sorted(heard.names()) == [
        ("carrier.failing", "twilio"),
        ("carrier.unconnected", "smsc"),
        ("gateway.unconnected", "ussdc"),
    ]


async def test_a_connection_that_comes_and_goes_is_no_alarm(heard: Heard) -> None:
    gateway = Bound()
    watch = AlarmWatch(heard, Metrics(), (connections(Router(()), {"ussdc": gateway}),))  # type: ignore[dict-item]
    for _ in range(4):
        gateway.connected = False
        await looks(watch, FAULT_LOOKS - 1)
        gateway.connected = True
        await watch.look()
    assert heard.alarms == []


async def test_who_cannot_look_raises_nothing_and_keeps_no_other_look_from_it(heard: Heard) -> None:
    async def broken() -> Iterable[Fault]:
        raise OSError("the database is away")

    async def wrong() -> Iterable[Fault]:
        return [("messages.overdue", "outbox")]

    await looks(AlarmWatch(heard, Metrics(), (broken, wrong)), FAULT_LOOKS)
    assert heard.names() == [("messages.overdue", "outbox")]


async def test_messages_that_nobody_delivers_are_an_event_for_whoever_subscribed(
    engine: Engine, owner: psycopg.Connection[Any]
) -> None:
    line = await engine.create_line("+254712340000", None, "en")
    assert await engine.overdue(300) == 0
    owner.execute(
        "INSERT INTO outbox (shard, message_id, account_id, line_id, topic, body, priority, due_at, state, created_at)"
        " VALUES (%s, gen_random_uuid(), %s, %s, 'payment.done', '{}', 1, now() - interval '6 minutes', 'due', now())",
        (*line.account, line.line_id),
    )

    async def count() -> int:
        return int(await engine.overdue(300))

    await looks(AlarmWatch(engine.alarms.raise_alarm, Metrics(), (overdue(count),)), FAULT_LOOKS + 1)
    told = owner.execute("SELECT body FROM event WHERE topic = 'alarm.raised'").fetchall()
    assert told == [({"alarm": "messages.overdue", "about": "outbox"},)]
