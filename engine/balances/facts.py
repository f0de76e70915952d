"""What is fetched of agreements for an operation, under its account's lock."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from engine.balances.tables import RenewalState


class AdvanceFacts(NamedTuple):
    """An advance that is not paid back, in the order of the table's columns."""

    key: UUID
    line_id: UUID
    amount: int
    fee: int
    open_amount: int
    open_fee: int
    given_at: datetime


class StandingFacts(NamedTuple):
    """How a line stands, for those who want to borrow."""

    opened_at: datetime
    #: when it was recharged, the latest first
    recharges: tuple[datetime, ...]


class GivenFacts(NamedTuple):
    """A gift of this account within the last day, of the unit that is given now."""

    given_at: datetime
    amount: int


class RenewalFacts(NamedTuple):
    """A product that renews itself, in the order of the table's columns."""

    line_id: UUID
    product: str
    price: int
    state: RenewalState
    cycle: datetime
    attempt: int
    next_at: datetime
    noticed: datetime | None
