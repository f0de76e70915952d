"""Leaving: who belongs to an account, and how its person is forgotten at their own wish."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from engine.accounts.codes import OneTimeCodes
from engine.accounts.owning import only_line
from engine.accounts.rules import plain_digits
from engine.accounts.service import Accounts
from engine.accounts.tables import erasure_code, line
from engine.words import AccountRef, LineRef, LineStatus, Subscriber
from runtime.keyring import Keyring


class Member(NamedTuple):
    """One line of an account. ``msisdn`` is E.164 with ``+``; None where it cannot be read."""

    line: LineRef
    msisdn: str | None
    status: LineStatus
    opened_at: datetime


class Leaving:
    """The lines of accounts, and the end of accounts."""

    def __init__(self, database: AsyncEngine, accounts: Accounts, keyring: Keyring) -> None:
        self._reads = database.execution_options(isolation_level="AUTOCOMMIT")
        self._accounts = accounts
        self._codes = OneTimeCodes(database, keyring, erasure_code, "erasure-code")

    async def members(self, account: AccountRef) -> list[Member]:
        """The lines of an account that are not ended, the oldest first: that one is its owner's."""
        query = (
            sa.select(line.c.shard, line.c.account_id, line.c.line_id, line.c.status, line.c.opened_at)
            .where(
                line.c.shard == account.shard,
                line.c.account_id == account.account_id,
                line.c.status != LineStatus.TERMINATED,
            )
            .order_by(line.c.opened_at, line.c.line_id)
        )
        async with self._reads.connect() as connection:
            rows = (await connection.execute(query)).all()
        contacts = await self._accounts.reveal(LineRef(*row[:3]) for row in rows)
        return [
            Member(
                LineRef(*row[:3]),
                contacts[row.line_id].msisdn if row.line_id in contacts else None,
                LineStatus(row.status),
                row.opened_at,
            )
            for row in rows
        ]

    async def only_line(self, subscriber: Subscriber) -> UUID | None:
        """The line whose doings a line may know of: itself; None for its account's owner, who may know all."""
        return await only_line(self._reads, subscriber)

    async def send_code(self, subscriber: Subscriber) -> None:
        """Text the line a code that confirms its erasure; it replaces an earlier one. Raises ``TooManyCodes``."""
        await self._codes.send(subscriber.line, "security.erasure_code")

    async def erase(self, subscriber: Subscriber, code: str) -> bool:
        """Forget the person of an account, as ``Accounts.erase_person`` does, if this is the code that the line got.

        False for a wrong, old or used code; each try counts.
        """
        if not await self._codes.use(subscriber.line, plain_digits(code)):
            return False
        await self._accounts.erase_person(subscriber.account, by="portal")
        return True
