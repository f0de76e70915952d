"""What operations need to know of sessions and meters."""

from __future__ import annotations

from collections.abc import Iterator
from uuid import UUID

import msgspec

from engine.books.asking import Question, Row, given
from engine.books.facts import Facts
from engine.usage.facts import MeterFacts, ReservationFacts, SessionFacts
from engine.usage.tables import ReservationState, meter, reservation, session
from engine.words import (
    Charge,
    ChargeUsage,
    Operation,
    Purchase,
    Refund,
    ReleaseOverdue,
    Renew,
    SessionAct,
    SessionRequest,
    SetCap,
    Transfer,
    Undo,
    Unit,
)

#: What a line's meters count.
METERED = (Charge, ChargeUsage, SessionRequest, Purchase, Transfer, Renew, Undo, Refund)

_RESERVED = """r.session_id, r.rating_group, r.unit, r.state, r.granted, r.legs::text, r.used, r.overrun, r.seen,
               r.tariff, r.priced, r.paid, r.began_at, r.reported_at, r.expires_at"""

_LEGS = msgspec.json.Decoder(list[tuple[str, int]])

#: How long before a session is opened a file may have told of it.
RECORDED_DAYS = 31

_UNITS = {str(unit): unit for unit in Unit}
_STATES = {str(state): state for state in ReservationState}


def _session(asked: Operation) -> Iterator[Row]:
    if isinstance(asked, SessionRequest) and asked.act is not SessionAct.EVENT:
        yield (*asked.account, asked.session_key)
        if asked.act is SessionAct.CREATE and asked.record_key is not None:
            # No session has this key: it asks for what files told of it before.
            yield (*asked.account, asked.record_key)


#: how many columns the session itself has in what is answered
_OWN = len(SessionFacts._fields)


def _add_session(facts: Facts, row: Row) -> None:
    """A row for each group, the session before it; one with the session alone where it has no group.

    Of a session that nobody opened there is one with what was charged for it from files.
    """
    if row[0] is None:
        facts.recorded |= {(group, _UNITS[unit]): amount for group, unit, amount in row[-1] or ()}
        return
    if facts.session is None:
        facts.session = SessionFacts(*row[:_OWN])
    if row[_OWN] is not None:
        _add_reservation(facts, row[_OWN:-1])


def _add_reservation(facts: Facts, row: Row) -> None:
    session_id, group, unit, state, granted, legs, *rest = row
    # Most hold nothing, or little: a decoder of its own is faster than the driver's.
    held = () if legs == "[]" else tuple([(UUID(bucket), amount) for bucket, amount in _LEGS.decode(legs)])
    what = (session_id, group, _UNITS[unit], _STATES[state], granted, held)
    facts.reservations.append(ReservationFacts(*what, *rest))


def _sweeping(asked: Operation) -> Iterator[Row]:
    if isinstance(asked, ReleaseOverdue):
        yield (*asked.account, asked.asked_at)


def _meters(asked: Operation) -> Iterator[Row]:
    if isinstance(asked, (*METERED, SetCap)) and asked.line_id is not None:
        yield (*asked.account, asked.line_id)


def _add_meter(facts: Facts, row: Row) -> None:
    unit = _UNITS[row[0]]
    facts.meters[unit] = MeterFacts(unit, *row[1:])


QUESTIONS = (
    Question(
        "sessions",
        session,
        ("shard", "account_id", "session_id"),
        f"""
        SELECT v.place, s.session_id, s.line_id, s.interface, s.name, s.node, s.notify, s.opened_at, s.closed_at,
               {_RESERVED},
               CASE WHEN s.session_id IS NULL THEN (
                   SELECT jsonb_agg(jsonb_build_array(u.rating_group, u.unit, u.amount)) FROM (
                       SELECT rating_group, unit, sum(amount) AS amount FROM usage_record
                       WHERE shard = v.shard AND account_id = v.account_id AND session_key = v.session_id AND due
                             AND started_at > now() - interval '{RECORDED_DAYS} days'
                       GROUP BY rating_group, unit) u)
               END
        FROM {given(session, "shard", "account_id", "session_id")}
        LEFT JOIN session s USING (shard, account_id, session_id)
        LEFT JOIN reservation r USING (shard, account_id, session_id)
        ORDER BY v.place, r.rating_group""",
        _session,
        _add_session,
        (SessionRequest,),
    ),
    Question(
        "overdue",
        reservation,
        ("shard", "account_id", "expires_at"),
        f"""
        SELECT v.place, {_RESERVED}
        FROM {given(reservation, "shard", "account_id", "expires_at")} JOIN reservation r USING (shard, account_id)
        WHERE r.state = '{ReservationState.OPEN}' AND r.expires_at <= v.expires_at
        ORDER BY v.place, r.session_id, r.rating_group""",
        _sweeping,
        _add_reservation,
        (ReleaseOverdue,),
    ),
    # What the line's sessions hold is reckoned only where a cap asks for it. Lines that share a balance have each their
    # own.
    Question(
        "meters",
        meter,
        ("shard", "account_id", "line_id"),
        f"""
        SELECT v.place, m.unit, m.day_from, m.today, m.day_cap, m.month_from, m.this_month, m.month_cap, m.usual,
               CASE WHEN m.day_cap IS NULL AND m.month_cap IS NULL THEN 0 WHEN m.unit <> '{Unit.MONEY}' THEN (
                   SELECT coalesce(sum(r.granted), 0)::bigint
                   FROM reservation r JOIN session s USING (shard, account_id, session_id)
                   WHERE r.shard = m.shard AND r.account_id = m.account_id AND r.state = '{ReservationState.OPEN}'
                         AND s.line_id = m.line_id AND r.unit = m.unit)
               ELSE (
                   SELECT coalesce(sum((leg->>1)::bigint), 0)::bigint
                   FROM reservation r JOIN session s USING (shard, account_id, session_id),
                        jsonb_array_elements(r.legs) AS leg
                        JOIN bucket b ON b.bucket_id = (leg->>0)::uuid
                   WHERE r.shard = m.shard AND r.account_id = m.account_id AND r.state = '{ReservationState.OPEN}'
                         AND s.line_id = m.line_id AND b.shard = m.shard AND b.account_id = m.account_id
                         AND b.unit = m.unit)
               END
        FROM {given(meter, "shard", "account_id", "line_id")} JOIN meter m USING (shard, account_id, line_id)""",
        _meters,
        _add_meter,
        (*METERED, SetCap),
    ),
)
