"""What a process does beside each other: it ends together, and never in part."""

from __future__ import annotations

import asyncio
import socket

import pytest

from opening import Broken, Parts, run_process


async def waits(stop: asyncio.Event, ended: list[str]) -> None:
    await stop.wait()
    ended.append("in its own time")


async def breaks() -> None:
    raise RuntimeError("254712345678 is away")


async def never_ends() -> None:
    await asyncio.Event().wait()


async def test_a_part_that_breaks_stops_the_others_and_is_told_of_in_the_end() -> None:
    stop, ended = asyncio.Event(), []
    parts = Parts(stop, (waits(stop, ended), breaks()))
    async with asyncio.timeout(5):
        await stop.wait()
    with pytest.raises(Broken):
        await parts.end(5.0)
    assert ended == ["in its own time"]


async def test_a_part_that_does_not_end_is_broken_off_and_breaks_nothing() -> None:
    stop, ended = asyncio.Event(), []
    parts = Parts(stop, (waits(stop, ended), never_ends()))
    await parts.end(0.05)
    assert ended == ["in its own time"]


def test_a_process_whose_part_broke_exits_with_1_so_that_it_is_started_again() -> None:
    async def process() -> None:
        stop = asyncio.Event()
        parts = Parts(stop, (breaks(),))
        await stop.wait()
        await parts.end(5.0)

    assert run_process(process) == 1


def test_a_port_that_is_taken_is_said_without_a_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:

        async def process() -> None:
            await asyncio.start_server(lambda *_: None, *taken.getsockname())

        assert run_process(process) == 2
    told = capsys.readouterr().err
    assert "address already in use" in told and "Traceback" not in told
