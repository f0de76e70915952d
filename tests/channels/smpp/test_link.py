"""A link against a centre that misbehaves: nothing is lost, nothing is claimed, nothing hammers."""

from __future__ import annotations

import asyncio

import pytest
from structlog.testing import capture_logs

from channels.smpp.client.link import LinkState, Mode
from channels.smpp.client.pace import Backoff, Pace
from channels.smpp.client.words import Limits, NotSent, Throttled, Unanswered
from channels.smpp.names import Command, Status
from channels.smpp.pdu import MessageResponse, ShortMessage
from tests.doubles.smsc import Smsc

MESSAGE = ShortMessage(destination_addr="254712000001", short_message=b"hello")


@pytest.mark.parametrize(
    ("mode", "command"),
    [
        (Mode.TRANSCEIVER, Command.BIND_TRANSCEIVER),
        (Mode.TRANSMITTER, Command.BIND_TRANSMITTER),
        (Mode.RECEIVER, Command.BIND_RECEIVER),
    ],
)
async def test_each_mode_binds_as_itself_and_unbinds(smsc: Smsc, link, mode: Mode, command: Command) -> None:
    one = link(mode=mode)
    assert await one.bound(5) and one.state is LinkState.BOUND
    await one.stop()
    assert [pdu.command for pdu in smsc.seen] == [command, Command.UNBIND]
    assert one.state is LinkState.IDLE and smsc.connects == 1


async def test_stopping_lets_what_is_under_way_end(smsc: Smsc, link) -> None:
    smsc.on_submit = lambda *_: None
    one = link()
    await one.bound(5)
    sending = asyncio.create_task(one.request(Command.SUBMIT_SM, MESSAGE))
    await smsc.until(lambda: smsc.submitted)
    stopping = asyncio.create_task(one.stop())
    await asyncio.sleep(0.05)
    assert smsc.count(Command.UNBIND) == 0
    smsc.connections[0].write(Command.SUBMIT_SM_RESP, MessageResponse(message_id="7"), sequence=2)
    assert (await sending).body == MessageResponse(message_id="7")
    await stopping
    assert smsc.count(Command.UNBIND) == 1
    with pytest.raises(NotSent):
        await one.request(Command.SUBMIT_SM, MESSAGE)


async def test_no_more_than_the_window_is_ever_in_flight(smsc: Smsc, link) -> None:
    held: list[int] = []
    smsc.on_submit = lambda _connection, pdu, _before: held.append(pdu.sequence)
    one = link(limits=Limits(window=3))
    await one.bound(5)
    sending = [asyncio.create_task(one.request(Command.SUBMIT_SM, MESSAGE)) for _ in range(10)]
    for done in range(0, 10, 2):
        await smsc.until(lambda done=done: len(held) == min(done + 3, 10))
        await asyncio.sleep(0.02)
        assert len(held) == min(done + 3, 10)
        for sequence in held[done : done + 2]:
            smsc.connections[0].write(Command.SUBMIT_SM_RESP, MessageResponse(message_id="1"), sequence=sequence)
    assert all(pdu.status == 0 for pdu in await asyncio.gather(*sending))


async def test_answers_in_any_order_find_their_requests(smsc: Smsc, link) -> None:
    held: list[int] = []
    smsc.on_submit = lambda _connection, pdu, _before: held.append(pdu.sequence)
    one = link()
    await one.bound(5)
    sending = [asyncio.create_task(one.request(Command.SUBMIT_SM, MESSAGE)) for _ in range(5)]
    await smsc.until(lambda: len(held) == 5)
    for sequence in reversed(held):
        smsc.connections[0].write(Command.SUBMIT_SM_RESP, MessageResponse(message_id=f"{sequence}"), sequence=sequence)
    assert [pdu.body.message_id for pdu in await asyncio.gather(*sending)] == [f"{sequence}" for sequence in held]


async def test_a_dropped_line_leaves_what_was_in_flight_unknown_and_is_bound_again(smsc: Smsc, link) -> None:
    smsc.on_submit = lambda connection, _pdu, before: connection.drop() if before == 4 else None
    one = link(limits=Limits(window=5))
    await one.bound(5)
    outcomes = await asyncio.gather(
        *(one.request(Command.SUBMIT_SM, MESSAGE) for _ in range(8)), return_exceptions=True
    )
    # Five were on their way; three waited for room and never left.
    assert [type(outcome) for outcome in outcomes] == [Unanswered] * 5 + [NotSent] * 3
    assert len(smsc.submitted) == 5
    smsc.on_submit = lambda *_: 0
    await smsc.until(lambda: smsc.connects == 2)
    assert await one.bound(5)
    assert (await one.request(Command.SUBMIT_SM, MESSAGE)).status == 0


async def test_an_answer_that_never_comes_is_unknown_and_frees_its_place(smsc: Smsc, link) -> None:
    smsc.on_submit = lambda _connection, _pdu, before: None if before == 0 else 0
    one = link(limits=Limits(window=1, answer_seconds=0.1))
    await one.bound(5)
    with pytest.raises(Unanswered):
        await one.request(Command.SUBMIT_SM, MESSAGE)
    assert (await one.request(Command.SUBMIT_SM, MESSAGE)).status == 0
    # The late answer belongs to nobody and harms nobody.
    smsc.connections[0].write(Command.SUBMIT_SM_RESP, MessageResponse(message_id="1"), sequence=2)
    assert (await one.request(Command.SUBMIT_SM, MESSAGE)).status == 0


