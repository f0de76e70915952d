"""The rating groups of one request of a session: each is decided once, however many parts of it the request names.

A user plane function (TS 32.291 §6.1.6.2.1.5) or a service (RFC 8506 §8.16) tells its own part of what was used. One
quota is kept for a rating group, so one part at most may ask for it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

import msgspec

from engine.words import GroupReport, Used


def asked_twice(reports: Iterable[GroupReport]) -> int | None:
    """A rating group that asks for more than one quota, if there is one."""
    asking = Counter(report.rating_group for report in reports if report.requested is not None)
    return next((group for group, times in asking.items() if times > 1), None)


def merged(reports: Iterable[GroupReport]) -> tuple[GroupReport, ...]:
    """Each rating group once, in the order in which they came: the sum of what was used, and what its part asks for."""
    found: dict[int, GroupReport] = {}
    for report in reports:
        known = found.get(report.rating_group)
        found[report.rating_group] = report if known is None else _both(known, report)
    return tuple(found.values())


def _both(one: GroupReport, other: GroupReport) -> GroupReport:
    asking, beside = (other, one) if other.requested is not None else (one, other)
    used = [part.used for part in (one, other) if part.used is not None]
    return msgspec.structs.replace(asking, unit=asking.unit or beside.unit, used=_sum(used) if used else None)


def _sum(parts: Sequence[Used]) -> Used:
    return Used(**{name: sum(getattr(part, name) for part in parts) for name in Used.__struct_fields__})
