"""Chats of messaging apps that belong to a line: linked by a one-time code, found by digest, sealed like numbers."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from engine.accounts import store
from engine.accounts.codes import OneTimeCodes
from engine.accounts.rules import parse_msisdn, plain_digits
from engine.accounts.secrets import Address, DataKey
from engine.accounts.store import line_ref
from engine.accounts.tables import NumberKind, chat, link_code
from engine.notices.outbox import write_message
from engine.storage.sharding import new_id
from engine.words import AccountRef, BadNumber, LineRef, Subscriber
from runtime.keyring import Keyring
from settings import Operator


class Chats:
    """The linked chats of one operator's lines. ``app`` is the app's name (``telegram``), ``chat_id`` its own id."""

    def __init__(self, database: AsyncEngine, operator: Operator, keyring: Keyring) -> None:
        self._database = database
        self._reads = database.execution_options(isolation_level="AUTOCOMMIT")
        self._operator = operator
        self._keyring = keyring
        self._codes = OneTimeCodes(database, keyring, link_code, "link-code")

    async def link_code(self, line: Subscriber | LineRef) -> str:
        """A fresh code of six digits for linking a chat to this line; it replaces an earlier one. Lives ten minutes.

        Give it to nobody but the line itself. Raises ``TooManyCodes``.
        """
        return await self._codes.give(line_ref(line))

    async def link_chat(self, app: str, chat_id: str, msisdn: str, code: str) -> bool:
        """Link a chat to the line that got this code; the code is used up, and the line is told.

        False whether the number, the code or its time is wrong: who asks must not learn which. Each try counts before
        it is compared. A line has one chat of each app, a chat one line: what was linked before is not any more.
        """
        line = await self._find_number(msisdn)
        if line is None or not await self._codes.use(line, plain_digits(code)):
            return False
        name = _name(app, chat_id)
        address = Address(self._keyring, NumberKind.CHAT, name)
        async with self._database.begin() as connection:
            row = await store.lock_account(connection, line.account)
            if row is None or row.wrapped_key is None:
                return False
            await self._forget(connection, address, app)
            key = DataKey.unwrap(self._keyring, line.account_id, row.wrapped_key, row.key_id)
            before = await connection.scalar(sa.select(chat.c.sealed_chat).where(*_at(line, app)))
            if before is not None:
                old = Address(self._keyring, NumberKind.CHAT, key.unseal(NumberKind.CHAT, before))
                await self._forget(connection, old, app)
            await connection.execute(
                chat.insert().values(
                    **line._asdict(), app=app, sealed_chat=key.seal(NumberKind.CHAT, name), linked_at=datetime.now(UTC)
                )
            )
            if not await store.enter_number(connection, NumberKind.CHAT, address, line):
                # Another line took this chat in this very moment.
                await connection.rollback()
                return False
            await write_message(
                connection, line.account, line.line_id, new_id(), topic="security.chat_linked", body={"app": app}
            )
        return True

    async def linked(self, app: str, chat_id: str) -> str | None:
        """The number (E.164 with ``+``) of the line that a chat is linked to, or None."""
        address = Address(self._keyring, NumberKind.CHAT, _name(app, chat_id))
        async with self._reads.connect() as connection:
            line = await store.find_number(connection, address)
            if line is None:
                return None
            for row in await store.sealed_lines(connection, [line]):
                if row.wrapped_key is not None and row.sealed_msisdn is not None:
                    key = DataKey.unwrap(self._keyring, line.account_id, row.wrapped_key, row.key_id)
                    return key.unseal(NumberKind.MSISDN, row.sealed_msisdn)
        return None

    async def unlink(self, app: str, chat_id: str) -> bool:
        """Forget a chat; False if it was not linked."""
        address = Address(self._keyring, NumberKind.CHAT, _name(app, chat_id))
        async with self._database.begin() as connection:
            line = await store.find_number(connection, address)
            # While the account's key is renewed its entries move: a deletion that waited would miss them.
            return line is not None and (
                await store.lock_account(connection, line.account) is not None
                and await self._forget(connection, address, app)
            )

    async def chats(self, line: Subscriber | LineRef) -> dict[str, str]:
        """The chats linked to a line: app → chat id."""
        ref = line_ref(line)
        return (await self.reveal([ref])).get(ref, {})

    async def reveal(self, lines: Sequence[LineRef]) -> dict[LineRef, dict[str, str]]:
        """The chats linked to lines, decrypted: app → chat id. Lines without any are left out."""
        if not lines:
            return {}
        found: dict[LineRef, dict[str, str]] = {}
        async with self._reads.connect() as connection:
            sealed = await store.sealed_chats(connection, lines)
            if not sealed:
                return {}
            rows = {row.line: row for row in await store.sealed_lines(connection, {line for line, _, _ in sealed})}
        for line, app, sealed_chat in sealed:
            row = rows.get(line)
            if row is None or row.wrapped_key is None:
                continue
            key = DataKey.unwrap(self._keyring, line.account_id, row.wrapped_key, row.key_id)
            found.setdefault(line, {})[app] = key.unseal(NumberKind.CHAT, sealed_chat).partition("|")[2]
        return found

    # -- parts ------------------------------------------------------------------------------------------------------

    async def _find_number(self, msisdn: str) -> LineRef | None:
        try:
            number = parse_msisdn(msisdn, self._operator.country)
        except BadNumber:
            return None
        address = Address(self._keyring, NumberKind.MSISDN, number)
        async with self._reads.connect() as connection:
            return await store.find_number(connection, address)

    async def _forget(self, connection: AsyncConnection, address: Address, app: str) -> bool:
        line = await store.find_number(connection, address)
        if line is None:
            return False
        await store.delete_number(connection, address)
        await connection.execute(chat.delete().where(*_at(line, app)))
        return True


async def forget_chats(connection: AsyncConnection, keyring: Keyring, account: AccountRef) -> None:
    """Forget all chats of an account, in the transaction that erases its person, while its key still reads them."""
    lines = {row.line: row for row in await store.sealed_lines_of(connection, account)}
    if not lines:
        return
    for line, _, sealed in await store.sealed_chats(connection, list(lines)):
        row = lines[line]
        if row.wrapped_key is not None:
            key = DataKey.unwrap(keyring, line.account_id, row.wrapped_key, row.key_id)
            address = Address(keyring, NumberKind.CHAT, key.unseal(NumberKind.CHAT, sealed))
            await store.delete_number(connection, address)
    await connection.execute(
        chat.delete().where(chat.c.shard == account.shard, chat.c.account_id == account.account_id)
    )


def _name(app: str, chat_id: str) -> str:
    return f"{app}|{chat_id}"


def _at(line: LineRef, app: str) -> tuple[sa.ColumnElement[bool], ...]:
    return (
        chat.c.shard == line.shard,
        chat.c.account_id == line.account_id,
        chat.c.line_id == line.line_id,
        chat.c.app == app,
    )
