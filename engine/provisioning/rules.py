"""Which rules follow from a balance: pure decisions over one case."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from functools import lru_cache

from engine.balances.rules import promised_end
from engine.books.case import Case
from engine.books.facts import LineFacts
from engine.provisioning.tables import Counter
from engine.usage.meters import meter_now, month_end
from engine.usage.paying import money_pays
from engine.words import SERVED, Unit

#: The unit that a counter's service is paid in, beside money.
_PAID_IN = {Counter.VOICE: Unit.SECONDS, Counter.MESSAGES: Unit.MESSAGES, Counter.DATA: Unit.OCTETS}

#: Statuses of a policy counter; of the speed, beside the steps of the operator's fair use; of the line, beside active.
ACTIVE, EXHAUSTED, FULL, ENDED = "active", "exhausted", "full", "ended"

#: counter, its status, and until when
_Told = tuple[Counter, str, datetime | None]


def provision(case: Case) -> None:
    """Write the rules that this operation changes, of all lines that use the account, and tell the network of them.

    What a line was last told stands with it, so that an operation which changes nothing costs a comparison.
    """
    own = case.line or case.facts.line
    if own is None and not case.facts.siblings:
        return
    ends = _ends(case)
    if own is not None:
        speed = _speed(case, own.policy) if case.operator.fair_use else None
        case.line = _provisioned(case, own, ends, speed) or case.line
    for line in case.facts.siblings:
        # What they have used themselves has not changed.
        speed = _told_speed(line.policy, case.now) if case.operator.fair_use else None
        changed = _provisioned(case, line, ends, speed)
        if changed is not None:
            case.siblings.append(changed)


def _provisioned(
    case: Case, line: LineFacts, ends: dict[Unit, datetime | None], speed: tuple[str, datetime | None] | None
) -> LineFacts | None:
    """The line as it is to be stored, its rules written and told; None if they are what they were."""
    served = line.status in SERVED
    ends = ends if served else {}
    rated = {rate.unit for rate in case.operator.rates}
    told: list[_Told] = [
        # An operator without rates rates elsewhere: then money is taken to pay.
        (counter, *_served(ends, unit, money=not rated or (unit in rated and money_pays(case, unit, line))))
        for counter, unit in _PAID_IN.items()
    ]
    if speed is not None:
        told.append((Counter.SPEED, *speed))
    if not served or any(said.startswith(f"{Counter.LINE} ") for said in line.policy):
        # Nobody need be told of a line that was always served. Of one that is not, even where nothing is left: sessions
        # that cost nothing go on.
        told.append((Counter.LINE, ACTIVE if served else ENDED, None))
    policy = tuple(_said(*one) for one in told)
    if policy == line.policy:
        return None
    case.write("provisioned", line.line_id, policy, case.operation.key)
    rules = _rules(told, [one for one, said in zip(told, policy, strict=True) if said not in line.policy])
    # A line that is barred or ended is served no more, whatever is left; an empty one may be again at any moment.
    if not served:
        case.announce("provisioning.changed", {"rules": rules, "served": False}, line_id=line.line_id)
    elif rules:
        case.announce("provisioning.changed", {"rules": rules}, line_id=line.line_id)
    return line._replace(policy=policy)


def _rules(told: list[_Told], changed: list[_Told]) -> list[dict[str, str | None]]:
    """What an event says of the counters.

    With data that is served goes its speed, changed or not: who is served again has to be told how fast. Of data that
    is not served no speed is told: whoever hears of a speed serves.
    """
    data = any(counter is Counter.DATA and status == ACTIVE for counter, status, _ in told)
    return [
        {"counter": counter, "status": status, "until": None if until is None else until.isoformat()}
        for counter, status, until in told
        if (data if counter is Counter.SPEED else counter is not Counter.LINE and (counter, status, until) in changed)
    ]


def _speed(case: Case, policy: Iterable[str]) -> tuple[str, datetime | None]:
    """The speed step of what the line has used by now and its end; what was told last where nothing is counted."""
    known = case.facts.meters.get(Unit.OCTETS)
    if known is None and Unit.OCTETS not in case.metered:
        return _told_speed(policy, case.now)
    zone = case.operator.timezone
    meter = meter_now(known, Unit.OCTETS, case.now, zone)
    today, month = case.metered.get(Unit.OCTETS, (meter.today, meter.this_month))
    for step in reversed(case.operator.fair_use):
        if step.period == "day" and today > step.above:
            return step.speed, promised_end(meter.day_from, 0, zone)
        if step.period == "month" and month > step.above:
            return step.speed, month_end(meter.month_from, zone)
    return FULL, None


def _told_speed(policy: Iterable[str], now: datetime) -> tuple[str, datetime | None]:
    told = next((said.split(" ") for said in policy if said.startswith(f"{Counter.SPEED} ")), [])
    if len(told) < 3:
        return FULL, None
    until = datetime.fromisoformat(told[2])
    return (told[1], until) if until > now else (FULL, None)


def _served(ends: dict[Unit, datetime | None], unit: Unit, *, money: bool) -> tuple[str, datetime | None]:
    """Status and end of a counter: it is served as long as anything that pays for it lasts."""
    if not money:
        return (ACTIVE, ends[unit]) if unit in ends else (EXHAUSTED, None)
    if unit not in ends:
        return (ACTIVE, ends[Unit.MONEY]) if Unit.MONEY in ends else (EXHAUSTED, None)
    own, other = ends[unit], ends.get(Unit.MONEY, ends[unit])
    return ACTIVE, None if own is None or other is None else max(own, other)


@lru_cache(maxsize=4096)
def _said(counter: Counter, status: str, until: datetime | None) -> str:
    return f"{counter} {status}" if until is None else f"{counter} {status} {until:%Y-%m-%dT%H:%M:%SZ}"


def _ends(case: Case) -> dict[Unit, datetime | None]:
    """Unit → when the last of its usable buckets ends, None for never; units of which nothing is left are missing."""
    ends: dict[Unit, datetime | None] = {}
    for bucket in case.buckets():
        if case.amount(bucket) <= 0 or not case.live(bucket):
            continue
        end = case.end(bucket)
        known = ends.get(bucket.unit, end)
        ends[bucket.unit] = None if end is None or known is None else max(end, known)
    return ends
