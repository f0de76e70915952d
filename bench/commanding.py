"""A command of ``manage.py`` over a file of many rows, as an operator runs it: its rate, its CPU time, its memory."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path
from time import perf_counter
from typing import NamedTuple

import psutil  # type: ignore[import-untyped]

from bench.figures import Sample
from bench.house import House
from bench.machine import ROOT, cpu_seconds

#: seconds between two looks at the process's memory
LOOK = 0.05


class Ran(NamedTuple):
    """What a command came to."""

    sample: Sample
    #: the most memory (RSS) that it held, MB
    peak: float
    said: str


async def run_command(
    house: House,
    *words: str,
    rows: int,
    url: str,
    operator_file: Path,
    key: bytes,
    right: tuple[int, ...] = (0,),
    **settings: str,
) -> Ran:
    """Run ``manage.py`` with ``words`` over ``rows`` rows. Raises ``RuntimeError`` unless it ends as is ``right``.

    ``settings`` by the variable's name; none that the caller's own environment has reaches it.
    """
    environment = {name: value for name, value in os.environ.items() if not name.startswith("RASID_")} | {
        "DATABASE_URL": url,
        "REDIS_URL": house.redis.url,
        "RASID_OPERATOR": str(operator_file),
        "RASID_KEYS": json.dumps({"1": key.hex()}),
        **settings,
    }
    postgres, started = cpu_seconds(house.postgres.pid), perf_counter()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "manage.py", *words),
        cwd=ROOT,
        env=environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    told, (peak, python) = await asyncio.gather(process.communicate(), _watched(process))
    seconds = perf_counter() - started
    said = told[0].decode(errors="replace")
    if process.returncode not in right:
        raise RuntimeError(f"the command failed: {said[-2_000:]}")
    spent = {"command": python, "postgres": cpu_seconds(house.postgres.pid) - postgres}
    used = {name: round(value / rows * 1e6, 2) for name, value in spent.items()}
    return Ran(Sample(rate=round(rows / seconds, 1), cpu_us=used), peak, said)


async def _watched(process: asyncio.subprocess.Process) -> tuple[float, float]:
    """The most memory (RSS, MB) that a process held until it ended, and its CPU seconds."""
    peak = spent = 0.0
    one = psutil.Process(process.pid)
    while process.returncode is None:
        try:
            peak = max(peak, one.memory_info().rss / 1e6)
            times = one.cpu_times()
            spent = times.user + times.system
        except psutil.NoSuchProcess:
            break
        await asyncio.sleep(LOOK)
    return round(peak, 1), spent
