"""Work that nobody waits for, kept alive until it is done."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

Done = TypeVar("Done")


class Ongoing:
    """Work that goes on when whoever asked for it was answered without it, or is gone."""

    def __init__(self) -> None:
        # The loop itself holds tasks only weakly.
        self._tasks: set[asyncio.Task[Any]] = set()

    def start(self, doing: Coroutine[Any, Any, Done]) -> asyncio.Task[Done]:
        """Begin, in a task that lives until it is done."""
        task = asyncio.get_running_loop().create_task(doing)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def drain(self) -> None:
        """Wait until nothing is left to do."""
        while self._tasks:
            await asyncio.wait(self._tasks)
