"""Callers of the one door in several processes, as an installation runs: one for each core, over one database."""

from __future__ import annotations

import asyncio
import multiprocessing
from collections.abc import Iterator, Mapping, Sequence
from multiprocessing.queues import SimpleQueue
from multiprocessing.synchronize import Barrier
from time import perf_counter, process_time
from typing import NamedTuple

import uvloop

from bench.figures import Sample, sample
from bench.house import House
from bench.machine import cpu_seconds
from bench.posting import call
from engine.api import Engine, open_engine
from engine.words import Operation
from runtime.collector import settle_collector
from runtime.keyring import Keyring
from settings import Operator

#: processes that share the callers
PROCESSES = 2
#: seconds in which all must have opened an engine and warmed up
READY_WITHIN = 60.0
#: posted before anything is measured: connections are open then, statements prepared and their plans kept
WARM_UP_SECONDS = 0.5

_SPAWN = multiprocessing.get_context("spawn")


class Job(NamedTuple):
    """What one process does: ``callers`` post ``operations`` for ``seconds``, each one at a time."""

    url: str
    #: book → its database's address, where that is another one
    books: Mapping[str, str]
    operator: Operator
    key: bytes
    lanes: int
    operations: Sequence[Operation]
    callers: int
    seconds: float


class Posted(NamedTuple):
    """What came of it: seconds, of each operation and of CPU."""

    seconds: float
    latencies: list[float]
    cpu: float


async def post_from_several(house: House, job: Job) -> Sample:
    """Do a job in ``PROCESSES`` processes that begin at once and share callers and operations.

    Raises ``RuntimeError`` where a process fails, and ``BrokenBarrierError`` where one is not ready in time.
    """
    ready, told = _SPAWN.Barrier(PROCESSES + 1), _SPAWN.SimpleQueue()
    shares = [
        job._replace(operations=job.operations[place::PROCESSES], callers=job.callers // PROCESSES)
        for place in range(PROCESSES)
    ]
    processes = [_SPAWN.Process(target=_work, args=(share, ready, told), daemon=True) for share in shares]
    for process in processes:
        await asyncio.to_thread(process.start)
    await asyncio.to_thread(ready.wait, READY_WITHIN)
    postgres = cpu_seconds(house.postgres.pid)
    answers = [await asyncio.to_thread(told.get) for _ in processes]
    postgres = cpu_seconds(house.postgres.pid) - postgres
    for process in processes:
        await asyncio.to_thread(process.join)
    failed = [one for one in answers if isinstance(one, str)]
    if failed:
        raise RuntimeError(failed[0])
    posted = [one for one in answers if isinstance(one, Posted)]
    latencies = [latency for one in posted for latency in one.latencies]
    spent = {"python": sum(one.cpu for one in posted), "postgres": postgres}
    return sample(max(one.seconds for one in posted), latencies, spent)


def _work(job: Job, ready: Barrier, told: SimpleQueue[Posted | str]) -> None:
    try:
        told.put(uvloop.run(_post(job, ready)))
    except Exception as error:  # noqa: BLE001 - whatever it is, the one who waits must hear of it
        ready.abort()
        told.put(repr(error))


async def _post(job: Job, ready: Barrier) -> Posted:
    engine = await open_engine(job.url, job.operator, Keyring({1: job.key}), lanes=job.lanes, books=dict(job.books))
    try:
        waiting = iter(job.operations)
        await _all(engine, waiting, job.callers, perf_counter() + WARM_UP_SECONDS, [])
        settle_collector()
        await asyncio.to_thread(ready.wait, READY_WITHIN)
        latencies: list[float] = []
        cpu, started = process_time(), perf_counter()
        await _all(engine, waiting, job.callers, started + job.seconds, latencies)
        return Posted(perf_counter() - started, latencies, process_time() - cpu)
    finally:
        await engine.close()


async def _all(
    engine: Engine, waiting: Iterator[Operation], callers: int, until: float, latencies: list[float]
) -> None:
    await asyncio.gather(*(call(engine, waiting, until, latencies) for _ in range(callers)))
