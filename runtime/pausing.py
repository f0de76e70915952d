"""Processes that are told to stop: how they hear of it, and waiting that they do not sit out."""

from __future__ import annotations

import asyncio
import signal


def stop_event(*signals: int) -> asyncio.Event:
    """Set once the process is told to stop: by ``signals``, or else by SIGTERM or SIGINT."""
    stop = asyncio.Event()
    for number in signals or (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    return stop


async def pause(stop: asyncio.Event, seconds: float) -> None:
    """Wait for ``seconds``, or until ``stop`` is set."""
    try:
        await asyncio.wait_for(stop.wait(), seconds)
    except TimeoutError:
        return
