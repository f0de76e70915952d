"""Group what is asked at the same time: the one idea behind the engine's lanes, its reads and the session store.

A batcher keeps one batch in flight. What queues meanwhile is the next batch: an idle system runs batches of one at
once, a busy one runs batches as large as the wait allows, up to a limit. Where more than one may be in flight, another
starts once there is enough for it, because a small batch costs nearly what a large one does.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Hashable, Iterable, Sequence
from typing import Generic, NamedTuple, TypeVar

In = TypeVar("In")
Out = TypeVar("Out")

#: seconds that what waits leaves to the batches in flight, before it gets one of its own however little it is
PATIENCE = 0.025


class _Batch(NamedTuple, Generic[In, Out]):
    """Items with who waits for them, and all that they touch."""

    waiting: list[tuple[In, asyncio.Future[Out]]]
    touched: set[Hashable]


class Batcher(Generic[In, Out]):
    """Turns concurrent single calls into one call with many.

    Each of ``runs`` has one batch at a time. It gets the items in order of arrival and returns one result for each, in
    the same order; a result that is an exception is raised to its own caller. An exception raised by a run itself
    reaches every caller of that batch.
    """

    def __init__(
        self,
        *runs: Callable[[Sequence[In]], Awaitable[Sequence[Out | BaseException]]],
        most: int = 250,
        worth: int = 64,
        touches: Callable[[In], Iterable[Hashable]] | None = None,
    ) -> None:
        """``most`` items are a full batch, and ``worth`` enough for one beside those in flight.

        Of items that touch the same thing only one is in flight, the first to arrive.
        """
        self._runs = len(runs)
        self._idle = list(runs)
        self._most = most
        self._worth = worth
        self._touches = touches
        self._waiting: deque[tuple[In, asyncio.Future[Out]]] = deque()
        self._working: set[asyncio.Task[None]] = set()
        self._in_flight = 0
        self._touched: set[Hashable] = set()
        self._timer: asyncio.TimerHandle | None = None

    async def __call__(self, item: In) -> Out:
        """Ask for one item and wait for its result."""
        answer: asyncio.Future[Out] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, answer))
        if self._idle:
            if len(self._idle) == self._runs or len(self._waiting) >= self._worth:
                self._start()
            elif self._timer is None:
                self._timer = asyncio.get_running_loop().call_later(PATIENCE, self._waited)
        return await answer

    async def drain(self) -> None:
        """Wait until everything asked for so far has been answered."""
        while self._working:
            await asyncio.wait(self._working)

    def __len__(self) -> int:
        """How many are waiting for a batch."""
        return len(self._waiting)

    def _start(self) -> None:
        task = asyncio.create_task(self._work(self._idle.pop()))
        self._working.add(task)
        task.add_done_callback(self._working.discard)

    def _waited(self) -> None:
        self._timer = None
        if self._waiting and self._idle:
            self._start()

    async def _work(self, run: Callable[[Sequence[In]], Awaitable[Sequence[Out | BaseException]]]) -> None:
        try:
            while (batch := self._take()).waiting:
                try:
                    results = await run([item for item, _ in batch.waiting])
                    answered = list(zip(batch.waiting, results, strict=True))
                except BaseException as error:  # noqa: BLE001 - every caller must hear of it, whatever it is
                    answered = [(waiting, error) for waiting in batch.waiting]
                self._in_flight -= len(batch.waiting)
                self._touched -= batch.touched
                for (_, answer), result in answered:
                    if answer.done():  # the caller was cancelled and no longer listens
                        continue
                    if isinstance(result, BaseException):
                        answer.set_exception(result)
                    else:
                        answer.set_result(result)
                # Whoever was just answered and asks again at once is in time for the next batch: with as many callers
                # as a batch holds that makes it twice as large.
                await asyncio.sleep(0)
        finally:
            self._idle.append(run)

    def _take(self) -> _Batch[In, Out]:
        """What this run does now: its share of all there is, among as many runs as that is worth."""
        total = len(self._waiting) + self._in_flight
        runs = max(1, min(self._runs, total // self._worth))
        most = min(-(-total // runs), self._most)
        if self._touches is None:
            batch = _Batch([self._waiting.popleft() for _ in range(min(most, len(self._waiting)))], set())
        else:
            batch = self._apart(self._touches, most)
        self._touched |= batch.touched
        self._in_flight += len(batch.waiting)
        return batch

    def _apart(self, touches: Callable[[In], Iterable[Hashable]], most: int) -> _Batch[In, Out]:
        """The first items that touch nothing of what is in flight, or of one another."""
        taken: list[tuple[In, asyncio.Future[Out]]] = []
        left: list[tuple[In, asyncio.Future[Out]]] = []
        touched: set[Hashable] = set()
        blocked = set(self._touched)
        while self._waiting and len(taken) < most:
            waiting = self._waiting.popleft()
            things = set(touches(waiting[0]))
            if things & blocked:
                left.append(waiting)
            else:
                taken.append(waiting)
                touched |= things
            # What an item left behind touches counts too, so that nobody overtakes it.
            blocked |= things
        self._waiting.extendleft(reversed(left))
        return _Batch(taken, touched)
