"""Who may be told what, when, and how often: pure decisions about one message.

| topics | waits for quiet hours | stopped by STOP | counted by caps | sent again when its outcome is unknown |
|---|---|---|---|---|
| ``reply``, ``promise``, ``security.*`` | never | no | no | yes: twice is better than never |
| receipts, and whatever stands nowhere else | never | no | no | no: money is not told twice |
| ``renewal.*``, ``bill.*`` | yes | no | no | no |
| ``alert.``: ``low_balance``, ``cap_reached``, ``used_share``, ``unusual_use`` | the own only | yes | yes | no |
| other ``alert.*``, ``campaign`` | yes | yes | yes | no |
| ``alarm.*`` (to the operator) | never | no | no | yes |

A receipt of what was asked for by text or chat says what the answer says: it waits for the answer to go out, and is
dropped then (``held_for_answer``).

A muted topic is dropped wherever STOP would stop it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from enum import IntEnum
from functools import lru_cache
from typing import NamedTuple
from uuid import UUID, uuid5
from zoneinfo import ZoneInfo

from engine.words import DeliveryState, Preferences
from settings import Notifications

#: the outcome of what was answered with "we will text you": told by whoever delivers, unless it was told before
PROMISE = "promise"
#: seconds that the process which promised has for keeping it itself; its own patience with Postgres is shorter
PROMISE_SECONDS = 30.0
#: seconds that a receipt waits for the answer that says the same
ANSWER_SECONDS = 10.0
#: receipts whose words stand in the answer, and the channels on which an answer is as lasting as a message
ANSWERED_TOPICS = frozenset({"recharge.done", "purchase.done", "gift.sent", "gift.undone", "advance.done"})
ANSWERING_CHANNELS = frozenset({"sms", "chat"})


class Priority(IntEnum):
    """What is claimed first: a campaign never stands before an answer."""

    URGENT = 0
    ORDINARY = 1
    BULK = 2


class Waits(IntEnum):
    """Which quiet hours hold a message back."""

    NEVER = 0
    #: what is true now only: the person's own
    OWN = 1
    #: the person's and the operator's
    BOTH = 2


@dataclass(frozen=True, slots=True)
class Policy:
    """How the messages of one topic are treated."""

    priority: Priority
    waits: Waits
    #: STOP and muting keep it back
    stoppable: bool
    #: counts towards, and is bound by, the cap of its topic
    capped: bool
    #: may be sent again when nobody knows whether it was sent
    repeatable: bool


_SPOKEN = Policy(Priority.URGENT, Waits.NEVER, stoppable=False, capped=False, repeatable=True)
_RECEIPT = Policy(Priority.URGENT, Waits.NEVER, stoppable=False, capped=False, repeatable=False)
_DUE = Policy(Priority.ORDINARY, Waits.BOTH, stoppable=False, capped=False, repeatable=False)
_TIMELY = Policy(Priority.ORDINARY, Waits.OWN, stoppable=True, capped=True, repeatable=False)
_NOTICE = Policy(Priority.ORDINARY, Waits.BOTH, stoppable=True, capped=True, repeatable=False)
_CAMPAIGN = Policy(Priority.BULK, Waits.BOTH, stoppable=True, capped=True, repeatable=False)

#: by whole topic, then by its first part
_POLICIES: dict[str, Policy] = {
    "reply": _SPOKEN,
    PROMISE: _SPOKEN,
    "security": _SPOKEN,
    "alarm": _SPOKEN,
    "recharge": _RECEIPT,
    "purchase": _RECEIPT,
    "payment": _RECEIPT,
    "refund": _RECEIPT,
    "gift": _RECEIPT,
    "renewal": _DUE,
    "bill": _DUE,
    "alert.low_balance": _TIMELY,
    "alert.cap_reached": _TIMELY,
    "alert.used_share": _TIMELY,
    "alert.unusual_use": _TIMELY,
    "alert": _NOTICE,
    "campaign": _CAMPAIGN,
}


@lru_cache(maxsize=256)
def policy(topic: str) -> Policy:
    """How a topic is treated; one that nobody has thought about is treated like a receipt: told, and told once."""
    return _POLICIES.get(topic) or _POLICIES.get(topic.partition(".")[0], _RECEIPT)


def held_for_answer(topic: str, source: str) -> timedelta | None:
    """How long a receipt waits for the answer that says the same; None for what does not wait at all.

    ``source``: who asked for the operation, ``<channel>:<gateway>``.
    """
    if topic in ANSWERED_TOPICS and source.partition(":")[0] in ANSWERING_CHANNELS:
        return timedelta(seconds=ANSWER_SECONDS)
    return None


def receipt_id(key: UUID) -> UUID:
    """The message id of a receipt that waits for an answer, so that the answer finds it."""
    return uuid5(key, "receipt")


class Gate(NamedTuple):
    """What becomes of a message that is due: it goes, waits ``until`` a time, or is ``dropped`` for a reason."""

    until: datetime | None = None
    dropped: str | None = None


GOES = Gate()
NOTHING_ASKED = Preferences()


def gate(topic: str, wishes: Preferences, operator: Notifications, now: datetime, zone: ZoneInfo) -> Gate:
    """Whether a message may go now."""
    how = policy(topic)
    if how.stoppable:
        if wishes.opted_out:
            return Gate(dropped="opted_out")
        if topic in wishes.muted or topic.partition(".")[0] in wishes.muted:
            return Gate(dropped="muted")
    spans: list[tuple[time, time]] = []
    if how.waits >= Waits.OWN and wishes.quiet_hours is not None:
        spans.append(wishes.quiet_hours)
    if how.waits is Waits.BOTH and operator.quiet_from is not None and operator.quiet_to is not None:
        spans.append((operator.quiet_from, operator.quiet_to))
    until = quiet_until(spans, now, zone)
    return GOES if until is None else Gate(until=until)


def quiet_until(spans: Sequence[tuple[time, time]], now: datetime, zone: ZoneInfo) -> datetime | None:
    """When all quiet hours that hold at ``now`` are over, in UTC; None while none does.

    Local times: a span whose start is after its end goes over midnight; equal ones are the whole day, which would
    never end, so they count as none. Where the clocks change, the hour is the wall clock's.
    """
    until = now
    # Two spans can take turns; each round lies later than the last, and a day has room for both twice.
    for _ in range(4):
        ends = [end for span in spans if (end := _end_of(span, until.astimezone(zone))) is not None]
        if not ends:
            break
        until = max(ends)
    return until if until > now else None


def _end_of(span: tuple[time, time], local: datetime) -> datetime | None:
    start, end = span
    at = local.time()
    within = start <= at < end if start < end else start != end and (at >= start or at < end)
    if not within:
        return None
    day = local.date() if at < end else local.date() + timedelta(days=1)
    return datetime.combine(day, end, local.tzinfo).astimezone(UTC)


def forward(now: DeliveryState, heard: DeliveryState) -> bool:
    """Whether a report takes a message on: states only move up in rank, and what is final stays."""
    return heard.rank > now.rank
