"""The outbox, delivered: at least once, under a stable id, by one carrier of several, parked when it is hopeless."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from redis.asyncio import Redis

from channels.delivery import BACKOFF_FIRST, BACKOFF_LONGEST, DeliveryWorker, backoff
from channels.routing import Route, Router
from channels.sms.contract import CarrierError, ErrorKind, Outgoing, Sent, Tools
from channels.sms.simulator.carrier import Carrier as Simulator, inbox
from dialogs.texts import Texts
from engine.api import Engine
from engine.words import Channel, DeliveryState
from runtime.breaker import IN_A_ROW, BreakerState
from runtime.keyring import Keyring
from runtime.metrics import Metrics
from settings import CarrierSettings, Operator
from tests.channels.phone import MSISDN, Phone, Talk


class Scripted:
    """A carrier that does what the test says: takes a text, refuses it with a kind, or breaks."""

    def __init__(self, *answers: ErrorKind | Exception | None, drops_doubles: bool = False) -> None:
        self.answers = list(answers)
        self.drops_doubles = drops_doubles
        self.offered: list[Outgoing] = []

    async def start(self) -> None:
        return

    async def close(self) -> None:
        return

    async def send(self, outgoing: Outgoing) -> Sent:
        self.offered.append(outgoing)
        answer = self.answers[min(len(self.offered), len(self.answers)) - 1] if self.answers else None
        if isinstance(answer, ErrorKind):
            raise CarrierError(f"code_{answer}", answer)
        if answer is not None:
            raise answer
        return Sent(f"id-{len(self.offered)}")


def route(carrier: Any, name: str = "one", **given: Any) -> Route:
    return Route(name, carrier, CarrierSettings(adapter="scripted", **{"per_second": 1000.0, **given}))


@pytest.fixture
async def recharged(talk: Talk, line: str, vouchers: list[str]) -> None:
    """A line that has just been recharged, its text waiting in the outbox."""
    phone = Phone(talk())
    await phone.dial(vouchers[0])
    await phone.say("1")


@pytest.fixture
def owner(database_url: str) -> Iterator[psycopg.Connection[Any]]:
    """The database as its owner sees it."""
    with psycopg.connect(database_url, autocommit=True) as connection:
        yield connection


@pytest.fixture
def worker(engine: Engine, texts: Texts, operator: Operator) -> Callable[..., DeliveryWorker]:
    def make(*routes: Route, chats: dict[str, Route] | None = None) -> DeliveryWorker:
        return DeliveryWorker(
            engine=engine, router=Router(routes, chats), texts=texts, operator=operator, metrics=Metrics()
        )

    return make


@pytest.fixture
def simulator(redis_client: Redis, keyring: Keyring) -> Simulator:
    return Simulator("simulator", {}, Tools(redis=redis_client, keyring=keyring))


@pytest.fixture
def texts_sent(redis_client: Redis, keyring: Keyring) -> Callable[[], Awaitable[list]]:
    async def read() -> list:
        return [entry for _, entry in await redis_client.xrange(inbox(keyring, MSISDN))]

    return read


@pytest.fixture
def told(engine: Engine, line: str) -> Callable[..., Awaitable[Any]]:
    """Writes one message to the line; returns its id."""

    async def tell(topic: str = "reply", **body: Any) -> Any:
        subscriber = await engine.subscriber(line)
        message_id = uuid4()
        body = body or {"text": "Balance KES 12.00"}
        assert await engine.tell(subscriber.account, subscriber.line_id, message_id, topic, body)
        return message_id

    return tell


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
async def test_a_text_the_carrier_did_not_take_waits_for_its_time(recharged: None, worker, kind: ErrorKind) -> None:
    carrier = Scripted(kind)
    delivery = worker(route(carrier))
    await delivery.deliver()
    assert len(carrier.offered) == 1
    assert await delivery.deliver() == 0, "it must not be tried again before its time"


@pytest.mark.parametrize("kind", [ErrorKind.PERMANENT, ErrorKind.REROUTE])
async def test_a_text_that_no_carrier_will_take_is_parked_seen_and_sent_again_by_staff(
    told, engine: Engine, worker, kind: ErrorKind
) -> None:
    message_id = await told()
    delivery = worker(route(Scripted(kind, None)))
    await delivery.deliver()
    assert await delivery.deliver() == 0
    (parked,) = await engine.parked_messages()
    assert (parked.message_id, parked.carrier, parked.error) == (message_id, "one", f"code_{kind}")
    assert await engine.resend_message(message_id)
    assert not await engine.resend_message(message_id), "it is parked no more"
    assert await delivery.deliver() == 1
    assert await engine.parked_messages() == []
    history = [event.state for event in await engine.message_history(message_id)]
    assert history == [DeliveryState.FAILED, DeliveryState.SENT]


async def test_a_message_nobody_can_render_is_parked(told, engine: Engine, worker) -> None:
    await told("no.such_topic", text="x")
    carrier = Scripted()
    await worker(route(carrier)).deliver()
    assert carrier.offered == []
    assert [parked.error for parked in await engine.parked_messages()] == ["KeyError"]


@pytest.mark.parametrize(("said", "sent"), [("Crédit\u00a0: ê “5”", 'Crédit : e "5"'), ("رصيدك “5”", "رصيدك “5”")])
async def test_a_text_is_put_into_the_alphabet_of_phones_where_that_can_hold_it(
    told, worker, said: str, sent: str
) -> None:
    await told("reply", text=said)
    carrier = Scripted()
    await worker(route(carrier)).deliver()
    assert [outgoing.text for outgoing in carrier.offered] == [sent]


# --- several carriers ---


async def test_a_carrier_that_fails_makes_room_for_the_next_and_both_are_remembered(
    told, engine: Engine, worker
) -> None:
    message_id = await told()
    first, second = Scripted(ErrorKind.RETRY), Scripted()
    await worker(route(first, "cheap", cost=1), route(second, "dear", cost=9)).deliver()
    assert [len(carrier.offered) for carrier in (first, second)] == [1, 1]
    events = [(event.carrier, event.state, event.error) for event in await engine.message_history(message_id)]
    assert events == [
        ("cheap", DeliveryState.FAILED, "code_retry"),
        ("dear", DeliveryState.SENT, None),
    ]


@pytest.mark.parametrize("trouble", [ErrorKind.UNKNOWN, RuntimeError("lost")])
async def test_a_text_about_money_that_a_carrier_may_have_goes_to_no_other_and_is_not_sent_again(
    recharged: None, engine: Engine, worker, trouble: ErrorKind | Exception
) -> None:
    first, second = Scripted(trouble), Scripted()
    delivery = worker(route(first, "cheap", cost=1), route(second, "dear", cost=9))
    await delivery.deliver()
    assert second.offered == []
    (parked,) = await engine.parked_messages()
    assert parked.topic == "recharge.done"
    assert parked.error.startswith("unknown: ")


async def test_an_answer_that_a_carrier_may_have_is_sent_once_more(told, engine: Engine, owner, worker) -> None:
    await told("reply")
    carrier = Scripted(ErrorKind.UNKNOWN, None)
    delivery = worker(route(carrier))
    await delivery.deliver()
    assert await engine.parked_messages() == []
    owner.execute("UPDATE outbox SET due_at = now()")
    await delivery.deliver()
    assert len(carrier.offered) == 2


async def test_a_carrier_that_drops_doubles_is_asked_again_and_no_other(recharged: None, owner, worker) -> None:
    first, second = Scripted(ErrorKind.UNKNOWN, None, drops_doubles=True), Scripted()
    delivery = worker(route(first, "cheap", cost=1), route(second, "dear", cost=9))
    await delivery.deliver()
    owner.execute("UPDATE outbox SET due_at = now()")
    await delivery.deliver()
    assert second.offered == []
    assert len({outgoing.message_id for outgoing in first.offered}) == 1
    assert len(first.offered) == 2


async def test_what_a_killed_worker_had_handed_over_is_named_and_not_sent_again(
    recharged: None, engine: Engine, owner, worker
) -> None:
    (message,) = await engine.claim_messages(10, 60)
    await engine.hand_over(message, "one")
    # Here the process dies: nobody records what became of it, and its lease runs out.
    owner.execute("UPDATE outbox SET due_at = now()")
    carrier = Scripted()
    await worker(route(carrier)).deliver()
    assert carrier.offered == []
    (parked,) = await engine.parked_messages()
    assert (parked.carrier, parked.error) == ("one", "unknown: one may have it")


async def test_what_a_killed_worker_had_not_handed_over_is_sent(recharged: None, engine: Engine, owner, worker) -> None:
    await engine.claim_messages(10, 60)
    owner.execute("UPDATE outbox SET due_at = now()")
    carrier = Scripted()
    await worker(route(carrier)).deliver()
    assert len(carrier.offered) == 1


async def test_a_broken_carrier_is_left_alone_and_its_texts_wait_without_losing_tries(
    told, engine: Engine, owner, worker
) -> None:
    broken = route(Scripted(ErrorKind.RETRY))
    delivery = worker(broken)
    for _ in range(IN_A_ROW + 3):
        await told()
    while await delivery.deliver():
        pass
    assert broken.breaker.state is BreakerState.OPEN
    assert IN_A_ROW <= len(broken.carrier.offered) <= IN_A_ROW + 3
    assert await engine.parked_messages() == []


async def test_a_text_waits_untried_while_every_carrier_is_open(told, engine: Engine, owner, worker) -> None:
    only = route(Scripted())
    await told()
    (message,) = await engine.claim_messages(1, 0)
    for _ in range(IN_A_ROW):
        only.breaker.failed()
    await worker(only)._work([message])
    assert only.carrier.offered == []
    row = owner.execute("SELECT state, attempts, due_at > now() + interval '3 s' FROM outbox").fetchone()
    assert row == ("due", 1, True)


async def test_an_answer_leaves_by_the_carrier_it_was_asked_through(told, worker) -> None:
    cheap, asked = Scripted(), Scripted()
    await told("reply", text="Hello", carrier="asked")
    await worker(route(cheap, "cheap", cost=1), route(asked, "asked", cost=9)).deliver()
    assert [len(carrier.offered) for carrier in (cheap, asked)] == [0, 1]


# --- where people want to be told ---


async def test_a_linked_chat_gets_alerts_and_texts_get_answers_and_security(
    told, engine: Engine, line: str, worker
) -> None:
    subscriber = await engine.subscriber(line)
    assert await engine.link_chat("telegram", "4711", line, await engine.link_code(subscriber))
    await engine.set_preferences(subscriber, channel=Channel.TELEGRAM)
    await told("alert.low_balance", unit="money", left=500, threshold=1000)
    await told("reply")
    chat, sms = Scripted(), Scripted()
    await worker(route(sms), chats={"telegram": route(chat, "telegram")}).deliver()
    assert [outgoing.to for outgoing in chat.offered] == ["4711"]
    assert {outgoing.to for outgoing in sms.offered} == {line}
    assert len(sms.offered) == 2, "the answer, and the word that a chat was linked"


async def test_a_chat_that_was_closed_to_us_is_told_by_text(told, engine: Engine, line: str, worker) -> None:
    subscriber = await engine.subscriber(line)
    await engine.link_chat("telegram", "4711", line, await engine.link_code(subscriber))
    await engine.set_preferences(subscriber, channel=Channel.TELEGRAM)
    sms = Scripted()
    delivery = worker(route(sms), chats={"telegram": route(Scripted(ErrorKind.REROUTE), "telegram")})
    await told("alert.low_balance", unit="money", left=500, threshold=1000)
    await delivery.deliver()
    assert any("left" in outgoing.text for outgoing in sms.offered)


# --- workers ---


async def test_a_message_goes_to_one_of_two_workers(recharged: None, worker, simulator: Simulator, texts_sent) -> None:
    workers = [worker(route(simulator)) for _ in range(2)]
    await asyncio.gather(*(one.deliver() for one in workers))
    assert len(await texts_sent()) == 1


async def test_a_worker_told_to_stop_finishes_and_stops(told, worker) -> None:
    for _ in range(30):
        await told()
    carrier = Scripted()
    stop = asyncio.Event()
    running = asyncio.create_task(worker(route(carrier)).run(stop))
    async with asyncio.timeout(10):
        while not carrier.offered:  # noqa: ASYNC110 - another task's doing
            await asyncio.sleep(0.01)
        stop.set()
        await running
    assert len({outgoing.message_id for outgoing in carrier.offered}) == len(carrier.offered) == 30


async def test_a_running_worker_delivers_what_comes(recharged: None, worker, simulator: Simulator, texts_sent) -> None:
    stop = asyncio.Event()
    running = asyncio.create_task(worker(route(simulator)).run(stop))
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
