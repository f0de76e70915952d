"""Giving a line another SIM: its IMSI changes, and for a while payments are looked at more closely."""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy.ext.asyncio import AsyncEngine

from engine.accounts import store
from engine.accounts.rules import NumberTaken, parse_imsi
from engine.accounts.secrets import Address, DataKey
from engine.accounts.tables import NumberKind
from engine.words import LineRef, Subscriber, UnknownLine
from runtime.keyring import Keyring


async def change_sim(database: AsyncEngine, keyring: Keyring, line: Subscriber | LineRef, imsi: str) -> None:
    """Let a line be found by another IMSI, and by its old one no more; note when.

    A SIM in the wrong hands is how numbers are stolen, so the fraud layer counts from here (``sim_change_hours``).

    Raises ``BadNumber``, ``NumberTaken`` and ``UnknownLine`` (also where the line's person was erased).
    """
    ref, number = store.line_ref(line), parse_imsi(imsi)
    async with database.begin() as connection:
        key_row = await store.lock_account(connection, ref.account)
        rows = [row for row in await store.sealed_lines(connection, [ref]) if row.wrapped_key is not None]
        if key_row is None or key_row.wrapped_key is None or not rows:
            raise UnknownLine
        key = DataKey.unwrap(keyring, ref.account_id, key_row.wrapped_key, key_row.key_id)
        if rows[0].sealed_imsi is not None:
            before = Address(keyring, NumberKind.IMSI, key.unseal(NumberKind.IMSI, rows[0].sealed_imsi))
            await store.delete_number(connection, before)
        if not await store.enter_number(connection, NumberKind.IMSI, Address(keyring, NumberKind.IMSI, number), ref):
            raise NumberTaken(NumberKind.IMSI.value)
        sealed = key.seal(NumberKind.IMSI, number)
        await store.update_line(connection, ref, sealed_imsi=sealed, sim_changed_at=datetime.now(UTC))
