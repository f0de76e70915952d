"""Mediation: files of usage records are read once, compared with what was charged online, and charged.

A file is read in blocks. What becomes of a block's lines, and how far the file is read, is one commit. Up to a million
records make a batch; when it is full, or the file ends, its records are charged account by account through the one
door, under keys made of batch and account: charged again after a kill, they get their stored answers.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any, NamedTuple
from uuid import NAMESPACE_OID, UUID, uuid5

from sqlalchemy.ext.asyncio import AsyncEngine

from engine.accounts.finding import Finder
from engine.books.service import Door
from engine.mediation import store
from engine.mediation.charging import charge
from engine.mediation.staging import Line, Parsed, Sealer, Staging, parse
from engine.mediation.store import Batch, Block, Connection
from engine.mediation.tables import BatchState, usage_file
from engine.storage.driver import driver_of
from engine.storage.sharding import new_id
from engine.words import EngineUnavailable, SetAsideLine, SetAsideReason, Unit, UsageDifference, UsageFile
from runtime.keyring import Keyring
from runtime.overlap import Overlap
from settings import Operator

#: Lines that are kept in one commit.
BLOCK = 5_000
#: Records that are charged together: a line's records among them are one operation.
BATCH = 1_000_000
#: Lines that were set aside and are shown, or tried again, at a time.
MOST = 10_000
#: differences that are shown
DIFFERENCES = 1_000

#: Is told of every step: lines ``read``, records ``due`` to be charged and ``charged``, and how much more of it.
Progress = Callable[[str, int], None]


class Opened(NamedTuple):
    """A file as it is handed over: what tells it from others, and how its lines are read."""

    #: SHA-256 of its content
    digest: bytes
    name: str
    source: str
    #: whose names its sessions have
    interface: str
    #: its lines from the n-th on, n from 0: fields, or text that says what is wrong
    read: Callable[[int], Iterable[Mapping[str, Any] | str]]


class Reading:
    """A file's lines with their numbers. Where it breaks off they end, and ``broken`` says why."""

    def __init__(self, lines: Iterable[Mapping[str, Any] | str], first: int) -> None:
        """``first`` is the number of the first of ``lines``."""
        self._lines, self._first = lines, first
        self.broken: Exception | None = None

    def __iter__(self) -> Iterator[Line]:
        try:
            for number, line in enumerate(self._lines, self._first):
                yield Line(number, {"line": line}, line) if isinstance(line, str) else Line(number, line)
        except Exception as error:  # noqa: BLE001 - raised by who reads, once what came before is charged
            self.broken = error


def unwatched(_what: str, _more: int) -> None:
    """Progress that nobody looks at."""


