"""Waiting for what other tasks and processes bring about."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable


async def until(true: Callable[[], object], seconds: float = 30.0) -> None:
    """Wait until what ``true`` returns, or awaits, is true. Raises ``TimeoutError`` after so many seconds."""
    async with asyncio.timeout(seconds):
        while True:
            found = true()
            if await found if inspect.isawaitable(found) else found:
                return
            await asyncio.sleep(0.01)
