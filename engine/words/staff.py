"""People of the operator: who they are, and what they may do."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from uuid import UUID

import msgspec


class Role(StrEnum):
    """What a person of the operator does; each has one."""

    #: helps subscribers: finds lines, asks for what a caller needs
    SUPPORT = "support"
    #: money: payments, reconciliation, reports; lets others' requests pass
    FINANCE = "finance"
    #: runs the installation: staff, vouchers, messages; lets others' requests pass
    ADMIN = "admin"
    #: sees everything, changes nothing
    AUDITOR = "auditor"


class StaffMember(msgspec.Struct, frozen=True, kw_only=True):
    """One person of the operator, as of the last commit."""

    staff_id: UUID
    #: what they sign in with, and what the audit trail calls them
    name: str
    role: Role
    #: a session that began under another one is over
    epoch: int
    created_at: datetime
    disabled_at: datetime | None = None
    locked_until: datetime | None = None
    signed_in_at: datetime | None = None
