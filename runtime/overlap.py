"""Making the next thing while the last ones are still being put away."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Coroutine
from types import TracebackType
from typing import Any, Self


class Overlap:
    """Tasks beside their maker, never more than ``most``: an ``async with`` that ends when the last one has.

    What a task raises is raised where it is waited for: by the next ``start`` that has to, or at the end.
    """

    def __init__(self, most: int = 1) -> None:
        self._most = most
        self._tasks: deque[asyncio.Task[None]] = deque()
        #: what began last, be it done or not: for one that may begin before it is done, and not end before
        self.last: asyncio.Task[None] | None = None

    async def start(self, work: Coroutine[Any, Any, None]) -> None:
        """Let ``work`` begin, once few enough are under way."""
        try:
            while len(self._tasks) >= self._most:
                await self._tasks.popleft()
        except BaseException:
            work.close()
            raise
        self.last = asyncio.create_task(work)
        self._tasks.append(self.last)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for result in await asyncio.gather(*self._tasks, return_exceptions=True):
            if isinstance(result, BaseException):
                raise result
