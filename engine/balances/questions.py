"""What operations need to know of advances, renewals, and of what was given away before."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from engine.accounts.tables import line
from engine.balances.facts import AdvanceFacts, GivenFacts, RenewalFacts, StandingFacts
from engine.balances.tables import RenewalState, advance, renewal
from engine.books.asking import Question, Row, given
from engine.books.facts import Facts
from engine.books.tables import transfer
from engine.words import Advance, AutoRenew, Operation, Recharge, Renew, Restore, SetCreditLimit, Settle, Transfer

#: A local day begins at most so long ago: one with 25 hours does. What is older is left out by its time.
A_DAY = timedelta(hours=25)


def _advances(asked: Operation) -> Iterator[Row]:
    if isinstance(asked, Advance | Recharge | Restore | Settle | Transfer):
        yield asked.account


def _add_advance(facts: Facts, row: Row) -> None:
    facts.advances.append(AdvanceFacts(*row))


def _standing(asked: Operation) -> Iterator[Row]:
    if isinstance(asked, Advance) and asked.line_id is not None:
        yield (*asked.account, asked.line_id)


def _add_standing(facts: Facts, row: Row) -> None:
    opened_at, *recharged = row
    facts.standing = StandingFacts(opened_at, tuple(recharged[0]))


def _given(asked: Operation) -> Iterator[Row]:
    if isinstance(asked, Transfer):
        yield (*asked.account, asked.unit, asked.asked_at)


def _add_given(facts: Facts, row: Row) -> None:
    facts.given.append(GivenFacts(*row))


def _renewals(asked: Operation) -> Iterator[Row]:
    if isinstance(asked, Renew | AutoRenew) and asked.line_id is not None:
        yield (*asked.account, asked.line_id, asked.product)


def _add_renewal(facts: Facts, row: Row) -> None:
    line_id, product, price, state, *rest = row
    facts.renewal = RenewalFacts(line_id, product, price, RenewalState(state), *rest)


def _limits(asked: Operation) -> Iterator[Row]:
    if isinstance(asked, SetCreditLimit):
        yield asked.account


def _add_limit(facts: Facts, row: Row) -> None:
    facts.credit_limit = int(row[0])


QUESTIONS = (
    Question(
        "limits",
        transfer,
        ("shard", "account_id"),
        f"""
        SELECT v.place, sum(CASE WHEN t.debit = 'credit' THEN t.amount ELSE -t.amount END)
        FROM {given(transfer, "shard", "account_id")} JOIN transfer t USING (shard, account_id)
        WHERE 'credit' IN (t.debit, t.credit) GROUP BY v.place""",
        _limits,
        _add_limit,
        (SetCreditLimit,),
    ),
    Question(
        "advances",
        advance,
        ("shard", "account_id"),
        f"""
        SELECT v.place, a.key, a.line_id, a.amount, a.fee, a.open_amount, a.open_fee, a.given_at
        FROM {given(advance, "shard", "account_id")} JOIN advance a USING (shard, account_id)
        WHERE a.open_amount + a.open_fee > 0 ORDER BY v.place, a.given_at""",
        _advances,
        _add_advance,
        (Advance, Recharge, Restore, Settle, Transfer),
    ),
    Question(
        "standing",
        line,
        ("shard", "account_id", "line_id"),
        f"""
        SELECT v.place, l.opened_at, ARRAY(
                   SELECT o.booked_at FROM operation o
                   WHERE o.shard = l.shard AND o.account_id = l.account_id AND o.kind IN ('recharge', 'settle')
                     AND o.code = 'ok' ORDER BY o.booked_at DESC LIMIT 100)
        FROM {given(line, "shard", "account_id", "line_id")} JOIN line l USING (shard, account_id, line_id)""",
        _standing,
        _add_standing,
        (Advance,),
    ),
    Question(
        "given",
        transfer,
        ("shard", "account_id", "unit", "booked_at"),
        f"""
        SELECT v.place, o.booked_at, sum(t.amount)
        FROM {given(transfer, "shard", "account_id", "unit", "booked_at")}
        JOIN operation o ON o.shard = v.shard AND o.account_id = v.account_id AND o.kind = 'transfer' AND o.code = 'ok'
                         AND o.booked_at > v.booked_at - interval '{int(A_DAY.total_seconds())} seconds'
        JOIN transfer t ON t.shard = o.shard AND t.account_id = o.account_id AND t.key = o.key
                        AND t.booked_at = o.booked_at AND t.unit = v.unit AND t.credit = 'clearing'
        GROUP BY v.place, o.key, o.booked_at""",
        _given,
        _add_given,
        (Transfer,),
    ),
    Question(
        "renewals",
        renewal,
        ("shard", "account_id", "line_id", "product"),
        f"""
        SELECT v.place, r.line_id, r.product, r.price, r.state, r.cycle, r.attempt, r.next_at, r.noticed
        FROM {given(renewal, "shard", "account_id", "line_id", "product")}
        JOIN renewal r USING (shard, account_id, line_id, product)""",
        _renewals,
        _add_renewal,
        (Renew, AutoRenew),
    ),
)
