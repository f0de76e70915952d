"""A state machine against the real one door: whatever happens in whatever order, a plain auditor knows what must be so.

The auditor keeps accounts of its own from what was asked and answered, never from the database: what each unit holds,
what each session was granted and has reported, what was lent. After every step it compares, and at the end of every
story all invariants of the books are asked.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import psycopg
import pytest
import uvloop
from hypothesis import HealthCheck, Phase, settings, strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from engine import api
from engine.books.invariants import check_all
from engine.words import (
    Adjust,
    Advance,
    Answer,
    Charge,
    Expire,
    Operation,
    OutOfBundle,
    Purchase,
    ReleaseOverdue,
    SessionAct,
    SessionRequest,
    Subscriber,
    Transfer,
    Undo,
    Unit,
    granted,
    session_key,
)
from runtime.keyring import Keyring
from settings import Operator
from tests.engine.shop import asking, open_line, redeeming, sell_vouchers
from tests.engine.usage.desk import MB, group

AMOUNTS = st.sampled_from([1, 700, 999_999, MB, 3 * MB, 40 * MB])
LINES = st.integers(0, 2)
SESSIONS = st.integers(0, 1)
ACTS = st.sampled_from(["create", "update", "update", "update", "release"])
USES = st.sampled_from([0, 1, 700, 400_000, MB, 3 * MB, 20 * MB])


class Auditor:
    """What three lines must hold."""

    def __init__(self) -> None:
        self.held: list[Counter[Unit]] = [Counter() for _ in range(3)]
        self.answers: dict[Any, Answer] = {}
        self.seen: Counter[tuple[int, int]] = Counter()
        self.quota: dict[tuple[int, int], int] = {}

    def moved(self, line: int, answer: Answer) -> Counter[Unit]:
        """What an answer says that it moved; taken note of, if it is new."""
        change: Counter[Unit] = Counter()
        for effect in answer.effects:
            change[effect.unit] += effect.after - effect.before
            assert effect.after >= 0
        if answer.key not in self.answers:
            self.answers[answer.key] = answer
            for unit, amount in change.items():
                self.held[line][unit] += amount
        return change


class Market(RuleBasedStateMachine):
    """Three lines of three accounts, their recharges, sessions and gifts."""

    url: str
    operator: Operator
    keyring: Keyring

    @initialize()
    def open(self) -> None:
        self.runner = asyncio.Runner(loop_factory=uvloop.new_event_loop)
        self.engine = self.run(api.open_engine(self.url, self.operator, self.keyring))
        self.lines: list[Subscriber] = [self.run(open_line(self.engine)) for _ in range(3)]
        self.vouchers = self.run(sell_vouchers(self.engine, 5_000, 12))
        self.auditor = Auditor()
        self.history: list[tuple[int, Operation]] = []
        self.sequence: Counter[tuple[int, int]] = Counter()
        self.gifts: list[tuple[int, int, Transfer]] = []
        self.undone: set[Any] = set()
        self.since = datetime.now(UTC)
        for line in range(3):
            self.gets_octets(line, 40 * MB)

    def run(self, work: Any) -> Any:
        return self.runner.run(work)

    def post(self, line: int, operation: Operation) -> tuple[Answer, Counter[Unit]]:
        self.history.append((line, operation))
        answer: Answer = self.run(self.engine.post(operation))
        return answer, self.auditor.moved(line, answer)

    # -- what happens ----------------------------------------------------------------------------------------------

    @rule(line=LINES)
    @precondition(lambda self: self.vouchers)
    def recharges(self, line: int) -> None:
        answer, change = self.post(line, redeeming(self.engine, self.lines[line], self.vouchers.pop()))
        assert answer.ok
        assert 0 <= change[Unit.MONEY] <= 5_000

    @rule(line=LINES, amount=AMOUNTS)
    def gets_octets(self, line: int, amount: int) -> None:
        grant = asking(Adjust, self.lines[line], unit=Unit.OCTETS, amount=amount, reason="test")
        assert self.post(line, grant)[1] == {Unit.OCTETS: amount}

    @rule(line=LINES, product=st.integers(0, 7))
    def buys(self, line: int, product: int) -> None:
        wanted = self.operator.products[product]
        money = self.auditor.held[line][Unit.MONEY]
        answer, change = self.post(line, asking(Purchase, self.lines[line], product=wanted.code, price=wanted.price))
        assert change[Unit.MONEY] == (-wanted.price if answer.ok else 0)
        assert not answer.ok or money >= wanted.price

    @rule(line=LINES, amount=AMOUNTS)
    def uses_at_once(self, line: int, amount: int) -> None:
        answer, change = self.post(line, asking(Charge, self.lines[line], unit=Unit.OCTETS, amount=amount))
        assert answer.ok or not change
        assert not answer.ok or -change[Unit.OCTETS] <= amount

    @rule(line=LINES, allowed=st.booleans())
    def consents(self, line: int, allowed: bool) -> None:
        assert not self.post(line, asking(OutOfBundle, self.lines[line], allowed=allowed))[1]

    @rule(line=LINES, session=SESSIONS, asked=st.lists(st.tuples(ACTS, USES), min_size=3, max_size=6))
    def talks(self, line: int, session: int, asked: list[tuple[str, int]]) -> None:
        for act, used in asked:
            self.reports(line, session, act, used)

    def reports(self, line: int, session: int, act: str, used: int) -> None:
        name, place = f"{self.lines[line].line_id}|{session}", (line, session)
        self.sequence[place] += 1
        asked = asking(
            SessionRequest, self.lines[line], key=session_key("radius", name, self.sequence[place]),
            act=SessionAct(act), interface="radius", session_id=name, sequence=self.sequence[place],
            reports=(group(used=0 if act == "create" else used),),
        )  # fmt: skip
        answer, change = self.post(line, asked)
        (told,) = granted(answer)
        # What was used is paid in octets, with money, or by the operator: nothing is lost, nothing is charged twice.
        assert told.charged + told.overrun == (0 if act == "create" else used)
        assert -change[Unit.OCTETS] <= told.charged
        assert -change[Unit.MONEY] == told.money
        # A quota that the network kept to is always paid for.
        if act != "create" and used <= self.auditor.quota.get(place, 0):
            assert told.overrun == 0
        self.auditor.quota[place] = told.granted or 0

    @rule(giver=LINES, taker=LINES, amount=st.sampled_from([100, 1_000, 5_000]))
    def gives(self, giver: int, taker: int, amount: int) -> None:
        asked = asking(
            Transfer, self.lines[giver], unit=Unit.MONEY, amount=amount, fee=10 + amount // 100,
            receiver=self.lines[taker].account, receiver_line=self.lines[taker].line_id,
            sender_shown="a", receiver_shown="b",
        )  # fmt: skip
        answer, change = self.post(giver, asked)
        assert change[Unit.MONEY] == (-amount - amount // 100 - 10 if answer.ok else 0)
        if answer.ok:
            self.auditor.held[taker][Unit.MONEY] += amount
            assert isinstance(asked, Transfer)
            self.gifts.append((giver, taker, asked))

    @rule(place=st.integers(0, 5))
    @precondition(lambda self: self.gifts)
    def takes_back(self, place: int) -> None:
        giver, taker, given = self.gifts[place % len(self.gifts)]
        asked = asking(
            Undo, self.lines[giver], undone_key=given.key, receiver=given.receiver, receiver_line=given.receiver_line
        )
        answer, change = self.post(giver, asked)
        assert change[Unit.MONEY] == (given.amount + given.fee if answer.ok else 0)
        if answer.ok:
            assert given.key not in self.undone
            self.undone.add(given.key)
            self.auditor.held[taker][Unit.MONEY] -= given.amount

    @rule(line=LINES)
    def borrows(self, line: int) -> None:
        answer, change = self.post(line, asking(Advance, self.lines[line], amount=1_000, fee=100))
        assert change[Unit.MONEY] == (1_000 if answer.ok else 0)

    @rule(line=LINES)
    def ends(self, line: int) -> None:
        """Everything that has an end comes to it, and the schedule comes by."""
        with psycopg.connect(self.url, autocommit=True) as owner:
            owner.execute(
                "UPDATE bucket SET expires_at = now() WHERE account_id = %s AND expires_at IS NOT NULL",
                [self.lines[line].account.account_id],
            )
        change = self.post(line, asking(Expire, self.lines[line]))[1]
        assert all(amount <= 0 for amount in change.values())

    @rule(line=LINES)
    def is_swept(self, line: int) -> None:
        """Whatever is held is overdue."""
        with psycopg.connect(self.url, autocommit=True) as owner:
            owner.execute(
                "UPDATE reservation SET expires_at = now() - interval '1 minute' WHERE account_id = %s",
                [self.lines[line].account.account_id],
            )
        assert not self.post(line, asking(ReleaseOverdue, self.lines[line], key=uuid4()))[1]
        for place in [place for place in self.auditor.quota if place[0] == line]:
            self.auditor.quota[place] = 0

    @rule(place=st.integers(0, 200))
    @precondition(lambda self: self.history)
    def comes_again(self, place: int) -> None:
        _, operation = self.history[place % len(self.history)]
        assert self.run(self.engine.post(operation)) == self.auditor.answers[operation.key]

    # -- what must be so -------------------------------------------------------------------------------------------

    @invariant()
    def the_auditor_agrees(self) -> None:
        with psycopg.connect(self.url) as owner:
            rows = owner.execute(
                "SELECT account_id, unit, sum(amount), bool_or(reserved > amount OR amount < 0)"
                " FROM bucket GROUP BY 1, 2"
            ).fetchall()
        found = {(owner_id, Unit(unit)): int(amount) for owner_id, unit, amount, _ in rows}
        assert not any(broken for *_, broken in rows)
        for line, held in zip(self.lines, self.auditor.held, strict=True):
            for unit in Unit:
                assert found.get((line.account.account_id, unit), 0) == held[unit]

    def teardown(self) -> None:
        if not hasattr(self, "engine"):
            return
        try:
            assert self.run(check_all(self.engine._database, self.since)) == []
        finally:
            self.run(self.engine.close())
            self.runner.close()


@pytest.mark.timeout(180)
def test_whatever_happens_in_whatever_order_the_auditor_agrees(
    database_url: str, rated: Operator, keyring: Keyring
) -> None:
    class Here(Market):
        url, operator = database_url, rated

    Here.keyring = keyring
    run_state_machine_as_test(
        Here,
        settings=settings(
            max_examples=12,
            stateful_step_count=40,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            # Making a story of a broken one shorter takes minutes: it is told as it was found.
            phases=(Phase.explicit, Phase.reuse, Phase.generate),
        ),
    )
