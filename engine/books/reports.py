"""The ledger for finance: trial balance, account statement, journal. Each reads one snapshot of each book.

Two ledgers stand side by side: the subscribers' (``transfer``, in units of every kind) and that of receivables
(``receivable``, money only). Both are double entries, so the debits of each unit equal its credits.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import msgspec
import sqlalchemy as sa

from engine.books.databases import Books
from engine.books.sheets import Book
from engine.words import AccountRef, Unit

#: rows that travel at a time
CHUNK = 5_000
#: lines of a statement in one answer
MOST = 10_000


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """What an account of the ledger has been debited and credited up to a time."""

    #: ``balances`` (what subscribers own and what stands against it) or ``receivables``
    book: str
    ledger: str
    #: a unit; of money its currency
    unit: str
    debits: int
    credits: int

    @property
    def balance(self) -> int:
        """Debits less credits: above 0 what is owed to us or spent, below 0 what we owe or have earned."""
        return self.debits - self.credits


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One line of an account's statement. ``amount`` is above 0 where the account was credited."""

    booked_at: datetime
    kind: str
    #: short and speakable
    reference: str
    unit: str
    amount: int
    #: which account of ours stands against it
    against: str
    source: str
    #: of the unit, after this line
    balance: int


class Statement(msgspec.Struct, frozen=True, kw_only=True):
    """An account between two times."""

    account: AccountRef
    currency: str
    since: datetime
    until: datetime
    #: unit → what it held before and holds after
    opening: dict[str, int]
    closing: dict[str, int]
    entries: tuple[Entry, ...]
    #: there are more lines than were asked for: ``closing`` is that of the last one told
    cut: bool = False


class Posting(msgspec.Struct, frozen=True, kw_only=True):
    """One double entry of the journal."""

    book: str
    booked_at: datetime
    shard: int
    account_id: UUID
    key: UUID
    leg: int
    #: what was done; empty in the receivables ledger
    kind: str
    reference: str
    debit: str
    credit: str
    unit: str
    amount: int
    source: str
    #: gateway, payment or bill in the receivables ledger
    counterparty: str


_TRIAL_BALANCES = """
    SELECT ledger, unit, sum(debits), sum(credits)
    FROM batch_total WHERE booked_at < :until GROUP BY ledger, unit ORDER BY ledger, unit
"""

_TRIAL_RECEIVABLES = """
    SELECT ledger, currency, sum(debits), sum(credits)
    FROM (SELECT debit AS ledger, currency, amount AS debits, 0 AS credits FROM receivable WHERE booked_at < :until
          UNION ALL
          SELECT credit, currency, 0, amount FROM receivable WHERE booked_at < :until) legs
    GROUP BY ledger, currency ORDER BY ledger, currency
"""

_OPENING = """
    SELECT unit, CAST(sum(CASE WHEN credit = 'balance' THEN amount ELSE -amount END) AS bigint) FROM transfer
    WHERE shard = :shard AND account_id = :account_id AND booked_at < :since GROUP BY unit
"""

_ENTRIES = """
    SELECT t.booked_at, o.kind, o.reference, t.unit,
           CASE WHEN t.credit = 'balance' THEN t.amount ELSE -t.amount END,
           CASE WHEN t.credit = 'balance' THEN t.debit ELSE t.credit END, o.source
    FROM transfer t
    JOIN operation o ON o.shard = t.shard AND o.account_id = t.account_id AND o.key = t.key
                    AND o.booked_at = t.booked_at
    WHERE t.shard = :shard AND t.account_id = :account_id AND t.booked_at >= :since AND t.booked_at < :until
    ORDER BY t.booked_at, t.key, t.leg LIMIT :limit
"""

_JOURNAL = """
    SELECT t.booked_at, t.shard, t.account_id, t.key, t.leg, o.kind, o.reference, t.debit, t.credit, t.unit, t.amount,
           o.source, '' AS counterparty
    FROM transfer t
    JOIN operation o ON o.shard = t.shard AND o.account_id = t.account_id AND o.key = t.key
                    AND o.booked_at = t.booked_at AND o.booked_at >= :since AND o.booked_at < :until
    WHERE t.booked_at >= :since AND t.booked_at < :until
    ORDER BY t.booked_at, t.shard, t.account_id, t.key, t.leg
"""

_JOURNAL_RECEIVABLES = """
    SELECT booked_at, shard, account_id, key, leg, '' AS kind, '' AS reference, debit, credit, currency AS unit,
           amount, '' AS source, concat_ws(' ', counterparty, document_id) AS counterparty
    FROM receivable WHERE booked_at >= :since AND booked_at < :until
    ORDER BY booked_at, shard, account_id, key, leg
"""

