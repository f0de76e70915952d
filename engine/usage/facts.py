"""What is fetched of sessions and meters for an operation, under its account's lock."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from engine.usage.tables import ReservationState
from engine.words import Unit


class SessionFacts(NamedTuple):
    """A session's row."""

    session_id: UUID
    line_id: UUID | None
    interface: str
    name: str
    node: str
    notify: str
    opened_at: datetime
    closed_at: datetime | None


class ReservationFacts(NamedTuple):
    """One rating group of a session, in the order of the table's columns."""

    session_id: UUID
    rating_group: int
    unit: Unit
    state: ReservationState
    granted: int
    #: (bucket, amount) that pays for the quota
    legs: tuple[tuple[UUID, int], ...]
    used: int
    overrun: int
    seen: int
    tariff: str | None
    priced: int
    paid: int
    began_at: datetime
    reported_at: datetime
    expires_at: datetime


class MeterFacts(NamedTuple):
    """What a line used of a unit: the table's columns in their order, and then what is no column."""

    unit: Unit
    day_from: datetime
    today: int
    day_cap: int | None
    month_from: datetime
    this_month: int
    month_cap: int | None
    usual: int | None
    #: what the line's open reservations hold, as far as there is a cap that it counts against
    held: int = 0

    def row(self) -> tuple[object, ...]:
        """The columns, as they are stored."""
        return self[:-1]


class BoundFacts(NamedTuple):
    """What the owner of the account set for another of its lines: its own limits may not be higher."""

    day: int | None = None
    month: int | None = None
