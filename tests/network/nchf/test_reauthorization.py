"""The core is told when what a line may use has changed: once it is known, until it is taken, and nobody else."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from engine.api import Engine
from engine.books.invariants import check_all
from engine.words import LineStatus, Unit
from network.changes import TOPICS
from network.nchf.reauthorization import Reauthorization
from tests.doubles.network_function import NetworkFunction
from tests.engine.shop import credit, open_line
from tests.network.api import Api
from tests.network.nchf.network import MB, QUEUE, ROOT, asking, group, opening


@pytest.fixture
async def core() -> AsyncIterator[NetworkFunction]:
    async with NetworkFunction() as function:
        yield function


@asynccontextmanager
async def telling(engine: Engine) -> AsyncIterator[None]:
    stop = asyncio.Event()
    worker = asyncio.create_task(Reauthorization(engine).run(stop))
    try:
        # A queue knows what happens after it was made.
        await engine.events.follow(QUEUE, TOPICS)
        yield
    finally:
        stop.set()
        await worker


async def test_a_recharge_of_an_exhausted_line_is_told_to_its_open_sessions(
    api: Api, engine: Engine, core: NetworkFunction
) -> None:
    line, other = await open_line(engine), await open_line(engine)
    async with telling(engine):
        for name in ("one", "two"):
            created = await api.post(ROOT, opening(line, group(wanted={}), notifyUri=core.uri(name)))
            assert created.body["multipleUnitInformation"][0]["resultCode"] == "QUOTA_LIMIT_REACHED"
        await api.post(ROOT, opening(other, group(wanted={}), notifyUri=core.uri("other")))
        gone = await api.post(ROOT, opening(line, group(wanted={}), notifyUri=core.uri("gone")))
        await api.post(f"{gone.headers['Location']}/release", asking(1))
        await credit(engine, line, 10 * MB, Unit.OCTETS)
        await core.wait(lambda: len(core.told) >= 2)
    assert sorted(core.names()) == ["one", "two"]
    assert core.told[0][1] == {"notificationType": "REAUTHORIZATION"}


async def test_what_is_not_taken_is_told_again_until_it_is(api: Api, engine: Engine, core: NetworkFunction) -> None:
    line = await open_line(engine)
    core.answers = [503, 400, 204]
    async with telling(engine):
        await api.post(ROOT, opening(line, group(wanted={}), notifyUri=core.uri("one")))
        await credit(engine, line, 10 * MB, Unit.OCTETS)
        await core.wait(lambda: len(core.told) == 3)
    assert not await engine.events.parked()


async def test_another_instance_is_followed_to_where_it_is(api: Api, engine: Engine, core: NetworkFunction) -> None:
    line = await open_line(engine)
    core.answers = [307]
    async with telling(engine):
        await api.post(ROOT, opening(line, group(wanted={}), notifyUri=core.uri("one")))
        await credit(engine, line, 10 * MB, Unit.OCTETS)
        await core.wait(lambda: core.names() == ["one", "elsewhere"])


async def test_a_network_function_that_is_away_does_not_hold_up_the_others(
    api: Api, engine: Engine, core: NetworkFunction
) -> None:
    lost, line = await open_line(engine), await open_line(engine)
    async with telling(engine):
        await api.post(ROOT, opening(lost, group(wanted={}), notifyUri="http://127.0.0.1:9/nobody"))
        await api.post(ROOT, opening(line, group(wanted={}), notifyUri=core.uri("one")))
        await credit(engine, lost, 10 * MB, Unit.OCTETS)
        await credit(engine, line, 10 * MB, Unit.OCTETS)
        await core.wait(lambda: core.names() == ["one"])


async def test_a_network_function_that_is_away_keeps_no_other_of_the_account_from_hearing_how_things_stand_now(
    api: Api, engine: Engine, core: NetworkFunction
) -> None:
    line = await open_line(engine)
    async with telling(engine):
        await api.post(ROOT, opening(line, group(wanted={}), notifyUri="http://127.0.0.1:9/nobody"))
        await api.post(ROOT, opening(line, group(wanted={}), notifyUri=core.uri("one")))
        await credit(engine, line, 10 * MB, Unit.OCTETS)
        await core.wait(lambda: core.names() == ["one"])
        await engine.accounts.set_status(line, LineStatus.BARRED, reason="fraud", by="alice")
        await core.wait(lambda: told(core)[-1] == ("one", "ABORT_CHARGING"))
    assert told(core)[:2] == [("one", "REAUTHORIZATION"), ("one", "ABORT_CHARGING")]


async def test_a_followed_queue_is_nobody_s_subscription(engine: Engine) -> None:
    queue = await engine.events.follow(QUEUE, TOPICS)
    assert await engine.events.follow(QUEUE, TOPICS) == queue
    await open_line(engine, money=1000)
    await engine.events.fan_out(100)
    assert list(await engine.events.list()) == [] and list(await engine.events.due()) == []
    with pytest.raises(LookupError):
        await engine.events.unsubscribe(queue, by="test")


async def test_sessions_of_a_line_that_is_barred_are_told_to_end_and_of_its_family_go_on(
    api: Api, engine: Engine, core: NetworkFunction
) -> None:
    line = await open_line(engine)
    await credit(engine, line, 10 * MB, Unit.OCTETS)
    other = await engine.create_line("+254712999888", account=line.account, status=LineStatus.ACTIVE)
    async with telling(engine):
        for name, one in (("mine", line), ("theirs", other)):
            await api.post(ROOT, opening(one, group(wanted={}), notifyUri=core.uri(name)))
        await core.wait(lambda: True)
        core.told.clear()
        await engine.accounts.set_status(line, LineStatus.BARRED, reason="fraud", by="alice")
        await core.wait(lambda: ("mine", "ABORT_CHARGING") in told(core))
    assert ("theirs", "ABORT_CHARGING") not in told(core)


async def test_sessions_of_a_line_that_is_barred_with_nothing_left_are_told_to_end_too(
    api: Api, engine: Engine, core: NetworkFunction
) -> None:
    line = await open_line(engine)
    async with telling(engine):
        await api.post(ROOT, opening(line, group(wanted={}), notifyUri=core.uri("mine")))
        await engine.accounts.set_status(line, LineStatus.BARRED, reason="fraud", by="alice")
        await core.wait(lambda: ("mine", "ABORT_CHARGING") in told(core))
    assert await check_all(engine._database) == []


def told(core: NetworkFunction) -> list[tuple[str, str]]:
    return [(path.rpartition("/")[2], body["notificationType"]) for path, body in core.told]