BALANCES, RECEIVABLES = "balances", "receivables"


class Reports:
    """The ledger's reports of one installation."""

    def __init__(self, books: Books, currency: str, timezone: str) -> None:
        """``currency``: what money in the balances is in; ``timezone``: whose days are meant."""
        self._books = books
        self._currency = currency
        self._zone = ZoneInfo(timezone)

    async def trial_balance(self, until: datetime | None = None) -> list[Standing]:
        """Each account of both ledgers and unit, with what was booked before a time, or up to now."""
        asked = {"until": until or datetime.now(UTC)}
        found = []
        for book, name, sql in (
            (Book.BILLING, BALANCES, _TRIAL_BALANCES),
            (Book.RECEIVABLES, RECEIVABLES, _TRIAL_RECEIVABLES),
        ):
            async with self._books[book].connect() as connection:
                rows = (await connection.execute(sa.text(sql), asked)).all()
            found += [
                # All octets of some years together are more than a bigint holds.
                Standing(book=name, ledger=ledger, unit=self._unit(unit), debits=int(debits), credits=int(credits_))
                for ledger, unit, debits, credits_ in rows
            ]
        return found

    async def statement(
        self, account: AccountRef, since: datetime, until: datetime | None = None, *, limit: int = MOST
    ) -> Statement:
        """An account's lines between two times, each with the balance after it.

        Raises ``LookupError`` for an account that is not there, ``ValueError`` for times that make no sense.
        """
        until = until or datetime.now(UTC)
        if until <= since:
            raise ValueError(f"until: {until.isoformat()} is not after {since.isoformat()}")
        asked: dict[str, Any] = {"shard": account.shard, "account_id": account.account_id, "since": since}
        async with self._books.billing.connect() as connection:
            await connection.execution_options(isolation_level="REPEATABLE READ")
            known = await connection.execute(
                sa.text("SELECT currency FROM account WHERE shard = :shard AND account_id = :account_id"),
                {"shard": account.shard, "account_id": account.account_id},
            )
            currency = known.scalar_one_or_none()
            if currency is None:
                raise LookupError(f"no account {account.account_id}")
            held = {row[0]: row[1] for row in await connection.execute(sa.text(_OPENING), asked)}
            rows = (await connection.execute(sa.text(_ENTRIES), asked | {"until": until, "limit": limit + 1})).all()
        opening = {unit.value: held.get(unit.value, 0) for unit in Unit}
        closing, entries = dict(opening), []
        for booked_at, kind, reference, unit, amount, against, source in rows[:limit]:
            closing[unit] += amount
            entries.append(
                Entry(
                    booked_at=booked_at,
                    kind=kind,
                    reference=reference,
                    unit=unit,
                    amount=amount,
                    against=against,
                    source=source,
                    balance=closing[unit],
                )
            )
        return Statement(
            account=account,
            currency=currency,
            since=since,
            until=until,
            opening=opening,
            closing=closing,
            entries=tuple(entries),
            cut=len(rows) > limit,
        )

    async def journal(self, first: date, last: date | None = None) -> AsyncIterator[Posting]:
        """Every double entry of the operator's days from ``first`` to ``last``, streamed.

        First the balances' ledger, then that of receivables, each in the order of booking. Raises ``ValueError``.
        """
        last = last or first
        if last < first:
            raise ValueError(f"until: {last} is before {first}")
        since, until = self._midnight(first), self._midnight(last + timedelta(days=1))
        for book, name, sql in (
            (Book.BILLING, BALANCES, _JOURNAL),
            (Book.RECEIVABLES, RECEIVABLES, _JOURNAL_RECEIVABLES),
        ):
            async with self._books[book].connect() as connection:
                result = await connection.stream(sa.text(sql), {"since": since, "until": until})
                async for chunk in result.mappings().partitions(CHUNK):
                    for row in chunk:
                        yield self._posting(name, row)  # type: ignore[arg-type]  # a RowMapping is one

    def _posting(self, book: str, row: Mapping[str, Any]) -> Posting:
        values = dict(row)
        return Posting(book=book, **values | {"unit": self._unit(values["unit"])})

    def _unit(self, unit: str) -> str:
        return self._currency if unit == Unit.MONEY else unit

    def _midnight(self, day: date) -> datetime:
        return datetime.combine(day, time(), self._zone)
