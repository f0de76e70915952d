"""Every bucket is told of once, a day before it ends."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

from engine.api import Engine
from engine.storage.locks import AdvisoryLock
from tests.engine.shop import open_line


async def told(engine: Engine) -> list[dict]:
    return [m.body for m in await engine.claim_messages(1000, 60) if m.topic == "alert.expiring"]


def ends_in(owner, hours: float, line=None) -> None:
    which = "" if line is None else f" WHERE account_id = '{line.account.account_id}'"
    at = datetime.now(UTC) + timedelta(hours=hours)
    owner.execute(f"UPDATE bucket SET expires_at = %s{which}", [at])


async def test_a_bucket_is_told_of_once_when_its_end_comes_within_a_day(engine: Engine, owner) -> None:
    await open_line(engine, money=5_000)
    ends_in(owner, 24.5)
    await engine.tell_expiring()
    assert await told(engine) == []
    owner.execute("UPDATE watermark SET at = at - interval '1 hour'")
    ends_in(owner, 23.5)
    assert await engine.tell_expiring() == 1
    assert await engine.tell_expiring() == 0
    (body,) = await told(engine)
    assert (body["unit"], body["left"], body["product"]) == ("money", 5_000, "airtime")


async def test_an_installation_does_not_begin_by_telling_everybody(engine: Engine, owner) -> None:
    await open_line(engine, money=5_000)
    ends_in(owner, 3)
    await engine.tell_expiring()
    assert await told(engine) == []


async def test_many_that_end_at_one_midnight_are_told_in_parts_each_once(engine: Engine, owner) -> None:
    await engine.tell_expiring()
    for _ in range(7):
        await open_line(engine, money=1_000)
    owner.execute("UPDATE watermark SET at = at - interval '2 hours'")
    ends_in(owner, 23)
    assert [await engine.tell_expiring(3) for _ in range(4)] == [3, 3, 1, 0]
    assert len(await told(engine)) == 7


async def test_two_processes_that_walk_at_once_tell_once(engine: Engine, owner) -> None:
    await engine.tell_expiring()
    await open_line(engine, money=1_000)
    owner.execute("UPDATE watermark SET at = at - interval '2 hours'")
    ends_in(owner, 23)
    await asyncio.gather(*(engine.tell_expiring() for _ in range(4)))
    assert len(await told(engine)) == 1


async def test_a_bucket_whose_end_is_put_off_is_told_of_again(engine: Engine, owner) -> None:
    await engine.tell_expiring()
    await open_line(engine, money=1_000)
    for _ in range(2):
        owner.execute("UPDATE watermark SET at = now() + interval '22 hours'")
        ends_in(owner, 23)
        await engine.tell_expiring()
    assert len(await told(engine)) == 2


async def test_an_empty_bucket_is_nothing_to_tell(engine: Engine, owner) -> None:
    await engine.tell_expiring()
    await open_line(engine, money=1_000)
    owner.execute("UPDATE bucket SET amount = 0")
    owner.execute("UPDATE watermark SET at = at - interval '2 hours'")
    ends_in(owner, 23)
    assert await engine.tell_expiring() == 0


async def test_while_history_is_sealed_people_are_told_all_the_same(engine: Engine, owner) -> None:
    await engine.tell_expiring()
    await open_line(engine, money=1_000)
    owner.execute("UPDATE watermark SET at = at - interval '2 hours'")
    ends_in(owner, 23)
    owner.execute("SELECT pg_advisory_lock(%s)", [int(AdvisoryLock.SEAL_HISTORY)])
    assert await engine.tell_expiring() == 1
