"""What setting a limit needs to know: who owns the account, and what the owner set for the line."""

from __future__ import annotations

from collections.abc import Iterator

from engine.books.asking import Question, Row, given
from engine.books.facts import Facts
from engine.usage.facts import BoundFacts
from engine.usage.tables import meter
from engine.words import LineStatus, Operation, SetCap, Unit


def _bounds(asked: Operation) -> Iterator[Row]:
    if isinstance(asked, SetCap) and asked.line_id is not None:
        yield (*asked.account, asked.line_id)


def _add_bound(facts: Facts, row: Row) -> None:
    facts.owner, unit, *bounds = row
    if unit is not None:
        facts.bounds[Unit(unit)] = BoundFacts(*bounds)


QUESTIONS = (
    # The owner's line is the oldest one that is not ended (as ``Leaving.members`` has it).
    Question(
        "bounds",
        meter,
        ("shard", "account_id", "line_id"),
        f"""
        SELECT v.place,
               (SELECT o.line_id FROM line o
                WHERE o.shard = v.shard AND o.account_id = v.account_id AND o.status <> '{LineStatus.TERMINATED}'
                ORDER BY o.opened_at, o.line_id LIMIT 1),
               m.unit, m.day_bound, m.month_bound
        FROM {given(meter, "shard", "account_id", "line_id")} LEFT JOIN meter m USING (shard, account_id, line_id)""",
        _bounds,
        _add_bound,
        (SetCap,),
    ),
)
