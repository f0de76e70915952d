"""The life of an embedded server: claimed folder, kept password, start, clean stop, kill; the program differs."""

from __future__ import annotations

import asyncio
import secrets
import signal
import subprocess
from abc import ABC, abstractmethod
from pathlib import Path
from types import TracebackType
from typing import IO, ClassVar, Self

from runtime.embedded import process
from runtime.embedded.process import EmbeddedError

#: seconds between two looks whether a server that starts answers
LOOK_SECONDS = 0.02


class EmbeddedServer(ABC):
    """One server in a folder of its own; ``async with`` starts it and stops it.

    Port and password stay the same over ``kill`` and ``start``. Raises ``EmbeddedError``.
    """

    #: what people call it, and in small letters its lock, password and log in the folder
    what: ClassVar[str]
    #: how it is told to end at once and cleanly
    polite: ClassVar[signal.Signals] = signal.SIGTERM
    #: seconds until it must answer
    patience: ClassVar[float]

    def __init__(self, state_dir: Path | str) -> None:
        self._dir = Path(state_dir).absolute()
        self._log = self._dir / f"{self.what.lower()}.log"
        self._claim: IO[bytes] | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._password = ""
        self.port = 0

    @property
    def pid(self) -> int | None:
        """Process id of the running server, None when it is down."""
        return self._process.pid if self._process is not None and self._process.poll() is None else None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    async def start(self) -> None:
        """Start the server and wait until it answers."""
        if self.pid is not None:
            return
        try:
            self._dir.mkdir(parents=True, exist_ok=True)
            if self._claim is None:
                self._claim = process.claim(self._dir, self.what.lower())
            secret = self._dir / f"{self.what.lower()}.password"
            self._password = process.kept(secret, lambda: secrets.token_urlsafe(24))
            await self._prepare()
            self.port = self.port or process.free_port()
            with self._log.open("ab") as log:
                self._process = self._spawn(log)
            await self._wait_until_ready()
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        """A clean, fast end; open connections are ended."""
        if self._process is not None:
            await process.stop(self._process, self.polite, seconds=30)
            self._process = None
        if self._claim is not None:
            self._claim.close()
            self._claim = None

    def kill(self) -> None:
        """SIGKILL all of it at once, as a power cut would; ``start`` brings it back on the same port."""
        if self._process is not None:
            process.kill_tree(self._process.pid)
            self._process.wait()
            self._process = None

    async def _prepare(self) -> None:  # noqa: B027 - not every server needs it
        """Make what must be there before the program starts."""

    @abstractmethod
    def _spawn(self, log: IO[bytes]) -> subprocess.Popen[bytes]:
        """Start the program on ``port``, its output into ``log``."""

    @abstractmethod
    def _answers(self) -> bool:
        """Whether the server can be used. May block; called from a thread."""

    async def _wait_until_ready(self) -> None:
        server = self._process
        for _ in range(int(self.patience / LOOK_SECONDS)):
            if server is None or server.poll() is not None:
                raise EmbeddedError(f"{self.what} ended at start:\n{process.last_lines(self._log)}")
            if await asyncio.to_thread(self._answers):
                return
            await asyncio.sleep(LOOK_SECONDS)
        raise EmbeddedError(
            f"{self.what} did not answer within {self.patience:.0f} s:\n{process.last_lines(self._log)}"
        )
