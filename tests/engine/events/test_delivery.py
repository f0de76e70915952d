"""Events reach real receivers: signed, at least once, in order for each account, past those that fail."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from engine.api import open_engine
from engine.events.rules import Retries
from engine.events.sender import EventSender
from settings import WebhookSettings
from tests.engine.events.receiver import HERE, SECRET, TOPIC, Receiver, subscribed
from tests.engine.payers import settled
from tests.engine.shop import open_line

ROOT = Path(__file__).resolve().parents[3]
#: as in production, in milliseconds
QUICK = Retries(timedelta(milliseconds=50), timedelta(milliseconds=200), timedelta(days=1))


@pytest.fixture
async def working(engine):
    """Starts workers; they are stopped after the test."""
    stop = asyncio.Event()
    tasks = []

    def start(allowed=HERE, **more):
        sender = EventSender(engine.events, allowed, **{"retries": QUICK, "patience": 2.0, **more})
        tasks.append(asyncio.create_task(sender.run(stop)))

    yield start
    stop.set()
    await asyncio.gather(*tasks)


def states(owner):
    return dict(owner.execute("SELECT state, count(*) FROM event_delivery GROUP BY state").fetchall())


async def eventually(found, seconds=20.0):
    """Look again and again until something is found."""
    async with asyncio.timeout(seconds):
        while True:
            if result := found():
                return result
            await asyncio.sleep(0.05)


async def delivered(owner, count):
    await eventually(lambda: states(owner).get("sent", 0) >= count)


async def test_a_settlement_is_told_in_tm_forums_words_and_signed(engine, owner, receiver, working):
    await subscribed(engine, receiver)
    line = await open_line(engine)
    answer = await settled(engine, owner, line)
    working()
    await receiver.until(lambda: receiver.told)
    (said,) = receiver.told
    assert said["eventType"] == "SettlementCompletedEvent"
    assert said["correlationId"] == str(answer.key)
    told = said["event"]["settlement"]
    assert (told["amount"], told["currency"], told["reference"]) == (5000, "KES", answer.reference)
    assert told["account"] == {"id": str(line.account.account_id)}
    assert told["line"] == {"id": str(line.line_id)}
    assert line.msisdn.lstrip("+") not in str(said)
    assert receiver.unsigned == 0
    await delivered(owner, 1)


async def test_no_cookie_that_a_subscriber_sets_is_carried_to_whoever_shares_its_host(
    database_url, operator, keyring, owner, receiver
):
    named, stop = WebhookSettings(allow=("localhost",)), asyncio.Event()
    engine = await open_engine(database_url, operator, keyring, webhooks=named)
    callback = receiver.url.replace("127.0.0.1", "localhost")
    await engine.events.subscribe(callback, topics=TOPIC, secret=SECRET, by="amina")
    working = asyncio.create_task(EventSender(engine.events, named, retries=QUICK, patience=2.0).run(stop))
    for count in (1, 2):
        await settled(engine, owner, await open_line(engine))
        await receiver.until(lambda count=count: len(receiver.told) == count)
    stop.set()
    await working
    await engine.close()
    assert receiver.cookies == 0


async def test_only_what_was_asked_for_is_told(engine, owner, receiver, working):
    async with Receiver() as everything:
        await engine.events.subscribe(everything.url, secret=SECRET, by="amina")
        await engine.events.subscribe(
            receiver.url, query="eventType=SettlementCompletedEvent", secret=SECRET, by="amina"
        )
        await settled(engine, owner, await open_line(engine))
        working()
        await everything.until(lambda: len(everything.told) == 2)
        await receiver.until(lambda: receiver.told)
        await delivered(owner, 3)
    assert {one["eventType"] for one in everything.told} == {"SettlementCompletedEvent", "ProvisioningChangedEvent"}
    assert {one["eventType"] for one in receiver.told} == {"SettlementCompletedEvent"}


async def test_a_subscriber_whose_secret_cannot_be_read_keeps_nobody_else_from_hearing(
    engine, owner, receiver, working
):
    async with Receiver() as lost:
        unreadable = await subscribed(engine, lost)
        owner.execute("UPDATE subscription SET key_id = 9 WHERE subscription_id = %s", [unreadable.subscription_id])
        await subscribed(engine, receiver)
        await settled(engine, owner, await open_line(engine))
        working()
        await receiver.until(lambda: receiver.told)
        said = await eventually(
            lambda: owner.execute("SELECT error FROM event_delivery WHERE error IS NOT NULL").fetchall()
        )
        assert not lost.attempts
    assert "secret" in said[0][0]


async def test_an_accounts_events_come_in_order_past_failures_and_nobody_else_waits(engine, owner, receiver, working):
    await subscribed(engine, receiver)
    stuck, free = await open_line(engine), await open_line(engine)
    order = [(await settled(engine, owner, stuck, 100 + step)).reference for step in range(4)]
    refused = str(stuck.account.account_id)
    open_now = asyncio.Event()

    def of(said):
        return said["event"]["settlement"]

    receiver.answers = lambda said: 500 if of(said)["account"]["id"] == refused and not open_now.is_set() else 204
    working()
    await receiver.until(lambda: len(receiver.attempts) >= 7)
    assert {of(said)["reference"] for said in receiver.attempts} == {order[0]}
    # More failures than a breaker stands: others go on all the same.
    reference = (await settled(engine, owner, free)).reference
    await receiver.until(lambda: receiver.told)
    assert [of(said)["reference"] for said in receiver.told] == [reference]
    open_now.set()
    await delivered(owner, 5)
    assert [of(said)["reference"] for said in receiver.told if of(said)["reference"] != reference] == order


async def test_a_slow_receiver_holds_up_no_other(engine, owner, receiver, working):
    async with Receiver() as slow:
        slow.answers = lambda _: 30.0
        await subscribed(engine, slow)
        await subscribed(engine, receiver)
        line = await open_line(engine)
        working(patience=1.0)
        for _ in range(3):
            await settled(engine, owner, line)
        await receiver.until(lambda: len(receiver.told) == 3)
        assert slow.told == []
        late = "SELECT FROM event_delivery WHERE error LIKE 'no answer within%'"
        await eventually(lambda: owner.execute(late).fetchall())


async def test_what_is_not_taken_is_parked_in_the_end_and_can_be_sent_again(engine, owner, receiver, working):
    made = await subscribed(engine, receiver)
    receiver.answers = lambda _: 400
    await settled(engine, owner, await open_line(engine))
    working(retries=Retries(timedelta(milliseconds=20), timedelta(milliseconds=20), timedelta(milliseconds=200)))
    await eventually(lambda: states(owner).get("parked"))
    parked = await engine.events.parked()
    assert [(one.subscription_id, one.error) for one in parked] == [(made.subscription_id, "status 400")]
    assert len(receiver.attempts) == parked[0].attempts >= 2
    receiver.answers = lambda _: 204
    assert await engine.events.resend(made.subscription_id, by="amina", why="they mended it") == 1
    await delivered(owner, 1)
    # The same event, the same bytes: a receiver knows it by its id.
    assert {said["eventId"] for said in receiver.attempts} == set(receiver.ids)
    assert all(said == receiver.told[0] for said in receiver.attempts)


async def test_a_redirect_is_not_followed(engine, owner, receiver, working):
    await subscribed(engine, receiver)
    receiver.answers = lambda _: 302
    await settled(engine, owner, await open_line(engine))
    working()
    await receiver.until(lambda: len(receiver.attempts) >= 2)
    await eventually(lambda: owner.execute("SELECT error FROM event_delivery").fetchone() == ("status 302",))


async def test_a_name_that_leads_inside_is_not_called(engine, owner, receiver, working):
    """``localhost`` was allowed when it was subscribed to; what is allowed now is looked at with every call."""
    port = receiver.url.split(":")[2]
    wide = WebhookSettings(allow=("localhost",))
    engine.events._allowed = wide
    await engine.events.subscribe(f"https://localhost:{port}", topics=TOPIC, secret=SECRET, by="amina")
    await settled(engine, owner, await open_line(engine))
    working(allowed=WebhookSettings())
    error = await eventually(lambda: owner.execute("SELECT max(error) FROM event_delivery").fetchone()[0])
    assert error == "callback: it leads into a private network"
    assert receiver.attempts == []


async def test_two_workers_tell_each_event_once_and_in_order(engine, owner, receiver, working):
    await subscribed(engine, receiver)
    lines = [await open_line(engine) for _ in range(3)]
    working()
    working()
    answers = {line.account.account_id: [] for line in lines}
    for step in range(8):
        for line in lines:
            answers[line.account.account_id].append((await settled(engine, owner, line, 100 + step)).reference)
    await delivered(owner, 24)
    assert len(receiver.attempts) == 24
    for account, order in answers.items():
        told = [one["event"]["settlement"] for one in receiver.told]
        assert [one["reference"] for one in told if one["account"]["id"] == str(account)] == order


WORKER = """
import asyncio, sys
from datetime import timedelta
from engine.api import open_engine
from engine.events.sender import EventSender
from runtime.keyring import Keyring
from settings import WebhookSettings, load_operator

