"""What some operations need to know beside their account, line and buckets: one question for each such thing.

A question is asked only by batches that hold an operation which needs it. It locks what it reads where others could
change it meanwhile; questions stand in the order in which their rows are locked.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache

from engine.balances.questions import QUESTIONS as OF_BALANCES
from engine.books.asking import Question, Row, given
from engine.books.facts import BillFacts, Facts, OriginalFacts, PaymentFacts, Transfer, VoucherFacts
from engine.books.tables import Ledger, operation
from engine.payments.tables import payment
from engine.receivables.questions import QUESTIONS as OF_RECEIVABLES
from engine.recharge.tables import BatchState, VoucherState, voucher
from engine.storage.sharding import shard_of
from engine.usage.bounds import QUESTIONS as OF_BOUNDS
from engine.usage.questions import QUESTIONS as OF_USAGE
from engine.words import Code, Operation, PaymentState, Recharge, Restore, Return, Reverse, SetAside, Settle, Unit


def _vouchers(asked: Operation) -> Iterator[Row]:
    if isinstance(asked, Recharge):
        yield from ((shard_of(digest), digest) for digest in asked.voucher.digests)


def _add_voucher(facts: Facts, row: Row) -> None:
    shard, digest, state, batch_state, *rest = row
    facts.voucher = VoucherFacts(shard, digest, VoucherState(state), BatchState(batch_state), *rest)


def _refunded(asked: Operation) -> Iterator[Row]:
    earlier = asked.looks_at()
    if earlier is not None:
        yield (*asked.account, earlier)


def _add_original(facts: Facts, row: Row) -> None:
    kind, code, booked_at, reversed_already, details = row
    facts.original = OriginalFacts(kind, code, (), reversed_already, booked_at, details or {})


def _add_leg(facts: Facts, row: Row) -> None:
    debit, credit, unit, amount, bucket_id = row
    leg = Transfer(Ledger(debit), Ledger(credit), Unit(unit), amount, bucket_id)
    if facts.original is not None:
        facts.original = facts.original._replace(transfers=(*facts.original.transfers, leg))


def _payments(asked: Operation) -> Iterator[Row]:
    if isinstance(asked, Settle | SetAside | Reverse | Restore | Return):
        yield (*asked.account, asked.payment_id)


def _add_payment(facts: Facts, row: Row) -> None:
    payment_id, line_id, gateway, gateway_ref, method, amount, currency, state, *rest = row
    what = (payment_id, line_id, gateway, gateway_ref, method, amount, currency, PaymentState(state))
    facts.payment = PaymentFacts(*what, *rest)


def _told_back(asked: Operation) -> Iterator[Row]:
    if isinstance(asked, Reverse) and asked.returned is not None and not asked.chargeback:
        yield (*asked.account, asked.payment_id)


def _add_disputed(facts: Facts, row: Row) -> None:
    (facts.disputed,) = row


def _bills(asked: Operation) -> Iterator[Row]:
    # Their rows are only changed under the account's lock.
    if isinstance(asked, Settle | Restore):
        yield (*asked.account, asked.payment_id)


def _paid_bills(asked: Operation) -> Iterator[Row]:
    if isinstance(asked, Reverse):
        yield (*asked.account, asked.payment_id)


def _add_bill(facts: Facts, row: Row) -> None:
    facts.bills.append(BillFacts(*row))


QUESTIONS = (
    Question(
        "vouchers",
        voucher,
        ("shard", "digest"),
        f"""
        SELECT v.place, c.shard, c.digest, c.state, b.state, b.face_value, b.currency, b.validity_days, b.expires_at,
               c.redeemed_account
        FROM {given(voucher, "shard", "digest")}
        JOIN voucher c USING (shard, digest) JOIN voucher_batch b USING (batch_id)
        ORDER BY c.shard, c.digest FOR NO KEY UPDATE OF c""",
        _vouchers,
        _add_voucher,
        (Recharge,),
    ),
    Question(
        "payments",
        payment,
        ("shard", "account_id", "payment_id"),
        f"""
        SELECT v.place, p.payment_id, p.line_id, p.gateway, p.gateway_ref, p.method, p.amount, p.currency, p.state,
               p.reason, p.reference, p.product, p.returned
        FROM {given(payment, "shard", "account_id", "payment_id")} JOIN payment p USING (shard, account_id, payment_id)
        ORDER BY p.shard, p.account_id, p.payment_id FOR NO KEY UPDATE OF p""",
        _payments,
        _add_payment,
        (Settle, SetAside, Reverse, Restore, Return),
    ),
    Question(
        # Read through the account's operations: for the few payments of which something went back before.
        "disputed",
        payment,
        ("shard", "account_id", "payment_id"),
        f"""
        SELECT v.place, CAST(sum(CAST(o.answer->'details'->>'amount' AS bigint)) AS bigint)
        FROM {given(payment, "shard", "account_id", "payment_id")} JOIN payment p USING (shard, account_id, payment_id)
        JOIN operation o USING (shard, account_id)
        WHERE p.returned > 0 AND o.kind = 'reverse' AND o.code = '{Code.OK}' AND o.answer->'details' ? 'left'
          AND o.answer->'details'->>'payment_id' = CAST(p.payment_id AS text)
          AND NOT EXISTS (SELECT FROM operation r WHERE r.shard = o.shard AND r.account_id = o.account_id
                          AND r.reverses = o.key AND r.code = '{Code.OK}')
        GROUP BY v.place""",
        _told_back,
        _add_disputed,
        (Reverse,),
    ),
    Question(
        "bills",
        payment,
        ("shard", "account_id", "payment_id"),
        f"""
        SELECT v.place, b.bill_id, b.amount, b.open_amount, b.due_at
        FROM {given(payment, "shard", "account_id", "payment_id")} JOIN bill b USING (shard, account_id)
        WHERE b.open_amount > 0 ORDER BY b.due_at, b.bill_id""",
        _bills,
        _add_bill,
        (Settle, Restore),
    ),
    Question(
        "paid_bills",
        payment,
        ("shard", "account_id", "payment_id"),
        f"""
        SELECT v.place, b.bill_id, b.amount, b.open_amount, b.due_at
        FROM {given(payment, "shard", "account_id", "payment_id")} JOIN bill b USING (shard, account_id)
        WHERE b.open_amount < b.amount ORDER BY b.due_at, b.bill_id""",
        _paid_bills,
        _add_bill,
        (Reverse,),
    ),
    Question(
        "originals",
        operation,
        ("shard", "account_id", "key"),
        f"""
        SELECT v.place, o.kind, o.code, o.booked_at,
               EXISTS (SELECT FROM operation r WHERE r.shard = o.shard AND r.account_id = o.account_id
                       AND r.reverses = o.key AND r.code = '{Code.OK}'), o.answer->'details'
        FROM {given(operation, "shard", "account_id", "key")} JOIN operation o USING (shard, account_id, key)""",
        _refunded,
        _add_original,
    ),
    Question(
        "transfers",
        operation,
        ("shard", "account_id", "key"),
        f"""
        SELECT v.place, t.debit, t.credit, t.unit, t.amount, t.bucket_id
        FROM {given(operation, "shard", "account_id", "key")} JOIN transfer t USING (shard, account_id, key)
        ORDER BY v.place, t.leg""",
        _refunded,
        _add_leg,
    ),
    *OF_BALANCES,
    *OF_RECEIVABLES,
    *OF_USAGE,
    *OF_BOUNDS,
)


@cache
def _asked_by(kind: type[Operation]) -> tuple[Question, ...]:
    return tuple(question for question in QUESTIONS if not question.kinds or issubclass(kind, question.kinds))


def questions(batch: Sequence[Operation]) -> Iterator[tuple[Question, list[Row]]]:
    """Those that this batch asks, with what they send: a row for each thing asked for, its place in the batch last."""
    sent: dict[str, list[Row]] = {}
    for place, asked in enumerate(batch):
        for question in _asked_by(type(asked)):
            for row in question.asks(asked):
                sent.setdefault(question.name, []).append((*row, place))
    return ((question, sent[question.name]) for question in QUESTIONS if question.name in sent)
