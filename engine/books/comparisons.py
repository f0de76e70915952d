"""What two books say of the same thing, compared key by key: one statement for each, wherever it lives.

Both sides come as streams in the order of their keys and are merged here, so the books may be in one database or in
several, and of any size.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack
from datetime import datetime
from string import Template
from typing import Any, NamedTuple
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from engine.books.databases import Books
from engine.books.sheets import Book

#: Several databases have no common snapshot: what differs at first may be a batch on its way. It is looked for again
#: so often, so many seconds apart; in that time recovery has finished what a coordinator left behind.
LOOKS, PAUSE = 10, 1.0

#: Rows that travel at a time.
CHUNK = 5_000

#: What is compared of one thing: shard, account, id.
Key = tuple[int, UUID, UUID]


class Side(NamedTuple):
    """One book's word: a statement that returns (shard, account_id, id, text) in the order of the first three."""

    book: Book
    sql: str


class Comparison(NamedTuple):
    """A rule that holds between two books. ``subject`` is what the ids are of; ``$recent`` and so on as in a check."""

    name: str
    rule: str
    subject: str
    expected: Side
    found: Side


class Difference(NamedTuple):
    """What one book says and the other does not; None: it does not know of it at all."""

    key: Key
    expected: str | None
    found: str | None


# The answer of each of these says what it did with a payment.
_OF_PAYMENTS = """
    SELECT shard, account_id, key, answer->'details'->>'amount' FROM operation
    WHERE code = 'ok' AND kind IN ('settle', 'set_aside', 'reverse', 'restore', 'return') AND $recent
    ORDER BY shard, account_id, key
"""

# Legs of payments: what was billed, written off or paid out to our bank is booked without one.
_OWED = """
    SELECT shard, account_id, key, CAST(sum(amount) AS text) FROM receivable
    WHERE debit IN ('gateway', 'advance', 'losses', 'unapplied')
      AND credit IN ('gateway', 'advance', 'billed', 'unapplied', 'losses')
      AND (debit, credit) <> ('losses', 'billed') AND $recent
    GROUP BY shard, account_id, key ORDER BY shard, account_id, key
"""

_REMEMBERED = """
    SELECT shard, account_id, key, CAST(amount AS text) FROM payment_history WHERE $recent
    ORDER BY shard, account_id, key
"""

# What a line was told stands with it, too (see ``engine.provisioning``).
_TOLD = """
    SELECT shard, account_id, line_id, array_to_string(policy, ', ')
    FROM line WHERE policy <> '{}' AND $touched ORDER BY shard, account_id, line_id
"""

_PROVISIONED = """
    SELECT shard, account_id, line_id, array_to_string(rules, ', ')
    FROM provisioning_rule ORDER BY shard, account_id, line_id
"""

COMPARISONS = (
    Comparison(
        "receivables",
        "what an operation did with a payment is what its receivables say",
        "key",
        Side(Book.BILLING, _OF_PAYMENTS),
        Side(Book.RECEIVABLES, _OWED),
    ),
    Comparison(
        "payment_history",
        "what an operation did with a payment stands in the payment history, once",
        "key",
        Side(Book.BILLING, _OF_PAYMENTS),
        Side(Book.HISTORY, _REMEMBERED),
    ),
    Comparison(
        "provisioning",
        "the network may serve a line what its balance allows, as the line was told",
        "line",
        Side(Book.BILLING, _TOLD),
        Side(Book.PROVISIONING, _PROVISIONED),
    ),
)


async def compare(
    books: Books, comparison: Comparison, conditions: Mapping[str, str], since: datetime | None, most: int
) -> list[Difference]:
    """Where two books differ, at most so many times. ``since`` is the parameter of the ``conditions`` that have one.

    With ``since`` what only the second book knows of accounts without recent bookings is no difference.
    """
    apart = books[comparison.expected.book] is not books[comparison.found.book]
    lasting: dict[Key, Difference] | None = None
    for look in range(LOOKS if apart else 1):
        if look:
            await asyncio.sleep(PAUSE)
        seen = {one.key: one async for one in _differences(books, comparison, conditions, since, most)}
        lasting = seen if lasting is None else {key: seen[key] for key in lasting if key in seen}
        if not lasting:
            return []
    return list((lasting or {}).values())


async def _differences(
    books: Books, comparison: Comparison, conditions: Mapping[str, str], since: datetime | None, most: int
) -> AsyncIterator[Difference]:
    async with AsyncExitStack() as stack:
        first, second = books[comparison.expected.book], books[comparison.found.book]
        # In one database both sides are read from one snapshot.
        connection = await stack.enter_async_context(first.connect())
        await connection.execution_options(isolation_level="REPEATABLE READ")
        other = connection if second is first else await stack.enter_async_context(second.connect())
        expected = _rows(connection, comparison.expected, conditions, since)
        found = _rows(other, comparison.found, conditions, since)
        whole = since is None or "$touched" not in comparison.expected.sql
        count = 0
        async for difference in _merged(expected, found):
            if difference.expected is None and not whole:
                continue
            yield difference
            count += 1
            if count == most:
                return


async def _rows(
    connection: AsyncConnection, side: Side, conditions: Mapping[str, str], since: datetime | None
) -> AsyncIterator[tuple[Key, str]]:
    sql = Template(side.sql).substitute(conditions)
    given: dict[str, Any] = {} if since is None or ":since" not in sql else {"since": since}
    result = await connection.stream(sa.text(sql), given)
    async for chunk in result.partitions(CHUNK):
        for shard, account_id, subject, said in chunk:
            yield (shard, account_id, subject), said


async def _merged(
    expected: AsyncIterator[tuple[Key, str]], found: AsyncIterator[tuple[Key, str]]
) -> AsyncIterator[Difference]:
    left, right = await anext(expected, None), await anext(found, None)
    while left is not None or right is not None:
        if right is None or (left is not None and left[0] < right[0]):
            yield Difference(left[0], left[1], None)  # type: ignore[index]  # one of the two is there
            left = await anext(expected, None)
        elif left is None or right[0] < left[0]:
            yield Difference(right[0], None, right[1])
            right = await anext(found, None)
        else:
            if left[1] != right[1]:
                yield Difference(left[0], left[1], right[1])
            left, right = await anext(expected, None), await anext(found, None)
