"""PINs: set, compared, locked, taken away; the line is told of each, in the commit that did it."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any
from uuid import NAMESPACE_OID, UUID, uuid5

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from engine.accounts import store
from engine.accounts.rules import check_pin, pin_locks, read_pin
from engine.accounts.secrets import hash_secret, is_stale, secret_matches
from engine.accounts.store import line_ref
from engine.notices.outbox import write_message
from engine.storage.sharding import new_id
from engine.words import LineRef, PinVerdict, Subscriber
from runtime.keyring import Keyring
from settings import Operator

#: what the pepper is derived for
PURPOSE = "pin"


class Pins:
    """The PINs of one operator's lines."""

    def __init__(self, database: AsyncEngine, operator: Operator, keyring: Keyring) -> None:
        self._database = database
        self._rules = operator.pins
        self._keyring = keyring
        self._locks = pin_locks(operator.pins)
        # One PIN takes 30 ms of CPU: payday must not fill every core with them.
        self._hashing = ThreadPoolExecutor(max_workers=2, thread_name_prefix="pin")

    def close(self) -> None:
        """Let the threads go."""
        self._hashing.shutdown()

    async def hash_new(self, line_id: UUID, pin: str) -> str:
        """A PIN that may be set, as the line's row keeps it. Raises ``BadPin``."""
        hashed: str = await self._in_thread(hash_secret, self._keyring, PURPOSE, line_id, check_pin(pin, self._rules))
        return hashed

    async def check_pin(self, line: Subscriber | LineRef, pin: str) -> PinVerdict:
        """Compare a PIN; each try counts as wrong in Postgres before it is compared, so parallel guesses gain nothing.

        The right PIN sets the count back. A wrong one that locks the line is told to it.
        """
        ref = line_ref(line)
        typed = read_pin(pin)
        async with self._database.begin() as connection:
            counted = await store.count_pin_try(connection, ref, self._locks, datetime.now(UTC))
            if counted is None:
                return PinVerdict.LOCKED if await store.has_pin(connection, ref) else PinVerdict.NOT_SET
        hashed, locked_until = counted
        if not await self._in_thread(secret_matches, self._keyring, PURPOSE, ref.line_id, typed, hashed):
            if locked_until is not None:
                await self._tell_locked(ref, locked_until)
            return PinVerdict.WRONG
        renewed = hashed
        if is_stale(self._keyring, hashed):
            renewed = await self._in_thread(hash_secret, self._keyring, PURPOSE, ref.line_id, typed)
        async with self._database.begin() as connection:
            await store.forget_pin_tries(connection, ref, hashed, renewed)
        return PinVerdict.RIGHT

    async def set_pin(self, line: Subscriber | LineRef, pin: str) -> None:
        """Set or replace the PIN. The caller has checked the old one. Raises ``BadPin`` and ``UnknownLine``."""
        ref = line_ref(line)
        hashed = await self.hash_new(ref.line_id, pin)
        async with self._database.begin() as connection:
            await store.update_line(connection, ref, pin_hash=hashed, pin_failures=0, pin_locked_until=None)
            await _tell(connection, ref, new_id(), "security.pin_changed")

    async def clear_pin(self, line: Subscriber | LineRef) -> None:
        """Take the PIN away: the person sets a new one when it is next asked for. Raises ``UnknownLine``."""
        ref = line_ref(line)
        async with self._database.begin() as connection:
            await store.update_line(connection, ref, pin_hash=None, pin_failures=0, pin_locked_until=None)
            await _tell(connection, ref, new_id(), "security.pin_removed")

    async def _tell_locked(self, ref: LineRef, until: datetime) -> None:
        # Told after the comparison, which the count must not wait for; the lock's end makes the id, so one lock is
        # told once.
        message_id = uuid5(NAMESPACE_OID, f"pin_locked|{ref.line_id}|{until.isoformat()}")
        async with self._database.begin() as connection:
            await _tell(connection, ref, message_id, "security.pin_locked", locked_until=until.isoformat())

    async def _in_thread(self, function: Any, *arguments: Any) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self._hashing, function, *arguments)


async def _tell(connection: AsyncConnection, ref: LineRef, message_id: UUID, topic: str, **body: Any) -> None:
    await write_message(connection, ref.account, ref.line_id, message_id, topic=topic, body=body)
