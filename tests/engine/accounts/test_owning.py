"""What the lines of a shared account may know of one another: its owner of all, every other line of its own."""

from __future__ import annotations

import psycopg
import pytest

from engine.api import Engine
from engine.words import Charge, LineStatus, Subscriber, Unit
from tests.engine.shop import asking, credit, next_msisdn, open_line


async def family(engine: Engine) -> tuple[Subscriber, Subscriber]:
    """An owner and a child of theirs, each of whom has used some money."""
    owner = await open_line(engine, money=10_000)
    child = await engine.create_line(next_msisdn(), account=owner.account, status=LineStatus.ACTIVE)
    for line, amount in ((owner, 100), (child, 200)):
        assert (await engine.post(asking(Charge, line, unit=Unit.MONEY, amount=amount))).ok
    return await engine.subscriber(owner.msisdn), await engine.subscriber(child.msisdn)


async def test_an_owner_may_know_of_all_lines_and_a_member_of_its_own(engine: Engine) -> None:
    owner, child = await family(engine)
    assert await engine.leaving.only_line(owner) is None
    assert await engine.leaving.only_line(child) == child.line_id


async def test_who_owned_an_account_and_ended_leaves_it_to_the_oldest_line_that_goes_on(engine: Engine) -> None:
    owner, child = await family(engine)
    await engine.accounts.set_status(owner, LineStatus.TERMINATED, reason="test", by="test")
    assert await engine.leaving.only_line(child) is None


async def test_what_expires_is_told_to_the_oldest_line_that_goes_on(engine: Engine, database_url: str) -> None:
    owner, child = await family(engine)
    await engine.accounts.set_status(owner, LineStatus.TERMINATED, reason="test", by="test")
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("UPDATE bucket SET expires_at = now() - interval '1 minute'")
    assert await engine.expire_due() == 1
    expired = [one.msisdn for one in await engine.claim_messages(50, 60) if one.topic == "alert.expired"]
    assert expired == [child.msisdn]


@pytest.mark.parametrize("at_once", [False, True])
async def test_why_a_balance_went_down_is_told_of_all_lines_to_the_owner_and_of_its_own_to_a_member(
    engine: Engine, at_once: bool
) -> None:
    for line, amounts in zip(await family(engine), ([200, 100], [200]), strict=True):
        told = (await engine.overview(line)).deductions if at_once else await engine.explain_usage(line)
        assert [one.amount for one in told] == amounts


async def test_what_staff_gave_the_account_is_no_doing_of_a_member(engine: Engine) -> None:
    _, child = await family(engine)
    await credit(engine, child, 500)
    done = await engine.operations(child.account, line_id=await engine.leaving.only_line(child))
    assert [one.answer.kind for one in done] == ["adjust", "charge"]
    assert {one.line_id for one in done} == {child.line_id}