async def main(url):
    allowed = WebhookSettings(allow=("127.0.0.0/8",))
    operator = load_operator("examples/kenya.toml")
    engine = await open_engine(url, operator, Keyring({1: bytes(range(32))}), webhooks=allowed)
    await EventSender(engine.events, allowed, lease=timedelta(seconds=2)).run(asyncio.Event())

asyncio.run(main(sys.argv[1]))
"""


async def test_what_a_killed_worker_was_sending_comes_again_under_the_same_id(
    engine, owner, receiver, working, database_url
):
    await subscribed(engine, receiver)
    await settled(engine, owner, await open_line(engine))
    # The receiver has it, and the worker is killed before it hears so.
    receiver.answers = lambda _: 60.0
    worker = await asyncio.create_subprocess_exec(
        sys.executable, "-c", WORKER, database_url, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}
    )
    try:
        await receiver.until(lambda: receiver.attempts, seconds=60)
    finally:
        worker.send_signal(signal.SIGKILL)
        await worker.wait()
    receiver.answers = lambda _: 204
    working()
    await delivered(owner, 1)
    first, again = receiver.attempts
    assert first == again
    assert states(owner) == {"sent": 1}


async def test_who_unsubscribed_hears_nothing_more(engine, owner, receiver, working):
    made = await subscribed(engine, receiver)
    line = await open_line(engine)
    receiver.answers = lambda _: 500
    await settled(engine, owner, line)
    working()
    await receiver.until(lambda: receiver.attempts)
    await engine.events.unsubscribe(made.subscription_id, by="amina")
    assert await engine.events.list() == []
    assert states(owner) == {"dropped": 1}
    await settled(engine, owner, line)
    await eventually(lambda: not owner.execute("SELECT FROM event WHERE fanned_at IS NULL").fetchall())
    assert states(owner) == {"dropped": 1}
    with pytest.raises(LookupError):
        await engine.events.unsubscribe(made.subscription_id, by="amina")


async def test_what_was_delivered_long_ago_is_forgotten_and_the_event_stays(engine, owner, receiver, working):
    await subscribed(engine, receiver)
    await settled(engine, owner, await open_line(engine))
    working()
    await delivered(owner, 1)
    assert await engine.events.tidy() == 0
    owner.execute("UPDATE event_delivery SET done_at = now() - interval '31 days'")
    assert await engine.events.tidy() == 1
    assert owner.execute("SELECT count(*) FROM event WHERE topic = 'settlement.completed'").fetchone() == (1,)
