"""Folders that collection points put files into: what is complete is imported, and moved aside when it is done."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from pathlib import Path

import structlog

from engine.api import Engine
from engine.words import EngineUnavailable, UsageFile
from network.usage_files.reading import ENDINGS, UnreadableFile, open_usage
from settings import UsageFolder

log = structlog.get_logger(__name__)

#: Seconds in which a file that is still written to would have grown.
QUIET_SECONDS = 5.0
DONE, REFUSED = "done", "refused"


class WatchedFolders:
    """The folders of the settings. Several processes may watch the same one: a file is charged once all the same."""

    def __init__(self, engine: Engine, folders: Mapping[str, UsageFolder]) -> None:
        """``folders``: name of the collection point → where its files lie."""
        self._engine = engine
        self._folders = dict(folders)

    async def import_waiting(self) -> int:
        """Import what lies in all folders and is complete. Returns how many files were done."""
        done = 0
        for source, folder in self._folders.items():
            try:
                waiting = await asyncio.to_thread(complete_files, folder.path)
            except OSError as error:
                # A mount that is away, say: the other folders are looked into all the same.
                log.warning("usage_folder_unreadable", source=source, reason=str(error))
                continue
            for path in waiting:
                done += await self._import(source, folder, path)
        return done

    async def _import(self, source: str, folder: UsageFolder, path: Path) -> bool:
        try:
            try:
                opened = await asyncio.to_thread(open_usage, path, source, folder.interface, folder.columns)
                file = await self._engine.mediation.import_usage(opened)
            except UnreadableFile as error:
                log.warning("usage_file_refused", source=source, file=path.name, reason=str(error))
                _move(path, REFUSED)
                return False
            _move(path, DONE)
        except FileNotFoundError:
            # Another process was faster.
            return False
        except (EngineUnavailable, OSError) as error:
            # It is gone on with next time; meanwhile it holds up no other file.
            log.warning("usage_file_waits", source=source, file=path.name, reason=str(error))
            return False
        log.info("usage_file_imported", source=source, file=path.name, **told(file))
        return True


def complete_files(folder: Path) -> list[Path]:
    """Files of usage records that nobody has written to for some seconds, the oldest first. Raises ``OSError``."""
    until = time.time() - QUIET_SECONDS
    found = [
        (path.stat().st_mtime, path)
        for path in folder.iterdir()
        if path.is_file() and path.name.lower().removesuffix(".gz").endswith(ENDINGS) and path.name[0] != "."
    ]
    return [path for written, path in sorted(found) if written <= until]


def told(file: UsageFile) -> dict[str, int]:
    """What became of a file's lines."""
    return {
        "lines": file.lines,
        "records": file.records,
        "duplicates": file.duplicates,
        "set_aside": file.set_aside,
    }


def _move(path: Path, where: str) -> None:
    folder = path.parent / where
    folder.mkdir(exist_ok=True)
    path.rename(folder / path.name)
