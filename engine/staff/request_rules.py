"""What may be asked for, and when one person is enough. Pure."""

from __future__ import annotations

from engine.words import MAY_ASK, BadRequest, LineStatus, RequestDraft, RequestKind, Role
from settings import StaffRules

#: to which statuses staff may take a line here; ending one is an act of the operator's systems
STATUSES = frozenset({LineStatus.ACTIVE, LineStatus.SUSPENDED, LineStatus.BARRED})
#: smallest parts of a unit; what is above is a mistake
LARGEST = 10**15
#: characters of a reason
WHY_FEWEST, WHY_MOST = 3, 500


def check_wanted(wanted: RequestDraft, role: Role, why: str) -> None:
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


def is_enough_alone(wanted: RequestDraft, moved_today: int, rules: StaffRules) -> bool:
    """Whether one person is enough for this.

    ``moved_today``: what they moved of its unit within 24 hours without a second one. Many small ones are a big one.
    """
    if wanted.unit is None or wanted.amount is None:
        return wanted.kind.value not in rules.always_two
    return moved_today + abs(wanted.amount) <= rules.alone.get(wanted.unit.value, 0)
