"""One carrier of several takes a text; what one of them may have goes to no other; people are told where they want."""

from __future__ import annotations

import pytest

from channels.sms.contract import ErrorKind
from engine.api import Engine
from engine.words import Channel, DeliveryState
from runtime.breaker import IN_A_ROW, Breaker, BreakerState
from tests.channels.delivery.sockets import route


async def test_a_carrier_that_fails_makes_room_for_the_next_and_both_are_remembered(
    told, engine: Engine, worker, carrier
) -> None:
    message_id = await told()
    first, second = await carrier(ErrorKind.RETRY), await carrier()
    await worker(route(first, "cheap", cost=1), route(second, "dear", cost=9)).deliver()
    assert [len(one.offered) for one in (first, second)] == [1, 1]
    events = [(event.carrier, event.state, event.error) for event in await engine.message_history(message_id)]
    assert events == [
        ("cheap", DeliveryState.FAILED, "http_503"),
        ("dear", DeliveryState.SENT, None),
    ]


@pytest.mark.parametrize("trouble", ["lost", "garbage", "broken"])
async def test_a_text_about_money_that_a_carrier_may_have_goes_to_no_other_and_is_not_sent_again(
    recharged: None, engine: Engine, worker, carrier, trouble: str
) -> None:
    first, second = await carrier(trouble), await carrier()
    delivery = worker(route(first, "cheap", cost=1), route(second, "dear", cost=9))
    await delivery.deliver()
    assert second.offered == []
    (parked,) = await engine.parked_messages()
    assert parked.topic == "recharge.done"
    assert parked.error.startswith("unknown: ")


async def test_an_answer_that_a_carrier_may_have_is_sent_once_more(
    told, engine: Engine, owner, worker, carrier
) -> None:
    await told("reply")
    one = await carrier(ErrorKind.UNKNOWN, None)
    delivery = worker(route(one))
    await delivery.deliver()
    assert await engine.parked_messages() == []
    owner.execute("UPDATE outbox SET due_at = now()")
    await delivery.deliver()
    assert len(one.offered) == 2


async def test_a_carrier_that_drops_doubles_is_asked_again_and_no_other(
    recharged: None, owner, worker, carrier
) -> None:
    first, second = await carrier(ErrorKind.UNKNOWN, None, drops_doubles=True), await carrier()
    delivery = worker(route(first, "cheap", cost=1), route(second, "dear", cost=9))
    await delivery.deliver()
    owner.execute("UPDATE outbox SET due_at = now()")
    await delivery.deliver()
    assert second.offered == []
    assert len(first.offered) == 2
    assert first.offered[0] == first.offered[1]


async def test_what_a_killed_worker_had_handed_over_is_named_and_not_sent_again(
    recharged: None, engine: Engine, owner, worker, carrier
) -> None:
    (message,) = await engine.claim_messages(10, 60)
    await engine.hand_over(message, "one")
    # Here the process dies: nobody records what became of it, and its lease runs out.
    owner.execute("UPDATE outbox SET due_at = now()")
    one = await carrier()
    await worker(route(one)).deliver()
    assert one.offered == []
    (parked,) = await engine.parked_messages()
    assert (parked.carrier, parked.error) == ("one", "unknown: one may have it")


async def test_what_a_killed_worker_had_not_handed_over_is_sent(
    recharged: None, engine: Engine, owner, worker, carrier
) -> None:
    await engine.claim_messages(10, 60)
    owner.execute("UPDATE outbox SET due_at = now()")
    one = await carrier()
    await worker(route(one)).deliver()
    assert len(one.offered) == 1


async def test_a_broken_carrier_is_left_alone_and_its_texts_wait_without_losing_tries(
    told, engine: Engine, owner, worker, carrier
) -> None:
    broken = route(await carrier(*[ErrorKind.RETRY] * 50))
    delivery = worker(broken)
    for _ in range(IN_A_ROW + 3):
        await told()
    while await delivery.deliver():
        pass
    assert broken.breaker.state is BreakerState.OPEN
    assert IN_A_ROW <= len(broken.carrier.offered) <= IN_A_ROW + 3
    assert await engine.parked_messages() == []


async def test_a_text_waits_untried_while_every_carrier_is_open(told, engine: Engine, owner, worker, carrier) -> None:
    only = route(await carrier())
    await told()
    (message,) = await engine.claim_messages(1, 0)
    for _ in range(IN_A_ROW):
        only.breaker.failed()
    await worker(only)._work([message])
    assert only.carrier.offered == []
    row = owner.execute("SELECT state, attempts, due_at > now() + interval '3 s' FROM outbox").fetchone()
    assert row == ("due", 1, True)


async def test_a_text_that_one_carrier_does_not_serve_waits_for_one_that_rests(
    told, engine: Engine, owner, worker, carrier
) -> None:
    await told()
    first, second = await carrier(ErrorKind.REROUTE, ErrorKind.REROUTE), await carrier()
    resting = route(second, "dear", cost=9)
    for _ in range(IN_A_ROW):
        resting.breaker.failed()
    delivery = worker(route(first, "cheap", cost=1), resting)
    await delivery.deliver()
    assert await engine.parked_messages() == []
    resting.breaker = Breaker()
    owner.execute("UPDATE outbox SET due_at = now()")
    await delivery.deliver()
    assert len(second.offered) == 1


async def test_an_answer_leaves_by_the_carrier_it_was_asked_through(told, worker, carrier) -> None:
    cheap, asked = await carrier(), await carrier()
    await told("reply", text="Hello", carrier="asked")
    await worker(route(cheap, "cheap", cost=1), route(asked, "asked", cost=9)).deliver()
    assert [len(one.offered) for one in (cheap, asked)] == [0, 1]


# --- where people want to be told ---


async def test_a_linked_chat_gets_alerts_and_texts_get_answers_and_security(
    *, told, engine: Engine, line: str, worker, carrier, chat
) -> None:
    subscriber = await engine.subscriber(line)
    assert await engine.link_chat("telegram", "4711", line, await engine.link_code(subscriber))
    await engine.set_preferences(subscriber, channel=Channel.TELEGRAM)
    await told("alert.low_balance", unit="money", left=500, threshold=1000)
    await told("reply")
    sms, (to_chat, api) = await carrier(), chat
    await worker(route(sms), chats={"telegram": to_chat}).deliver()
    assert ["left" in said for said in api.chat(4711).texts()] == [True]
    assert {form["to"] for form in sms.offered} == {line}
    assert len(sms.offered) == 2, "the answer, and the word that a chat was linked"


async def test_a_chat_that_was_closed_to_us_is_told_by_text(
    *, told, engine: Engine, line: str, worker, carrier, chat
) -> None:
    subscriber = await engine.subscriber(line)
    await engine.link_chat("telegram", "4711", line, await engine.link_code(subscriber))
    await engine.set_preferences(subscriber, channel=Channel.TELEGRAM)
    sms, (to_chat, api) = await carrier(), chat
    api.refuse("sendMessage", 403, "Forbidden: bot was blocked by the user")
    delivery = worker(route(sms), chats={"telegram": to_chat})
    await told("alert.low_balance", unit="money", left=500, threshold=1000)
    await delivery.deliver()
    assert any("left" in form["message"] for form in sms.offered)
