"""The operator's file, watched: an edit goes live without a restart once it has passed the check before start.

An edit that fails leaves what is running alone; why it failed is in the log, and in Redis, where ``manage.py dialog
reload`` reads what every process says. Sessions under way go on: the machine shows their screen again before it
understands an input (``Machine.adopt``), prices and amounts are checked by the engine with every operation.
"""

from __future__ import annotations

import asyncio
import os
import socket
import sys
import time
from pathlib import Path

import msgspec
import structlog
from redis.asyncio import Redis

from channels.board import Board
from channels.texts import TextConversation
from dialogs.catalogue import machine_of
from dialogs.check import Fits, check_operator, sentences
from dialogs.machine import Machine
from dialogs.notices import Notices
from engine.api import Engine
from runtime.pausing import pause
from settings import Operator, SettingsError, load_operator

log = structlog.get_logger(__name__)

KEY = "dialogs:editions"
#: seconds between two looks at the file, between two words of one process, and until its last one is too old
LOOK_SECONDS, SAY_SECONDS, STALE_SECONDS = 1.0, 5.0, 20.0
#: reasons for a refusal that are told
REASONS_MOST = 20
#: the stamp of no file
_NEVER = (0, 0)


class Word(msgspec.Struct):
    """What one process serves, and why it refused the file as it stands."""

    process: str
    edition: str
    refused: list[str] = []
    #: settings that were changed too and hold from the next start on
    next_start: list[str] = []


class Editions:
    """Keeps one process's dialogs what the operator's file says."""

    def __init__(
        self,
        *,
        path: Path,
        engine: Engine,
        machine: Machine,
        notices: Notices,
        texts: TextConversation,
        fits: Fits,
        redis: Redis,
    ) -> None:
        """``path``: the operator's file, as ``engine.operator`` was read from it."""
        self._path = path
        self._engine = engine
        self._machine = machine
        self._notices = notices
        self._texts = texts
        self._fits = fits
        self._board = board(redis)
        self._seen = _stamp(path)
        # What staff knows a process by.
        self._word = Word(f"{Path(sys.argv[0]).stem} {socket.gethostname()}:{os.getpid()}", machine.edition)

    async def run(self, stop: asyncio.Event) -> None:
        """Look at the file and say what is served, until ``stop``."""
        said = 0.0
        while not stop.is_set():
            try:
                changed = await self.look()
            except Exception:
                # The database went away in the middle, say: the next look tries again.
                log.exception("edition_not_read")
                self._seen, changed = _NEVER, False
            if changed or time.monotonic() - said >= SAY_SECONDS:
                await self.tell()
                said = time.monotonic()
            await pause(stop, LOOK_SECONDS)
        await self._board.leave()

    async def tell(self) -> None:
        """Say what this process serves, where ``served`` reads it."""
        await self._board.say(self._word)

    async def look(self) -> bool:
        """Serve the file as it stands, if it changed since the last look and can be served. Returns if it changed."""
        stamp = _stamp(self._path)
        if stamp == self._seen:
            return False
        self._seen = stamp
        try:
            # In a thread: people are answered meanwhile.
            problems, newer, later = await asyncio.to_thread(self._read)
        except SettingsError as error:
            problems, newer, later = [f"{name}: {reason}" for name, reason in error.problems], None, []
        if problems or newer is None:
            log.warning("dialogs_refused", edition=self._machine.edition, problems=problems[:REASONS_MOST])
            self._word.refused, self._word.next_start = problems[:REASONS_MOST], []
            return True
        await self._adopt(newer)
        self._word.edition, self._word.refused, self._word.next_start = self._machine.edition, [], later
        log.info("dialogs_reloaded", edition=self._machine.edition, next_start=later)
        return True

    def _read(self) -> tuple[list[str], Operator, list[str]]:
        """Problems, the operator as it would be served, what holds only later. Raises ``SettingsError``."""
        serving = self._engine.operator
        read = load_operator(self._path)
        newer = serving.merged(read)
        return sentences(check_operator(newer, self._fits)), newer, list(serving.fixed_changes(read))

    async def _adopt(self, newer: Operator) -> None:
        # Without a pause: no turn ever sees one part of the new edition and another one of the old.
        operator = self._engine.operator
        operator.adopt(newer)
        machine = machine_of(operator)
        # Texts are held by many; the machine's and the notices' are one object, and stay it.
        texts = self._machine.texts
        texts.adopt(machine.texts)
        machine.texts = texts
        self._machine.adopt(machine)
        self._notices.adopt(Notices(texts, operator))
        self._texts.adopt(operator)
        await self._engine.publish_catalogue()


def board(redis: Redis) -> Board[Word]:
    """Where the processes tell what they serve."""
    return Board(redis, KEY, Word, STALE_SECONDS)


async def served(redis: Redis) -> list[Word]:
    """What the running processes say that they serve. Raises ``OtherVersion``, and what Redis raises."""
    return sorted(await board(redis).said(), key=lambda one: one.process)


def _stamp(path: Path) -> tuple[int, int]:
    """When a file was written and how long it is; nothing while it is being replaced."""
    try:
        found = path.stat()
    except OSError:
        return _NEVER
    return (found.st_mtime_ns, found.st_size)
