"""Whether history is what it was when it was sealed: every row that was changed, removed or inserted, by name."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import NamedTuple

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from engine.audit import export, rows, store
from engine.audit.export import BadLine, Place
from engine.audit.merkle import root_of
from engine.audit.rules import GENESIS, LATE, Kind, Leaf, LeafId, Root, row_leaf, signature_holds
from engine.storage.sharding import SHARDS
from engine.words import AccountRef

#: rows that are read at a time
CHUNK = 500
WRONG_SIGNATURE = "root has a wrong signature"


class Finding(NamedTuple):
    """Something that is not as it was sealed."""

    #: what is wrong: ``changed``, ``removed``, ``inserted``, or what is the matter with a root
    what: str
    shard: int
    #: the root concerned; 0 where none is
    seq: int
    #: which row; None where a root is meant
    row: LeafId | None = None
    #: hints for whoever looks into it; not a reason to fail
    notice: bool = False

    @property
    def account(self) -> AccountRef | None:
        """Whose row it is, where it has an owner."""
        if self.row is None or self.row.account_id.int == 0:
            return None
        return AccountRef(self.shard, self.row.account_id)


class Outside(NamedTuple):
    """What an export says: where each root stands, the hash of its statement, and lines that are no roots."""

    places: dict[tuple[int, int], tuple[bytes, Place]]
    notices: list[Finding]


def read_outside(path: Path, keys: Mapping[int, bytes], since: datetime | None) -> Outside:
    """An export's roots that were signed by one of ``keys``. Raises ``LookupError`` and ``OSError``."""
    outside = Outside({}, [])
    for place, found in export.read(path):
        if isinstance(found, BadLine):
            outside.notices.append(Finding(f"export {found.file} line {found.number}: no root", -1, 0, notice=True))
        elif (wrong := _distrusted(found, keys)) is not None or not _whole(found):
            outside.notices.append(Finding(f"export: {wrong or WRONG_SIGNATURE}", found.shard, found.seq))
        elif since is None or found.sealed_at >= since:
            known = outside.places.setdefault((found.shard, found.seq), (found.hash(), place))
            if known[0] != found.hash():
                outside.notices.append(Finding("export: two different roots in one place", found.shard, found.seq))
    return outside


