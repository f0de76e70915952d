"""Which carrier takes a text, how fast, and when it is left alone."""

from __future__ import annotations

import asyncio
import json
import time

import pytest
from aiohttp import ClientSession, web
from redis.asyncio import Redis

from channels.health import KEY, STALE_SECONDS, CarrierHealth, delivery_probes, part
from channels.rates import BURST_SECONDS, RateLimit
from channels.routing import Route, Router
from channels.sms.contract import Outgoing, Sent
from runtime.breaker import (
    IN_A_ROW,
    LAST,
    MOST_OF_LAST,
    PROBE_SECONDS,
    REST_FIRST,
    REST_LONGEST,
    Breaker,
    BreakerState,
)
from runtime.metrics import Metrics
from settings import CarrierSettings
from tests.serving import serving
from tests.waiting import until

CLOSED, HALF_OPEN, OPEN = BreakerState.CLOSED, BreakerState.HALF_OPEN, BreakerState.OPEN


class Taking:
    """A carrier that takes everything."""

    async def start(self) -> None:
        return

    async def close(self) -> None:
        return

    async def send(self, outgoing: Outgoing) -> Sent:
        return Sent(None)


def route(name: str, redis: Redis | None = None, **given) -> Route:
    return Route(name, Taking(), CarrierSettings(adapter="taking", **given), redis)


def names(routes: list[Route]) -> list[str]:
    return [one.name for one in routes]


# --- routes ---


def test_the_longest_prefix_wins_then_the_lowest_cost() -> None:
    router = Router([
        route("everywhere", cost=1),
        route("cheaper", cost=0),
        route("on-net", cost=5, prefixes=("+25471", "254722")),
        route("abroad", prefixes=("+974",)),
    ])  # fmt: skip
    assert names(router.to_number("+254712345678", "sms")) == ["on-net", "cheaper", "everywhere"]
    assert names(router.to_number("+254722345678", "sms")) == ["on-net", "cheaper", "everywhere"]
    assert names(router.to_number("+254733345678", "sms")) == ["cheaper", "everywhere"]


def test_whatsapp_goes_by_who_speaks_it_and_else_by_text() -> None:
    router = Router([route("sms", cost=0), route("wa", channel="whatsapp", cost=9)])
    assert names(router.to_number("+254712345678", "whatsapp")) == ["wa", "sms"]
    assert names(router.to_number("+254712345678", "telegram")) == ["sms"]
    assert names(router.to_number("+254712345678", "sms", prefer="wa")) == ["wa", "sms"]


def test_nobody_serves_a_number_beyond_all_prefixes() -> None:
    assert Router([route("abroad", prefixes=("974",))]).to_number("+254712345678", "sms") == []


def test_only_who_is_well_makes_headroom() -> None:
    good, bad = route("good", per_second=100.0), route("bad", per_second=1000.0)
    for _ in range(IN_A_ROW):
        bad.breaker.failed()
    assert 50 <= Router([good, bad]).headroom(0.5) <= 100 * (0.5 + BURST_SECONDS) + 1
    assert Router([bad]).headroom(0.5) == 0


# --- breaker ---


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def opened(clock: Clock) -> Breaker:
    breaker = Breaker(clock)
    for _ in range(IN_A_ROW):
        breaker.failed()
    return breaker


def test_failures_in_a_row_open_it_and_single_ones_do_not(clock: Clock) -> None:
    breaker = Breaker(clock)
    for _ in range(LAST):
        for _ in range(2):
            breaker.failed()
        for _ in range(5):
            breaker.succeeded()
    assert breaker.state is CLOSED
    assert opened(clock).state is OPEN


def test_many_failures_among_successes_open_it_too(clock: Clock) -> None:
    breaker = Breaker(clock)
    for _ in range(MOST_OF_LAST):
        breaker.succeeded()
        breaker.failed()
    assert breaker.state is OPEN


def test_after_its_rest_one_text_tries_and_success_closes_it(clock: Clock) -> None:
    breaker = opened(clock)
    assert not breaker.allows()
    assert breaker.opens_in() == REST_FIRST
    clock.now += REST_FIRST
    assert breaker.state is HALF_OPEN
    assert [breaker.allows() for _ in range(3)] == [True, False, False]
    breaker.succeeded()
    assert breaker.state is CLOSED
    assert all(breaker.allows() for _ in range(3))


def test_each_probe_that_fails_doubles_the_rest_up_to_a_limit(clock: Clock) -> None:
    breaker, rests = opened(clock), []
    for _ in range(8):
        rests.append(breaker.opens_in())
        clock.now += breaker.opens_in()
        assert breaker.allows()
        breaker.failed()
    assert rests[:4] == [REST_FIRST * 2**power for power in range(4)]
    assert rests[-1] == REST_LONGEST


def test_late_outcomes_of_texts_from_before_change_nothing_while_it_is_open(clock: Clock) -> None:
    breaker = opened(clock)
    breaker.succeeded()
    breaker.failed()
    assert breaker.state is OPEN
    assert breaker.opens_in() == REST_FIRST


