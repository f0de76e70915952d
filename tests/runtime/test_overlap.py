"""One thing beside its maker, never two, and nothing that it raises is lost."""

from __future__ import annotations

import asyncio

import pytest

from runtime.overlap import Overlap


async def test_the_next_begins_when_the_last_is_done_and_the_end_waits_for_it() -> None:
    told: list[str] = []

    async def work(name: str) -> None:
        told.append(f"{name} begins")
        await asyncio.sleep(0)
        told.append(f"{name} ends")

    async with Overlap() as under_way:
        await under_way.start(work("one"))
        told.append("made meanwhile")
        await under_way.start(work("two"))
    assert told == ["made meanwhile", "one begins", "one ends", "two begins", "two ends"]


async def test_what_fails_beside_is_raised_by_the_next_start_which_begins_nothing() -> None:
    begun: list[str] = []

    async def failing() -> None:
        raise LookupError("gone")

    async def next_one() -> None:
        begun.append("begun")

    async with Overlap() as under_way:
        await under_way.start(failing())
        with pytest.raises(LookupError, match="gone"):
            await under_way.start(next_one())
    assert not begun


async def test_what_fails_last_is_raised_at_the_end() -> None:
    async def failing() -> None:
        raise LookupError("gone")

    with pytest.raises(LookupError, match="gone"):
        async with Overlap() as under_way:
            await under_way.start(failing())
