"""The batcher: everybody is answered, nobody overtaken, and no batch is in flight that is not worth it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence

import pytest

from runtime import batching
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


class Lanes:
    """Runs that end when they are told to, and remember what each of them has in flight."""

    def __init__(self, count: int) -> None:
        self.flying: dict[int, list[int]] = {}
        self._let = {lane: asyncio.Event() for lane in range(count)}
        self.began = {item: asyncio.Event() for item in range(30)}
        self.runs = [self._run(lane) for lane in range(count)]

    def _run(self, lane: int) -> Callable[[Sequence[int]], Awaitable[Sequence[int]]]:
        async def run(items: Sequence[int]) -> Sequence[int]:
            self.flying[lane] = list(items)
            for item in items:
                self.began[item].set()
            await self._let[lane].wait()
            self._let[lane].clear()
            del self.flying[lane]
            return items

        return run

    def batches(self) -> list[list[int]]:
        """What is in flight, smallest number first."""
        return sorted(self.flying.values())

    async def land(self, item: int) -> None:
        """Let the batch that holds this item end, and whatever it was in the way of begin."""
        self._let[next(lane for lane, items in self.flying.items() if item in items)].set()
        await _settled()

    async def land_all(self) -> None:
        """Let everything end."""
        while self.flying:
            await self.land(self.batches()[0][0])


async def _settled() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def _asked(ask: Batcher[int, int], items: Iterable[int]) -> list[asyncio.Task[int]]:
    tasks = [asyncio.create_task(ask(item)) for item in items]
    await _settled()
    return tasks


async def test_what_is_worth_no_two_batches_waits_for_the_one_in_flight(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batching, "PATIENCE", 3600.0)
    lanes = Lanes(2)
    ask = Batcher[int, int](*lanes.runs, worth=4)
    tasks = await _asked(ask, [0])
    tasks += await _asked(ask, [1, 2, 3])
    assert lanes.batches() == [[0]]
    await lanes.land(0)
    assert lanes.batches() == [[1, 2, 3]]
    await lanes.land_all()
    assert await asyncio.gather(*tasks) == [0, 1, 2, 3]


async def test_enough_for_another_batch_flies_beside_the_one_in_flight() -> None:
    lanes = Lanes(2)
    ask = Batcher[int, int](*lanes.runs, worth=4)
    tasks = await _asked(ask, [0]) + await _asked(ask, range(1, 6))
    assert lanes.batches() == [[0], [1, 2, 3, 4, 5]]
    await lanes.land_all()
    assert await asyncio.gather(*tasks) == list(range(6))


async def test_as_many_batches_as_are_worth_it_share_what_there_is() -> None:
    lanes = Lanes(4)
    ask = Batcher[int, int](*lanes.runs, worth=4)
    tasks = await _asked(ask, range(14))
    assert lanes.batches() == [[0, 1, 2, 3, 4], [5, 6, 7, 8, 9], [10, 11, 12, 13]]
    await lanes.land_all()
    assert await asyncio.gather(*tasks) == list(range(14))


async def test_nothing_waits_longer_for_another_s_batch_than_patience_lasts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batching, "PATIENCE", 0.001)
    lanes = Lanes(2)
    ask = Batcher[int, int](*lanes.runs)
    stuck, waiting = await _asked(ask, [0]) + await _asked(ask, [1])
    assert lanes.batches() == [[0]]
    async with asyncio.timeout(5):
        await lanes.began[1].wait()
    await lanes.land(1)
    assert await waiting == 1 and not stuck.done()
    await lanes.land_all()
    assert await stuck == 0


async def test_of_items_that_touch_the_same_thing_one_is_in_flight_over_all_batches() -> None:
    lanes = Lanes(2)
    ask = Batcher[int, int](*lanes.runs, worth=1, touches=lambda n: {n % 10})
    tasks = await _asked(ask, [1]) + await _asked(ask, [11, 2]) + await _asked(ask, [21])
    assert lanes.batches() == [[1], [2]]
    await lanes.land(2)
    assert lanes.batches() == [[1]]
    await lanes.land(1)
    assert lanes.batches() == [[11]]
    await lanes.land(11)
    assert lanes.batches() == [[21]]
    await lanes.land_all()
    assert await asyncio.gather(*tasks) == [1, 11, 2, 21]
