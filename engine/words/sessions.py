"""Charging sessions: what the network reports and asks for, what it may use, and where a session stands.

The words are those of TS 32.290 and TS 32.291 (create, update, release, event; rating group; quota), which RFC 8506
and RADIUS accounting (RFC 2866) are easily spelled in. An adapter makes a ``SessionRequest``, posts it, and reads the
answer with ``granted``.
"""

from __future__ import annotations

import hashlib
from datetime import datetime
from enum import StrEnum
from functools import lru_cache
from typing import Any
from uuid import NAMESPACE_OID, UUID, uuid5

import msgspec

from engine.words.accounts import LineRef, Unit
from engine.words.operations import Answer, Operation


class SessionAct(StrEnum):
    """What a request does to its session."""

    #: opens it (CCR-I, Nchf create, Accounting-Start); one that is open already goes on
    CREATE = "create"
    #: reports and asks again (CCR-U, update, Interim-Update); a session that nobody opened is opened
    UPDATE = "update"
    #: reports and ends it: whatever it still holds is let go (CCR-T, release, Stop)
    RELEASE = "release"
    #: charges at once, all or nothing for each rating group, and keeps no session (CCR-E, one-time event)
    EVENT = "event"


class ResultCode(StrEnum):
    """What becomes of one rating group (TS 32.291 §6.1.6.3; in Diameter 2001, 4010, 4011, 4012, 5031)."""

    SUCCESS = "SUCCESS"
    #: the line may not use anything now: suspended, barred, frozen
    END_USER_SERVICE_DENIED = "END_USER_SERVICE_DENIED"
    #: costs nothing and needs no quota: what is used is only reported
    QUOTA_MANAGEMENT_NOT_APPLICABLE = "QUOTA_MANAGEMENT_NOT_APPLICABLE"
    #: nothing is left that may pay for it, or a cap is reached
    QUOTA_LIMIT_REACHED = "QUOTA_LIMIT_REACHED"
    #: the operator has no such rating group
    RATING_FAILED = "RATING_FAILED"


class FinalUnit(StrEnum):
    """What the network does when the last quota is used up (TS 32.291 finalUnitAction, RFC 8506 §8.35)."""

    TERMINATE = "terminate"
    REDIRECT = "redirect"
    RESTRICT_ACCESS = "restrict_access"


class Used(msgspec.Struct, frozen=True, kw_only=True):
    """What was used: octets (a total of unknown direction goes to ``octets_down``), seconds, messages."""

    octets_up: int = 0
    octets_down: int = 0
    seconds: int = 0
    messages: int = 0

    def of(self, unit: Unit) -> int:
        """How much of one unit. Money is never used: it pays."""
        if unit is Unit.OCTETS:
            return self.octets_up + self.octets_down
        return self.seconds if unit is Unit.SECONDS else self.messages


class GroupReport(msgspec.Struct, frozen=True, kw_only=True):
    """One rating group of a request.

    ``unit`` is what its quota is counted in; None: in what it was granted in, which only the engine knows. Another
    unit than before takes its place only with a request for a quota in it. ``used`` is what was used since the last
    report, or since the session began if the request is ``cumulative``. ``requested`` asks for a quota: 0 for as much
    as is right, a number for no more than that, None for none. ``final`` gives the group back: no quota follows until
    it is asked for again.
    """

    rating_group: int
    unit: Unit | None = None
    used: Used | None = None
    requested: int | None = None
    final: bool = False


