"""How large a quota is and how long it holds. Pure."""

from __future__ import annotations

from datetime import datetime

from engine.words import Unit
from settings import QuotaRules


def quota_size(rules: QuotaRules, unit: Unit, *, left: int, used: int, seconds: float, wanted: int) -> int:
    """Units to grant of ``left``, for a session that used ``used`` in ``seconds``; ``wanted`` bounds it, 0 does not.

    It lasts as long as the rules say at the session's pace, between their least and most. No quota takes more than
    half of what is left, so that other sessions find some and the end comes in small steps; but what is not worth
    halving is given whole.
    """
    least, most = bounds(rules, unit)
    # Without a pace to go by: a tenth of the most.
    pace = used * rules.lasts_seconds / seconds if used > 0 and seconds >= 1 else most / 10
    size = min(max(int(pace), least), most)
    size = min(size, max(left // 2, least), left)
    return min(size, wanted) if wanted > 0 else size


def bounds(rules: QuotaRules, unit: Unit) -> tuple[int, int]:
    """The least and the most that a quota of a unit has."""
    if unit is Unit.OCTETS:
        return rules.octets
    return rules.seconds if unit is Unit.SECONDS else rules.messages


def validity(rules: QuotaRules, now: datetime, ends: list[datetime]) -> int:
    """Seconds that a quota holds: not beyond the end of what pays for it, nor into another tariff."""
    seconds = [int((end - now).total_seconds()) for end in ends]
    return max(1, min([rules.validity_seconds, *seconds]))
