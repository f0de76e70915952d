"""What is used from a credit line and not billed: for making bills."""

from __future__ import annotations

from collections.abc import Iterator

from engine.books.asking import Question, Row, given
from engine.books.facts import Facts
from engine.receivables.rules import CREDIT_LINE
from engine.receivables.tables import bill
from engine.words import MakeBill, Operation


def _asks(asked: Operation) -> Iterator[Row]:
    if isinstance(asked, MakeBill):
        yield (*asked.account, asked.period_to)


def _add(facts: Facts, row: Row) -> None:
    facts.billable = int(row[0])


QUESTIONS = (
    # All that was used up to the period's end, less all that was billed: so what was given back after its month, or was
    # booked too late for its bill, counts on the next one. Limits and payments are no use.
    Question(
        "billable",
        bill,
        ("shard", "account_id", "period_to"),
        f"""
        SELECT v.place, sum(CASE WHEN t.debit = 'balance' THEN t.amount ELSE -t.amount END) - (
                   SELECT coalesce(sum(billed.amount), 0) FROM bill billed
                   WHERE billed.shard = v.shard AND billed.account_id = v.account_id)
        FROM {given(bill, "shard", "account_id", "period_to")}
        JOIN bucket b ON b.shard = v.shard AND b.account_id = v.account_id AND b.product = '{CREDIT_LINE}'
        JOIN transfer t ON t.shard = b.shard AND t.account_id = b.account_id AND t.bucket_id = b.bucket_id
             AND t.booked_at < v.period_to
        WHERE NOT (t.debit IN ('credit', 'gateway') OR t.credit IN ('credit', 'gateway'))
        GROUP BY v.place, v.shard, v.account_id""",
        _asks,
        _add,
        (MakeBill,),
    ),
)
