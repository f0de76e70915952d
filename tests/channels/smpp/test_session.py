"""What a centre sends us, sense or nonsense: answered after its handler, refused when broken, never a stall."""

from __future__ import annotations

import asyncio

import pytest
from structlog.testing import capture_logs

from channels.smpp.client.session import Delivery
from channels.smpp.client.words import Limits, Unanswered
from channels.smpp.codec import encode
from channels.smpp.names import Command, Status
from channels.smpp.pdu import Nothing, Opaque, ShortMessage
from tests.doubles.smsc import Smsc

MESSAGE = ShortMessage(destination_addr="254712000001", short_message=b"hello")


async def test_an_unbind_of_the_centre_is_answered_and_bound_again(smsc: Smsc, link) -> None:
    one = link()
    await one.bound(5)
    answer = await smsc.connections[0].ask(Command.UNBIND, Nothing())
    assert answer.command == Command.UNBIND_RESP
    await smsc.until(lambda: smsc.connects == 2)
    assert await one.bound(5)


async def test_unknown_commands_are_refused_and_the_line_goes_on(smsc: Smsc, link) -> None:
    one = link()
    await one.bound(5)
    answer = await smsc.connections[0].ask(0x00000777, Opaque(raw=b"what?"))
    assert (answer.command, answer.status) == (Command.GENERIC_NACK, Status.RINVCMDID)
    assert (await one.request(Command.SUBMIT_SM, MESSAGE)).status == 0


async def test_a_broken_delivery_is_refused_and_the_line_goes_on(smsc: Smsc, link) -> None:
    one = link()
    await one.bound(5)
    answer = await smsc.connections[0].ask(Command.DELIVER_SM, Opaque(raw=b"\x00\x01"))
    assert answer.command == Command.DELIVER_SM_RESP and answer.status == Status.RINVCMDLEN
    assert (await one.request(Command.SUBMIT_SM, MESSAGE)).status == 0


async def test_a_stream_without_sense_is_nacked_and_bound_again(smsc: Smsc, link) -> None:
    one = link()
    await one.bound(5)
    smsc.connections[0].writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    await smsc.until(lambda: smsc.connects == 2)
    assert smsc.seen[1].command == Command.GENERIC_NACK and smsc.seen[1].status == Status.RINVCMDLEN
    assert await one.bound(5)


async def test_a_generic_nack_is_an_answer(smsc: Smsc, link) -> None:
    def nack(connection, pdu, _before) -> None:
        connection.write(Command.GENERIC_NACK, Nothing(), sequence=pdu.sequence, status=Status.RINVCMDID)

    smsc.on_submit = nack
    one = link()
    await one.bound(5)
    answer = await one.request(Command.SUBMIT_SM, MESSAGE)
    assert (answer.command, answer.status) == (Command.GENERIC_NACK, Status.RINVCMDID)


async def test_an_answer_of_the_wrong_kind_is_no_answer(smsc: Smsc, link) -> None:
    def wrong(connection, pdu, _before) -> None:
        connection.write(Command.ENQUIRE_LINK_RESP, Nothing(), sequence=pdu.sequence)

    smsc.on_submit = wrong
    one = link(limits=Limits(answer_seconds=0.1))
    await one.bound(5)
    with pytest.raises(Unanswered):
        await one.request(Command.SUBMIT_SM, MESSAGE)


async def test_a_delivery_is_answered_only_after_its_handler_and_stalls_nothing(smsc: Smsc, link) -> None:
    release = asyncio.Event()

    async def slow(_delivery: Delivery) -> None:
        await release.wait()

    one = link(slow)
    await one.bound(5)
    connection = smsc.connections[0]
    delivering = [asyncio.create_task(connection.ask(Command.DELIVER_SM, MESSAGE)) for _ in range(5)]
    assert (await one.request(Command.SUBMIT_SM, MESSAGE)).status == 0
    assert (await connection.ask(Command.ENQUIRE_LINK, Nothing())).command == Command.ENQUIRE_LINK_RESP
    assert not any(task.done() for task in delivering)
    release.set()
    assert [pdu.status for pdu in await asyncio.gather(*delivering)] == [0] * 5


async def test_a_failing_handler_makes_the_centre_keep_the_message(smsc: Smsc, link) -> None:
    async def failing(_delivery: Delivery) -> None:
        raise RuntimeError("RCH 12345678901234")

    one = link(failing)
    await one.bound(5)
    with capture_logs() as logs:
        answer = await smsc.connections[0].ask(Command.DELIVER_SM, MESSAGE)
    assert (answer.command, answer.status) == (Command.DELIVER_SM_RESP, Status.RX_T_APPN)
    assert "12345678901234" not in str(logs)


async def test_more_than_can_be_handled_is_refused_not_dropped(smsc: Smsc, link) -> None:
    release = asyncio.Event()
    running = peak = 0

    async def slow(_delivery: Delivery) -> None:
        nonlocal running, peak
        running += 1
        peak = max(peak, running)
        await release.wait()
        running -= 1

    one = link(slow, limits=Limits(handlers=2, queue=3))
    await one.bound(5)
    delivering = [asyncio.create_task(smsc.connections[0].ask(Command.DELIVER_SM, MESSAGE)) for _ in range(7)]
    await smsc.until(lambda: sum(task.done() for task in delivering) == 2)
    release.set()
    statuses = [pdu.status for pdu in await asyncio.gather(*delivering)]
    assert sorted(statuses) == [0] * 5 + [Status.RMSGQFUL] * 2 and peak == 2


async def test_a_handler_in_mid_work_is_let_finish_when_the_line_drops(smsc: Smsc, link) -> None:
    begun, release, finished = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def slow(delivery: Delivery) -> None:
        begun.set()
        await release.wait()
        assert delivery.answer() is False
        finished.set()

    one = link(slow)
    await one.bound(5)
    smsc.connections[0].write(Command.DELIVER_SM, MESSAGE, sequence=1)
    await begun.wait()
    smsc.connections[0].drop()
    await asyncio.sleep(0.05)
    release.set()
    await asyncio.wait_for(finished.wait(), 5)


async def test_octets_in_small_pieces_are_read_all_the_same(smsc: Smsc, link) -> None:
    seen: list[ShortMessage] = []

    async def note(delivery: Delivery) -> None:
        seen.append(delivery.pdu.body)

    one = link(note)
    await one.bound(5)
    for octet in encode(Command.DELIVER_SM, MESSAGE, sequence=9):
        smsc.connections[0].writer.write(bytes([octet]))
        await asyncio.sleep(0)
    await smsc.until(lambda: smsc.count(Command.DELIVER_SM_RESP) == 1)
    assert seen == [MESSAGE]
