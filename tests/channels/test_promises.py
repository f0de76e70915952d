"""What was answered with "we will text you" is told, once, whatever becomes of the process that said it."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import aiohttp
import psycopg
import pytest

from channels.delivery import DeliveryWorker
from channels.routing import Route, Router
from channels.sms.contract import Tools
from channels.sms.simulator.carrier import Carrier as Simulator, inbox
from channels.turn import Profile
from engine.api import Engine
from engine.words import Operation
from runtime.metrics import Metrics
from settings import CarrierSettings
from tests.channels.doors import SlowDoor
from tests.channels.phone import FACE_VALUE, MSISDN, Phone, Talk, money
from tests.channels.test_server import hop, ready, running, variables  # noqa: F401 - a fixture

HASTY = Profile(deadline_seconds=1.3)
Told = Callable[[], Awaitable[list[str]]]


@pytest.fixture
def owner(database_url: str) -> Iterator[psycopg.Connection[Any]]:
    """The database as its owner sees it."""
    with psycopg.connect(database_url, autocommit=True) as connection:
        yield connection


@pytest.fixture
def told(*, engine: Engine, owner, texts, operator, redis_client, keyring) -> Told:
    """The texts on the line's phone, once all that waits was due and delivered."""
    carrier = Simulator("simulator", {}, Tools(redis=redis_client, keyring=keyring))
    route = Route("simulator", carrier, CarrierSettings(adapter="simulator", per_second=1000.0))
    worker = DeliveryWorker(
        engine=engine, router=Router([route]), texts=texts, operator=operator, metrics=Metrics()
    )  # fmt: skip

    async def read() -> list[str]:
        owner.execute("UPDATE outbox SET due_at = now() WHERE state = 'due'")
        while await worker.deliver():
            pass
        return [entry[b"text"].decode() for _, entry in await redis_client.xrange(inbox(keyring, MSISDN))]

    return read


async def late(phone: Phone) -> None:
    """Say yes to what the phone shows, and be promised the outcome."""
    reply = await phone.say("1")
    while reply.label != "notice.late":
        assert not reply.ends
        reply = await phone.say("1")


async def test_what_never_happened_is_told_as_nothing_taken_and_never_happens_after(
    talk: Talk, engine: Engine, line: str, vouchers: list[str], told: Told
) -> None:
    door = SlowDoor(engine)
    phone = Phone(talk(engine=door, profile=HASTY))
    await phone.dial(vouchers[0])
    await late(phone)
    # The process is as good as dead; whoever delivers keeps its promise.
    (said,) = await told()
    assert said.startswith("It did not work and nothing was done. Please try later.\nTo continue, dial *123*9*")
    # It was not dead after all, and does its work now: too late, and without another word.
    door.open.set()
    await phone.conversation.drain()
    assert await money(engine) == 0
    assert len(await told()) == 1
    again = Phone(talk(), session_id="ATUid_2")
    await again.dial(vouchers[0])
    assert (await again.say("1")).label == "recharge.done", "the voucher is as good as ever"


class Crashing(SlowDoor):
    """A process that dies when its late operation is in the books, before it can tell."""

    async def post(self, operation: Operation):
        await super().post(operation)
        await asyncio.Event().wait()


async def test_what_was_done_is_told_by_its_receipt_alone(
    talk: Talk, engine: Engine, line: str, vouchers: list[str], told: Told
) -> None:
    door = Crashing(engine)
    phone = Phone(talk(engine=door, profile=HASTY))
    await phone.dial(vouchers[0])
    door.open.set()
    await late(phone)
    assert await money(engine) == FACE_VALUE
    (said,) = await told()
    assert said.startswith("Recharged KES 50.00.")
    await stop(phone)


async def stop(phone: Phone) -> None:
    """End what is left of the process."""
    for task in tuple(phone.conversation._ongoing._tasks):
        task.cancel()
    await asyncio.sleep(0)


async def test_what_was_refused_is_told_in_the_refusals_own_words_and_language(
    talk: Talk, engine: Engine, line: str, told: Told
) -> None:
    door = Crashing(engine)
    phone = Phone(talk(engine=door, profile=HASTY))
    await phone.dial("3")
    door.open.set()
    await late(phone)
    await engine.set_language(await engine.subscriber(line), "sw")
    (said,) = await told()
    assert "Salio" in said and "20" in said
    assert await told() == [said]
    await stop(phone)


class Forgetful(SlowDoor):
    """The engine, unable to write down a promise."""

    @property
    def told(self):
        raise ConnectionError


async def test_what_cannot_be_written_down_is_not_promised_and_may_be_tried_again(
    talk: Talk, engine: Engine, line: str, vouchers: list[str], told: Told
) -> None:
    door = Forgetful(engine)
    phone = Phone(talk(engine=door, profile=HASTY))
    await phone.dial(vouchers[0])
    assert (await phone.say("1")).label == "notice.try_again"
    door.open.set()
    await phone.conversation.drain()
    assert (await Phone(talk()).dial(f"{vouchers[0]}*1")).label == "recharge.done", "found under its key"
    assert await money(engine) == FACE_VALUE
    assert len(await told()) == 1


@pytest.mark.timeout(120)
async def test_a_server_killed_with_its_promise_unkept_leaves_it_to_whoever_delivers(
    *, variables, engine: Engine, line: str, vouchers: list[str], owner, told: Told  # noqa: F811
) -> None:  # fmt: skip
    environment = variables("deadline_seconds = 3.0")
    base = f"http://127.0.0.1:{environment['PORT']}"
    async with running("ussd_server.py", environment) as server, aiohttp.ClientSession() as http:
        await ready(server, http, base)
        await hop(http, base, vouchers[0])
        with owner.transaction():
            owner.execute("SELECT 1 FROM account FOR UPDATE")
            assert "We will text you" in await hop(http, base, f"{vouchers[0]}*1")
            server.send_signal(signal.SIGKILL)
            await server.wait()
    (said,) = await told()
    assert said.startswith("Recharged") == (await money(engine) == FACE_VALUE)
    assert said.startswith(("Recharged", "It did not work and nothing was done."))
