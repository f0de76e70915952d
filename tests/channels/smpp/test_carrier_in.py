"""The carrier on its way in: parts in any order, repeats told from the same words twice, receipts."""

from __future__ import annotations

import asyncio

import msgspec
import pytest
from redis.asyncio import Redis

from channels.smpp.names import Command, Status, Tag
from channels.smpp.parts import UDHI
from channels.smpp.pdu import ShortMessage, Tlv
from channels.sms.contract import DeliveryState
from tests.channels.smpp.conftest import Books
from tests.doubles.smsc import Smsc

WAITING = {"source_addr": "254712000001", "source_addr_ton": 1, "destination_addr": "123"}


def part(number: int, words: str, total: int = 3, reference: int = 7) -> ShortMessage:
    header = bytes([5, 0, 3, reference, total, number])
    return ShortMessage(esm_class=UDHI, short_message=header + words.encode(), **WAITING)


def sar(number: int, words: str, total: int = 2) -> ShortMessage:
    tlvs = (
        Tlv(Tag.SAR_MSG_REF_NUM, b"\x00\x07"),
        Tlv(Tag.SAR_TOTAL_SEGMENTS, bytes([total])),
        Tlv(Tag.SAR_SEGMENT_SEQNUM, bytes([number])),
    )
    return ShortMessage(short_message=words.encode(), tlvs=tlvs, **WAITING)


@pytest.mark.parametrize("order", [(1, 2, 3), (3, 2, 1), (2, 3, 1)])
async def test_parts_in_any_order_are_one_text_acknowledged_once_handled(
    smsc: Smsc, carrier, books: Books, order: tuple[int, ...]
) -> None:
    await carrier(smsc.port)
    books.gate.clear()
    words = {1: "RCH ", 2: "1234", 3: "5678"}
    asking = [asyncio.create_task(smsc.connections[0].ask(Command.DELIVER_SM, part(n, words[n]))) for n in order]
    await smsc.until(lambda: len(books.incoming) == 1)
    assert not any(task.done() for task in asking)
    books.gate.set()
    assert [pdu.status for pdu in await asyncio.gather(*asking)] == [0, 0, 0]
    assert [(one.text, one.sender) for one in books.incoming] == [("RCH 12345678", "+254712000001")]


async def test_parts_by_sar_over_two_connections_are_one_text(smsc: Smsc, carrier, books: Books) -> None:
    await carrier(smsc.port)
    await carrier(smsc.port)
    first, second = smsc.connections
    asking = [
        asyncio.create_task(first.ask(Command.DELIVER_SM, sar(1, "RCH "))),
        asyncio.create_task(second.ask(Command.DELIVER_SM, sar(2, "12"))),
    ]
    assert [pdu.status for pdu in await asyncio.gather(*asking)] == [0, 0]
    assert [one.text for one in books.incoming] == ["RCH 12"]


async def test_a_part_alone_is_not_acknowledged_but_kept(smsc: Smsc, carrier, books: Books) -> None:
    await carrier(smsc.port, parts_seconds=1)
    connection = smsc.connections[0]
    assert (await connection.ask(Command.DELIVER_SM, sar(1, "RCH "))).status == Status.RX_T_APPN
    assert books.incoming == []
    # The rest comes later, then the first is sent again: one text, all acknowledged.
    assert (await connection.ask(Command.DELIVER_SM, sar(2, "12"))).status == 0
    assert (await connection.ask(Command.DELIVER_SM, sar(1, "RCH "))).status == 0
    assert (await connection.ask(Command.DELIVER_SM, sar(2, "12"))).status == 0
    assert [one.text for one in books.incoming] == ["RCH 12"]
    # The same reference for other words is another text.
    asking = [asyncio.create_task(connection.ask(Command.DELIVER_SM, sar(n, w))) for n, w in [(1, "BUY"), (2, " 2")]]
    assert [pdu.status for pdu in await asyncio.gather(*asking)] == [0, 0]
    assert [one.text for one in books.incoming] == ["RCH 12", "BUY 2"]


