"""Making the next thing while the last one is still being put away."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from types import TracebackType
from typing import Any, Self


class Overlap:
    """One task beside its maker, never two: an ``async with`` that ends when the last one has.

    What a task raises is raised where it is waited for: by the next ``start``, or at the end.
    """

    def __init__(self) -> None:
        self._task: asyncio.Task[None] | None = None

    async def start(self, work: Coroutine[Any, Any, None]) -> None:
        """Wait for what is under way, then let ``work`` begin."""
        try:
            await self._wait()
        except BaseException:
            work.close()
            raise
        self._task = asyncio.create_task(work)

    async def _wait(self) -> None:
        task, self._task = self._task, None
        if task is not None:
            await task

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._wait()
