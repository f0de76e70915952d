"""A case on the desk: an account in memory, its requests run one after the other, as the one door runs them.

What a request leaves behind (buckets, reservations, meters, session) is carried to the next one, so that rules are held
against whole sessions without a database.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import msgspec

from engine.books.case import Case, Verdict
from engine.books.facts import Facts, LineFacts
from engine.books.tables import Ledger
from engine.usage import meters, rules
from engine.usage.alerts import alerts
from engine.usage.facts import MeterFacts, ReservationFacts, SessionFacts
from engine.usage.tables import ReservationState
from engine.words import (
    AccountRef,
    Answer,
    Bucket,
    Charge,
    GroupAnswer,
    GroupReport,
    LineStatus,
    Operation,
    SessionAct,
    SessionRequest,
    Unit,
    Used,
    granted,
)
from engine.words.sessions import session_key
from settings import Operator

NOON = datetime(2026, 11, 21, 9, tzinfo=UTC)  # in Nairobi
MB = 1_000_000


@dataclass
class Desk:
    """One account with one line."""

    operator: Operator
    now: datetime = NOON
    buckets: list[Bucket] = field(default_factory=list)
    status: LineStatus = LineStatus.ACTIVE
    out_of_bundle: bool | None = None
    postpaid: bool = False
    meters: dict[Unit, MeterFacts] = field(default_factory=dict)
    sessions: dict[UUID, SessionFacts] = field(default_factory=dict)
    reservations: dict[tuple[UUID, int], ReservationFacts] = field(default_factory=dict)
    ledgers: dict[tuple[Ledger, Unit], int] = field(default_factory=dict)
    told: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    account: AccountRef = field(default_factory=lambda: AccountRef(0, uuid4()))
    line_id: UUID = field(default_factory=uuid4)
    sequence: int = 0

    def bucket(self, unit: Unit, amount: int, **more: Any) -> Bucket:
        """Give the account a bucket."""
        given: dict[str, Any] = {
            "product": "any", "reserved": 0, "initial": amount, "categories": (), "priority": 100,
            "starts_at": self.now - timedelta(days=1), "expires_at": None,
        }  # fmt: skip
        made = Bucket(bucket_id=UUID(int=len(self.buckets) + 1), unit=unit, amount=amount, **given | more)
        self.buckets.append(made)
        return made

    def left(self, unit: Unit) -> int:
        return sum(bucket.amount for bucket in self.buckets if bucket.unit is unit)

    def held(self, unit: Unit) -> int:
        if unit is not Unit.MONEY:
            return sum(kept.granted for kept in self.reservations.values() if kept.unit is unit)
        return sum(bucket.reserved for bucket in self.buckets if bucket.unit is unit)

    def ask(self, act: str, *reports: GroupReport, session: str = "s1", **more: Any) -> tuple[GroupAnswer, ...]:
        """Post one request of a session, and keep what it leaves."""
        self.sequence += 1
        asked = SessionRequest(
            account=self.account, line_id=self.line_id, key=session_key("test", session, self.sequence),
            asked_at=self.now, source="test", act=SessionAct(act), interface="test", session_id=session,
            sequence=self.sequence, reports=reports, **more,
        )  # fmt: skip
        return granted(self.do(asked, lambda case: rules.session(case, asked)))

    def charge(self, amount: int, unit: Unit = Unit.OCTETS, category: str | None = None) -> Answer:
        asked = Charge(
            account=self.account, line_id=self.line_id, key=uuid4(), asked_at=self.now, source="test",
            unit=unit, amount=amount, category=category,
        )  # fmt: skip
        return self.do(asked, lambda case: rules.charge(case, asked))

    def do(self, asked: Operation, rule: Any) -> Answer:
        facts = Facts(currency="KES", frozen=False, postpaid=self.postpaid, buckets=list(self.buckets))
        facts.line = LineFacts(self.line_id, self.status, 0, None, None, (), self.out_of_bundle)
        facts.meters = {unit: meter._replace(held=self.held(unit)) for unit, meter in self.meters.items()}
        if isinstance(asked, SessionRequest):
            facts.session = self.sessions.get(asked.session_key)
            facts.reservations = [r for (owner, _), r in self.reservations.items() if owner == asked.session_key]
        else:
            facts.reservations = [r for r in self.reservations.values() if r.state is ReservationState.OPEN]
        case = Case(asked, facts, self.operator, self.now, "REF")
        verdict: Verdict = rule(case)
        answer = case.answer(verdict)
        if answer.ok:
            alerts(case)
            meters.count(case)
            self._keep(case)
        return answer

    def _keep(self, case: Case) -> None:
        self.told += case.messages
        self.buckets = [
            msgspec.structs.replace(
                bucket,
                amount=case.amount(bucket),
                reserved=case.held(bucket),
            )
            for bucket in case.buckets()
        ]
        assert all(0 <= bucket.reserved <= bucket.amount for bucket in self.buckets)
        for row in case.rows.get("reservations", ()):
            legs = tuple((UUID(bucket), amount) for bucket, amount in msgspec.json.decode(row[5]))
            kept = ReservationFacts(*row[:5], legs, *row[6:])
            self.reservations[kept.session_id, kept.rating_group] = kept
        for session_id, group, state, used, overrun, seen, reported_at in case.rows.get("reported", ()):
            known = self.reservations[session_id, group]
            counted = {"state": state, "used": used, "overrun": overrun, "seen": seen, "reported_at": reported_at}
            self.reservations[session_id, group] = known._replace(**counted)
        for row in case.rows.get("sessions", ()):
            self.sessions[row[0]] = SessionFacts(*row)
        for row in case.rows.get("meters", ()):
            self.meters[row[1]] = MeterFacts(*row[1:])
        for row in case.rows.get("capped", ()):
            self.meters[row[1]] = MeterFacts(*row[1:9])
        for _, unit, today, this_month in case.rows.get("metered", ()):
            self.meters[unit] = self.meters[unit]._replace(today=today, this_month=this_month)
        for moved in case.transfers:
            for ledger, sign in ((moved.debit, -1), (moved.credit, 1)):
                self.ledgers[ledger, moved.unit] = self.ledgers.get((ledger, moved.unit), 0) + sign * moved.amount
        for bucket in self.buckets:
            legs = sum(a for r in self.reservations.values() for b, a in r.legs if b == bucket.bucket_id)
            assert legs == bucket.reserved


def group(
    rating_group: int = 10,
    *,
    used: int | None = None,
    asks: int | None = 0,
    unit: Unit = Unit.OCTETS,
    final: bool = False,
) -> GroupReport:
    """One rating group that used so much and asks for so much (0: what is right, None: nothing)."""
    names = {Unit.OCTETS: "octets_down", Unit.SECONDS: "seconds", Unit.MESSAGES: "messages"}
    said = None if used is None else Used(**{names[unit]: used})
    return GroupReport(rating_group=rating_group, unit=unit, used=said, requested=asks, final=final)
