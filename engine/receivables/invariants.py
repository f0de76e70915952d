"""What must always hold of bills, beside ``engine.books.invariants``: billed less paid is open, in both books."""

from __future__ import annotations

from engine.books.comparisons import Comparison, Side
from engine.books.sheets import Book

_BILLED = """
    SELECT shard, account_id, bill_id, concat_ws(' of ', open_amount, amount) FROM bill
    WHERE $touched ORDER BY shard, account_id, bill_id
"""

# What will not be paid any more is taken off a bill too; what a payer's bank took back is owed again.
_OWED = """
    SELECT shard, account_id, document_id,
           concat_ws(' of ', sum(CASE WHEN debit = 'billed' THEN amount ELSE -amount END),
                     coalesce(sum(amount) FILTER (WHERE debit = 'billed' AND credit = 'revenue'), 0))
    FROM receivable WHERE 'billed' IN (debit, credit)
    GROUP BY shard, account_id, document_id ORDER BY shard, account_id, document_id
"""

COMPARISONS = (
    Comparison(
        "bills",
        "what was billed and what is open of it is what the receivables say of each bill",
        "bill",
        Side(Book.BILLING, _BILLED),
        Side(Book.RECEIVABLES, _OWED),
    ),
)