class SessionRequest(Operation, frozen=True, kw_only=True, tag="session"):
    """One request of a charging session. Make ``key`` with ``session_key``: a retransmission gets the stored answer.

    Every report charges what was used, beyond what was granted too; what nobody can pay goes to the overrun account,
    never below zero. Then it lets the rest of the last quota go and, if asked, grants the next. Usage is charged
    whatever the line's status: only what is asked for is refused. ``asked_at`` is the network's own time of the event.

    ``interface`` is who speaks (``nchf``, ``diameter``, ``radius``), ``session_id`` the network's name of the session,
    unique for its interface while it lasts. ``node`` is the network element, so that all of its sessions can be found
    when it starts anew; ``notify`` is where it wants to hear of changes. Both are kept from the request that says them.
    ``called`` is what usage records call the session, where that is another name: kept from the request that opens it.
    """

    act: SessionAct
    interface: str
    session_id: str
    sequence: int
    reports: tuple[GroupReport, ...] = ()
    #: what is used are totals since the session began: only what goes beyond all earlier reports is charged
    cumulative: bool = False
    node: str = ""
    notify: str = ""
    called: str = ""

    def meant(self) -> tuple[Any, ...]:
        """Without who asks and where: what is sent again may come by another agent, or from another instance."""
        said = (self.act, self.interface, self.session_id, self.sequence, self.reports, self.cumulative)
        return (self.account, self.line_id, *said)

    @property
    def session_key(self) -> UUID:
        """What the session is found by."""
        return session_uuid(self.interface, self.session_id)

    @property
    def record_key(self) -> UUID | None:
        """What usage records of it are found by, where they call it by another name."""
        return session_uuid(self.interface, self.called) if self.called else None


class GroupAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """What one rating group may use now, and what its report cost. Amounts are in ``unit``."""

    rating_group: int
    unit: Unit
    result: ResultCode
    #: None where no quota was asked for or none is needed
    granted: int | None = None
    #: ask again after so many seconds at the latest
    validity_seconds: int | None = None
    #: ask again when so much is left of the grant
    threshold: int | None = None
    #: give the quota back after so many seconds without traffic
    holding_seconds: int | None = None
    #: this is the last of it, and what to do then
    final_unit: FinalUnit | None = None
    #: where to, for ``redirect``
    redirect_to: str | None = None
    #: used and paid for by this request
    charged: int = 0
    #: minor units of money that were taken for it
    money: int = 0
    #: used and paid by nobody
    overrun: int = 0
    #: what pays or would pay: the traffic category, the tariff where money does
    category: str | None = None
    tariff: str | None = None


class OpenSession(msgspec.Struct, frozen=True, kw_only=True):
    """A session that holds, or may hold, quota."""

    line: LineRef
    interface: str
    session_id: str
    node: str
    notify: str
    opened_at: datetime
    #: None while it is open
    closed_at: datetime | None
    #: rating groups that hold quota now
    rating_groups: tuple[int, ...]


class ReleaseOverdue(Operation, frozen=True, kw_only=True, tag="release_overdue"):
    """Let go what an account's sessions hold beyond validity and grace: the sweeper's operation.

    With a line it tells the network, like every operation of a line, what that may use now.
    """


@lru_cache(maxsize=65_536)
def session_uuid(interface: str, session_id: str) -> UUID:
    """The key of a session's row. Remembered: each request of a session asks for it several times."""
    return uuid5(NAMESPACE_OID, f"session|{interface}|{session_id}")


def session_hex(interface: str, session_id: str) -> str:
    """The hexadecimal digits of ``session_uuid``, in a fifth of its time: for files with millions of sessions."""
    name = NAMESPACE_OID.bytes + f"session|{interface}|{session_id}".encode()
    digits = hashlib.sha1(name, usedforsecurity=False).hexdigest()
    # RFC 9562 §5.5: version and variant take the place of six bits.
    return f"{digits[:12]}5{digits[13:16]}{'89ab'[int(digits[16], 16) & 3]}{digits[17:32]}"


def session_key(interface: str, session_id: str, sequence: int) -> UUID:
    """The idempotency key of one request of a session: the same for its retransmissions."""
    return uuid5(session_uuid(interface, session_id), str(sequence))


def granted(answer: Answer) -> tuple[GroupAnswer, ...]:
    """The rating groups of a session request's answer, in the order of its reports; none if it was refused whole."""
    groups: Any = answer.details.get("groups", ())
    return msgspec.convert(groups, type=tuple[GroupAnswer, ...])
