"""What a home shows is what the single questions answer."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from engine.api import Engine
from engine.words import Adjust, Charge, Subscriber, Unit


async def post(engine: Engine, line: Subscriber, kind: Any, **what: Any) -> None:
    asked = {"account": line.account, "line_id": line.line_id, "key": uuid4(), "source": "test"}
    assert (await engine.post(kind(**asked, asked_at=datetime.now(UTC), **what))).ok


async def test_it_says_of_each_line_what_the_single_questions_say(engine: Engine) -> None:
    lines = [await engine.create_line(f"+25471234500{place}", None, "en") for place in range(3)]
    for place, line in enumerate(lines[:2]):
        await post(engine, line, Adjust, unit=Unit.MONEY, amount=10_000, reason="test")
        await post(engine, line, Adjust, unit=Unit.OCTETS, amount=50_000_000, reason="test")
        for _ in range(place + 4):
            await post(engine, line, Charge, unit=Unit.OCTETS, amount=1_000_000)
    lines = [await engine.subscriber(line.msisdn) for line in lines]
    seen = await asyncio.gather(*(engine.overview(line) for line in lines))
    for line, one in zip(lines, seen, strict=True):
        assert one.outlooks == await engine.usage.outlook(line)
        assert one.deductions == await engine.usage.explain_usage(line, most=5)
    assert [len(one.deductions) for one in seen] == [4, 5, 0]
    assert seen[2].outlooks == []
