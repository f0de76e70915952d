"""Keeps the demo's own processes running: whoever dies is started again, and nobody outlives the demo."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import IO

import structlog

from runtime.embedded import process

log = structlog.get_logger(__name__)

FIRST_PAUSE = 0.1
LONGEST_PAUSE = 5.0
#: seconds; a process that lived this long did not fail at start
HEALTHY = 10.0
#: longer than the processes themselves take to finish what is under way
DRAIN_SECONDS = 25.0


class KeptProcess:
    """One script of this checkout, run by our own interpreter and restarted with growing pauses when it ends."""

    def __init__(self, script: Path, output: IO[bytes] | int) -> None:
        self.name = script.stem
        #: ends since the last one that had lived for ``HEALTHY`` seconds
        self.failures = 0
        self._argv = [sys.executable, str(script)]
        self._output = output
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def running(self) -> bool:
        """Whether it runs right now."""
        return self._process is not None and self._process.poll() is None

    async def run(self) -> None:
        """Keep it running until cancelled, then stop it."""
        try:
            while True:
                started = time.monotonic()
                self._process = process.spawn(self._argv, output=self._output)
                await process.ended(self._process)
                self.failures = 1 if time.monotonic() - started > HEALTHY else self.failures + 1
                pause = min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** (self.failures - 1))
                log.warning("process_ended", name=self.name, status=self._process.returncode, restart_in_seconds=pause)
                await asyncio.sleep(pause)
        finally:
            if self._process is not None:
                await process.stop(self._process, seconds=DRAIN_SECONDS)


async def keep_server(name: str, is_down: Callable[[], bool], start: Callable[[], Awaitable[None]]) -> None:
    """Start an embedded server again whenever it is down, until cancelled."""
    while True:
        await asyncio.sleep(0.2)
        if is_down():
            log.warning("server_ended", name=name)
            try:
                await start()
            except process.EmbeddedError as error:  # the next look tries again
                log.warning("server_not_started", name=name, reason=str(error))


async def stop_all(tasks: Sequence[asyncio.Task[None]]) -> None:
    """Cancel and wait: returns when every process behind the tasks has ended."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
