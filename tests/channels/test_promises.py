"""What was answered with "we will text you" is told, once, whatever becomes of the process that said it."""

from __future__ import annotations

import asyncio
import signal
from typing import Any

import aiohttp
import pytest

from engine.api import Engine
from engine.words import Operation
from tests.channels.conftest import Told
from tests.channels.doors import HASTY, SlowDoor, late
from tests.channels.phone import FACE_VALUE, Phone, Talk, money
from tests.channels.servers import hop, ready, running


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


class Dawdling(SlowDoor):
    """The engine, slow to write down a promise."""

    def __init__(self, engine: Engine) -> None:
        super().__init__(engine)
        self.asked = False
        self.written = False

    @property
    def told(self):
        return self

    async def promise(self, *given: Any) -> str | None:
        self.asked = True
        await self.open.wait()
        back = await self._engine.told.promise(*given)
        self.written = True
        return back


async def test_a_promise_that_takes_too_long_to_write_is_not_given_and_written_to_its_end(
    *, talk: Talk, engine: Engine, line: str, vouchers: list[str], told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("channels.promises.MAKE_SECONDS", 0.01)
    door = Dawdling(engine)
    phone = Phone(talk(engine=door, profile=HASTY))
    await phone.dial(vouchers[0])
    assert (await phone.say("1")).label == "notice.try_again"
    while not door.asked:  # the time was up before anything was asked of the door
        await phone.send()
    door.open.set()
    await phone.conversation.drain()
    assert door.written
    assert await money(engine) == FACE_VALUE
    assert len(await told()) == 1


@pytest.mark.timeout(120)
async def test_a_server_killed_with_its_promise_unkept_leaves_it_to_whoever_delivers(
    *, variables, engine: Engine, line: str, vouchers: list[str], owner, told: Told
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
