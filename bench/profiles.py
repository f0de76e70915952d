"""Where the CPU time goes: the same loads under cProfile, for the work of tuning.

A profiler makes short functions look dearer than they are; the order counts, and the CPU µs that the benchmark itself
tells.
"""

from __future__ import annotations

import cProfile
import io
import os
import pstats
import signal
from pathlib import Path

from bench import callbacks, door, turns
from bench.house import House
from bench.machine import ROOT
from bench.people import fresh_vouchers
from settings import Operator

#: functions shown in each list
MOST = 30


async def profile_door(house: House, operator: Operator, *, seconds: int, accounts: int) -> str:
    """Recharges from 256 callers, profiled in this process. Returns what to print."""
    async with door.open_shop(house, operator, accounts) as shop:
        count = int(door.MOST * seconds)
        vouchers = await fresh_vouchers(shop.engine, door.FACE_VALUE, count)
        await house.settle(shop.url)
        plain = await shop.recharge(vouchers[: count // 2], door.CALLERS[-1], seconds)
        profiler = cProfile.Profile()
        profiler.enable()
        sample = await shop.recharge(vouchers[count // 2 :], door.CALLERS[-1], seconds)
        profiler.disable()
    return f"{plain}\nprofiled: {sample}\n{_lists(pstats.Stats(profiler, stream=io.StringIO()))}"


async def profile_turns(house: House, operator: Operator, operator_file: Path, *, seconds: int, lines: int) -> str:
    """Balance turns on 32 connections, the server profiled in its own process. Returns what to print."""
    stats = house.folder / "turns.stats"
    argv: list[str | Path] = ["-m", "bench.profiled_server", stats]
    async with turns.open_subject(house, operator, operator_file, lines=lines, argv=argv) as (served, requests, url):
        await house.settle(url)
        await turns.measure_once(house, served, requests.balance, turns.CONNECTIONS[0], seconds)
        plain = await turns.measure_once(house, served, requests.balance, turns.CONNECTIONS[0], seconds)
        os.kill(served.process.pid, signal.SIGUSR1)
        sample = await turns.measure_once(house, served, requests.balance, turns.CONNECTIONS[0], seconds)
    return f"{plain}\nprofiled: {sample}\n{_lists(pstats.Stats(str(stats), stream=io.StringIO()))}"


async def profile_callbacks(
    house: House, operator: Operator, operator_file: Path, *, seconds: int, accounts: int
) -> str:
    """Payment callbacks from 256 callers, the server profiled in its own process. Returns what to print."""
    stats = house.folder / "callbacks.stats"
    argv: list[str | Path] = ["-m", "bench.profiled_server", stats]
    name = next(iter(callbacks.TARGETS))
    async with callbacks.open_counter(
        house, operator, operator_file, name=name, accounts=accounts, argv=argv
    ) as counter:
        await counter.measure(seconds)
        plain = await counter.measure(seconds)
        os.kill(counter.served.process.pid, signal.SIGUSR1)
        profiled = await counter.measure(seconds)
    return f"{plain}\nprofiled: {profiled}\n{_lists(pstats.Stats(str(stats), stream=io.StringIO()))}"


def _lists(stats: pstats.Stats) -> str:
    """By own time, and by time with everything called, of this project's functions only."""
    stream = io.StringIO()
    stats.stream = stream  # type: ignore[attr-defined]
    stats.sort_stats("tottime").print_stats(MOST)
    stats.sort_stats("cumulative").print_stats(f"{ROOT}/(engine|channels|dialogs|runtime|ussd)", MOST)
    return stream.getvalue().replace(f"{ROOT}/", "")
