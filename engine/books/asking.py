"""What a question to the database is, for areas that ask some of their own (see ``engine.books.questions``)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import sqlalchemy as sa

from engine.books.facts import Facts
from engine.storage.bulk import unfolded
from engine.words import Operation

Row = tuple[Any, ...]


class Question(NamedTuple):
    """``asks`` gives the rows that one operation sends, ``add`` puts what came back into its facts.

    The statement unfolds ``columns`` of ``table`` and, last, the place of the operation in the batch; it answers with
    that place first. ``kinds`` are the operations that may ask it; none: any may.
    """

    name: str
    table: sa.Table
    columns: tuple[str, ...]
    sql: str
    asks: Callable[[Operation], Iterator[Row]]
    add: Callable[[Facts, Row], None]
    kinds: tuple[type[Operation], ...] = ()


def given(table: sa.Table, *columns: str) -> str:
    """What was sent, as ``v``: the columns, and ``place``."""
    return unfolded(table, columns, placed=True)
