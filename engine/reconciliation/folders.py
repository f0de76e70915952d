"""Folders that settlement files are put into, for providers that offer no way to fetch them."""

from __future__ import annotations

import asyncio
import gzip
import time
from collections.abc import Mapping
from itertools import chain, count
from pathlib import Path
from typing import IO

import structlog

from engine.reconciliation.service import Reconciliation

log = structlog.get_logger(__name__)

#: Seconds in which a file that is still written to would have grown.
QUIET_SECONDS = 5.0
DONE, REFUSED = "done", "refused"


class StatementFolders:
    """The folders of the settings. Several processes may watch one: a file that is done twice changes nothing."""

    def __init__(self, reconciliation: Reconciliation, folders: Mapping[str, Path]) -> None:
        """``folders``: name of the gateway → where its files lie."""
        self._reconciliation = reconciliation
        self._folders = dict(folders)

    async def import_waiting(self) -> int:
        """Reconcile what lies in all folders and is complete. Returns how many files were done.

        One in which no line can be read is moved to ``refused/``, the others to ``done/``; their broken lines are named
        by the run. A folder that cannot be read keeps no other waiting.
        """
        done = 0
        for gateway, folder in self._folders.items():
            try:
                waiting = await asyncio.to_thread(_complete, folder)
            except OSError as error:
                log.error("statements_not_read", gateway=gateway, folder=str(folder), reason=str(error))  # noqa: TRY400
                continue
            for path in waiting:
                done += await self._import(gateway, path)
        return done

    async def _import(self, gateway: str, path: Path) -> bool:
        try:
            with await asyncio.to_thread(_opened, path) as lines:
                run = await self._reconciliation.reconcile(gateway, lines, by="schedule", source=f"file:{path.name}")
        except FileNotFoundError:
            # Another process was faster.
            return False
        except (ValueError, EOFError, gzip.BadGzipFile) as error:
            log.warning("statement_refused", gateway=gateway, file=path.name, reason=str(error))
            _move(path, REFUSED)
            return False
        _move(path, DONE)
        log.info("statement_imported", gateway=gateway, file=path.name, rows=run.rows, broken=run.broken)
        return True


def _complete(folder: Path) -> list[Path]:
    """Files that nobody has written to for some seconds, the oldest first."""
    until = time.time() - QUIET_SECONDS
    found = [(path.stat().st_mtime, path) for path in folder.iterdir() if path.is_file() and path.name[0] != "."]
    return [path for written, path in sorted(found) if written <= until]


def _opened(path: Path) -> IO[str]:
    if path.suffix == ".gz":
        return gzip.open(path, "rt", encoding="utf-8", errors="replace", newline="")
    return path.open(encoding="utf-8", errors="replace", newline="")


def _move(path: Path, where: str) -> None:
    folder = path.parent / where
    folder.mkdir(exist_ok=True)
    # Providers give the next day's file the same name: none is written over.
    names = chain([path.name], (f"{path.name}.{number}" for number in count(1)))
    free = next(folder / name for name in names if not (folder / name).exists())
    try:
        path.rename(free)
    except FileNotFoundError:
        # Another process was faster: the file is where it should be.
        return
