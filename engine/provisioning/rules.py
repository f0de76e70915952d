"""Which rules follow from a balance: pure decisions over one case."""

from __future__ import annotations

from datetime import datetime

from engine.books.case import Case
from engine.provisioning.tables import Counter
from engine.words import LineStatus, Unit

#: The unit that a counter's service is paid in, beside money.
_PAID_IN = {Counter.VOICE: Unit.SECONDS, Counter.MESSAGES: Unit.MESSAGES, Counter.DATA: Unit.OCTETS}

#: Statuses of a policy counter.
ACTIVE, EXHAUSTED = "active", "exhausted"


def provision(case: Case) -> None:
    """Write the rules that this operation changes, and tell the network of them.

    What the line was last told stands with the line, so that an operation which changes nothing costs a comparison.
    """
    line = case.line or case.facts.line
    if line is None:
        return
    served = line.status in (LineStatus.ACTIVE, LineStatus.PREACTIVE)
    ends = _ends(case) if served else {}
    told = []
    for counter, unit in _PAID_IN.items():
        known = [ends[one] for one in (unit, Unit.MONEY) if one in ends]
        until = None if not known or None in known else max(end for end in known if end is not None)
        told.append((counter, ACTIVE if known else EXHAUSTED, until))
    policy = tuple(
        f"{counter} {status}" if until is None else f"{counter} {status} {until:%Y-%m-%dT%H:%M:%SZ}"
        for counter, status, until in told
    )
    if policy == line.policy:
        return
    case.line = line._replace(policy=policy)
    changed = [one for one, said in zip(told, policy, strict=True) if said not in line.policy]
    for counter, status, until in changed:
        case.write("provisioned", line.line_id, counter, status, until, case.operation.key)
    rules = [
        {"counter": counter, "status": status, "until": None if until is None else until.isoformat()}
        for counter, status, until in changed
    ]
    case.announce("provisioning.changed", {"rules": rules})


def _ends(case: Case) -> dict[Unit, datetime | None]:
    """Unit → when the last of its usable buckets ends, None for never; units of which nothing is left are missing."""
    ends: dict[Unit, datetime | None] = {}
    for bucket in case.buckets():
        if case.amount(bucket) <= 0 or not case.live(bucket):
            continue
        end = case.expiries.get(bucket.bucket_id, bucket.expires_at)
        known = ends.get(bucket.unit, end)
        ends[bucket.unit] = None if end is None or known is None else max(end, known)
    return ends
