"""A dialogue over SMPP, message by message: what is answered, in which order, how often."""

from __future__ import annotations

import asyncio

import pytest
from redis.asyncio import Redis

from channels.smpp.names import Command, ServiceOp, Status
from channels.smpp.pdu import ShortMessage
from channels.turn import Event, Reply
from tests.channels.phone import MSISDN
from tests.channels.ussd.smpp.conftest import Bind, Handset, Listener, operation, screen, session_info
from tests.doubles.smsc import Smsc

DONE = Reply(text="Bye", ends=True)


async def test_what_was_dialled_is_answered_by_a_request_to_the_same_person(
    smsc: Smsc, bind: Bind, listener: Listener
) -> None:
    await bind(smsc.port)
    assert await Handset(smsc).say("*123#") == "1 Balance"
    (turn,) = listener.turns
    assert (turn.channel, turn.gateway, turn.msisdn, turn.text) == ("ussd", "centre", MSISDN, "")
    assert (turn.event, turn.cumulative, turn.service_code) == (Event.NEW, False, "*123#")
    (said,) = smsc.submitted
    body = said.body
    assert isinstance(body, ShortMessage)
    assert (body.service_type, body.data_coding, body.registered_delivery) == ("USSD", 0x0F, 0)
    assert (body.source_addr, body.destination_addr, body.dest_addr_ton) == ("123", MSISDN[1:], 1)
    assert (operation(said), session_info(said)) == (ServiceOp.USSR_REQUEST, bytes([7, 0]))


async def test_the_last_screen_is_a_response_that_ends_the_session(smsc: Smsc, bind: Bind, listener: Listener) -> None:
    await bind(smsc.port)
    handset = Handset(smsc)
    await handset.say("*123#")
    listener.says = DONE
    assert await handset.say("1") == "Bye"
    assert (operation(smsc.submitted[-1]), session_info(smsc.submitted[-1])) == (17, bytes([7, 1]))
    first, second = listener.turns
    assert (second.text, second.event, second.session_id) == ("1", Event.RESUME, first.session_id)


async def test_a_shortcut_reaches_the_dialogs_as_its_inputs(smsc: Smsc, bind: Bind, listener: Listener) -> None:
    await bind(smsc.port)
    await Handset(smsc).say("*123*2*50#")
    assert listener.turns[0].text == "2*50"


async def test_nothing_is_acknowledged_before_its_answer_is_committed(
    smsc: Smsc, bind: Bind, listener: Listener
) -> None:
    await bind(smsc.port)
    handset = Handset(smsc)
    listener.gate.clear()
    asking = asyncio.create_task(handset.deliver(handset.typed("*123#")))
    await smsc.until(lambda: listener.turns)
    assert not asking.done() and not smsc.submitted
    listener.gate.set()
    assert (await asking).status == 0
    await smsc.until(lambda: smsc.submitted)


async def test_a_turn_that_fails_is_given_back_and_is_the_same_turn_when_it_comes_again(
    smsc: Smsc, bind: Bind, listener: Listener
) -> None:
    await bind(smsc.port)
    handset = Handset(smsc)
    listener.fail = 1
    assert (await handset.deliver(handset.typed("*123#"))).status == Status.RX_T_APPN
    assert await handset.say("*123#") == "1 Balance"
    first, second = listener.turns
    assert (first.session_id, first.sequence) == (second.session_id, second.sequence)
    assert len(smsc.submitted) == 1


async def test_a_message_given_back_and_never_repeated_is_not_the_next_one_of_the_same_octets(
    smsc: Smsc, bind: Bind, listener: Listener, redis_client: Redis
) -> None:
    await bind(smsc.port)
    handset = Handset(smsc)
    listener.fail = 1
    assert (await handset.deliver(handset.typed("*123#"))).status == Status.RX_T_APPN
    (entry,) = [key async for key in redis_client.scan_iter("smpp:arrival:*")]
    await redis_client.hincrby(entry, "at", -61)
    await handset.say("*123#")
    first, second = listener.turns
    assert first.session_id != second.session_id


async def test_a_repeat_that_comes_while_the_first_is_served_is_answered_once(
    smsc: Smsc, bind: Bind, listener: Listener
) -> None:
    await bind(smsc.port)
    handset = Handset(smsc)
    listener.gate.clear()
    asking = [asyncio.create_task(handset.deliver(handset.typed("*123#"))) for _ in range(3)]
    await smsc.until(lambda: len(listener.turns) == 3)
    listener.gate.set()
    assert [pdu.status for pdu in await asyncio.gather(*asking)] == [0, 0, 0]
    await smsc.until(lambda: smsc.submitted)
    # What comes after shows that nothing more was sent for the first.
    await handset.say("1")
    assert len(smsc.submitted) == 2
    assert len({(turn.session_id, turn.sequence) for turn in listener.turns[:3]}) == 1


async def test_a_message_whose_acknowledgement_was_lost_is_the_same_turn_and_answered_once(
    smsc: Smsc, bind: Bind, listener: Listener
) -> None:
    one = await bind(smsc.port)
    handset = Handset(smsc)
    listener.gate.clear()
    smsc.connections[0].write(Command.DELIVER_SM, handset.typed("*123#"), sequence=1)
    await smsc.until(lambda: listener.turns)
    smsc.connections[0].drop()
    listener.gate.set()
    await smsc.until(lambda: smsc.connects == 2)
    assert await one.bound(5)
    assert not smsc.submitted
    assert await handset.say("*123#") == "1 Balance"
    first, second = listener.turns
    assert (first.session_id, first.sequence) == (second.session_id, second.sequence)


