"""Retiring a master key: all that can be is sealed anew under the current one, and what else needs it is told.

Batch by batch, each in a commit of its own: whoever is stopped in the middle goes on where that was. Processes may run
meanwhile, all of them with both keys.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

import sqlalchemy as sa
import structlog
from cryptography.exceptions import InvalidTag
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from engine.accounts.secrets import Address, DataKey
from engine.accounts.tables import NumberKind
from engine.events.service import SECRETS
from engine.events.tables import subscription
from engine.keys import store
from engine.keys.store import Kept
from engine.mediation.staging import Sealer as LineSealer
from engine.mediation.tables import usage_set_aside
from engine.reconciliation.staging import Sealer as AccountSealer
from engine.reconciliation.tables import discrepancy
from engine.staff.service import CODE
from engine.staff.tables import staff_member
from engine.storage.sharding import SHARDS
from runtime.keyring import Keyring

log = structlog.get_logger(__name__)

#: rows of one commit: the accounts among them wait for so long
BATCH = 200

#: what ``Keys.renew`` seals anew
RENEWED = frozenset({Kept.ACCOUNT, Kept.STAFF_CODE, Kept.SUBSCRIPTION, Kept.SET_ASIDE, Kept.DISCREPANCY})


class Held(NamedTuple):
    """Rows that need a key which is not the current one."""

    key_id: int
    what: Kept
    rows: int
    #: when the last of them ends by itself; None: not by itself
    until: datetime | None


class _Place(NamedTuple):
    """A table whose rows are sealed under a master key themselves."""

    table: sa.Table
    #: rows that the current key has not sealed
    older: sa.ColumnElement[bool]
    #: a row's values as the current key seals them
    anew: Callable[[Any], dict[str, Any]]


class Keys:
    """The master keys of one installation, and what was made under them."""

    def __init__(self, database: AsyncEngine, keyring: Keyring) -> None:
        self._database = database
        self._keyring = keyring

    async def held(self) -> list[Held]:
        """What needs a key other than the current one, in the order of ``Kept``. Counting reads whole tables."""
        async with self._database.connect() as connection:
            found = await store.held(connection, self._keyring.current, min(self._keyring.ids))
        return [Held(key_id, what, rows, until) for what, key_id, rows, until in found]

    async def renew(self, progress: Callable[[int], None] = lambda _: None) -> int:
        """Seal anew what can be. ``progress`` hears of rows that were looked at.

        Returns how many stay as they are: their key is not there, or they were changed.
        """
        unreadable = 0
        for shard in range(SHARDS):
            after = UUID(int=0)
            while True:
                async with self._database.begin() as connection:
                    rows = await store.lock_older(connection, shard, after, self._keyring.current, BATCH)
                    if not rows:
                        break
                    unreadable += len(rows) - await self._renew_accounts(connection, shard, rows)
                after = rows[-1].account_id
                progress(len(rows))
        for place in self._places():
            unreadable += await self._renew_place(place, progress)
        return unreadable

    async def _renew_accounts(self, connection: AsyncConnection, shard: int, rows: Sequence[sa.Row[Any]]) -> int:
        """Wrap data keys anew, and let the directory find their lines under the current key. Returns how many."""
        names: dict[UUID, list[sa.Row[Any]]] = {row.account_id: [] for row in rows}
        for name in await store.sealed_names(connection, shard, list(names)):
            names[name.account_id].append(name)
        wrapped: list[tuple[int, UUID, bytes]] = []
        moves: list[tuple[int, bytes, UUID, int, bytes]] = []
        for row in rows:
            try:
                key = DataKey.unwrap(self._keyring, row.account_id, row.wrapped_key, row.key_id)
                found = [(NumberKind(name.kind), key.unseal(name.kind, name.sealed)) for name in names[row.account_id]]
            except (InvalidTag, KeyError):
                log.warning("account_not_renewed", account_id=str(row.account_id), key_id=row.key_id)
                continue
            wrapped.append((shard, row.account_id, key.wrap(self._keyring)))
            moves += [move for one in found for move in self._moves(row.account_id, *one)]
        if wrapped:
            await store.rewrap(connection, wrapped, self._keyring.current)
        if moves:
            await store.move_entries(connection, moves, self._keyring.current)
        return len(wrapped)

    def _moves(self, account_id: UUID, kind: NumberKind, name: str) -> Iterator[tuple[int, bytes, UUID, int, bytes]]:
        """From wherever an older key has put a number's entry to where the current one looks for it."""
        address = Address(self._keyring, kind, name)
        (shard, digest), *older = zip(address.shards, address.digests, strict=True)
        return ((*one, account_id, shard, digest) for one in older)

    async def _renew_place(self, place: _Place, progress: Callable[[int], None]) -> int:
        """Seal the rows of one table anew; returns how many could not be read."""
        unreadable = 0
        key = list(place.table.primary_key)
        ahead: sa.ColumnElement[bool] = sa.true()
        while True:
            query = sa.select(place.table).where(place.older, ahead).order_by(*key).limit(BATCH).with_for_update()
            async with self._database.begin() as connection:
                rows = (await connection.execute(query)).all()
                for row in rows:
                    at = [column == getattr(row, column.name) for column in key]
                    try:
                        await connection.execute(sa.update(place.table).where(*at).values(place.anew(row)))
                    except (InvalidTag, KeyError):
                        log.warning("row_not_renewed", table=place.table.name)
                        unreadable += 1
            if not rows:
                return unreadable
            ahead = sa.tuple_(*key) > sa.tuple_(*(getattr(rows[-1], column.name) for column in key))
            progress(len(rows))

    def _places(self) -> Iterator[_Place]:
        keyring, lines, accounts = self._keyring, LineSealer(self._keyring), AccountSealer(self._keyring)
        current = keyring.current.to_bytes(2)

        def secret(purpose: str, row: Any, owner: UUID) -> dict[str, Any]:
            """Sealed for its owner; a queue of our own has none."""
            sealed = row.sealed_secret
            if sealed:
                sealed = keyring.seal(purpose, keyring.unseal(purpose, sealed, owner.bytes, row.key_id), owner.bytes)
            return {"sealed_secret": sealed, "key_id": keyring.current}

        yield _Place(
            staff_member, staff_member.c.key_id != keyring.current, lambda row: secret(CODE, row, row.staff_id)
        )
        yield _Place(
            subscription,
            subscription.c.key_id != keyring.current,
            lambda row: secret(SECRETS, row, row.subscription_id),
        )
        yield _Place(
            usage_set_aside,
            sa.func.substring(usage_set_aside.c.sealed, 1, 2) != current,
            lambda row: {"sealed": lines.seal(lines.unseal(row.sealed, row.file_id, row.line), row.file_id, row.line)},
        )
        yield _Place(
            discrepancy,
            sa.func.substring(discrepancy.c.sealed_account, 1, 2) != current,
            lambda row: {"sealed_account": accounts.seal(accounts.unseal(row.sealed_account, row.name), row.name)},
        )