async def test_parts_survive_the_loss_of_redis_because_none_was_acknowledged(
    smsc: Smsc, carrier, books: Books, redis_client: Redis
) -> None:
    await carrier(smsc.port, parts_seconds=1)
    connection = smsc.connections[0]
    assert (await connection.ask(Command.DELIVER_SM, sar(1, "RCH "))).status == Status.RX_T_APPN
    await redis_client.flushdb()
    assert (await connection.ask(Command.DELIVER_SM, sar(2, "12"))).status == Status.RX_T_APPN
    assert (await connection.ask(Command.DELIVER_SM, sar(1, "RCH "))).status == 0
    assert [one.text for one in books.incoming] == ["RCH 12"]


async def test_a_centre_that_sends_one_at_a_time_is_acknowledged_part_by_part(
    smsc: Smsc, carrier, books: Books
) -> None:
    await carrier(smsc.port, parts_acknowledged="stored")
    for number, words in ((1, "RCH "), (2, "1234"), (3, "5678")):
        assert (await smsc.connections[0].ask(Command.DELIVER_SM, part(number, words))).status == 0
    assert [one.text for one in books.incoming] == ["RCH 12345678"]


async def test_a_whole_that_cannot_be_handled_is_acknowledged_in_no_part(smsc: Smsc, carrier, books: Books) -> None:
    books.fail = 1
    await carrier(smsc.port, parts_seconds=1)
    connection = smsc.connections[0]
    asking = [asyncio.create_task(connection.ask(Command.DELIVER_SM, sar(n, w))) for n, w in [(1, "BUY"), (2, " 2")]]
    assert [pdu.status for pdu in await asyncio.gather(*asking)] == [Status.RX_T_APPN] * 2
    asking = [asyncio.create_task(connection.ask(Command.DELIVER_SM, sar(n, w))) for n, w in [(1, "BUY"), (2, " 2")]]
    assert [pdu.status for pdu in await asyncio.gather(*asking)] == [0, 0]
    assert {one.text for one in books.incoming} == {"BUY 2"} and len({one.carrier_id for one in books.incoming}) == 1


async def test_what_lies_in_redis_shows_nothing_of_what_was_written(
    smsc: Smsc, carrier, books: Books, redis_client: Redis
) -> None:
    await carrier(smsc.port, parts_acknowledged="stored")
    await smsc.connections[0].ask(Command.DELIVER_SM, part(1, "RCH 98765432101234"))
    await smsc.connections[0].ask(Command.DELIVER_SM, ShortMessage(short_message=b"RCH 98765432101234", **WAITING))
    kept = [
        key + b"".join(x + y for x, y in (await redis_client.hgetall(key)).items())
        async for key in redis_client.scan_iter()
    ]
    assert len(kept) == 2
    assert not any(secret in value for value in kept for secret in (b"9876543210", b"254712000001", b"RCH"))


def ids(books: Books) -> list[str]:
    return [one.carrier_id for one in books.incoming]


async def test_the_same_words_twice_are_two_messages(smsc: Smsc, carrier, books: Books) -> None:
    await carrier(smsc.port)
    for _ in range(3):
        await smsc.connections[0].ask(Command.DELIVER_SM, ShortMessage(short_message=b"1", **WAITING))
    assert len(set(ids(books))) == 3


async def test_a_message_whose_answer_was_lost_is_the_same_when_it_comes_again(
    smsc: Smsc, carrier, books: Books
) -> None:
    one = await carrier(smsc.port)
    message = ShortMessage(short_message=b"BUY 2", **WAITING)
    books.gate.clear()
    smsc.connections[0].write(Command.DELIVER_SM, message, sequence=1)
    await smsc.until(lambda: len(books.incoming) == 1)
    smsc.connections[0].drop()
    books.gate.set()
    await smsc.until(lambda: smsc.connects == 2)
    await one.bound(5)
    await smsc.connections[0].ask(Command.DELIVER_SM, message)
    assert len(books.incoming) == 2 and len(set(ids(books))) == 1
    await smsc.connections[0].ask(Command.DELIVER_SM, message)
    assert len(set(ids(books))) == 2


async def test_an_answer_given_just_before_the_line_broke_is_in_doubt(smsc: Smsc, carrier, books: Books) -> None:
    one = await carrier(smsc.port)
    message = ShortMessage(short_message=b"BUY 2", **WAITING)
    await smsc.connections[0].ask(Command.DELIVER_SM, message)
    smsc.connections[0].drop()
    await smsc.until(lambda: smsc.connects == 2)
    await one.bound(5)
    await smsc.connections[0].ask(Command.DELIVER_SM, message)
    assert len(books.incoming) == 2 and len(set(ids(books))) == 1


