"""What staff asks for: four eyes above the limit, done once, never by whoever asked, all of it in the audit trail."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError, ProgrammingError

from engine.api import Engine
from engine.audit.tables import staff_action
from engine.books.tables import outbox
from engine.staff.tables import staff_request
from engine.words import (
    BadRequest,
    LineRef,
    LineStatus,
    Purchase,
    RequestDraft,
    RequestKind,
    RequestState,
    Role,
    StaffMember,
    Subscriber,
    Unit,
)
from tests.engine.staff.conftest import NUMBER

People = dict[str, StaffMember]
#: the sample operator's limit for one person
ALONE = 50_000


def adjust(line: Subscriber, amount: int) -> RequestDraft:
    return RequestDraft(RequestKind.ADJUST, ref(line), Unit.MONEY, amount)


def ref(line: Subscriber) -> LineRef:
    return LineRef(*line.account, line.line_id)


async def money(engine: Engine) -> int:
    return (await engine.subscriber(NUMBER)).total(Unit.MONEY)


async def trail(engine: Engine) -> list[tuple[str, str, str]]:
    async with engine._database.connect() as connection:
        query = sa.select(staff_action).where(staff_action.c.what.startswith("request")).order_by(staff_action.c.at)
        return [(one.what, one.by, one.why) for one in await connection.execute(query)]


async def test_below_the_limit_it_is_done_at_once_and_written_down(
    engine: Engine, line: Subscriber, people: People
) -> None:
    done = await engine.requests.ask(people["support"], adjust(line, 2_000), why="dropped call", once=uuid4())
    assert (done.state, done.alone, done.outcome) == (RequestState.DONE, True, "ok")
    assert done.reference and await money(engine) == 102_000
    said = await trail(engine)
    assert said == [
        ("request.adjust", "support", "dropped call"),
        ("request.done", "support", "dropped call"),
    ]


async def test_above_the_limit_nothing_moves_before_somebody_else_approves(
    engine: Engine, line: Subscriber, people: People
) -> None:
    asked = await engine.requests.ask(people["support"], adjust(line, ALONE + 1), why="lost a month", once=uuid4())
    assert asked.state is RequestState.PENDING and await money(engine) == 100_000
    done = await engine.requests.decide(people["finance"], asked.request_id, approve=True, why="seen the ticket")
    assert (done.state, done.decided_by) == (RequestState.DONE, "finance")
    assert await money(engine) == 100_000 + ALONE + 1
    assert [(what, by) for what, by, _ in await trail(engine)] == [
        ("request.adjust", "support"),
        ("request.approve", "finance"),
        ("request.done", "finance"),
    ]


async def test_many_small_ones_are_one_big_one(engine: Engine, line: Subscriber, people: People) -> None:
    first = await engine.requests.ask(people["support"], adjust(line, ALONE - 10), why="first", once=uuid4())
    second = await engine.requests.ask(people["support"], adjust(line, -20), why="second", once=uuid4())
    other = await engine.requests.ask(people["admin"], adjust(line, 20), why="another person", once=uuid4())
    assert [first.state, second.state, other.state] == [RequestState.DONE, RequestState.PENDING, RequestState.DONE]


async def test_many_at_once_do_not_slip_past_the_limit_together(
    engine: Engine, line: Subscriber, people: People
) -> None:
    asking = [
        engine.requests.ask(people["support"], adjust(line, ALONE // 2), why=f"number {place}", once=uuid4())
        for place in range(6)
    ]
    states = [one.state for one in await asyncio.gather(*asking)]
    assert states.count(RequestState.DONE) == 2 and await money(engine) == 100_000 + ALONE


async def test_a_form_sent_twice_at_once_is_one_request(engine: Engine, line: Subscriber, people: People) -> None:
    once = uuid4()
    asking = [engine.requests.ask(people["support"], adjust(line, 500), why="twice", once=once) for _ in range(4)]
    ids = {one.request_id for one in await asyncio.gather(*asking)}
    assert len(ids) == 1 and await money(engine) == 100_500


async def test_whoever_asked_never_decides_even_with_the_role(engine: Engine, line: Subscriber, people: People) -> None:
    asked = await engine.requests.ask(people["finance"], adjust(line, ALONE + 1), why="big one", once=uuid4())
    with pytest.raises(BadRequest, match="own"):
        await engine.requests.decide(people["finance"], asked.request_id, approve=True, why="because")
    async with engine._database.begin() as connection:
        change = sa.update(staff_request).values(state="approved", decided_by=people["finance"].staff_id)
        with pytest.raises(IntegrityError, match="two_people"):
            await connection.execute(change)


async def test_an_administrator_is_not_both_pairs_of_eyes(engine: Engine, line: Subscriber, people: People) -> None:
    """Through an account they made or reset, or through two of them, at however many removes."""
    admin = people["admin"]
    await engine.staff.add("puppet", Role.ADMIN, by=admin, why="new")
    puppet = {one.name: one for one in await engine.staff.members()}["puppet"]
    await engine.staff.reset("finance", by=puppet, why="lost")
    await engine.staff.reset("support", by=admin, why="lost")
    for asker, decider in (("admin", "finance"), ("support", "admin"), ("support", "finance"), ("finance", "admin")):
        asked = await engine.requests.ask(people[asker], adjust(line, ALONE + 1), why="mine", once=uuid4())
        with pytest.raises(BadRequest, match="hands"):
            await engine.requests.decide(people[decider], asked.request_id, approve=True, why="seen")
    assert await money(engine) == 100_000
    done = await engine.requests.decide(people["finance2"], asked.request_id, approve=True, why="seen")
    assert done.state is RequestState.DONE


async def test_what_was_asked_under_credentials_of_before_is_refused_or_asked_anew(
    engine: Engine, line: Subscriber, people: People
) -> None:
    await engine.staff.reset("support", by=people["admin"], why="lost")
    asked = await engine.requests.ask(people["support"], adjust(line, ALONE + 1), why="not hers", once=uuid4())
    await engine.staff.reset("support", by="root", why="it was not her")
    with pytest.raises(BadRequest, match="anew"):
        await engine.requests.decide(people["admin"], asked.request_id, approve=True, why="seen")
    refused = await engine.requests.decide(people["admin"], asked.request_id, approve=False, why="not hers")
    assert refused.state is RequestState.REFUSED and await money(engine) == 100_000


async def test_the_database_lets_nothing_pass_that_nobody_approved(
    engine: Engine, line: Subscriber, people: People
) -> None:
    await engine.requests.ask(people["finance"], adjust(line, ALONE + 1), why="big one", once=uuid4())
    async with engine._database.begin() as connection:
        with pytest.raises(IntegrityError, match="approved_by_somebody"):
            await connection.execute(sa.update(staff_request).values(state="approved"))
    async with engine._database.begin() as connection:
        with pytest.raises(ProgrammingError, match="permission denied"):
            await connection.execute(sa.update(staff_request).values(amount=1))


async def test_other_roles_do_not_decide(engine: Engine, line: Subscriber, people: People) -> None:
    asked = await engine.requests.ask(people["finance"], adjust(line, ALONE + 1), why="big one", once=uuid4())
    for name in ("support", "auditor"):
        with pytest.raises(BadRequest, match="role"):
            await engine.requests.decide(people[name], asked.request_id, approve=True, why="because")


async def test_of_two_who_decide_at_once_one_does_and_it_is_done_once(
    engine: Engine, line: Subscriber, people: People
) -> None:
    asked = await engine.requests.ask(people["support"], adjust(line, ALONE + 1), why="big one", once=uuid4())
    deciding = [
        engine.requests.decide(people[name], asked.request_id, approve=True, why="fine")
        for name in ("finance", "finance2", "admin")
    ]
    results = await asyncio.gather(*deciding, return_exceptions=True)
    assert sum(isinstance(one, BadRequest) for one in results) == 2
    assert await money(engine) == 100_000 + ALONE + 1


async def test_what_was_refused_or_waited_too_long_is_never_done(
    engine: Engine, database_url: str, line: Subscriber, people: People
) -> None:
    refused = await engine.requests.ask(people["support"], adjust(line, ALONE + 1), why="big one", once=uuid4())
    await engine.requests.decide(people["finance"], refused.request_id, approve=False, why="no ticket")
    late = await engine.requests.ask(people["support"], adjust(line, ALONE + 2), why="another", once=uuid4())
    age(database_url, late.request_id, timedelta(hours=73))
    for one in (refused, late):
        with pytest.raises(BadRequest, match="decided"):
            await engine.requests.decide(people["admin"], one.request_id, approve=True, why="after all")
    assert await engine.requests.resume() == 1
    found = await engine.requests.request(late.request_id)
    assert found is not None and found.state is RequestState.EXPIRED
    assert await money(engine) == 100_000


def age(database_url: str, request_id: UUID, by: timedelta) -> None:
    """Put a request back in time, as the owner of the database."""
    with psycopg.connect(database_url) as connection:
        connection.execute(
            "UPDATE staff_request SET asked_at = %s WHERE request_id = %s", (datetime.now(UTC) - by, request_id)
        )


async def test_what_its_process_left_undone_is_done_once_by_the_next(
    engine: Engine, database_url: str, line: Subscriber, people: People, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def dies(*_: Any) -> None:
        raise ConnectionResetError

    monkeypatch.setattr(engine.requests, "_carry_out", dies)
    once = uuid4()
    with pytest.raises(ConnectionResetError):
        await engine.requests.ask(people["support"], adjust(line, 700), why="cut off", once=once)
    monkeypatch.undo()
    (left,) = await engine.requests.page()
    assert left.state is RequestState.APPROVED and await engine.requests.resume() == 0
    age(database_url, left.request_id, timedelta(minutes=1))
    assert await engine.requests.resume() == 1
    again = await engine.requests.ask(people["support"], adjust(line, 700), why="cut off", once=once)
    assert again.state is RequestState.DONE and await money(engine) == 100_700


async def test_a_purchase_is_given_back_whole_and_once(engine: Engine, line: Subscriber, people: People) -> None:
    bought = await buy(engine, line)
    wanted = RequestDraft(RequestKind.REFUND, ref(line), subject=bought)
    first = await engine.requests.ask(people["support"], wanted, why="wrong bundle", once=uuid4())
    second = await engine.requests.ask(people["support"], wanted, why="wrong bundle", once=uuid4())
    assert (first.state, first.amount, first.outcome) == (RequestState.DONE, 2_000, "ok")
    assert (second.state, second.outcome) == (RequestState.FAILED, "already_refunded")
    assert await money(engine) == 100_000


async def buy(engine: Engine, line: Subscriber) -> UUID:
    key = uuid4()
    asked = {"account": line.account, "line_id": line.line_id, "key": key, "source": "test"}
    bought = Purchase(**asked, asked_at=datetime.now(UTC), product="data_day_100mb", price=2_000)
    assert (await engine.post(bought)).ok
    return key


async def test_another_account_s_operation_cannot_be_named(engine: Engine, line: Subscriber, people: People) -> None:
    other = await engine.create_line("+254712345002")
    bought = await buy(engine, line)
    for kind in (RequestKind.REFUND, RequestKind.PAYMENT, RequestKind.RECEIPT):
        with pytest.raises(BadRequest, match="subject"):
            await engine.requests.ask(
                people["support"], RequestDraft(kind, ref(other), subject=bought), why="mistaken", once=uuid4()
            )


async def test_a_receipt_is_sent_once_more_in_the_same_words(engine: Engine, line: Subscriber, people: People) -> None:
    bought = await buy(engine, line)
    wanted = RequestDraft(RequestKind.RECEIPT, ref(line), subject=bought)
    done = await engine.requests.ask(people["support"], wanted, why="phone was off", once=uuid4())
    assert done.outcome == "ok"
    async with engine._database.connect() as connection:
        rows = await connection.execute(sa.select(outbox.c.body).where(outbox.c.topic == "purchase.done"))
        bodies = [row.body for row in rows]
    assert len(bodies) == 2 and bodies[0] == bodies[1]


async def test_barring_takes_two_and_unlocking_one_as_the_operator_says(
    engine: Engine, line: Subscriber, people: People
) -> None:
    barred = RequestDraft(RequestKind.STATUS, ref(line), status=LineStatus.BARRED)
    asked = await engine.requests.ask(people["support"], barred, why="stolen phone", once=uuid4())
    assert asked.state is RequestState.PENDING
    assert (await engine.subscriber(NUMBER)).status is not LineStatus.BARRED
    await engine.requests.decide(people["admin"], asked.request_id, approve=True, why="police report seen")
    assert (await engine.subscriber(NUMBER)).status is LineStatus.BARRED
    unlocked = await engine.requests.ask(
        people["support"], RequestDraft(RequestKind.UNLOCK, ref(line)), why="caller knew the PUK", once=uuid4()
    )
    assert unlocked.state is RequestState.DONE


async def test_requests_come_page_by_page_newest_first(engine: Engine, line: Subscriber, people: People) -> None:
    for amount in (1, 2, 3):
        await engine.requests.ask(people["support"], adjust(line, amount), why=f"number {amount}", once=uuid4())
    first = await engine.requests.page(account=line.account, limit=2)
    after = (first[-1].asked_at, first[-1].request_id)
    rest = await engine.requests.page(account=line.account, after=after, limit=2)
    assert [one.amount for one in [*first, *rest]] == [3, 2, 1]
    assert await engine.requests.page(states=[RequestState.PENDING]) == []
