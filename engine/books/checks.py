"""What a check of an invariant is, for areas that have some of their own (see ``engine.books.invariants``)."""

from __future__ import annotations

from typing import NamedTuple

from engine.books.sheets import Book


class Check(NamedTuple):
    """One rule and the statement that finds where it is broken.

    The statement returns (shard, account_id, subject, expected, found). ``$recent``, ``$redeemed``, ``$created`` and
    ``$touched`` become conditions on the rows to look at when only what changed since some time is wanted.
    """

    name: str
    rule: str
    sql: str
    book: Book = Book.BILLING