class Mediation:
    """The usage files of one operator."""

    def __init__(self, database: AsyncEngine, operator: Operator, keyring: Keyring, door: Door) -> None:
        """Records are kept in billing's database, and charged through ``door``."""
        self._database = database
        self._operator = operator
        self._door = door
        self._finder = Finder(database, operator, keyring)
        self._sealer = Sealer(keyring)

    async def import_usage(self, opened: Opened, progress: Progress = unwatched) -> UsageFile:
        """Read a file to its end and charge what it tells, once, however often and wherever it is started.

        A file that was interrupted goes on where it was; one that is done is not read again. What stands before the
        place where a file breaks off is charged: in the next one, which is whole, it will be a duplicate. Then what
        reading raised is raised.
        """
        file = await self._file(opened)
        if file.finished_at is not None:
            return file
        progress("read", file.lines)
        reading = Reading(opened.read(file.lines), file.lines + 1)
        rest, staging = iter(reading), Staging(self._finder, self._sealer)
        while True:
            more = await self._fill(file, rest, staging, progress)
            await self._charge_open(file.file_id, progress)
            if not more:
                break
        if reading.broken is not None:
            raise reading.broken
        return await self._finish(file.file_id)

    async def retry(self, file_id: UUID, progress: Progress = unwatched) -> UsageFile:
        """Try what was set aside of a file once more: the lines it names may exist by now. Raises ``LookupError``."""
        file = await self._one("WHERE file_id = %(file_id)s", {"file_id": file_id})
        staging, after = Staging(self._finder, self._sealer), 0
        batch = await self._batch(file_id)
        while True:
            asked = {"file_id": file_id, "after": after, "most": MOST}
            rows = await self._rows(store.SEALED, asked)
            if not rows:
                break
            lines = [Line(line, self._sealer.unseal(sealed, file_id, line)) for line, sealed in rows]
            parsed = parse(lines, self._operator, datetime.now(UTC), file.interface)
            await self._keep(file, batch, await staging.block(parsed, file_id, file.interface), again=True)
            after = lines[-1].number
            progress("read", len(lines))
        await self._charge_open(file_id, progress)
        return await self._one("WHERE file_id = %(file_id)s", {"file_id": file_id})

    async def files(self, most: int = 50) -> list[UsageFile]:
        """Files, the latest first."""
        rows = await self._rows(f"{store.FILES} ORDER BY started_at DESC LIMIT %(most)s", {"most": most})
        return [_file(row) for row in rows]

    async def waiting(self, file_id: UUID | None = None, most: int = MOST) -> list[SetAsideLine]:
        """Lines that were set aside, of one file or of all."""
        rows = await self._rows(store.WAITING, {"file_id": file_id, "most": most})
        return [SetAsideLine(file, line, SetAsideReason(reason), detail) for file, line, reason, detail in rows]

    async def differences(self, days: int = 30) -> list[UsageDifference]:
        """Where collection points tell something else than was charged, the largest first, as it stands now."""
        now = datetime.now(UTC)
        async with self._connected() as connection:
            await connection.execute(store.COMPARE_AGAIN, {"now": now})
            asked = {"since": now - timedelta(days=days), "most": DIFFERENCES}
            rows = await (await connection.execute(store.DIFFERENCES, asked)).fetchall()
        names = ("session_key", "rating_group", "source", "unit", "stated", "charged", "found_at")
        return [UsageDifference(**dict(zip(names, row, strict=True)) | {"unit": Unit(row[3])}) for row in rows]

    async def close(self) -> None:
        """Let the connection go that numbers are looked up on."""
        await self._finder.close()

    # -- reading --

    async def _file(self, opened: Opened) -> UsageFile:
        known = opened._asdict()
        del known["read"]
        known |= {"file_id": uuid5(NAMESPACE_OID, f"usage|{opened.digest.hex()}"), "now": datetime.now(UTC)}
        async with self._connected() as connection:
            await connection.execute(store.OPEN_FILE, known)
        return await self._one("WHERE digest = %(digest)s", {"digest": opened.digest})

    async def _fill(self, file: UsageFile, rest: Iterator[Line], staging: Staging, progress: Progress) -> bool:
        """Read blocks until a batch is full. Returns whether there may be more.

        One is made while another is staged and a third is kept.
        """
        batch = await self._batch(file.file_id)
        kept = batch.records

        async def keep(block: Block, after: asyncio.Task[None] | None) -> None:
            """Keep one, and let whoever watches know."""
            await self._keep(file, batch, block, after=after)
            progress("read", block.lines)

        async with Overlap(most=2) as keeping:
            while kept < BATCH and (parsed := await self._parse(file, rest)).lines:
                block = await staging.block(parsed, file.file_id, file.interface)
                kept += block.rows
                await keeping.start(keep(block, keeping.last))
        return kept >= BATCH

    async def _parse(self, file: UsageFile, rest: Iterator[Line]) -> Parsed:
        def work() -> Parsed:
            """Reads and parses one block, off the event loop."""
            return parse(list(islice(rest, BLOCK)), self._operator, datetime.now(UTC), file.interface)

        return await asyncio.to_thread(work)

    async def _keep(
        self,
        file: UsageFile,
        batch: Batch,
        block: Block,
        *,
        after: asyncio.Task[None] | None = None,
        again: bool = False,
    ) -> None:
        """Keep a block and how far the file is read, in one commit: once the block ``after`` which it comes is kept."""
        async with self._connected() as connection:
            await store.stage(connection, block)
            if after is not None:
                await after
            verdicts = await store.judge(connection, file.source, file.interface, batch.batch_id)
            refused = list(block.refused)
            refused += await self._refused(file, block, verdicts)
            duplicates = sum(verdict == "duplicate" for _, verdict in verdicts)
            records = block.rows - len(verdicts)
            before = 0
            if again:
                before = block.lines
                stays = {line for line, *_ in refused}
                taken = [line for line in block.fields if line not in stays]
                await connection.execute(store.TAKEN_UP, {"file_id": file.file_id, "lines": taken})
            if refused:
                lines, reasons, details, sealed = (list(column) for column in zip(*refused, strict=True))
                columns = {"lines": lines, "reasons": reasons, "details": details, "sealed": sealed}
                await connection.execute(store.SET_ASIDE, {"file_id": file.file_id} | columns)
            counts: dict[str, int | None] = {
                "records": records,
                "duplicates": duplicates,
                "set_aside": len(refused) - before,
            }
            counts |= {"lines": 0 if again else block.lines, "read": None if again else min(block.fields) - 1}
            moved = await connection.execute(store.PROGRESS, {"file_id": file.file_id} | counts)
            if moved.rowcount != 1:
                raise EngineUnavailable("another process reads this file")
            await connection.execute(store.GROW, {"batch_id": batch.batch_id, "records": records})

    async def _refused(
        self, file: UsageFile, block: Block, verdicts: list[tuple[int, str]]
    ) -> list[tuple[int, str, str, bytes]]:
        """Records that the database knows with other amounts, or whose time another record covers."""
        told = {SetAsideReason.CONFLICT: "known with another end or amount", SetAsideReason.OVERLAP: "start, end"}
        return [
            (line, verdict, told[SetAsideReason(verdict)], self._sealer.seal(block.fields[line], file.file_id, line))
            for line, verdict in verdicts
            if verdict != "duplicate"
        ]

    # -- charging --

    async def _batch(self, file_id: UUID) -> Batch:
        """The batch that records of a file are added to now."""
        for found in await self._open_batches(file_id):
            if found.state is BatchState.STAGING:
                return found
        asked = {"batch_id": new_id(), "file_id": file_id, "now": datetime.now(UTC)}
        async with self._connected() as connection:
            await connection.execute(store.OPEN_BATCH, asked)
        return (await self._open_batches(file_id))[-1]

    async def _open_batches(self, file_id: UUID) -> list[Batch]:
        rows = await self._rows(store.BATCHES, {"file_id": file_id})
        return [Batch(batch_id, BatchState(state), *rest) for batch_id, state, *rest in rows]

    async def _charge_open(self, file_id: UUID, progress: Progress) -> None:
        for batch in await self._open_batches(file_id):
            if batch.state is BatchState.STAGING:
                await self._move(batch, BatchState.CHARGING)
            await charge(self._connected, self._door.post, batch, progress)
            async with self._connected() as connection:
                await connection.execute(store.COMPARE_BATCH, {"batch_id": batch.batch_id, "now": datetime.now(UTC)})
                await connection.execute(store.MOVE, {"batch_id": batch.batch_id, "state": BatchState.DONE})

    async def _move(self, batch: Batch, state: BatchState) -> None:
        async with self._connected() as connection:
            await connection.execute(store.MOVE, {"batch_id": batch.batch_id, "state": state})

    async def _finish(self, file_id: UUID) -> UsageFile:
        async with self._connected() as connection:
            await connection.execute(store.FINISH, {"file_id": file_id, "now": datetime.now(UTC)})
        return await self._one("WHERE file_id = %(file_id)s", {"file_id": file_id})

    # -- the database --

    async def _one(self, where: str, asked: dict[str, Any]) -> UsageFile:
        rows = await self._rows(f"{store.FILES} {where}", asked)
        if not rows:
            raise LookupError("no usage file has this id")
        return _file(rows[0])

    async def _rows(self, query: str, asked: dict[str, Any]) -> list[store.Row]:
        async with self._connected() as connection:
            return await (await connection.execute(query, asked)).fetchall()

    @asynccontextmanager
    async def _connected(self) -> AsyncIterator[Connection]:
        """The driver's own connection, in a transaction of its own: COPY and cursors need it."""
        async with self._database.begin() as connection:
            yield await driver_of(connection)


def _file(row: store.Row) -> UsageFile:
    names = [column.name for column in usage_file.c if column.name != "digest"]
    return UsageFile(**dict(zip(names, row, strict=True)))
