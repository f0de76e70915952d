"""A few things beside their maker, never more, and nothing that they raise is lost."""

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


async def test_as_many_as_may_are_under_way_and_each_can_wait_for_the_one_before() -> None:
    told: list[str] = []

    async def work(name: str, before: asyncio.Task[None] | None) -> None:
        told.append(f"{name} begins")
        if before is not None:
            await before
        await asyncio.sleep(0.001)
        told.append(f"{name} ends")

    async with Overlap(most=2) as under_way:
        for name in ("one", "two", "three"):
            await under_way.start(work(name, under_way.last))
    assert told == ["one begins", "two begins", "one ends", "three begins", "two ends", "three ends"]


async def test_what_fails_reaches_the_maker_through_all_that_wait_for_it() -> None:
    async def work(before: asyncio.Task[None] | None) -> None:
        if before is None:
            raise LookupError("gone")
        await before

    async def three() -> None:
        async with Overlap(most=3) as under_way:
            for _ in range(3):
                await under_way.start(work(under_way.last))

    with pytest.raises(LookupError, match="gone"):
        await three()
