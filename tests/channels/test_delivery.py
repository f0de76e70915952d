"""The outbox, delivered: at least once, under a stable id, parked when it is hopeless."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from uuid import uuid4

import pytest
from redis.asyncio import Redis

from channels.delivery import BACKOFF_FIRST, BACKOFF_LONGEST, DeliveryWorker, backoff
from channels.sms.contract import CarrierError, ErrorKind, Outgoing, Tools
from channels.sms.simulator.carrier import Carrier as Simulator, inbox
from dialogs.texts import Texts
from engine.api import Engine
from runtime.keyring import Keyring
from runtime.metrics import Metrics
from settings import Operator
from tests.channels.phone import MSISDN, Phone, Talk


class Refusing:
    """A carrier that takes nothing."""

    def __init__(self, kind: ErrorKind) -> None:
        self.kind = kind
        self.offered: list[Outgoing] = []

    async def send(self, outgoing: Outgoing) -> None:
        self.offered.append(outgoing)
        raise CarrierError("throttled", self.kind)


@pytest.fixture
async def recharged(talk: Talk, line: str, vouchers: list[str]) -> None:
    """A line that has just been recharged, its text waiting in the outbox."""
    phone = Phone(talk())
    await phone.dial(vouchers[0])
    await phone.say("1")


@pytest.fixture
def worker(engine: Engine, texts: Texts, operator: Operator) -> Callable[..., DeliveryWorker]:
    def make(carrier) -> DeliveryWorker:
        return DeliveryWorker(engine=engine, carrier=carrier, texts=texts, operator=operator, metrics=Metrics())

    return make


@pytest.fixture
def simulator(redis_client: Redis, keyring: Keyring) -> Simulator:
    return Simulator("simulator", {}, Tools(redis=redis_client, keyring=keyring))


@pytest.fixture
def texts_sent(redis_client: Redis, keyring: Keyring) -> Callable[[], Awaitable[list]]:
    async def read() -> list:
        return [entry for _, entry in await redis_client.xrange(inbox(keyring, MSISDN))]

    return read


async def test_a_recharge_is_told_by_one_text(
    recharged: None, worker, simulator: Simulator, operator: Operator, texts_sent
) -> None:
    delivery = worker(simulator)
    assert await delivery.deliver() >= 1
    assert await delivery.deliver() == 0
    (entry,) = await texts_sent()
    assert entry[b"from"].decode() == operator.sender
    assert "50.00" in entry[b"text"].decode()
    assert set(entry) == {b"message_id", b"from", b"text", b"at"}


async def test_the_inbox_is_named_without_the_number(keyring: Keyring) -> None:
    assert "254712345678" not in inbox(keyring, MSISDN)


async def test_a_text_the_carrier_did_not_take_waits_for_its_time(recharged: None, engine: Engine, worker) -> None:
    carrier = Refusing(ErrorKind.THROTTLED)
    delivery = worker(carrier)
    await delivery.deliver()
    assert len(carrier.offered) == 1
    assert await delivery.deliver() == 0, "it must not be tried again before its time"


async def test_a_text_the_carrier_will_never_take_is_parked(recharged: None, engine: Engine, worker) -> None:
    carrier = Refusing(ErrorKind.PERMANENT)
    delivery = worker(carrier)
    await delivery.deliver()
    assert await delivery.deliver() == 0
    assert await engine.claim_messages(10, 60) == []


async def test_a_message_goes_to_one_of_two_workers(
    recharged: None, worker, simulator: Simulator, operator: Operator, texts_sent
) -> None:
    workers = [worker(simulator) for _ in range(2)]
    await asyncio.gather(*(one.deliver() for one in workers))
    assert len(await texts_sent()) == 1


async def test_a_worker_told_to_stop_stops(worker) -> None:
    stop = asyncio.Event()
    running = asyncio.create_task(worker(Refusing(ErrorKind.THROTTLED)).run(stop))
    await asyncio.sleep(0.05)
    stop.set()
    await asyncio.wait_for(running, 5)


async def test_a_running_worker_delivers_what_comes(
    recharged: None, worker, simulator: Simulator, operator: Operator, texts_sent
) -> None:
    stop = asyncio.Event()
    delivery = worker(simulator)
    running = asyncio.create_task(delivery.run(stop))
    async with asyncio.timeout(10):
        while not await texts_sent():  # noqa: ASYNC110 - another process's doing
            await asyncio.sleep(0.02)
    stop.set()
    await running


async def test_an_inbox_is_capped(simulator: Simulator, texts_sent) -> None:
    for number in range(120):
        await simulator.send(
            Outgoing(message_id=uuid4(), to=MSISDN, sender="Rasid", text=str(number), at=datetime.now(UTC))
        )
    entries = await texts_sent()
    assert len(entries) == 100
    assert entries[-1][b"text"] == b"119"


def test_waiting_times_double_up_to_a_limit() -> None:
    for attempts in range(1, 40):
        expected = min(BACKOFF_FIRST * 2 ** (attempts - 1), BACKOFF_LONGEST)
        assert 0.75 * expected <= backoff(attempts) <= 1.25 * expected
