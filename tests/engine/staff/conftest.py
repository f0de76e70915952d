"""A line with money, and people of the operator."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import uuid4

import pytest

from engine.api import Engine
from engine.words import Adjust, Role, StaffMember, Subscriber, Unit

NUMBER = "+254712345001"


@pytest.fixture
async def line(engine: Engine) -> Subscriber:
    """A line with 1000.00."""
    made = await engine.create_line(NUMBER)
    asked = {"account": made.account, "line_id": made.line_id, "key": uuid4(), "source": "test"}
    credit = Adjust(**asked, asked_at=datetime.now(UTC), unit=Unit.MONEY, amount=100_000, reason="test")
    assert (await engine.post(credit)).ok
    return await engine.subscriber(NUMBER)


@pytest.fixture
async def people(engine: Engine) -> dict[str, StaffMember]:
    """Somebody of each role, and a second one for finance."""
    for role in Role:
        await engine.staff.add(role.value, role, by="root", why="test")
    await engine.staff.add("finance2", Role.FINANCE, by="root", why="test")
    return {one.name: one for one in await engine.staff.members()}
