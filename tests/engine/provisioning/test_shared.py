"""Lines that share an account: what one does to what it holds is told of all of them, in the same commit."""

from __future__ import annotations

import psycopg

from engine.api import Engine
from engine.words import Charge, LineStatus, Subscriber, Unit
from tests.engine.shop import asking, credit, next_msisdn, open_line


async def family(engine: Engine) -> tuple[Subscriber, Subscriber]:
    """An owner with money, and a child of theirs."""
    owner = await open_line(engine, money=10_000)
    child = await engine.create_line(next_msisdn(), account=owner.account, status=LineStatus.ACTIVE)
    return owner, child


def told(url: str, line: Subscriber) -> list[str]:
    """What the network has heard of a line's calls, in order."""
    asked = """
        SELECT rule->>'status' FROM event, jsonb_array_elements(body->'rules') AS rule
        WHERE topic = 'provisioning.changed' AND line_id = %s AND rule->>'counter' = 'voice' ORDER BY event_id"""
    with psycopg.connect(url) as connection:
        return [row[0] for row in connection.execute(asked, [line.line_id])]


async def test_what_one_line_uses_up_and_pays_again_is_told_of_the_others(engine: Engine, database_url: str) -> None:
    owner, child = await family(engine)
    assert (await engine.post(asking(Charge, child, unit=Unit.MONEY, amount=10_000))).ok
    await credit(engine, child, 5_000)
    assert told(database_url, owner)[-2:] == told(database_url, child)[-2:] == ["exhausted", "active"]


async def test_a_line_that_is_not_served_hears_nothing_of_what_its_account_holds(
    engine: Engine, database_url: str
) -> None:
    owner, child = await family(engine)
    await engine.accounts.set_status(owner, LineStatus.SUSPENDED, reason="test", by="test")
    before = told(database_url, owner)
    assert (await engine.post(asking(Charge, child, unit=Unit.MONEY, amount=10_000))).ok
    assert told(database_url, owner) == before
    assert told(database_url, child)[-1] == "exhausted"


async def test_what_nobody_need_hear_is_written_for_no_line(engine: Engine, database_url: str) -> None:
    owner, child = await family(engine)
    assert (await engine.post(asking(Charge, child, unit=Unit.MONEY, amount=10))).ok
    before = (told(database_url, owner), told(database_url, child))
    assert (await engine.post(asking(Charge, child, unit=Unit.MONEY, amount=10))).ok
    assert (told(database_url, owner), told(database_url, child)) == before
