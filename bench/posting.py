"""The measured part that all loads of the one door share: so many callers, each with one operation at a time."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Iterator
from time import perf_counter, process_time

from bench.figures import Sample, sample
from bench.house import House
from bench.machine import cpu_seconds
from engine.api import Engine
from engine.words import Operation
from runtime.collector import settle_collector


async def post_all(house: House, engine: Engine, waiting: Iterator[Operation], callers: int, seconds: float) -> Sample:
    """Post what is waiting from ``callers`` at once until ``seconds`` are over; every answer must be ok.

    ``waiting`` makes each operation when it is asked for. When it runs out, the measurement ends early.
    """
    latencies: list[float] = []
    # As the servers do; and what waits is the benchmark's, so the engine's collector is not to walk it.
    settle_collector()
    postgres, python = cpu_seconds(house.postgres.pid), process_time()
    started = perf_counter()
    await asyncio.gather(*(call(engine, waiting, started + seconds, latencies) for _ in range(callers)))
    ended = perf_counter()
    spent = {
        "python": process_time() - python,
        "postgres": cpu_seconds(house.postgres.pid) - postgres,
    }
    gc.unfreeze()
    return sample(ended - started, latencies, spent)


async def call(engine: Engine, waiting: Iterator[Operation], until: float, latencies: list[float]) -> None:
    """One caller: post what is waiting, one after the other, until a moment is over."""
    for operation in waiting:
        asked = perf_counter()
        answer = await engine.post(operation)
        now = perf_counter()
        if not answer.ok:
            raise RuntimeError(f"a {answer.kind} was refused: {answer.code}")
        latencies.append(now - asked)
        if now > until:
            return
