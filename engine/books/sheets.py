"""What a batch may write: one sheet for each table and way of writing it, and the one statement made of them.

A rule moves amounts through its case; rows of an area's own tables it writes with ``Case.write`` to the sheet of that
name. A new table of the books is one entry here.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from functools import lru_cache
from typing import Literal, NamedTuple

import sqlalchemy as sa

from engine.accounts.tables import line
from engine.balances.tables import advance, bucket, renewal
from engine.books.tables import batch_total, operation, outbox, transfer
from engine.events.tables import event
from engine.guard.tables import guard_event
from engine.payments.tables import payment, payment_history, receipt
from engine.provisioning.tables import provisioning_rule
from engine.receivables.tables import bill, receivable
from engine.recharge.tables import voucher
from engine.storage.bulk import insert_sql, numbered, update_sql, upsert_sql
from engine.usage.tables import meter, reservation, session


class Book(StrEnum):
    """The books that change together. Each may live in a database of its own; billing decides (see ``journal``)."""

    BILLING = "billing"
    RECEIVABLES = "receivables"
    HISTORY = "history"
    PROVISIONING = "provisioning"


class Sheet(NamedTuple):
    """The rows that a batch writes to one table: columns that differ from row to row, and those that do not."""

    name: str
    table: sa.Table
    columns: tuple[str, ...]
    constants: tuple[str, ...]
    how: Literal["insert", "update", "upsert"]
    book: Book

    @property
    def prefix(self) -> str:
        """What keeps this sheet's parameters apart from the others'."""
        return f"{self.name}_"

    def sql(self) -> str:
        """Its part of the one statement."""
        write = {"insert": insert_sql, "update": update_sql, "upsert": upsert_sql}[self.how]
        return f"{self.name} AS ({write(self.table, self.columns, self.constants, self.prefix)})"


def _sheet(
    name: str,
    table: sa.Table,
    columns: str,
    constants: str = "",
    *,
    how: Literal["insert", "update", "upsert"] = "insert",
    book: Book = Book.BILLING,
) -> Sheet:
    return Sheet(name, table, tuple(columns.split()), tuple(constants.split()), how, book)


SHEETS = {
    sheet.name: sheet
    for sheet in (
        _sheet("held", bucket, "shard account_id bucket_id amount reserved expires_at", how="update"),
        _sheet(
            "opened",
            bucket,
            "shard account_id bucket_id unit product initial amount categories priority starts_at expires_at "
            "rolled_from rolled",
        ),
        _sheet(
            "claimed",
            voucher,
            "shard digest redeemed_shard redeemed_account redeemed_key",
            "state redeemed_at",
            how="update",
        ),
        _sheet(
            "lines",
            line,
            "shard account_id line_id status voucher_failures voucher_window_from voucher_locked_until policy "
            "out_of_bundle",
            how="update",
        ),
        _sheet(
            "done",
            operation,
            "shard account_id key kind code reference request_hash answer source line_id reverses",
            "booked_at batch_id",
        ),
        _sheet("moved", transfer, "shard account_id key leg debit credit unit amount bucket_id", "booked_at batch_id"),
        # One row for the whole batch and account of ours: it lives in the batch's home shard.
        _sheet("totals", batch_total, "ledger unit debits credits", "shard booked_at batch_id"),
        _sheet(
            "told",
            outbox,
            "shard message_id account_id line_id operation_key topic body priority due_at",
            "state created_at",
        ),
        _sheet("seen", guard_event, "shard event_id count", "kind seen_at"),
        _sheet("announced", event, "shard account_id event_id line_id operation_key topic body", "created_at"),
        _sheet(
            "paid",
            payment,
            "shard account_id payment_id state reason next_check_at returned",
            "changed_at",
            how="update",
        ),
        _sheet("receipts", receipt, "shard account_id key reference body", "issued_at"),
        _sheet(
            "issued",
            bill,
            "shard account_id bill_id number amount open_amount currency period_from period_to due_at",
            "issued_at changed_at",
        ),
        _sheet("billed", bill, "shard account_id bill_id open_amount", "changed_at", how="update"),
        _sheet(
            "sessions",
            session,
            "shard account_id session_id line_id interface name node notify opened_at closed_at",
            how="upsert",
        ),
        _sheet(
            "reservations",
            reservation,
            "shard account_id session_id rating_group unit state granted legs used overrun seen tariff priced paid "
            "began_at reported_at expires_at",
            how="upsert",
        ),
        # What a report changes of a group, where no quota comes into it, and of a meter while its day goes on.
        _sheet(
            "reported",
            reservation,
            "shard account_id session_id rating_group state used overrun seen reported_at",
            how="update",
        ),
        _sheet("metered", meter, "shard account_id line_id unit today this_month", how="update"),
        _sheet(
            "meters",
            meter,
            "shard account_id line_id unit day_from today day_cap month_from this_month month_cap usual",
            how="upsert",
        ),
        # Limits, and the bounds that the account's owner sets for them.
        _sheet(
            "capped",
            meter,
            "shard account_id line_id unit day_from today day_cap month_from this_month month_cap usual "
            "day_bound month_bound",
            how="upsert",
        ),
        _sheet(
            "advances",
            advance,
            "shard account_id key line_id amount fee open_amount open_fee given_at",
            how="upsert",
        ),
        _sheet(
            "renewals",
            renewal,
            "shard account_id line_id product price state cycle attempt next_at noticed",
            how="upsert",
        ),
        _sheet(
            "owed",
            receivable,
            "shard account_id key leg debit credit amount currency counterparty document_id",
            "booked_at batch_id",
            book=Book.RECEIVABLES,
        ),
        _sheet(
            "remembered",
            payment_history,
            "shard account_id key payment_id event amount currency gateway gateway_ref",
            "booked_at batch_id",
            book=Book.HISTORY,
        ),
        _sheet(
            "provisioned",
            provisioning_rule,
            "shard account_id line_id rules key",
            "changed_at",
            how="upsert",
            book=Book.PROVISIONING,
        ),
    )
}


@lru_cache(maxsize=1024)
def statement(names: Sequence[str]) -> tuple[bytes, tuple[str, ...]]:
    """One statement that writes to these sheets: planned, sent and waited for once. With its parameters' names."""
    return numbered(f"WITH {', '.join(SHEETS[name].sql() for name in names)} SELECT")
