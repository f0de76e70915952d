"""One operation decided by itself, without a database: what is known of its account is what a test says."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any
from uuid import UUID, uuid4

from engine.books.decisions import Asked, Decided, decide
from engine.books.facts import Facts, LineFacts
from engine.words import AccountRef, Bucket, LineStatus, Operation, Unit
from settings import Operator

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
#: the least that two times can lie apart
MOMENT = timedelta(microseconds=1)
ACCOUNT, LINE = AccountRef(0, UUID(int=1)), UUID(int=2)

_ids = count(10)


def asked(kind: type[Operation], **fields: Any) -> Operation:
    """An operation of ``ACCOUNT``'s line with a fresh key, asked for now, unless said otherwise."""
    given = {"account": ACCOUNT, "line_id": LINE, "key": uuid4(), "asked_at": NOW, "source": "test"}
    return kind(**given | fields)


def held(unit: Unit, amount: int, **more: Any) -> Bucket:
    """A bucket that never ends, of no product, unless said otherwise."""
    given: dict[str, Any] = {
        "bucket_id": UUID(int=next(_ids)), "product": "any", "reserved": 0, "initial": amount, "categories": (),
        "priority": 100, "starts_at": NOW - timedelta(days=1), "expires_at": None,
    }  # fmt: skip
    return Bucket(unit=unit, amount=amount, **given | more)


def known(*buckets: Bucket, **more: Any) -> Facts:
    """What was found: an active line and these buckets."""
    line = LineFacts(LINE, LineStatus.ACTIVE, 0, None, None)
    return Facts(**{"currency": "KES", "frozen": False, "line": line, "buckets": list(buckets)} | more)


def decided(operator: Operator, operation: Operation, facts: Facts, other: Facts | None = None) -> Decided:
    """What becomes of it; ``other`` is what was found of a second account that it touches."""
    return decide([Asked(operation, facts, other)], operator, NOW, lambda *_: None)[0]
