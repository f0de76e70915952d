"""The outbox, delivered: at least once, under a stable id, parked when it is hopeless."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from uuid import uuid4

import pytest

from channels.delivery import BACKOFF_FIRST, BACKOFF_LONGEST, backoff
from channels.sms.contract import ErrorKind, Outgoing
from channels.sms.simulator.carrier import Carrier as Simulator, inbox
from engine.api import Engine
from engine.words import DeliveryState
from runtime.keyring import Keyring
from settings import Operator
from tests.channels.delivery.sockets import WORDS, route
from tests.channels.phone import MSISDN
from tests.waiting import until


async def test_a_recharge_is_told_by_one_text(
    recharged: None, worker, simulator: Simulator, operator: Operator, texts_sent
) -> None:
    delivery = worker(route(simulator))
    assert await delivery.deliver() >= 1
    assert await delivery.deliver() == 0
    (entry,) = await texts_sent()
    assert entry[b"from"].decode() == operator.sender
    assert "50.00" in entry[b"text"].decode()
    assert set(entry) == {b"message_id", b"from", b"text", b"at"}


async def test_the_inbox_is_named_without_the_number(keyring: Keyring) -> None:
    assert "254712345678" not in inbox(keyring, MSISDN)


@pytest.mark.parametrize("kind", [ErrorKind.RETRY, ErrorKind.THROTTLED])
async def test_a_text_the_carrier_did_not_take_waits_for_its_time(
    recharged: None, worker, carrier, kind: ErrorKind
) -> None:
    one = await carrier(kind)
    delivery = worker(route(one))
    await delivery.deliver()
    assert len(one.offered) == 1
    assert await delivery.deliver() == 0, "it must not be tried again before its time"


@pytest.mark.parametrize("kind", [ErrorKind.PERMANENT, ErrorKind.REROUTE])
async def test_a_text_that_no_carrier_will_take_is_parked_seen_and_sent_again_by_staff(
    told, engine: Engine, worker, carrier, kind: ErrorKind
) -> None:
    message_id = await told()
    delivery = worker(route(await carrier(kind)))
    await delivery.deliver()
    assert await delivery.deliver() == 0
    (parked,) = await engine.parked_messages()
    assert (parked.message_id, parked.carrier, parked.error) == (message_id, "one", str(WORDS[kind]))
    assert await engine.resend_message(message_id)
    assert not await engine.resend_message(message_id), "it is parked no more"
    assert await delivery.deliver() == 1
    assert await engine.parked_messages() == []
    history = [event.state for event in await engine.message_history(message_id)]
    assert history == [DeliveryState.FAILED, DeliveryState.SENT]


async def test_a_message_nobody_can_render_is_parked(told, engine: Engine, worker, carrier) -> None:
    await told("no.such_topic", text="x")
    one = await carrier()
    await worker(route(one)).deliver()
    assert one.offered == []
    assert [parked.error for parked in await engine.parked_messages()] == ["KeyError"]


@pytest.mark.parametrize(("said", "sent"), [("Crédit\u00a0: ê “5”", 'Crédit : e "5"'), ("رصيدك “5”", "رصيدك “5”")])
async def test_a_text_is_put_into_the_alphabet_of_phones_where_that_can_hold_it(
    told, worker, carrier, said: str, sent: str
) -> None:
    await told("reply", text=said)
    one = await carrier()
    await worker(route(one)).deliver()
    assert [form["message"] for form in one.offered] == [sent]


# --- workers ---


async def test_a_message_goes_to_one_of_two_workers(recharged: None, worker, simulator: Simulator, texts_sent) -> None:
    workers = [worker(route(simulator)) for _ in range(2)]
    await asyncio.gather(*(one.deliver() for one in workers))
    assert len(await texts_sent()) == 1


async def test_a_worker_told_to_stop_finishes_and_stops(told, worker, carrier) -> None:
    for number in range(30):
        await told("reply", text=f"Text {number}")
    one = await carrier()
    stop = asyncio.Event()
    running = asyncio.create_task(worker(route(one)).run(stop))
    await until(lambda: one.offered)
    stop.set()
    await running
    assert len({form["message"] for form in one.offered}) == len(one.offered) == 30


async def test_a_running_worker_delivers_what_comes(recharged: None, worker, simulator: Simulator, texts_sent) -> None:
    stop = asyncio.Event()
    running = asyncio.create_task(worker(route(simulator)).run(stop))
    await until(texts_sent)
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
