"""What is owed to the operator, by how long it is overdue."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec
import sqlalchemy as sa

from engine.books.databases import Books
from engine.books.sheets import Book
from engine.words import AccountRef


class Aged(msgspec.Struct, frozen=True, kw_only=True):
    """Open bills in one currency, of all accounts or of one, minor units by days overdue."""

    account: AccountRef | None
    currency: str
    bills: int
    #: not due yet
    current: int
    #: up to 30 days overdue, up to 60, up to 90, and more
    to_30: int
    to_60: int
    to_90: int
    above_90: int

    @property
    def total(self) -> int:
        """All of it."""
        return self.current + self.to_30 + self.to_60 + self.to_90 + self.above_90


class Owed(msgspec.Struct, frozen=True, kw_only=True):
    """What a gateway captured for us and has not paid out, by the receivables ledger, minor units."""

    gateway: str
    currency: str
    amount: int


_AGES = """
    SELECT {columns} currency, count(*) AS bills,
           CAST(coalesce(sum(open_amount) FILTER (WHERE late <= interval '0'), 0) AS bigint) AS current,
           CAST(coalesce(sum(open_amount) FILTER (WHERE late > interval '0' AND late <= interval '30 days'), 0)
                AS bigint) AS to_30,
           CAST(coalesce(sum(open_amount) FILTER (WHERE late > interval '30 days' AND late <= interval '60 days'), 0)
                AS bigint) AS to_60,
           CAST(coalesce(sum(open_amount) FILTER (WHERE late > interval '60 days' AND late <= interval '90 days'), 0)
                AS bigint) AS to_90,
           CAST(coalesce(sum(open_amount) FILTER (WHERE late > interval '90 days'), 0) AS bigint) AS above_90
    FROM (SELECT *, CAST(:now AS timestamptz) - due_at AS late FROM bill WHERE open_amount > 0) open
    GROUP BY {columns} currency ORDER BY {columns} currency
"""

_OWED = """
    SELECT counterparty, currency,
           CAST(sum(CASE WHEN debit = 'gateway' THEN amount ELSE -amount END) AS bigint) AS amount
    FROM receivable WHERE 'gateway' IN (debit, credit) AND counterparty IS NOT NULL
    GROUP BY counterparty, currency ORDER BY counterparty, currency
"""


class Receivables:
    """What is owed to one operator."""

    def __init__(self, books: Books) -> None:
        self._books = books

    async def ages(self, now: datetime | None = None, *, by_account: bool = False) -> list[Aged]:
        """Open bills by age: in each currency, or of each account that owes something."""
        columns = "shard, account_id," if by_account else ""
        async with self._books.billing.connect() as connection:
            asked = sa.text(_AGES.format(columns=columns))
            rows = (await connection.execute(asked, {"now": now or datetime.now(UTC)})).mappings().all()
        return [_aged(dict(row)) for row in rows]

    async def owed_by_gateways(self) -> list[Owed]:
        """What each gateway owes."""
        async with self._books[Book.RECEIVABLES].connect() as connection:
            rows = (await connection.execute(sa.text(_OWED))).all()
        return [Owed(gateway=gateway, currency=currency, amount=amount) for gateway, currency, amount in rows]


def _aged(row: dict[str, Any]) -> Aged:
    account = AccountRef(row.pop("shard"), row.pop("account_id")) if "shard" in row else None
    return Aged(account=account, **row)
