"""Usage files in memory, as mediation takes them, and the lines that they tell of."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any

import msgspec

from engine.api import Engine, Opened
from engine.words import Subscriber, Unit
from tests.engine.shop import credit, open_line

MB = 1_000_000

#: what tests count from: some hours ago, on a full second
THEN = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=5)


def record(
    line: Subscriber | str, session: str, octets: int = 1_000_000, minute: int = 0, **more: Any
) -> dict[str, Any]:
    """Five minutes of a session, beginning ``minute`` minutes after ``THEN``."""
    start = THEN + timedelta(minutes=minute)
    return {
        "msisdn": line if isinstance(line, str) else line.msisdn,
        "session": session,
        "rating_group": 10,
        "uplink": 0,
        "downlink": octets,
        "start": start.isoformat(),
        "end": (start + timedelta(minutes=5)).isoformat(),
    } | more


def usage_file(
    rows: Iterable[Mapping[str, Any] | str], source: str = "ggsn", interface: str = "files", name: str = "a.csv"
) -> Opened:
    """A file of these rows."""
    rows = list(rows)
    digest = hashlib.sha256(msgspec.json.encode([name, source, rows])).digest()
    return Opened(digest, name, source, interface, lambda skip: islice(rows, skip, None))


async def with_octets(engine: Engine, octets: int) -> Subscriber:
    """A line with so many octets."""
    line = await open_line(engine)
    await credit(engine, line, octets, Unit.OCTETS)
    return line


async def left(engine: Engine, line: Subscriber, unit: Unit = Unit.OCTETS) -> int:
    """What the line has left."""
    return (await engine.subscriber(line.msisdn)).total(unit)
