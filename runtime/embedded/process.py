"""Children that never outlive us: starting, watching and ending the embedded servers and the demo's own processes."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import fcntl
import os
import pwd
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO

#: prctl(2), linux/prctl.h
PR_SET_PDEATHSIG = 1


class EmbeddedError(Exception):
    """An embedded server cannot be found, started or reached; the message says which and why."""


def spawn(
    argv: Sequence[str | Path],
    *,
    output: IO[bytes] | int | None = None,
    stdin: int | None = subprocess.DEVNULL,
    user: str | None = None,
    env: Mapping[str, str] | None = None,
    death_signal: int = signal.SIGTERM,
) -> subprocess.Popen[bytes]:
    """Start a child in a process group of its own that gets ``death_signal`` when we die, however we die.

    ``user`` drops privileges to that user and its groups. ``output`` takes stdout and stderr. The kernel ties the
    child to the *thread* that starts it, so call this from a thread that lives as long as the child should.
    """
    return subprocess.Popen(
        [str(part) for part in argv],
        stdin=stdin,
        stdout=output,
        stderr=None if output is None else subprocess.STDOUT,
        env=None if env is None else dict(env),
        # A kill -9 of the terminal's foreground group must reach the child through us, in the order we choose.
        process_group=0,
        user=user,
        group=None if user is None else pwd.getpwnam(user).pw_gid,
        extra_groups=None if user is None else [],
        # Runs after the change of user, which would clear the setting (prctl(2)).
        preexec_fn=_die_with_parent(death_signal),  # noqa: PLW1509 - allocates nothing and takes no lock
    )


def _die_with_parent(death_signal: int) -> Callable[[], None] | None:
    if sys.platform != "linux":
        return None
    # Everything that allocates happens here, before the fork: only two calls are left for after it.
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    parent = os.getpid()

    def tie() -> None:
        """Runs in the child, before it becomes the server."""
        prctl(PR_SET_PDEATHSIG, death_signal)
        if os.getppid() != parent:  # the parent died between fork and prctl
            os.kill(os.getpid(), death_signal)

    return tie


async def ended(process: subprocess.Popen[bytes], seconds: float = float("inf")) -> bool:
    """Wait up to ``seconds`` for a child to end; True when it has."""
    # Polled: the loop's own child watching does not know children that were started outside of it.
    deadline = asyncio.get_running_loop().time() + seconds
    while process.poll() is None and asyncio.get_running_loop().time() < deadline:  # noqa: ASYNC110 - no event tells
        await asyncio.sleep(0.02)
    return process.poll() is not None


async def stop(process: subprocess.Popen[bytes], polite: int = signal.SIGTERM, seconds: float = 10.0) -> None:
    """End a child: first by ``polite``, after ``seconds`` by SIGKILL with everything below it."""
    if process.poll() is None:
        process.send_signal(polite)
        if not await ended(process, seconds):
            kill_tree(process.pid)
    await asyncio.to_thread(process.wait)


def kill_tree(pid: int) -> None:
    """SIGKILL a process and its children: the parent is frozen first, so that it starts no new ones meanwhile.

    Children are found by parent, not by group: each Postgres backend is the leader of a group of its own.
    """
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGSTOP)
    for child in _children(pid):
        with contextlib.suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def _children(pid: int) -> Iterator[int]:
    listing = subprocess.run(["ps", "-A", "-o", "pid=,ppid="], capture_output=True, check=False) if _no_proc() else None
    if listing is not None:
        pairs = [line.split() for line in listing.stdout.decode().splitlines()]
        yield from (int(child) for child, parent in pairs if int(parent) == pid)
        return
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            # proc_pid_stat(5): "pid (name) state ppid ..."; the name may hold spaces and parentheses
            if int(stat.read_text().rpartition(")")[2].split()[1]) == pid:
                yield int(stat.parent.name)


def _no_proc() -> bool:
    return not Path("/proc/self/stat").exists()


def free_port() -> int:
    """A TCP port of 127.0.0.1 that is free right now."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def kept(path: Path, make: Callable[[], str]) -> str:
    """What ``path`` holds, for its owner's eyes only; made at the first call, and there whole or not at all."""
    if not path.exists():
        partial = path.with_name(path.name + ".partial")
        partial.unlink(missing_ok=True)  # of a start that was killed
        with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(make())
        partial.replace(path)
    return path.read_text()


def claim(state_dir: Path, what: str) -> IO[bytes]:
    """Take a state folder for one server, until the returned file is closed or we die. Raises ``EmbeddedError``."""
    file = (state_dir / f"{what}.lock").open("wb")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.close()
        raise EmbeddedError(f"{state_dir} is in use: another {what} runs there") from None
    return file


def last_lines(log: Path, count: int = 8) -> str:
    """The end of a server's log, for an error message."""
    return "\n".join(log.read_text(errors="replace").splitlines()[-count:]) if log.exists() else "(no log)"