async def test_an_emptied_redis_makes_a_repeat_of_it_and_no_second_purchase(
    smsc: Smsc, carrier, books: Books, redis_client: Redis
) -> None:
    await carrier(smsc.port)
    books.fail = 1
    message = ShortMessage(short_message=b"BUY 2", **WAITING)
    assert (await smsc.connections[0].ask(Command.DELIVER_SM, message)).status == Status.RX_T_APPN
    await redis_client.flushdb()
    assert (await smsc.connections[0].ask(Command.DELIVER_SM, message)).status == 0
    assert len(books.incoming) == 2 and len(set(ids(books))) == 1


async def test_a_centre_that_names_its_messages_is_believed(smsc: Smsc, carrier, books: Books) -> None:
    await carrier(smsc.port)
    for name in (b"00AB\0", b"ab", b"ac"):
        tlvs = (Tlv(Tag.RECEIPTED_MESSAGE_ID, name),)
        await smsc.connections[0].ask(Command.DELIVER_SM, ShortMessage(short_message=b"1", tlvs=tlvs, **WAITING))
    assert ids(books) == ["ab", "ab", "ac"]


async def test_without_redis_nothing_is_acknowledged(smsc: Smsc, carrier, books: Books, redis_client: Redis) -> None:
    await carrier(smsc.port)
    await redis_client.script_flush()  # a restarted Redis knows no script: it is sent again
    message = ShortMessage(short_message=b"1", **WAITING)
    assert (await smsc.connections[0].ask(Command.DELIVER_SM, message)).status == 0
    key = await anext(aiter(redis_client.scan_iter("smpp:arrival:*")))
    await redis_client.delete(key)
    await redis_client.set(key, "not a hash")  # stands in for any error of Redis
    assert (await smsc.connections[0].ask(Command.DELIVER_SM, message)).status == Status.RX_T_APPN
    assert len(books.incoming) == 1


async def test_what_nobody_can_read_is_acknowledged_and_dropped(smsc: Smsc, carrier, books: Books) -> None:
    await carrier(smsc.port)
    first_of_two = part(1, "BAL", total=2)
    for body in (
        ShortMessage(data_coding=0x04, short_message=b"BAL", **WAITING),
        ShortMessage(data_coding=0xF5, short_message=b"BAL", **WAITING),
        msgspec.structs.replace(first_of_two, data_coding=0xF5),
        ShortMessage(esm_class=UDHI, short_message=b"\x09\x00", **WAITING),
    ):
        assert (await smsc.connections[0].ask(Command.DELIVER_SM, body)).status == 0
    assert books.incoming == []


@pytest.mark.parametrize(
    ("stat", "outcome"),
    [
        ("DELIVRD", (DeliveryState.DELIVERED, None)),
        ("UNDELIV", (DeliveryState.UNDELIVERED, "045")),
        ("EXPIRED", (DeliveryState.EXPIRED, "045")),
        ("REJECTD", (DeliveryState.FAILED, "045")),
        ("ENROUTE", (DeliveryState.SENT, "045")),
    ],
)
async def test_receipts_become_reports(smsc: Smsc, carrier, books: Books, stat: str, outcome) -> None:
    await carrier(smsc.port)
    words = f"id:0031 stat:{stat} err:045".encode()
    assert (
        await smsc.connections[0].ask(Command.DELIVER_SM, ShortMessage(esm_class=4, short_message=words))
    ).status == 0
    (report,) = books.reports
    assert (report.carrier_id, report.other_ids) == ("31", ("1f", "49"))
    assert (report.state, report.error) == outcome
    assert books.incoming == []


async def test_a_receipt_written_by_a_person_is_a_text(smsc: Smsc, carrier, books: Books) -> None:
    await carrier(smsc.port)
    await smsc.connections[0].ask(Command.DELIVER_SM, ShortMessage(short_message=b"id:1 stat:DELIVRD", **WAITING))
    assert books.reports == [] and len(books.incoming) == 1


async def test_a_receipt_that_tells_nothing_is_acknowledged(smsc: Smsc, carrier, books: Books) -> None:
    await carrier(smsc.port)
    for words in (b"", b"stat:DELIVRD", b"id:1 stat:UNKNOWN"):
        body = ShortMessage(esm_class=4, short_message=words)
        assert (await smsc.connections[0].ask(Command.DELIVER_SM, body)).status == 0
    assert books.reports == []
