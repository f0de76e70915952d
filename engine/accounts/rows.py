"""Rows of the hot read as the engine's words: plain Python, run for every turn, so it is kept lean."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from operator import itemgetter
from typing import Any

from engine.words import AccountRef, Bucket, LineStatus, Subscriber, Unit, UnknownLine

UNITS = {unit.value: unit for unit in Unit}
STATUSES = {status.value: status for status in LineStatus}


def to_subscribers(
    numbers: Sequence[str], keys: int, rows: Sequence[Sequence[Any]]
) -> list[Subscriber | BaseException]:
    """One subscriber for each number, from rows in order of place; each number has ``keys`` places in a row."""
    found: list[Subscriber | BaseException | None] = [None] * len(numbers)
    for place, of_line in groupby(rows, itemgetter(0)):
        position = (place - 1) // keys
        if found[position] is None:
            found[position] = _subscriber(numbers[position], list(of_line))
    return [UnknownLine() if subscriber is None else subscriber for subscriber in found]


def _subscriber(msisdn: str, rows: Sequence[Sequence[Any]]) -> Subscriber:
    _, shard, account_id, line_id, status, language, has_pin, currency, frozen = rows[0][:9]
    return Subscriber(
        account=AccountRef(shard, account_id),
        line_id=line_id,
        msisdn=msisdn,
        status=STATUSES[status],
        language=language,
        currency=currency,
        has_pin=has_pin,
        frozen=frozen,
        buckets=tuple(
            Bucket(
                bucket_id=row[9],
                unit=UNITS[row[10]],
                product=row[11],
                amount=row[12],
                reserved=row[13],
                initial=row[14],
                categories=tuple(row[15]),
                priority=row[16],
                starts_at=row[17],
                expires_at=row[18],
            )
            for row in rows
            if row[9] is not None
        ),
    )