class Verifier:
    """Compares rows, roots and, where there is one, the export."""

    def __init__(self, database: AsyncEngine, keys: Mapping[int, bytes], *, late: timedelta = LATE) -> None:
        """``keys``: the public keys by id that roots may be signed with.

        Rows booked less than ``late`` before the newest root may still wait for theirs and are left alone.
        """
        self._database = database
        self._keys = keys
        self._late = late

    async def extent(self) -> int:
        """How many rows all roots hold: what ``progress`` adds up to in a whole run."""
        async with self._database.connect() as connection:
            return (await store.chain_extent(connection))[0]

    async def verify(
        self,
        since: datetime | None = None,
        outside: Outside | None = None,
        progress: Callable[[int], None] = lambda _: None,
    ) -> AsyncIterator[Finding]:
        """Everything that is not as it was sealed, of roots sealed and rows booked from ``since`` on.

        Each shard is read in a snapshot of its own, so that vacuum is not held up for long.
        """
        for finding in () if outside is None else outside.notices:
            yield finding
        async with self._database.connect() as connection:
            await connection.execution_options(isolation_level="REPEATABLE READ")
            newest = (await store.chain_extent(connection))[1]
            await connection.rollback()
            for shard in range(SHARDS):
                exported = (
                    {}
                    if outside is None
                    else {seq: known for (of, seq), known in outside.places.items() if of == shard}
                )
                async for finding in self._shard(connection, shard, since, newest, exported, outside, progress):
                    yield finding
                await connection.rollback()

    async def _shard(  # noqa: PLR0917 - one shard's part of ``verify``
        self,
        connection: AsyncConnection,
        shard: int,
        since: datetime | None,
        newest: datetime | None,
        exported: dict[int, tuple[bytes, Place]],
        outside: Outside | None,
        progress: Callable[[int], None],
    ) -> AsyncIterator[Finding]:
        sealed: set[LeafId] = set()
        waiting: list[tuple[int, Leaf]] = []
        before: Root | None = None
        async for root in store.roots_of(connection, shard, since):
            for finding in self._link(before, root, whole=since is None):
                yield finding
            known = exported.pop(root.seq, None)
            expected = outside is not None and newest is not None and root.sealed_at <= newest - self._late
            if known is None and expected:
                yield Finding("root is missing in the export", shard, root.seq)
            elif known is not None and known[0] != root.hash():
                yield Finding("root differs from the export", shard, root.seq)
            trusted = self._trusted(root, known)
            if trusted is None:
                yield Finding("root does not fit its leaves: its rows cannot be told", shard, root.seq)
            else:
                waiting += [(root.seq, leaf) for leaf in trusted.leaves]
                sealed.update(leaf.row for leaf in trusted.leaves)
            if len(waiting) >= CHUNK:
                async for finding in self._rows(connection, shard, waiting):
                    yield finding
                waiting = []
            progress(len(root.leaves))
            before = root
        # What only stands outside was there once.
        for seq, (_, place) in sorted(exported.items()):
            yield Finding("root is missing in the database", shard, seq)
            gone = place.read()
            waiting += [(seq, leaf) for leaf in gone.leaves]
            sealed.update(leaf.row for leaf in gone.leaves)
            newest = max(newest or gone.sealed_at, gone.sealed_at)
        async for finding in self._rows(connection, shard, waiting):
            yield finding
        if newest is not None:
            async for finding in self._unsealed(connection, shard, since, newest - self._late, sealed):
                yield finding

    def _link(self, before: Root | None, root: Root, *, whole: bool) -> Iterator[Finding]:
        wrong = _distrusted(root, self._keys)
        if wrong is not None:
            yield Finding(wrong, root.shard, root.seq)
        if before is None:
            if (whole or root.seq == 1) and (root.seq != 1 or root.prev_hash != GENESIS):
                yield Finding("chain does not begin with its first root", root.shard, root.seq)
        elif root.seq != before.seq + 1:
            yield Finding(f"roots {before.seq + 1} to {root.seq - 1} are missing", root.shard, root.seq)
        elif root.prev_hash != before.hash():
            yield Finding("root does not follow from the one before it", root.shard, root.seq)

    def _trusted(self, root: Root, known: tuple[bytes, Place] | None) -> Root | None:
        """The root whose leaves can be believed: the export's where the database's is not what was signed."""
        if known is not None and (known[0] != root.hash() or not _whole(root)):
            return known[1].read()
        return root if _whole(root) and _distrusted(root, self._keys) is None else None

    async def _rows(
        self, connection: AsyncConnection, shard: int, sealed: Sequence[tuple[int, Leaf]]
    ) -> AsyncIterator[Finding]:
        for place in range(0, len(sealed), CHUNK):
            chunk = sealed[place : place + CHUNK]
            said: dict[LeafId, list[bytes]] = {}
            for content in await rows.contents(connection, [(shard, leaf.row) for _, leaf in chunk]):
                said.setdefault(content.row, []).append(row_leaf(content.row, content.said).hash)
            for seq, leaf in chunk:
                found = said.get(leaf.row, [])
                if not found:
                    yield Finding("removed", shard, seq, leaf.row)
                elif leaf.hash not in found:
                    yield Finding("changed", shard, seq, leaf.row)
                elif len(found) > 1:
                    yield Finding("inserted beside the sealed one", shard, seq, leaf.row)

    async def _unsealed(
        self, connection: AsyncConnection, shard: int, since: datetime | None, until: datetime, sealed: set[LeafId]
    ) -> AsyncIterator[Finding]:
        dawn = datetime.min.replace(tzinfo=until.tzinfo) if since is None else since
        for kind in Kind:
            async for page in rows.booked_in(connection, kind, shard, dawn, until):
                for one in page:
                    if one.row not in sealed:
                        yield Finding("inserted", shard, 0, one.row)
        for account_id, key in await rows.stray_transfers(connection, shard, dawn, until):
            yield Finding("transfer without operation", shard, 0, LeafId(Kind.OPERATION, account_id, key))


def _distrusted(root: Root, keys: Mapping[int, bytes]) -> str | None:
    """Why a root's signature says nothing; None where it holds."""
    if root.key_id not in keys:
        return f"root is signed by key {root.key_id}, which is not among those given"
    return None if signature_holds(root.statement(), root.signature, keys) else WRONG_SIGNATURE


def _whole(root: Root) -> bool:
    return root_of([leaf.hash for leaf in root.leaves]) == root.merkle_root
