"""Accounts and lines: who a number belongs to and what they hold, opening and closing lines, erasure."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import NamedTuple
from uuid import UUID

import structlog
from cryptography.exceptions import InvalidTag
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from engine.accounts import store
from engine.accounts.chats import forget_chats
from engine.accounts.pins import Pins
from engine.accounts.rows import to_subscribers
from engine.accounts.rules import FIXED, MOBILE, NumberTaken, check_status, parse_imsi, parse_msisdn
from engine.accounts.secrets import Address, DataKey
from engine.accounts.store import line_ref
from engine.accounts.tables import AccountKind, LineKind, NumberKind
from engine.storage.sharding import new_id, shard_of
from engine.storage.steady import SteadyReads
from engine.words import AccountRef, LineRef, LineStatus, Subscriber, UnknownLine
from runtime.batching import Batcher
from runtime.keyring import Keyring
from settings import Operator

log = structlog.get_logger(__name__)


class Contact(NamedTuple):
    """How a line is written to. ``msisdn`` is E.164 with ``+``; None once the person was erased."""

    msisdn: str | None
    language: str
    currency: str


class Accounts:
    """The accounts and lines of one operator."""

    def __init__(
        self,
        database: AsyncEngine,
        operator: Operator,
        keyring: Keyring,
        changed: Callable[[LineRef], Awaitable[None]] | None = None,
    ) -> None:
        """``changed`` is called when a line has been given another status."""
        self._changed = changed
        self._database = database
        # One statement needs no transaction to be opened and closed around it.
        self._reads = database.execution_options(isolation_level="AUTOCOMMIT")
        self._hot = SteadyReads(database)
        self._operator = operator
        self._keyring = keyring
        self._address = lru_cache(maxsize=65_536)(lambda msisdn: Address(keyring, NumberKind.MSISDN, msisdn))
        self._read = Batcher(self._read_batch, most=250)
        self._pins = Pins(database, operator, keyring)
        self.check_pin = self._pins.check_pin
        self.set_pin = self._pins.set_pin
        self.clear_pin = self._pins.clear_pin

    async def close(self) -> None:
        """Answer what is waiting and let the threads go; the database is its owner's to close."""
        await self._read.drain()
        await self._hot.let_go()
        self._pins.close()

    # -- reading ----------------------------------------------------------------------------------------------------

    async def subscriber(self, msisdn: str, *, kinds: frozenset[int] = MOBILE) -> Subscriber:
        """The line with this number and its live buckets, as of the last commit; concurrent calls share one query.

        ``kinds``: the kinds of numbers that are meant, where those are not mobile ones.

        Raises ``BadNumber`` (malformed, foreign, not of these kinds) and ``UnknownLine``.
        """
        return await self._read(parse_msisdn(msisdn, self._operator.country, kinds))

    async def reveal(self, lines: Iterable[LineRef]) -> dict[UUID, Contact]:
        """The numbers of lines, by line id, decrypted for one delivery. Lines that do not exist are left out.

        A number that cannot be read (its master key is gone, its row was changed) is None like an erased one: whoever
        waits for the other lines is not made to wait for this one.
        """
        wanted = set(lines)
        if not wanted:
            return {}
        async with self._reads.connect() as connection:
            sealed = await store.sealed_lines(connection, wanted)
        return {row.line.line_id: Contact(self._readable(row), row.language, row.currency) for row in sealed}

    async def _read_batch(self, numbers: Sequence[str]) -> list[Subscriber | BaseException]:
        shards: list[int] = []
        digests: list[bytes] = []
        for msisdn in numbers:
            address = self._address(msisdn)
            shards += address.shards
            digests += address.digests
        rows = await store.subscribers(self._hot, shards, digests, datetime.now(UTC))
        return to_subscribers(numbers, len(self._keyring.ids), rows)

    def _readable(self, row: store.SealedLine) -> str | None:
        try:
            return self._unseal(row)[0]
        except (InvalidTag, KeyError):
            log.exception("number_unreadable", line=str(row.line.line_id), key_id=row.key_id)
            return None

    def _unseal(self, row: store.SealedLine) -> tuple[str | None, str | None]:
        """Both numbers of a line."""
        if row.wrapped_key is None:
            return None, None
        key = DataKey.unwrap(self._keyring, row.line.account_id, row.wrapped_key, row.key_id)
        return (
            None if row.sealed_msisdn is None else key.unseal(NumberKind.MSISDN, row.sealed_msisdn),
            None if row.sealed_imsi is None else key.unseal(NumberKind.IMSI, row.sealed_imsi),
        )

    # -- the life of a line -----------------------------------------------------------------------------------------

    async def create_line(
        self,
        msisdn: str,
        imsi: str | None = None,
        language: str | None = None,
        pin: str | None = None,
        *,
        account: AccountRef | None = None,
        status: LineStatus = LineStatus.PREACTIVE,
        postpaid: bool = False,
        fixed: bool = False,
    ) -> Subscriber:
        """Open a line, on a new account unless one is given, in one transaction.

        ``postpaid``: the new account pays afterwards (``SetCreditLimit`` opens its credit line); ``fixed``: the number
        is that of a fixed line.

        Raises ``BadNumber``, ``BadPin``, ``NumberTaken``, ``ValueError`` (language not offered) and ``LookupError``
        (the account does not exist or was erased).
        """
        number = parse_msisdn(msisdn, self._operator.country, FIXED if fixed else MOBILE)
        sim = None if imsi is None else parse_imsi(imsi)
        language = self._offered(language or self._operator.languages[0])
        account_id = new_id() if account is None else account.account_id
        ref = LineRef(shard_of(account_id.bytes) if account is None else account.shard, account_id, new_id())
        pin_hash = None if pin is None else await self._pins.hash_new(ref.line_id, pin)
        now = datetime.now(UTC)
        async with self._database.begin() as connection:
            opens = None if account else AccountKind.POSTPAID if postpaid else AccountKind.PREPAID
            key = await self._account_key(connection, ref, new=opens, now=now)
            await store.insert_line(
                connection,
                ref,
                kind=LineKind.FIXED if fixed else LineKind.MOBILE,
                status=status,
                language=language,
                sealed_msisdn=key.seal(NumberKind.MSISDN, number),
                sealed_imsi=None if sim is None else key.seal(NumberKind.IMSI, sim),
                pin_hash=pin_hash,
                now=now,
            )
            await self._enter(connection, NumberKind.MSISDN, number, ref)
            if sim is not None:
                await self._enter(connection, NumberKind.IMSI, sim, ref)
        return await self._read(number)

    async def set_status(self, line: Subscriber | LineRef, status: LineStatus, *, reason: str, by: str) -> None:
        """Take a line to another status. Raises ``StatusRefused`` and ``UnknownLine``."""
        ref = line_ref(line)
        async with self._database.begin() as connection:
            # The one door writes lines back as it read them, under the account's lock: so does this.
            await store.lock_account(connection, ref.account)
            before = await store.line_status(connection, ref)
            if before is None:
                raise UnknownLine
            check_status(before, status)
            await store.update_line(connection, ref, status=status.value)
        log.info("line_status", line_id=str(ref.line_id), before=before.value, after=status.value, reason=reason, by=by)
        if self._changed is not None:
            await self._changed(ref)

    async def set_language(self, line: Subscriber | LineRef, language: str) -> None:
        """Remember the language of a line. Raises ``UnknownLine``, and ``ValueError`` for one that is not offered."""
        offered = self._offered(language)
        async with self._database.begin() as connection:
            await store.update_line(connection, line_ref(line), language=offered)

    async def erase_person(self, account: AccountRef, *, by: str) -> None:
        """Make an account nobody's: its key destroyed, its numbers forgotten, its lines ended. The books stay whole.

        The network hears of it as of every end of a line. Doing it twice does no harm. Raises ``LookupError`` if there
        is no such account.
        """
        async with self._database.begin() as connection:
            if await store.lock_account(connection, account) is None:
                raise LookupError("no such account")
            rows = await store.sealed_lines_of(connection, account)
            for row in rows:
                for kind, number in zip((NumberKind.MSISDN, NumberKind.IMSI), self._unseal(row), strict=True):
                    if number is not None:
                        await store.delete_number(connection, Address(self._keyring, kind, number))
            await forget_chats(connection, self._keyring, account)
            await store.erase(connection, account)
        log.info("person_erased", account_id=str(account.account_id), by=by)
        if self._changed is not None:
            for row in rows:
                await self._changed(row.line)

    # -- locks --------------------------------------------------------------------------------------------------------

    async def unlock(self, line: Subscriber | LineRef) -> None:
        """End the locks that wrong PINs and voucher numbers put on a line, and count anew. Raises ``UnknownLine``."""
        ref = line_ref(line)
        async with self._database.begin() as connection:
            await store.lock_account(connection, ref.account)
            await store.update_line(
                connection,
                ref,
                pin_failures=0,
                pin_locked_until=None,
                voucher_failures=0,
                voucher_window_from=None,
                voucher_locked_until=None,
            )

    # -- parts ------------------------------------------------------------------------------------------------------

    def _offered(self, language: str) -> str:
        if language not in self._operator.languages:
            raise ValueError(f"language {language!r} is not among {', '.join(self._operator.languages)}")
        return language

    async def _account_key(
        self, connection: AsyncConnection, ref: LineRef, *, new: AccountKind | None, now: datetime
    ) -> DataKey:
        if new is not None:
            key = DataKey.fresh(ref.account_id)
            wrapped = key.wrap(self._keyring)
            await store.insert_account(
                connection,
                ref.account,
                kind=new,
                currency=self._operator.currency,
                key_id=self._keyring.current,
                wrapped_key=wrapped,
                now=now,
            )
            return key
        row = await store.lock_account(connection, ref.account)
        if row is None or row.wrapped_key is None:
            raise LookupError("no such account, or its person was erased")
        return DataKey.unwrap(self._keyring, ref.account_id, row.wrapped_key, row.key_id)

    async def _enter(self, connection: AsyncConnection, kind: NumberKind, number: str, owner: LineRef) -> None:
        if not await store.enter_number(connection, kind, Address(self._keyring, kind, number), owner):
            raise NumberTaken(kind.value)