async def test_a_silent_line_is_asked_for_life_and_given_up(smsc: Smsc, link) -> None:
    smsc.answers_enquiries = False
    one = link(limits=Limits(enquire_seconds=0.05, enquire_answer_seconds=0.05))
    with capture_logs() as logs:
        await smsc.until(lambda: smsc.connects >= 2)
    assert smsc.count(Command.ENQUIRE_LINK) >= 1
    assert {"smsc_lost"} == {line["event"] for line in logs if line.get("reason") == "enquire_link_unanswered"}
    smsc.answers_enquiries = True
    assert await one.bound(5)


async def test_a_living_line_is_kept(smsc: Smsc, link) -> None:
    link(limits=Limits(enquire_seconds=0.02, enquire_answer_seconds=1.0))
    await smsc.until(lambda: smsc.count(Command.ENQUIRE_LINK) >= 5)
    assert smsc.connects == 1


@pytest.mark.parametrize("status", [Status.RINVPASWD, Status.RINVSYSID, Status.RBINDFAIL])
async def test_refused_credentials_stop_with_an_alarm_and_no_second_try(smsc: Smsc, link, status: Status) -> None:
    smsc.bind_status = status
    with capture_logs() as logs:
        one = link()
        await smsc.until(lambda: one.state is LinkState.REFUSED)
        await asyncio.sleep(0.2)  # many times the longest backoff
    assert smsc.connects == 1
    assert [line["log_level"] for line in logs if line["event"] == "smsc_refuses_credentials"] == ["error"]
    with pytest.raises(NotSent):
        await one.request(Command.SUBMIT_SM, MESSAGE)
    # Put right by staff and started again.
    smsc.bind_status = 0
    one.start()
    assert await one.bound(5)


@pytest.mark.parametrize("status", [Status.RALYBND, Status.RSYSERR, 0x0455])
async def test_other_refusals_of_a_bind_are_tried_again(smsc: Smsc, link, status: int) -> None:
    smsc.bind_status = status
    one = link()
    await smsc.until(lambda: smsc.connects >= 3)
    smsc.bind_status = 0
    assert await one.bound(5)


async def test_credentials_that_worked_survive_a_bindfail(smsc: Smsc, link) -> None:
    one = link()
    await one.bound(5)
    smsc.bind_status = Status.RBINDFAIL  # "too many sessions": the old one is not forgotten yet
    smsc.connections[0].drop()
    await smsc.until(lambda: smsc.connects >= 3)
    smsc.bind_status = 0
    assert await one.bound(5)


async def test_credentials_that_do_not_fit_the_protocol_are_never_sent(smsc: Smsc, link) -> None:
    one = link(password="far too long")
    await smsc.until(lambda: one.state is LinkState.REFUSED)
    assert smsc.seen == []


@pytest.mark.parametrize("status", [Status.RTHROTTLED, Status.RMSGQFUL])
async def test_too_fast_silences_the_whole_link_for_a_while(smsc: Smsc, link, status: Status) -> None:
    smsc.on_submit = lambda _connection, _pdu, before: status if before < 2 else 0
    one = link(limits=Limits(window=2))
    await one.bound(5)
    first = await asyncio.gather(*(one.request(Command.SUBMIT_SM, MESSAGE) for _ in range(6)), return_exceptions=True)
    assert [one.status for one in first[:2]] == [status, status]
    assert all(isinstance(one, Throttled) and 0 < one.seconds <= 0.05 for one in first[2:])
    assert len(smsc.submitted) == 2
    await smsc.until(lambda: not one.pause)
    assert (await one.request(Command.SUBMIT_SM, MESSAGE)).status == 0


async def test_not_bound_any_more_means_bind_again(smsc: Smsc, link) -> None:
    smsc.on_submit = lambda _connection, _pdu, before: Status.RINVBNDSTS if before == 0 else 0
    one = link()
    await one.bound(5)
    assert (await one.request(Command.SUBMIT_SM, MESSAGE)).status == Status.RINVBNDSTS
    await smsc.until(lambda: smsc.connects == 2)
    assert await one.bound(5)
    assert (await one.request(Command.SUBMIT_SM, MESSAGE)).status == 0


def test_waits_double_up_to_the_longest_with_jitter() -> None:
    backoff = Backoff(1.0, 60.0)
    waits = [backoff.next() for _ in range(2000)]
    for place, wait in enumerate(waits[:6]):
        assert 2**place / 2 <= wait <= 2**place
    assert all(30 <= wait <= 60 for wait in waits[6:]) and len(set(waits)) > 1900
    backoff.reset()
    assert backoff.next() <= 1.0


def test_one_refused_window_is_one_refusal() -> None:
    now = 100.0
    pace = Pace(1.0, 60.0, lambda: now)
    first = [pace.throttled() for _ in range(50)]
    assert len(set(first)) == 1 and 0.5 <= first[0] <= 1.0
    pace.served()  # the answer to one that was taken before
    now += first[0]
    assert pace.left() == 0
    assert 1.0 <= pace.throttled() <= 2.0
    now += 2.0
    pace.served()
    assert 0.5 <= pace.throttled() <= 1.0
