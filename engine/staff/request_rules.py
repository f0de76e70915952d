"""Who may ask for what, who may decide on it, and when one person is enough. Pure."""

from __future__ import annotations

from typing import NamedTuple
from uuid import UUID

from engine.words import EngineError, LineRef, LineStatus, RequestKind, Role, Unit
from settings import StaffRules

_HELPERS = frozenset({Role.SUPPORT, Role.FINANCE, Role.ADMIN})
_KEEPERS = frozenset({Role.SUPPORT, Role.ADMIN})

#: who may ask for what
MAY_ASK: dict[RequestKind, frozenset[Role]] = {
    RequestKind.REFUND: _HELPERS,
    RequestKind.PAYMENT: _HELPERS,
    RequestKind.ADJUST: _HELPERS,
    RequestKind.STATUS: _KEEPERS,
    RequestKind.UNLOCK: _KEEPERS,
    RequestKind.PIN: _KEEPERS,
    RequestKind.RECEIPT: _HELPERS,
}
#: who may approve or refuse what somebody else asked for
MAY_DECIDE = frozenset({Role.FINANCE, Role.ADMIN})
#: to which statuses staff may take a line here; ending one is an act of the operator's systems
STATUSES = frozenset({LineStatus.ACTIVE, LineStatus.SUSPENDED, LineStatus.BARRED})
#: smallest parts of a unit; what is above is a mistake
LARGEST = 10**15
#: characters of a reason
WHY_FEWEST, WHY_MOST = 3, 500


class BadRequest(EngineError):
    """Not possible to ask for, or to decide on: nothing was done. ``args[0]`` is the reason.

    ``role``, ``why``, ``amount``, ``status``, ``subject`` (no such operation or payment of this line), ``decided``
    (somebody was faster, or it was too late), ``own`` (whoever asked does not decide).
    """


class Wanted(NamedTuple):
    """What is asked for; see ``engine.words.StaffRequest``."""

    kind: RequestKind
    line: LineRef
    unit: Unit | None = None
    amount: int | None = None
    subject: UUID | None = None
    status: LineStatus | None = None


def check_wanted(wanted: Wanted, role: Role, why: str) -> None:
    """Raise ``BadRequest`` for what this role may not ask for, or what makes no sense."""
    if role not in MAY_ASK[wanted.kind]:
        raise BadRequest("role")
    check_why(why)
    if wanted.kind is RequestKind.ADJUST and (
        wanted.unit is None or not wanted.amount or not -LARGEST <= wanted.amount <= LARGEST
    ):
        raise BadRequest("amount")
    if wanted.kind is RequestKind.STATUS and wanted.status not in STATUSES:
        raise BadRequest("status")
    if wanted.kind in {RequestKind.REFUND, RequestKind.PAYMENT, RequestKind.RECEIPT} and wanted.subject is None:
        raise BadRequest("subject")


def check_why(why: str) -> None:
    """Raise ``BadRequest`` for what is no reason."""
    if not WHY_FEWEST <= len(why.strip()) <= WHY_MOST:
        raise BadRequest("why")


def is_enough_alone(wanted: Wanted, moved_today: int, rules: StaffRules) -> bool:
    """Whether one person is enough for this.

    ``moved_today``: what they moved of its unit within 24 hours without a second one. Many small ones are a big one.
    """
    if wanted.unit is None or wanted.amount is None:
        return wanted.kind.value not in rules.always_two
    return moved_today + abs(wanted.amount) <= rules.alone.get(wanted.unit.value, 0)
