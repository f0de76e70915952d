"""Beats of processes: what each tells, and what all of them come to."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis

from runtime.metrics import Metrics
from runtime.pulse import KEY, Listener, Pulse, Series, quantile


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[Redis]:
    client: Redis = Redis.from_url(redis_url)
    yield client
    await client.aclose()


def operations(code: str = "ok") -> Series:
    return Series("rasid_operations_total", frozenset({("kind", "recharge"), ("code", code)}))


async def test_beats_of_several_processes_add_up_to_what_each_counted(redis: Redis) -> None:
    processes = [(Pulse(redis, metrics, kind), metrics) for kind in ("ussd", "ussd", "bot") for metrics in [Metrics()]]
    listener = Listener(redis)
    for round_ in (1, 2):
        for pulse, metrics in processes:
            metrics.operations.labels("recharge", "ok").inc(round_)
            await pulse.beat()
        await listener.beats()
    _, beats = await listener.beats()
    assert sum(beat.grew.get(operations(), 0) for beat in beats) == 3 * (1 + 2)
    assert len({beat.process for beat in beats}) == 3
    # Who begins to look later sees the same.
    assert (await Listener(redis).beats())[1] == beats


async def test_what_could_not_be_told_is_told_later(redis: Redis) -> None:
    metrics = Metrics()
    pulse, listener = Pulse(redis, metrics, "ussd"), Listener(redis)
    metrics.operations.labels("recharge", "ok").inc()
    await pulse.beat()
    await redis.delete(KEY)
    metrics.operations.labels("recharge", "ok").inc(4)
    await pulse.beat()
    _, beats = await listener.beats()
    assert [beat.grew.get(operations()) for beat in beats] == [4]


async def test_beats_that_are_old_are_forgotten(redis: Redis) -> None:
    pulse, listener = Pulse(redis, Metrics(), "ussd"), Listener(redis)
    await pulse.beat()
    ((entry, fields),) = await redis.xrange(KEY)
    await redis.delete(KEY)
    await redis.xadd(KEY, fields, id="1000-1")
    now, beats = await listener.beats()
    assert beats == [] and now > 1000
    assert entry != b"1000-1"


@pytest.mark.parametrize(
    ("buckets", "share", "expected"),
    [
        ({0.1: 0, 0.2: 10, float("inf"): 10}, 0.5, 0.15),
        ({0.1: 10, 0.2: 10, float("inf"): 10}, 0.99, 0.099),
        ({0.1: 5, float("inf"): 10}, 0.9, 0.1),
        ({0.1: 0, float("inf"): 0}, 0.5, None),
        ({}, 0.5, None),
    ],
)
def test_a_quantile_lies_where_its_share_is_reached(
    buckets: dict[float, float], share: float, expected: float | None
) -> None:
    found = quantile(buckets, share)
    assert found == expected if expected is None else found == pytest.approx(expected)