def test_a_probe_that_nobody_heard_of_makes_room_for_another(clock: Clock) -> None:
    breaker = opened(clock)
    clock.now += REST_FIRST
    assert breaker.allows()
    clock.now += PROBE_SECONDS
    assert breaker.allows()


# --- rates ---


async def passed(limits: list[RateLimit], seconds: float) -> int:
    """How many texts get through in a while, each limit asked as fast as it answers."""
    until, count = time.monotonic() + seconds, 0

    async def press(limit: RateLimit) -> None:
        nonlocal count
        while time.monotonic() < until:
            wait = await limit.acquire(until - time.monotonic())
            if wait:
                return
            count += 1

    await asyncio.gather(*(press(limit) for limit in limits))
    return count


async def test_one_process_keeps_the_rate_without_redis() -> None:
    seconds = 0.6
    assert await passed([RateLimit("one", 100.0, None)], seconds) <= 100 * (seconds + BURST_SECONDS) + 1


async def test_three_processes_together_keep_the_rate(redis_client: Redis) -> None:
    seconds = 0.6
    limits = [RateLimit("one", 100.0, redis_client) for _ in range(3)]
    # Each may hold one block of what it took beyond the moment.
    assert await passed(limits, seconds) <= 100 * (seconds + BURST_SECONDS) + 3 * 5


async def test_with_redis_lost_each_process_keeps_its_own_rate() -> None:
    lost = Redis(host="127.0.0.1", port=1)
    count = await passed([RateLimit("one", 100.0, lost)], 0.5)
    await lost.aclose()
    assert 0 < count <= 100 * (0.5 + BURST_SECONDS) + 1


async def test_a_turn_that_is_too_far_away_is_told_and_not_waited_for() -> None:
    limit = RateLimit("one", 0.5, None)
    assert await limit.acquire(0.0) == 0.0
    assert 1.0 < await limit.acquire(1.0) <= 2.0
    assert 1.0 < await limit.acquire(1.0) <= 2.0, "who does not wait takes nobody's turn"


async def test_a_carrier_that_asks_for_a_pause_gets_it() -> None:
    limit = RateLimit("one", 1000.0, None)
    limit.pause(3.0)
    assert limit.headroom(1.0) == 0
    assert await limit.acquire(1.0) > 2.0


# --- health ---


async def test_of_several_processes_the_worst_word_counts_and_old_ones_do_not(redis_client: Redis) -> None:
    await CarrierHealth(redis_client).publish({"one": CLOSED, "two": CLOSED})
    await CarrierHealth(redis_client).publish({"one": OPEN})
    old = json.dumps({"at": time.time() - STALE_SECONDS - 1, "word": {"two": "open"}})
    await redis_client.hset(KEY, "dead", old)
    assert await CarrierHealth(redis_client).states() == {"one": OPEN, "two": CLOSED}
    assert not await redis_client.hexists(KEY, "dead")


async def test_a_process_tells_how_its_carriers_are_until_it_ends(redis_client: Redis) -> None:
    bad, stop, metrics = route("bad"), asyncio.Event(), Metrics()
    for _ in range(IN_A_ROW):
        bad.breaker.failed()
    running = asyncio.create_task(CarrierHealth(redis_client).run(Router([bad]), metrics, stop))
    await until(CarrierHealth(redis_client).states)
    assert await CarrierHealth(redis_client).states() == {"bad": OPEN}
    assert b'rasid_carrier_breaker{carrier="bad"} 2.0' in metrics.render()
    stop.set()
    await running
    assert await CarrierHealth(redis_client).states() == {}


def test_carriers_fail_as_a_part_only_when_no_text_can_go_anywhere() -> None:
    assert part({"one": CLOSED, "two": CLOSED})["status"] == "ok"
    assert part({"one": CLOSED, "two": OPEN})["status"] == "degraded"
    assert part({"one": HALF_OPEN, "two": OPEN})["status"] == "degraded"
    assert part({"one": OPEN, "two": OPEN})["status"] == "failed"
    assert part({}) == {"status": "ok", "carriers": {}}


async def test_the_probes_of_the_sending_process_tell_its_breakers() -> None:
    bad = route("bad")

    async def ping() -> None:
        return

    for _ in range(IN_A_ROW):
        bad.breaker.failed()
    status, body = await get(delivery_probes(Router([bad, route("good")]), Metrics(), ping), "/health/ready")
    assert status == 200
    assert json.loads(body)["parts"]["carriers"] == {
        "status": "degraded", "carriers": {"bad": "open", "good": "closed"},
    }  # fmt: skip
    status, body = await get(delivery_probes(Router([bad]), Metrics(), ping), "/health/ready")
    assert status == 503
    status, body = await get(delivery_probes(Router([bad]), Metrics(), ping), "/metrics")
    assert 'rasid_carrier_breaker{carrier="bad"} 2.0' in body


async def get(application: web.Application, path: str) -> tuple[int, str]:
    """What an application answers to one request."""
    async with serving(application) as url, ClientSession() as session, session.get(f"{url}{path}") as answer:
        return answer.status, await answer.text()
