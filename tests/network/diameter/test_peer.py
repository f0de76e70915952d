"""Connections: who may stay, what is served, and what becomes of what cannot be read."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from diameter.message import Avp, Message, MessageHeader, constants as names
from diameter.message.avp.grouped import (
    MultipleServicesCreditControl,
    RequestedServiceUnit,
    SubscriptionId,
    UsedServiceUnit,
)

from engine.words import Adjust, LineStatus, Subscriber, Unit
from network.changes import Changes
from network.diameter.server import DiameterServer
from settings import DiameterSettings
from tests.engine.shop import asking, open_line
from tests.network.diameter.conftest import MB, House, Pcef
from tests.network.diameter.wire import Wire, failed, result, value, with_avp
from tests.network.test_gate import shut


@pytest.fixture
async def wire(house: House) -> AsyncIterator[Wire]:
    """A connection that has not said anything yet."""
    made = Wire()
    await made.open(house.port)
    yield made
    made.close()


@pytest.fixture
async def peer(wire: Wire) -> Wire:
    """A peer that may stay."""
    assert result(await wire.introduce()) == 2001
    return wire


def header(command: int, *, application: int = 0, request: bool = True) -> MessageHeader:
    made = MessageHeader(command_code=command, application_id=application, hop_by_hop_identifier=7)
    made.is_request = request
    return made


def subscriber(line: Subscriber) -> list[SubscriptionId]:
    return [SubscriptionId(subscription_id_type=0, subscription_id_data=line.msisdn.removeprefix("+"))]


async def test_capabilities_say_who_we_are_and_what_we_serve(wire: Wire) -> None:
    answer = await wire.introduce()
    assert result(answer) == 2001
    assert value(answer, names.AVP_ORIGIN_HOST) == b"ocs.rasid.example"
    assert value(answer, names.AVP_AUTH_APPLICATION_ID) == 4
    assert value(answer, names.AVP_HOST_IP_ADDRESS) == (1, "127.0.0.1")


async def test_a_peer_that_nobody_named_is_sent_away(wire: Wire) -> None:
    answer = await wire.introduce(b"stranger.example")
    assert result(answer) == 3010 and answer.header.is_error
    assert await wire.ended()


async def test_a_peer_without_credit_control_is_sent_away(wire: Wire) -> None:
    assert result(await wire.introduce(application=16777238)) == 5010
    assert await wire.ended()


async def test_who_does_not_say_first_who_they_are_is_not_served(wire: Wire) -> None:
    wire.send(Message(header(280)).as_bytes())
    assert await wire.ended()


async def test_a_watchdog_request_is_answered(peer: Wire) -> None:
    answer = await peer.ask(Message(header(280)).as_bytes())
    assert result(answer) == 2001 and answer.header.hop_by_hop_identifier == 7


async def test_a_goodbye_is_answered_and_ends_the_connection(peer: Wire) -> None:
    said = Message(header(282), [Avp.new(names.AVP_DISCONNECT_CAUSE, value=0)])
    assert result(await peer.ask(said.as_bytes())) == 2001
    assert await peer.ended()


async def test_a_peer_that_falls_silent_is_asked_once_and_then_let_go(
    house: House, diameter_settings: DiameterSettings
) -> None:
    quick = DiameterServer(house.engine, diameter_settings.model_copy(update={"watchdog_seconds": 0.2}), house.metrics)
    wire = Wire()
    await wire.open(await quick.start())
    await wire.introduce()
    asked = await wire.read()
    assert asked.header.is_request and asked.header.command_code == 280
    assert await wire.ended()
    wire.close()
    await quick.close()


async def test_a_message_that_comes_in_pieces_over_a_silence_is_read_whole(
    house: House, diameter_settings: DiameterSettings
) -> None:
    slow = DiameterServer(house.engine, diameter_settings.model_copy(update={"watchdog_seconds": 0.2}), house.metrics)
    wire = Wire()
    await wire.open(await slow.start())
    await wire.introduce()
    whole = Message(header(280)).as_bytes()
    wire.send(whole[:10])
    assert (await wire.read()).header.is_request
    wire.send(whole[10:])
    assert result(await wire.read()) == 2001
    wire.close()
    await slow.close()


async def test_at_the_end_peers_are_told_goodbye(house: House, diameter_settings: DiameterSettings) -> None:
    server = DiameterServer(house.engine, diameter_settings, house.metrics)
    wire = Wire()
    await wire.open(await server.start())
    await wire.introduce()
    closing = asyncio.create_task(server.close())
    asked = await wire.read()
    assert (asked.header.command_code, value(asked, names.AVP_DISCONNECT_CAUSE)) == (282, 0)
    answer = MessageHeader(command_code=282, hop_by_hop_identifier=asked.header.hop_by_hop_identifier)
    wire.send(Message(answer, [Avp.new(names.AVP_RESULT_CODE, value=2001)]).as_bytes())
    assert await wire.ended()
    await closing
    wire.close()


@pytest.mark.parametrize(("command", "application", "expected"), [(275, 4, 3001), (272, 16777238, 3007)])
async def test_other_commands_and_applications_are_refused(
    peer: Wire, command: int, application: int, expected: int
) -> None:
    answer = await peer.ask(Message(header(command, application=application)).as_bytes())
    assert result(answer) == expected and answer.header.is_error


@pytest.mark.parametrize(
    ("left_out", "code"),
    [("session_id", 263), ("cc_request_type", 416), ("cc_request_number", 415), ("service_context_id", 461)],
)
async def test_a_request_without_what_it_must_say_names_what_is_missing(peer: Wire, left_out: str, code: int) -> None:
    asked = peer.made(**{left_out: None})
    answer = await peer.ask(asked.as_bytes())
    assert (result(answer), failed(answer)) == (5005, [code])


async def test_a_length_that_does_not_fit_is_5014_and_the_next_request_is_served(peer: Wire, line: Subscriber) -> None:
    broken = with_avp(peer.made(), bytes.fromhex("000001a7 400000ff 00000001"))
    answer = await peer.ask(broken)
    assert (result(answer), failed(answer)) == (5014, [423])
    asked = peer.made(subscription_id=subscriber(line))
    assert result(await peer.ask(asked.as_bytes())) == 2001


async def test_an_avp_that_must_be_understood_and_is_not_comes_back(peer: Wire) -> None:
    strange = Avp(code=64_000_001, payload=b"what?", flags=Avp.avp_flag_mandatory)
    answer = await peer.ask(with_avp(peer.made(), strange))
    assert (result(answer), failed(answer)) == (5001, [64_000_001])


async def test_the_answer_to_a_request_that_cannot_be_read_is_recognised_on_its_way_back(peer: Wire) -> None:
    proxy = Avp.new(names.AVP_PROXY_INFO, value=[
        Avp.new(names.AVP_PROXY_HOST, value=b"dra.test.example"), Avp.new(names.AVP_PROXY_STATE, value=b"17"),
    ])  # fmt: skip
    strange = Avp(code=64_000_001, payload=b"what?", flags=Avp.avp_flag_mandatory)
    asked = peer.made()
    answer = await peer.ask(with_avp(asked, strange.as_bytes() + proxy.as_bytes()))
    assert (result(answer), value(answer, names.AVP_SESSION_ID)) == (5001, asked.session_id)
    assert value(answer, names.AVP_PROXY_INFO, names.AVP_PROXY_STATE) == b"17"


async def test_without_a_database_a_peer_hears_that_it_may_ask_again(
    peer: Wire, line: Subscriber, postgres_url: str, database_url: str
) -> None:
    asked = peer.made(subscription_id=subscriber(line))
    later = peer.made(kind=2, session_id=asked.session_id, cc_request_number=1)
    with shut(postgres_url, database_url):
        for one in (asked, later):
            answer = await peer.ask(one.as_bytes())
            assert result(answer) == 3004 and answer.header.is_error
    assert result(await peer.ask(asked.as_bytes())) == 2001


async def test_an_avp_that_need_not_be_understood_is_left_alone(peer: Wire, line: Subscriber) -> None:
    asked = peer.made(subscription_id=subscriber(line))
    assert result(await peer.ask(with_avp(asked, Avp(code=64_000_001, payload=b"what?")))) == 2001


async def test_a_value_of_the_wrong_length_comes_back(peer: Wire) -> None:
    asked = peer.made(cc_request_number=None)
    wrong = Avp(code=names.AVP_CC_REQUEST_NUMBER, payload=b"\0\1", flags=Avp.avp_flag_mandatory)
    answer = await peer.ask(with_avp(asked, wrong))
    assert (result(answer), failed(answer)) == (5004, [415])


async def test_a_rating_group_that_asks_for_two_quotas_is_refused(peer: Wire, line: Subscriber) -> None:
    twice = [MultipleServicesCreditControl(rating_group=10, requested_service_unit=RequestedServiceUnit())] * 2
    asked = peer.made(subscription_id=subscriber(line), multiple_services_credit_control=twice)
    answer = await peer.ask(asked.as_bytes())
    assert (result(answer), failed(answer)) == (5004, [456])


async def test_the_largest_rating_group_that_the_wire_holds_is_served(peer: Wire, line: Subscriber) -> None:
    largest = [MultipleServicesCreditControl(rating_group=2**32 - 1, requested_service_unit=RequestedServiceUnit())]
    asked = peer.made(subscription_id=subscriber(line), multiple_services_credit_control=largest)
    assert result(await peer.ask(asked.as_bytes())) == 2001


async def test_more_than_anybody_can_use_is_refused_and_charges_nothing(
    house: House, peer: Wire, line: Subscriber
) -> None:
    wrong = [
        MultipleServicesCreditControl(rating_group=10, used_service_unit=[UsedServiceUnit(cc_total_octets=2**64 - 1)])
    ]
    asked = peer.made(subscription_id=subscriber(line), multiple_services_credit_control=wrong)
    answer = await peer.ask(asked.as_bytes())
    assert (result(answer), failed(answer)) == (5004, [421])
    assert await house.left(line) == 100 * MB


async def test_a_line_that_is_closed_is_5003(house: House, peer: Wire) -> None:
    closed = await open_line(house.engine, status=LineStatus.TERMINATED)
    asked = peer.made(subscription_id=subscriber(closed))
    assert result(await peer.ask(asked.as_bytes())) in (5003, 5030)


async def test_a_request_of_a_single_service_is_answered_without_groups(
    house: House, peer: Wire, line: Subscriber
) -> None:
    asked = peer.made(subscription_id=subscriber(line), requested_service_unit=RequestedServiceUnit())
    answer = await peer.ask(asked.as_bytes())
    granted = value(answer, names.AVP_GRANTED_SERVICE_UNIT, names.AVP_CC_TOTAL_OCTETS)
    assert result(answer) == 2001 and granted == await house.held(line) > 0


async def test_proxies_find_what_they_left_in_the_answer(peer: Wire) -> None:
    left = [Avp.new(names.AVP_PROXY_HOST, value=b"dra.example"), Avp.new(names.AVP_PROXY_STATE, value=b"42")]
    asked = with_avp(peer.made(cc_request_type=9), Avp.new(names.AVP_PROXY_INFO, value=left))
    answer = await peer.ask(asked)
    assert value(answer, names.AVP_PROXY_INFO, names.AVP_PROXY_STATE) == b"42"


@pytest.mark.parametrize("raw", [b"GET / HTTP/1.1\r\n\r\n....", b"\1\0\0\4", b"\1\xff\xff\xfc" + bytes(16)])
async def test_a_stream_that_is_no_diameter_ends(peer: Wire, raw: bytes) -> None:
    peer.send(raw)
    assert await peer.ended()


async def test_the_packet_gateway_is_asked_to_ask_again_within_a_second_of_a_payment(
    house: House, pcef: Pcef, line: Subscriber
) -> None:
    stop = asyncio.Event()
    worker = Changes(house.engine, "diameter", house.server.tell)
    while await worker.tell_due():
        continue
    who = {"session": "pgw.test.example;9;9", "subscriber": [[0, line.msisdn.removeprefix("+")]]}
    await pcef.ask(type=1, number=0, services=[{"group": 10, "asks": {}}], **who)
    await pcef.ask(type=2, number=1, services=[{"group": 10, "used": {"cc_total_octets": 100 * MB}}], **who)
    task = asyncio.create_task(worker.run(stop))
    await asyncio.sleep(0.5)
    assert pcef.heard.empty()
    await house.engine.post(asking(Adjust, line, unit=Unit.OCTETS, amount=MB, reason="paid"))
    heard = await asyncio.wait_for(pcef.heard.get(), 1)
    assert heard == {"heard": "RAR", "session": "pgw.test.example;9;9"}
    stop.set()
    await task


async def test_the_session_of_a_line_that_is_barred_has_to_ask_again_and_is_denied(
    house: House, pcef: Pcef, line: Subscriber
) -> None:
    who = {"session": "pgw.test.example;8;8", "subscriber": [[0, line.msisdn.removeprefix("+")]]}
    await pcef.ask(type=1, number=0, services=[{"group": 10, "asks": {}}], **who)
    worker = Changes(house.engine, "diameter", house.server.tell)
    while await worker.tell_due():
        continue
    await house.engine.accounts.set_status(line, LineStatus.BARRED, reason="fraud", by="alice")
    while await worker.tell_due():
        continue
    assert await asyncio.wait_for(pcef.heard.get(), 5) == {"heard": "RAR", "session": "pgw.test.example;8;8"}
    answer = await pcef.ask(type=2, number=1, services=[{"group": 10, "asks": {}}], **who)
    assert answer["services"][0]["result"] == 4010
