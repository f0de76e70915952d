"""Corrections by staff and by the operator's systems."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import msgspec

from engine.books.decisions import request_hash
from engine.words import AccountRef, Adjust, Unit


def test_a_correction_without_an_end_is_the_request_that_it_was_before_corrections_had_one() -> None:
    asked: dict[str, Any] = {
        "account": AccountRef(3, UUID(int=1)), "line_id": None, "key": uuid4(), "asked_at": datetime.now(UTC),
        "source": "test", "unit": Unit.MONEY, "amount": 5, "reason": "complaint",
    }  # fmt: skip
    meant = ("adjust", AccountRef(3, UUID(int=1)), None, Unit.MONEY, 5, "complaint")
    kept = hashlib.blake2b(msgspec.msgpack.encode(meant), digest_size=16).digest()
    assert request_hash(Adjust(**asked)) == kept
    assert request_hash(Adjust(**asked, expires_at=datetime.now(UTC))) != kept
