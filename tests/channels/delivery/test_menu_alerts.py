"""A low balance is told by a menu where the line is at its phone and a gateway can, else by text; and once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any
from uuid import UUID

import psycopg
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from channels.delivery import DeliveryWorker
from channels.menus import BY_MENU, MenuAlerts
from channels.push import Pushes
from channels.routing import Router
from channels.smpp.names import Status
from channels.ussd.outbound import Outbound
from channels.ussd.restcomm.outbound import Outbound as Restcomm
from channels.ussd.smpp.outbound import Outbound as Smpp
from dialogs.texts import Texts
from engine.api import Engine
from engine.words import Subscriber, Unit
from runtime.metrics import Metrics
from settings import Operator
from tests.channels.delivery.sockets import route
from tests.channels.phone import MSISDN, Talk
from tests.channels.smpp.conftest import smsc
from tests.channels.test_push import Gateway, tools
from tests.channels.ussd.smpp.conftest import Handset, screen, session_info
from tests.doubles.smsc import Smsc
from tests.engine.shop import credit

__all__ = ["smsc", "tools"]

LOW = {"unit": "octets", "left": 5_000_000, "threshold": 10_000_000}
Deliver = Callable[[], Awaitable[None]]


@pytest.fixture
async def centre(smsc: Smsc, tools) -> AsyncIterator[Outbound]:
    options = {"host": "127.0.0.1", "port": smsc.port, "system_id": "rasid", "password": "secret"}
    one = Smpp("centre", options, tools())
    await one.start()
    assert await one.bound(10)
    yield one
    await one.close()


@pytest.fixture
def delivering(
    *, engine: Engine, talk: Talk, texts: Texts, operator: Operator, simulator, owner: psycopg.Connection[Any]
):
    """``deliver = delivering(gateways…)``; each call delivers what is due, as one process would."""

    def make(**gateways: Outbound) -> tuple[Deliver, MenuAlerts]:
        conversation = talk()
        menus = MenuAlerts(engine, Pushes(gateways, conversation.turn, conversation._machine.states))
        worker = DeliveryWorker(
            engine=engine,
            router=Router([route(simulator)]),
            texts=texts,
            operator=operator,
            metrics=Metrics(),
            menus=menus,
        )

        async def deliver() -> None:
            while await worker.deliver():
                await menus.drain()

        return deliver, menus

    return make


@pytest.fixture
def later(owner: psycopg.Connection[Any]) -> Callable[[], None]:
    """The time to answer is over."""

    def pass_by() -> None:
        owner.execute("UPDATE pushed_menu SET begun_at = begun_at - interval '1 hour'")
        owner.execute("UPDATE outbox SET due_at = now() WHERE state = 'due'")

    return pass_by


@pytest.fixture
async def low(engine: Engine, rich: Subscriber, told) -> UUID:
    """A line with money and 5 MB left, of which it is to be told."""
    await credit(engine, rich, 5_000_000, Unit.OCTETS)
    return await told("alert.low_balance", **LOW)


async def test_the_menu_says_what_is_left_and_sells_more_and_no_text_goes(
    *, smsc: Smsc, centre: Outbound, delivering, later, engine: Engine, low: UUID, texts_sent
) -> None:
    deliver, _ = delivering(centre=centre)
    await deliver()
    (shown,) = smsc.submitted
    assert screen(shown).startswith("You have 5 MB left.\n1 Buy 100 MB 1 day for KES 20.00")
    number, _ = session_info(shown) or b""
    handset = Handset(smsc, session=number)
    await handset.say("1")
    assert screen(smsc.submitted[-1]).startswith("Buy 100 MB 1 day for KES 20.00?")
    await handset.say("1")
    assert (await engine.subscriber(MSISDN)).total(Unit.OCTETS) == 105_000_000
    later()
    await deliver()
    assert [entry for entry in await texts_sent() if b"left" in entry[b"text"]] == []
    (event,) = await engine.message_history(low)
    assert (event.carrier, event.state) == (BY_MENU, "delivered")
    later()
    await deliver()
    assert len(await engine.message_history(low)) == 1


async def test_a_menu_that_nobody_answers_is_told_by_text_once(
    *, smsc: Smsc, centre: Outbound, delivering, later, low: UUID, texts_sent
) -> None:
    deliver, _ = delivering(centre=centre)
    await deliver()
    assert len(smsc.submitted) == 1
    assert await texts_sent() == [], "it waits for an answer"
    later()
    await deliver()
    (entry,) = await texts_sent()
    assert entry[b"text"].startswith(b"Only 5 MB left.")
    later()
    await deliver()
    assert len(await texts_sent()) == len(smsc.submitted) == 1


async def test_a_menu_that_the_gateway_refuses_is_told_by_text_at_once(
    *, smsc: Smsc, centre: Outbound, delivering, low: UUID, texts_sent
) -> None:
    smsc.on_submit = lambda *_: Status.RINVDSTADR
    deliver, _ = delivering(centre=centre)
    await deliver()
    assert len(await texts_sent()) == 1


async def test_a_process_that_dies_while_it_pushes_leaves_the_text_to_others(
    *, smsc: Smsc, centre: Outbound, delivering, later, engine: Engine, low: UUID, texts_sent
) -> None:
    (message,) = await engine.claim_messages(10, 60)
    assert await engine.menus.begin_menu((message.shard, message.message_id))
    later_process, _ = delivering(centre=centre)
    await later_process()
    assert await texts_sent() == []
    later()
    await later_process()
    assert len(await texts_sent()) == 1
    assert smsc.submitted == [], "nobody knows whether it was shown, so it is not shown again"


async def test_an_answer_that_comes_after_the_text_sells_all_the_same(
    *, smsc: Smsc, centre: Outbound, delivering, later, engine: Engine, low: UUID, texts_sent
) -> None:
    deliver, _ = delivering(centre=centre)
    await deliver()
    later()
    await deliver()
    handset = Handset(smsc, session=(session_info(smsc.submitted[0]) or b"")[0])
    await handset.say("1")
    await handset.say("1")
    assert (await engine.subscriber(MSISDN)).total(Unit.OCTETS) == 105_000_000
    later()
    await deliver()
    assert len([entry for entry in await texts_sent() if b"5 MB left" in entry[b"text"]]) == 1


@pytest.mark.parametrize("why", ["long ago", "never wanted", "no gateway"])
async def test_else_it_is_a_text(
    *,
    why: str,
    smsc: Smsc,
    centre: Outbound,
    delivering,
    engine: Engine,
    operator: Operator,
    owner: psycopg.Connection[Any],
    low: UUID,
    texts_sent,
) -> None:
    if why == "long ago":
        owner.execute("UPDATE outbox SET created_at = created_at - interval '6 minutes'")
    if why == "never wanted":
        rules = operator.sessions.model_copy(update={"push_minutes": 0})
        engine.operator = operator.model_copy(update={"sessions": rules})
    deliver, _ = delivering(**({} if why == "no gateway" else {"centre": centre}))
    await deliver()
    assert len(await texts_sent()) == 1
    assert smsc.submitted == []


async def test_who_wants_no_alerts_is_shown_none(
    *, smsc: Smsc, centre: Outbound, delivering, engine: Engine, low: UUID, texts_sent
) -> None:
    await engine.opt_out(MSISDN, True)
    deliver, _ = delivering(centre=centre)
    await deliver()
    assert smsc.submitted == [] and await texts_sent() == []


async def test_other_news_is_a_text(*, smsc: Smsc, centre: Outbound, delivering, told, texts_sent) -> None:
    await told("reply", text="Hello")
    deliver, _ = delivering(centre=centre)
    await deliver()
    assert smsc.submitted == [] and len(await texts_sent()) == 1


async def test_restcomm_shows_it_too_and_what_is_bought_there_is_bought_once(
    *, tools, delivering, later, engine: Engine, low: UUID, texts_sent
) -> None:
    gateway = Gateway(["1", "1"])
    application = web.Application()
    application.add_routes([web.post("/restcomm", gateway.push)])
    async with TestServer(application) as server:
        one = Restcomm("restcomm", {"push_url": str(server.make_url("/restcomm"))}, tools())
        deliver, _ = delivering(restcomm=one)
        await deliver()
        await one.close()
    assert (await engine.subscriber(MSISDN)).total(Unit.OCTETS) == 105_000_000
    later()
    await deliver()
    assert [entry for entry in await texts_sent() if b"5 MB left" in entry[b"text"]] == []


async def test_several_processes_show_one_menu(
    *, smsc: Smsc, centre: Outbound, delivering, low: UUID, texts_sent
) -> None:
    makers = [delivering(centre=centre)[0] for _ in range(3)]
    await asyncio.gather(*(deliver() for deliver in makers))
    assert len(smsc.submitted) == 1
    assert await texts_sent() == []


@pytest.mark.parametrize(("unit", "offered"), [("money", "1 Recharge"), ("seconds", "1 Buy 30 minutes 1 day")])
async def test_each_unit_has_its_own_offer(
    *, smsc: Smsc, centre: Outbound, delivering, rich: Subscriber, told, unit: str, offered: str
) -> None:
    await told("alert.low_balance", unit=unit, left=1, threshold=10)
    deliver, _ = delivering(centre=centre)
    await deliver()
    assert offered in screen(smsc.submitted[0])