async def test_the_same_input_twice_is_two_turns(smsc: Smsc, bind: Bind, listener: Listener) -> None:
    await bind(smsc.port)
    handset = Handset(smsc)
    for text in ("*123#", "1", "1"):
        await handset.say(text)
    assert len({turn.sequence for turn in listener.turns}) == 3
    assert len({turn.session_id for turn in listener.turns}) == 1


async def test_a_session_number_that_comes_round_is_another_session(smsc: Smsc, bind: Bind, listener: Listener) -> None:
    await bind(smsc.port)
    for _ in range(2):
        handset = Handset(smsc)
        await handset.say("*123#")
        await handset.say("1")
    began, typed, began_again, typed_again = (turn.session_id for turn in listener.turns)
    assert began == typed and began_again == typed_again and began != began_again


async def test_one_person_s_session_number_is_not_another_s(smsc: Smsc, bind: Bind, listener: Listener) -> None:
    await bind(smsc.port)
    await Handset(smsc).say("*123#")
    other = Handset(smsc, msisdn="+254712000002")
    await other.say("1")
    first, second = listener.turns
    assert first.session_id != second.session_id


async def test_a_session_whose_time_is_over_is_no_session(
    smsc: Smsc, bind: Bind, listener: Listener, redis_client: Redis
) -> None:
    await bind(smsc.port)
    handset = Handset(smsc)
    await handset.say("*123#")
    (key,) = [key async for key in redis_client.scan_iter("ussd:smpp:*")]
    assert 0 < await redis_client.ttl(key) <= 780
    await redis_client.delete(key)
    await handset.say("1")
    first, second = listener.turns
    assert second.session_id != first.session_id and second.event is Event.RESUME


@pytest.mark.parametrize(
    ("message", "status"),
    [
        ({"short_message": b"*124#", "destination_addr": "124"}, Status.RX_P_APPN),
        ({"source_addr": ""}, Status.RX_P_APPN),
        ({"source_addr": "not a number"}, Status.RX_P_APPN),
        ({"data_coding": 0x04}, Status.RX_P_APPN),
        ({"esm_class": 0x40, "short_message": b"\xff"}, Status.RX_P_APPN),
        ({"esm_class": 0x04, "short_message": b"id:1 stat:DELIVRD"}, Status.ROK),
    ],
    ids=["another code", "no number", "no digits", "binary", "a broken header", "a receipt"],
)
async def test_what_is_no_input_of_a_person_reaches_no_dialog(
    smsc: Smsc, bind: Bind, listener: Listener, message: dict[str, object], status: int
) -> None:
    await bind(smsc.port)
    handset = Handset(smsc)
    assert (await handset.deliver(handset.typed("*123#", **message))).status == status
    assert not listener.turns


async def test_an_abort_closes_the_session_and_is_answered_by_nothing(
    smsc: Smsc, bind: Bind, listener: Listener
) -> None:
    ended: list[str] = []
    await bind(smsc.port, ended=ended.append)
    handset = Handset(smsc)
    for end in ({"operation": 0x81}, {"end": True}):
        await handset.say("*123#")
        assert (await handset.deliver(handset.typed("", **{"operation": 18, **end}))).status == 0
        assert (listener.turns[-1].event, listener.turns[-1].session_id) == (
            Event.CLOSE,
            listener.turns[-2].session_id,
        )
    await smsc.until(lambda: len(ended) == 2)
    assert ended == ["aborted", "aborted"] and len(smsc.submitted) == 2


async def test_a_confirmation_of_a_notify_is_acknowledged_and_no_turn(
    smsc: Smsc, bind: Bind, listener: Listener
) -> None:
    await bind(smsc.port)
    handset = Handset(smsc)
    assert (await handset.deliver(handset.typed("", ServiceOp.USSN_CONFIRM))).status == 0
    assert not listener.turns


async def test_a_screen_refused_as_too_fast_is_sent_again(smsc: Smsc, bind: Bind) -> None:
    statuses = [Status.RTHROTTLED, Status.RSYSERR]
    smsc.on_submit = lambda _connection, _pdu, before: statuses[before] if before < 2 else 0
    await bind(smsc.port)
    handset = Handset(smsc)
    assert (await handset.deliver(handset.typed("*123#"))).status == 0
    await smsc.until(lambda: len(smsc.submitted) == 3)
    assert {screen(pdu) for pdu in smsc.submitted} == {"1 Balance"}


async def test_a_screen_refused_for_good_is_sent_once_and_may_be_asked_for_again(
    smsc: Smsc, bind: Bind, redis_client: Redis
) -> None:
    smsc.on_submit = lambda _connection, _pdu, before: 0 if before else Status.RINVDSTADR
    await bind(smsc.port)
    handset = Handset(smsc)
    await handset.say("*123#")
    await handset.say("*123#")
    assert len(smsc.submitted) == 2


async def test_what_lies_in_redis_shows_nothing_of_who_typed_what(smsc: Smsc, bind: Bind, redis_client: Redis) -> None:
    await bind(smsc.port)
    handset = Handset(smsc)
    await handset.say("*123*98765432101234#")
    kept = b""
    async for key in redis_client.scan_iter():
        kept += key + (await redis_client.dump(key) or b"")
    assert kept
    assert not any(secret in kept for secret in (b"9876543210", MSISDN[1:].encode()))


async def test_two_links_serve_where_the_centre_wants_one_for_each_way(smsc: Smsc, bind: Bind) -> None:
    await bind(smsc.port, bind="separate")
    receiving = next(one for one in smsc.connections)
    handset = Handset(smsc)
    assert (await handset.deliver(handset.typed("*123#"), receiving)).status == 0
    await smsc.until(lambda: smsc.submitted)
