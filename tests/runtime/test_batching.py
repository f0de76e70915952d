"""The batcher: one batch in flight, everybody answered, nobody overtaken."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from runtime.batching import Batcher


class Slow:
    """Runs batches one at a time, each taking a turn of the loop, and remembers them."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.running = 0

    async def run(self, items: Sequence[int]) -> list[int | BaseException]:
        """Answer each item with its double; 13 is an error of its own, 99 of the whole batch."""
        self.running += 1
        assert self.running == 1
        self.batches.append(list(items))
        await asyncio.sleep(0.001)
        self.running -= 1
        if 99 in items:
            raise RuntimeError("whole batch")
        return [ValueError("13") if item == 13 else item * 2 for item in items]


async def test_what_queues_while_a_batch_runs_is_the_next_batch() -> None:
    slow = Slow()
    ask = Batcher(slow.run)
    first = asyncio.create_task(ask(1))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert await asyncio.gather(first, ask(2), ask(3)) == [2, 4, 6]
    assert slow.batches == [[1], [2, 3]]


async def test_a_batch_has_its_limit() -> None:
    slow = Slow()
    ask = Batcher(slow.run, most=2)
    assert await asyncio.gather(*(ask(n) for n in range(5))) == [0, 2, 4, 6, 8]
    assert max(map(len, slow.batches)) == 2


async def test_an_item_s_own_error_reaches_its_caller_alone() -> None:
    ask = Batcher(Slow().run)
    results = await asyncio.gather(ask(1), ask(13), ask(2), return_exceptions=True)
    assert results[0] == 2 and results[2] == 4 and isinstance(results[1], ValueError)


async def test_a_failed_batch_fails_its_callers_and_not_the_next() -> None:
    slow = Slow()
    ask = Batcher(slow.run, most=2)
    results = await asyncio.gather(ask(1), ask(99), ask(3), return_exceptions=True)
    assert [type(result) for result in results] == [RuntimeError, RuntimeError, int]


async def test_a_caller_that_gave_up_harms_nobody() -> None:
    ask = Batcher(Slow().run)
    lost = asyncio.create_task(ask(1))
    await asyncio.sleep(0)
    other = asyncio.create_task(ask(2))
    lost.cancel()
    assert await other == 4
    with pytest.raises(asyncio.CancelledError):
        await lost


async def test_items_that_touch_the_same_thing_go_in_order_into_different_batches() -> None:
    slow = Slow()
    # Items touch their last digit and, from 100 on, their first one too.
    ask = Batcher(slow.run, touches=lambda n: {n % 10} if n < 100 else {n % 10, n // 100})
    await asyncio.gather(*(ask(n) for n in (1, 11, 112, 2, 3)))
    assert slow.batches == [[1, 3], [11], [112], [2]] or slow.batches == [[1, 3], [11], [112, 2]]
    order = [n for batch in slow.batches for n in batch]
    assert order.index(1) < order.index(11) < order.index(112) < order.index(2)


async def test_drain_waits_for_everything_asked_so_far() -> None:
    slow = Slow()
    ask = Batcher(slow.run, most=1)
    tasks = [asyncio.create_task(ask(n)) for n in range(4)]
    await asyncio.sleep(0)
    await ask.drain()
    assert all(task.done() for task in tasks) and len(ask) == 0


async def test_who_is_not_answered_by_the_batch_hears_of_it_and_does_not_wait_for_ever() -> None:
    async def forgetful(items: Sequence[int]) -> list[int | BaseException]:
        return list(items[:1])

    ask = Batcher(forgetful)
    async with asyncio.timeout(5):
        results = await asyncio.gather(ask(1), ask(2), return_exceptions=True)
    assert all(isinstance(result, ValueError) for result in results)
