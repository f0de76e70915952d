"""What setting a limit needs to know: who owns the account, and what the owner set for the line."""

from __future__ import annotations

from collections.abc import Iterator

from engine.accounts.owning import OWNER
from engine.books.asking import Question, Row, given
from engine.books.facts import Facts
from engine.usage.facts import BoundFacts
from engine.usage.tables import meter
from engine.words import Operation, SetCap, Unit


def _bounds(asked: Operation) -> Iterator[Row]:
    if isinstance(asked, SetCap) and asked.line_id is not None:
        yield (*asked.account, asked.line_id)


def _add_bound(facts: Facts, row: Row) -> None:
    facts.owner, unit, *bounds = row
    if unit is not None:
        facts.bounds[Unit(unit)] = BoundFacts(*bounds)


QUESTIONS = (
    Question(
        "bounds",
        meter,
        ("shard", "account_id", "line_id"),
        f"""
        SELECT v.place, {OWNER}, m.unit, m.day_bound, m.month_bound
        FROM {given(meter, "shard", "account_id", "line_id")} LEFT JOIN meter m USING (shard, account_id, line_id)""",
        _bounds,
        _add_bound,
        (SetCap,),
    ),
)
