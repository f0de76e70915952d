"""Every dialect, held to its table: what is heard, what is answered, what options change."""

from __future__ import annotations

import pytest

from channels.smpp.names import Tag
from channels.smpp.pdu import ShortMessage, Tlv, number
from channels.turn import Event, Reply
from configuration.options import WrongOptions
from tests.channels.phone import MSISDN
from tests.channels.ussd.smpp.conftest import Bind, Handset, Listener, operation
from tests.doubles.smsc import Smsc

DONE = Reply(text="Bye", ends=True)


def message(text: str, tlvs: dict[int, bytes], **fields: object) -> ShortMessage:
    known = {"source_addr": MSISDN[1:], "source_addr_ton": 1, "destination_addr": "123", "short_message": text.encode()}
    return ShortMessage(**(known | fields), tlvs=tuple(Tlv(*tlv) for tlv in tlvs.items()))  # type: ignore[arg-type]


OP, INFO, REFERENCE = Tag.USSD_SERVICE_OP, Tag.ITS_SESSION_INFO, Tag.USER_MESSAGE_REFERENCE
#: what the centre delivers in three steps, and what goes on and ends: operation and session mark
SPOKEN = [
    (
        "standard",
        message("*123#", {OP: b"\x01", INFO: b"\x07\x02"}),
        message("1", {OP: b"\x12", INFO: b"\x07\x04"}),
        ((2, INFO, b"\x07\x02"), (17, INFO, b"\x07\x05")),
    ),
    (
        "tata",
        message("*123#", {OP: b"\x01", INFO: b"\x07\x00"}),
        message("1", {OP: b"\x02", INFO: b"\x07\x00"}),
        ((2, INFO, b"\x07\x00"), (2, INFO, b"\x07\x01")),
    ),
    (
        "6d",
        message("*123#", {OP: b"\x01", INFO: b"\x16\x2e"}),
        message("1", {OP: b"\x12", INFO: b"\x16\x2e"}),
        ((2, INFO, b"\x16\x2e"), (0x17, INFO, b"\x16\x2f")),
    ),
    (
        "mica",
        message("", {OP: b"\x01", REFERENCE: b"\x30\x39"}, destination_addr="*123#"),
        message("1", {OP: b"\x12", REFERENCE: b"\x30\x39"}, destination_addr="*123#"),
        ((2, REFERENCE, b"\x30\x39"), (0x17, REFERENCE, b"\x30\x39")),
    ),
    (
        "huawei",
        message("*123#", {OP: b"\x01"}),
        message("1", {OP: b"\x12"}),
        ((2, INFO, None), (17, INFO, None)),
    ),
]


@pytest.mark.parametrize(("dialect", "begins", "types", "answers"), SPOKEN, ids=[one[0] for one in SPOKEN])
async def test_each_dialect_is_heard_and_answered_in_its_own_words(
    *, smsc: Smsc, bind: Bind, listener: Listener, dialect: str, begins, types, answers
) -> None:
    await bind(smsc.port, dialect=dialect)
    handset = Handset(smsc)
    assert (await handset.deliver(begins)).status == 0
    await smsc.until(lambda: len(smsc.submitted) == 1)
    listener.says = DONE
    assert (await handset.deliver(types)).status == 0
    await smsc.until(lambda: len(smsc.submitted) == 2)
    first, second = listener.turns
    assert (first.event, first.text) == (Event.NEW, "")
    assert (second.event, second.text, second.session_id) == (Event.RESUME, "1", first.session_id)
    for said, (wanted, tag, mark) in zip(smsc.submitted, answers, strict=True):
        assert operation(said) == wanted
        marks = {tlv.tag: tlv.value for tlv in said.body.tlvs}  # type: ignore[attr-defined]
        assert marks.get(tag) == mark


@pytest.mark.parametrize(
    ("dialect", "ends"),
    [("tata", 0x11), ("6d", 0x81), ("mica", 0x81), ("huawei", 0x81)],
)
async def test_each_dialect_s_abort_is_known(
    smsc: Smsc, bind: Bind, listener: Listener, dialect: str, ends: int
) -> None:
    await bind(smsc.port, dialect=dialect)
    assert (await Handset(smsc).deliver(message("", {OP: bytes([ends])}))).status == 0
    assert listener.turns[0].event is Event.CLOSE


async def test_a_centre_that_differs_from_its_dialect_is_set_by_numbers(
    smsc: Smsc, bind: Bind, listener: Listener
) -> None:
    own = {"begins": "0x21", "ends": "0x22, 0x23", "asks": 0x24, "finishes": 0x25, "plain_coding": 0, "ucs2_coding": 72}
    await bind(smsc.port, **own, reference="msisdn", service_type="")
    handset = Handset(smsc)
    await handset.deliver(message("*123#", {OP: b"\x21"}))
    await smsc.until(lambda: len(smsc.submitted) == 1)
    listener.says = Reply(text="رصيدك", ends=True)
    await handset.deliver(message("1", {OP: b"\x01"}))
    await smsc.until(lambda: len(smsc.submitted) == 2)
    await handset.deliver(message("", {OP: b"\x23"}))
    assert [turn.event for turn in listener.turns] == [Event.NEW, Event.RESUME, Event.CLOSE]
    assert [operation(said) for said in smsc.submitted] == [0x24, 0x25]
    assert [said.body.data_coding for said in smsc.submitted] == [0, 72]  # type: ignore[attr-defined]
    assert smsc.submitted[1].body.short_message == "رصيدك".encode("utf-16-be")  # type: ignore[attr-defined]
    assert number(smsc.submitted[0].body.tlvs, INFO) is None  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("option", "value"),
    [("dialect", "klingon"), ("begins", "one"), ("ends", "0x100"), ("asks", 256), ("host", ""), ("colour", "red")],
)
async def test_wrong_options_are_refused_by_name(bind: Bind, option: str, value: object) -> None:
    with pytest.raises(WrongOptions) as refused:
        await bind(1, **{"bound": False, option: value})
    assert refused.value.problems[0][0] == option
