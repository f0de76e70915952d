"""What is kept of a session: its row, and what each of its rating groups holds."""

from __future__ import annotations

from datetime import timedelta

import msgspec

from engine.books.case import Case
from engine.usage.facts import ReservationFacts, SessionFacts
from engine.usage.paying import Holding, let_go
from engine.usage.tables import ReservationState
from engine.words import SessionAct, SessionRequest

#: A session that is opened once more so soon is the same one: its opening was sent again.
SAME_OPENING = timedelta(minutes=1)


def holdings(case: Case, asked: SessionRequest) -> dict[int, Holding]:
    """What the session's groups hold. One that begins again under its old name has used nothing yet."""
    anew = begins_again(case.facts.session, asked)
    if anew:
        for found in case.facts.reservations:
            end(case, holding_of(case, found), ReservationState.RELEASED)
    return {found.rating_group: holding_of(case, found, anew=anew) for found in case.facts.reservations}


def begins_again(known: SessionFacts | None, asked: SessionRequest) -> bool:
    """Whether a request opens a session once more under a name that was used before.

    After the session's end, or, where totals are reported, without one: then its network element was restarted and
    says nothing of what was before. What was sent before either is a request that came late.
    """
    if asked.act is not SessionAct.CREATE or known is None:
        return False
    if known.closed_at is not None:
        return asked.asked_at > known.closed_at
    return asked.cumulative and asked.asked_at > known.opened_at + SAME_OPENING


def holding_of(case: Case, found: ReservationFacts, *, anew: bool = False) -> Holding:
    """A reservation as it can be changed; ``anew``: of a session that begins again under its old name."""
    holding = Holding(found.session_id, found.rating_group, found.unit, case.now)
    if anew:
        return holding
    holding.state, holding.granted, holding.legs = found.state, found.granted, list(found.legs)
    holding.used, holding.overrun, holding.seen = found.used, found.overrun, found.seen
    holding.tariff, holding.priced, holding.paid = found.tariff, found.priced, found.paid
    holding.began_at, holding.reported_at, holding.expires_at = found.began_at, found.reported_at, found.expires_at
    return holding


def end(case: Case, holding: Holding, state: ReservationState) -> None:
    """Let a quota go, once."""
    if holding.state is not ReservationState.OPEN:
        return
    let_go(case, holding)
    holding.granted, holding.state = 0, state


def write(case: Case, holding: Holding, known: ReservationFacts | None = None) -> None:
    """Store what a group holds; ``known`` is how it stood. Where no quota comes into it, only what was counted."""
    counted = (holding.used, holding.overrun, holding.seen)
    if known is not None and not holding.granted and not known.granted and _as_it_was(holding, known):
        what = (holding.session_id, holding.rating_group, holding.state)
        case.write("reported", *what, *counted, holding.reported_at)
        return
    legs = [[bucket_id.hex, amount] for bucket_id, amount in holding.legs]
    case.write(
        "reservations",
        holding.session_id,
        holding.rating_group,
        holding.unit,
        holding.state,
        holding.granted,
        msgspec.json.encode(legs).decode() if legs else "[]",
        *counted,
        holding.tariff,
        holding.priced,
        holding.paid,
        holding.began_at,
        holding.reported_at,
        holding.expires_at,
    )


def _as_it_was(holding: Holding, known: ReservationFacts) -> bool:
    """Whether nothing but what is counted differs from the row that is there."""
    return (holding.unit, holding.tariff, holding.priced, holding.paid, holding.began_at, holding.expires_at) == (
        known.unit,
        known.tariff,
        known.priced,
        known.paid,
        known.began_at,
        known.expires_at,
    )


def write_session(case: Case, asked: SessionRequest) -> None:
    """The session's row, if this request opens or ends it or says something new of it."""
    known = case.facts.session
    ends = asked.act is SessionAct.RELEASE
    if known is None or begins_again(known, asked):
        what = (asked.session_key, asked.line_id, asked.interface, _name(asked), asked.node, asked.notify)
        wanted = SessionFacts(*what, case.now, case.now if ends else None)
        case.write("sessions", *wanted)
        return
    closed_at = known.closed_at or (case.now if ends else None)
    node, notify = asked.node or known.node, asked.notify or known.notify
    if (node, notify, closed_at) != (known.node, known.notify, known.closed_at):
        case.write("sessions", *known._replace(node=node, notify=notify, closed_at=closed_at))


def _name(asked: SessionRequest) -> str:
    """The network's name of a session and, on a line of its own, what its usage records are found by."""
    return asked.session_id if asked.record_key is None else f"{asked.session_id}\n{asked.record_key}"
