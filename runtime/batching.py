"""Group what is asked at the same time: the one idea behind the engine's lanes, its reads and the session store.

A batcher keeps one batch in flight. What queues meanwhile is the next batch. There is no timer: an idle system runs
batches of one at once, a busy one runs batches as large as the wait allows, up to a limit.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Hashable, Iterable, Sequence
from typing import Generic, TypeVar

In = TypeVar("In")
Out = TypeVar("Out")


class Batcher(Generic[In, Out]):
    """Turns concurrent single calls into one call with many.

    ``run`` gets the items of a batch in order of arrival and returns one result for each, in the same order; a result
    that is an exception is raised to its own caller. An exception raised by ``run`` itself reaches every caller of
    that batch.
    """

    def __init__(
        self,
        run: Callable[[Sequence[In]], Awaitable[Sequence[Out | BaseException]]],
        *,
        most: int = 250,
        touches: Callable[[In], Iterable[Hashable]] | None = None,
    ) -> None:
        """``most`` bounds a batch; of items that touch the same thing a batch holds one, the first to arrive."""
        self._run = run
        self._most = most
        self._touches = touches
        self._waiting: deque[tuple[In, asyncio.Future[Out]]] = deque()
        self._worker: asyncio.Task[None] | None = None

    async def __call__(self, item: In) -> Out:
        """Ask for one item and wait for its result."""
        answer: asyncio.Future[Out] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, answer))
        if self._worker is None or self._worker.done():
            self._worker = asyncio.create_task(self._work())
        return await answer

    async def drain(self) -> None:
        """Wait until everything asked for so far has been answered."""
        while self._worker is not None and not self._worker.done():
            await asyncio.wait([self._worker])

    def __len__(self) -> int:
        """How many are waiting for a batch."""
        return len(self._waiting)

    async def _work(self) -> None:
        while self._waiting:
            batch = self._take()
            try:
                results = await self._run([item for item, _ in batch])
                answered = list(zip(batch, results, strict=True))
            except BaseException as error:  # noqa: BLE001 - every caller must hear of it, whatever it is
                answered = [(waiting, error) for waiting in batch]
            for (_, answer), result in answered:
                if answer.done():  # the caller was cancelled and no longer listens
                    continue
                if isinstance(result, BaseException):
                    answer.set_exception(result)
                else:
                    answer.set_result(result)
            # Whoever was just answered and asks again at once is in time for the next batch: with as many callers as a
            # batch holds that makes it twice as large.
            await asyncio.sleep(0)

    def _take(self) -> list[tuple[In, asyncio.Future[Out]]]:
        if self._touches is None:
            return [self._waiting.popleft() for _ in range(min(self._most, len(self._waiting)))]
        taken: list[tuple[In, asyncio.Future[Out]]] = []
        left: list[tuple[In, asyncio.Future[Out]]] = []
        touched: set[Hashable] = set()
        while self._waiting and len(taken) < self._most:
            waiting = self._waiting.popleft()
            things = set(self._touches(waiting[0]))
            # What an item left behind touches counts too, so that nobody overtakes it.
            (left if things & touched else taken).append(waiting)
            touched |= things
        self._waiting.extendleft(reversed(left))
        return taken
