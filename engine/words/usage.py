"""Usage that the network tells afterwards: what a record says, what is charged for it, what a line used day by day."""

from __future__ import annotations

from datetime import date, datetime
from enum import StrEnum
from typing import Any, NamedTuple
from uuid import UUID

import msgspec

from engine.words.accounts import Unit
from engine.words.operations import Operation


class UsageRow(NamedTuple):
    """One usage record, normalised: what one session used of one rating group between two moments."""

    #: ``msisdn-…`` or ``imsi-…``
    subject: str
    #: the network's name of the session
    session: str
    rating_group: int
    unit: Unit
    #: octets; 0 for other units
    uplink: int
    downlink: int
    #: what is charged, in ``unit``
    amount: int
    started_at: datetime
    ended_at: datetime


class UsageItem(msgspec.Struct, frozen=True, array_like=True):
    """What is charged for one usage record."""

    session_key: UUID
    rating_group: int
    unit: Unit
    amount: int
    started_at: datetime


class ChargeUsage(Operation, frozen=True, kw_only=True, tag="usage"):
    """Charge what a line used, as usage records tell it afterwards; posted by mediation, never by a channel.

    It is used up already: it is charged whatever the line's status, and what nobody can pay goes to the overrun
    account. Money pays by the tariff that held when it was used.
    """

    items: tuple[UsageItem, ...]

    def meant(self) -> tuple[Any, ...]:
        """The records."""
        return (self.account, self.line_id, self.items)


class SetAsideReason(StrEnum):
    """Why a usage record is not charged until somebody has looked."""

    #: a field is missing or cannot be read; the detail names it
    MALFORMED = "malformed"
    UNKNOWN_LINE = "unknown_line"
    UNKNOWN_RATING_GROUP = "unknown_rating_group"
    #: begins in the future
    FUTURE = "future"
    #: of a session that may have been charged online, so long ago that nobody remembers
    TOO_LATE = "too_late"
    #: the same record was there before with other amounts
    CONFLICT = "conflict"
    #: covers a time that another record of the same session, rating group and source covers too
    OVERLAP = "overlap"


class UsageFile(msgspec.Struct, frozen=True, kw_only=True):
    """A file of usage records, and how far it has come. Counts are of lines."""

    file_id: UUID
    name: str
    #: the collection point
    source: str
    #: whose names its sessions have: ``nchf``, ``diameter`` or ``radius`` where these may have been charged online
    interface: str
    lines: int
    #: new records, kept
    records: int
    #: records that were known already
    duplicates: int
    #: lines that wait for somebody to look at them
    set_aside: int
    started_at: datetime
    #: None while it is not read, or not charged, to its end
    finished_at: datetime | None


class SetAsideLine(NamedTuple):
    """A line of a file that was set aside."""

    file_id: UUID
    line: int
    reason: SetAsideReason
    #: the field that cannot be read
    detail: str


class UsageDifference(msgspec.Struct, frozen=True, kw_only=True):
    """A collection point tells another amount for a session than what was charged."""

    session_key: UUID
    rating_group: int
    source: str
    unit: Unit
    stated: int
    charged: int
    found_at: datetime


class UsageDay(msgspec.Struct, frozen=True, kw_only=True):
    """What a line used on one local day of one category in one unit."""

    day: date
    #: None where the operator tells no categories apart
    category: str | None
    unit: Unit
    #: used and paid for
    used: int
    #: minor units that money paid for it
    money: int
    #: used and paid by nobody
    overrun: int
