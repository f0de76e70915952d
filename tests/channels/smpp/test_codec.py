"""PDUs against an independent codec, and the parser against anything at all."""

from __future__ import annotations

import pytest
import smpp34
from hypothesis import given, strategies as st

from channels.smpp.codec import LONGEST_PDU, BadPdu, Framer, decode, encode
from channels.smpp.names import RESPONSE, Command, Status, Tag, command_name, status_name
from channels.smpp.pdu import (
    BODIES,
    COUNTED,
    OCTET,
    Bind,
    Body,
    MessageResponse,
    Nothing,
    Opaque,
    ShortMessage,
    Tlv,
    number,
    octets,
    words,
)

OCTETS = st.integers(0, 255)
SEQUENCES = st.integers(1, 0x7FFFFFFF)
#: what both codecs call a C-octet string
ASCII = st.characters(min_codepoint=0x20, max_codepoint=0x7E)
TLVS = st.lists(st.builds(Tlv, st.integers(0, 0xFFFF), st.binary(max_size=300)), max_size=4).map(tuple)
#: tags whose values smpp34 does not look into
VENDOR_TLVS = st.lists(st.builds(Tlv, st.integers(0x1400, 0x3FFF), st.binary(max_size=300)), max_size=4).map(tuple)


def bodies(kind: type[Body], tlvs: st.SearchStrategy[tuple[Tlv, ...]] = TLVS) -> st.SearchStrategy[Body]:
    """Every body of one kind that fits its fields."""
    fields: dict[str, st.SearchStrategy] = {}
    for name, size in kind.FIELDS:
        if size == OCTET:
            fields[name] = OCTETS
        elif size == COUNTED:
            fields[name] = st.binary(max_size=254)
        else:
            fields[name] = st.text(ASCII, max_size=size - 1)
    if kind.HAS_TLVS:
        fields["tlvs"] = tlvs
    return st.builds(kind, **fields)


PDUS = st.sampled_from(sorted(BODIES)).flatmap(
    lambda command: st.tuples(st.just(command), bodies(BODIES[command]), SEQUENCES, st.integers(0, 0xFFFFFFFF))
)
#: fields that smpp34 reads by the same names
SHARED = [name for name, _ in ShortMessage.FIELDS]


@given(PDUS)
def test_every_pdu_comes_back_as_it_went(pdu) -> None:
    command, body, sequence, status = pdu
    assert decode(encode(command, body, sequence=sequence, status=status)) == (command, status, sequence, body)


@given(bodies(ShortMessage, VENDOR_TLVS), SEQUENCES, st.sampled_from([Command.SUBMIT_SM, Command.DELIVER_SM]))
def test_messages_that_we_write_are_read_alike_by_smpp34(body: ShortMessage, sequence: int, command: Command) -> None:
    frame = encode(command, body, sequence=sequence)
    read = smpp34.decode(frame)
    assert [getattr(read, name) for name in SHARED] == [getattr(body, name) for name in SHARED]
    assert [(tlv.tag, tlv.value) for tlv in read.tlvs] == [tuple(tlv) for tlv in body.tlvs]
    assert read.encode() == frame


@given(bodies(ShortMessage, VENDOR_TLVS), SEQUENCES, st.sampled_from([smpp34.SubmitSm, smpp34.DeliverSm]))
def test_messages_that_smpp34_writes_are_read_alike_by_us(body: ShortMessage, sequence: int, kind) -> None:
    fields = {name: getattr(body, name) for name in SHARED}
    theirs = kind(**fields, tlvs=[smpp34.Tlv(*tlv) for tlv in body.tlvs], sequence_number=sequence)
    read = decode(theirs.encode())
    assert read.sequence == sequence and read.command == theirs.command_id
    assert isinstance(read.body, ShortMessage)
    assert {name: getattr(read.body, name) for name in SHARED} == fields
    assert read.body.tlvs == body.tlvs
    assert encode(read.command, read.body, sequence=sequence) == theirs.encode()


@given(PDUS)
def test_the_header_of_every_pdu_is_read_alike_by_smpp34(pdu) -> None:
    command, body, sequence, status = pdu
    frame = encode(command, body, sequence=sequence, status=status)
    if command in (Command.SUBMIT_SM, Command.DELIVER_SM):
        return  # held above, body and all
    read = smpp34.decode(frame)
    assert (read.command_length, read.command_id, read.sequence_number) == (len(frame), command, sequence)
    assert (read.command_status, read.body) == (status, frame[16:])


@given(st.binary(max_size=400))
def test_any_octets_are_a_pdu_or_refused(data: bytes) -> None:
    try:
        read = decode(data)
    except BadPdu as error:
        assert error.reason
    else:
        assert len(data) == int.from_bytes(data[:4]) and read.command == int.from_bytes(data[4:8])


@given(st.sampled_from(sorted(BODIES)), st.integers(0, 0xFFFFFFFF), st.binary(max_size=300))
def test_any_body_of_a_known_command_is_read_or_refused(command: int, status: int, body: bytes) -> None:
    frame = (16 + len(body)).to_bytes(4) + command.to_bytes(4) + status.to_bytes(4) + (7).to_bytes(4) + body
    try:
        read = decode(frame)
    except BadPdu as error:
        assert error.status != Status.ROK
    else:
        assert (read.command, read.status, read.sequence) == (command, status, 7)


@given(PDUS, st.integers(16, 400), st.integers(0, 255))
def test_a_pdu_with_one_octet_changed_is_read_or_refused(pdu, place: int, octet: int) -> None:
    command, body, sequence, status = pdu
    frame = bytearray(encode(command, body, sequence=sequence, status=status))
    if place < len(frame):
        frame[place] = octet
    try:
        decode(bytes(frame))
    except BadPdu as error:
        assert error.reason


@given(st.lists(PDUS, max_size=5), st.lists(st.integers(1, 50), min_size=1))
def test_a_stream_is_cut_into_the_same_pdus_however_it_arrives(pdus, cuts: list[int]) -> None:
    frames = [encode(command, body, sequence=seq, status=status) for command, body, seq, status in pdus]
    stream, framer, found = b"".join(frames), Framer(), []
    place = turn = 0
    while place < len(stream):
        size = cuts[turn % len(cuts)]
        found += framer.feed(stream[place : place + size])
        place, turn = place + size, turn + 1
    assert found == frames


@pytest.mark.parametrize("length", [0, 15, LONGEST_PDU + 1, 0xFFFFFFFF])
def test_an_impossible_length_ends_the_stream(length: int) -> None:
    with pytest.raises(BadPdu) as refused:
        list(Framer().feed(length.to_bytes(4) + bytes(20)))
    assert refused.value.status == Status.RINVCMDLEN


def test_pdus_before_a_broken_one_are_still_read() -> None:
    good = encode(Command.ENQUIRE_LINK, Nothing(), sequence=1)
    frames = iter(Framer().feed(good + bytes(16)))
    assert next(frames) == good
    with pytest.raises(BadPdu):
        next(frames)


def test_an_unknown_command_keeps_its_body() -> None:
    frame = encode(0x00010203, Opaque(raw=b"\x01\x02"), sequence=3)
    assert decode(frame) == (0x00010203, 0, 3, Opaque(raw=b"\x01\x02"))
    assert command_name(0x00010203) == "0x00010203"


def test_a_vendor_status_is_kept_as_it_is() -> None:
    frame = encode(Command.SUBMIT_SM_RESP, MessageResponse(), sequence=3, status=0x0402)
    assert decode(frame).status == 0x0402
    assert status_name(0x0402) == "0x00000402" and status_name(0x58) == "ESME_RTHROTTLED"


@pytest.mark.parametrize("body", [b"", b"abc", b"\xff\xff"])
def test_a_response_with_an_error_may_have_any_body_or_none(body: bytes) -> None:
    frame = (16 + len(body)).to_bytes(4) + Command.SUBMIT_SM_RESP.to_bytes(4) + (8).to_bytes(4) + bytes(4) + body
    assert decode(frame).status == Status.RSYSERR


def test_a_response_whose_id_has_no_end_is_read() -> None:
    frame = (19).to_bytes(4) + Command.SUBMIT_SM_RESP.to_bytes(4) + bytes(8) + b"a1f"
    assert decode(frame).body == MessageResponse(message_id="a1f")


def test_what_a_field_cannot_hold_is_refused_by_its_name() -> None:
    for body, name in [
        (Bind(password="ninechars"), "password"),
        (ShortMessage(source_addr="2" * 21), "source_addr"),
        (ShortMessage(destination_addr="254\x00"), "destination_addr"),
        (ShortMessage(service_type="رصيد"), "service_type"),
        (ShortMessage(short_message=bytes(255)), "short_message"),
        (ShortMessage(data_coding=256), "data_coding"),
    ]:
        with pytest.raises(ValueError, match=name):
            encode(Command.SUBMIT_SM, body, sequence=1)


def test_an_optional_parameter_that_ends_too_late_is_refused_as_such() -> None:
    frame = bytearray(encode(Command.DELIVER_SM, ShortMessage(tlvs=(Tlv(Tag.USSD_SERVICE_OP, b"\x01"),)), sequence=1))
    frame[-2] = 9
    with pytest.raises(BadPdu) as refused:
        decode(bytes(frame))
    assert refused.value.status == Status.RINVTLVSTREAM


def test_optional_parameters_are_read_as_octets_numbers_or_words() -> None:
    tlvs = (Tlv(Tag.USSD_SERVICE_OP, b"\x12"), Tlv(Tag.ITS_SESSION_INFO, b"\x05\x03"), Tlv(0x001E, b"a1\0"))
    assert number(tlvs, Tag.USSD_SERVICE_OP) == 18
    assert octets(tlvs, Tag.ITS_SESSION_INFO) == b"\x05\x03"
    assert words(tlvs, Tag.RECEIPTED_MESSAGE_ID) == "a1" == words((Tlv(0x001E, b"a1"),), 0x001E)
    assert number(tlvs, Tag.MESSAGE_STATE) is None and words(tlvs, Tag.NETWORK_ERROR_CODE) is None


def test_nothing_that_a_person_wrote_is_in_a_repr() -> None:
    body = ShortMessage(source_addr="254712000001", short_message=b"RCH 12345678901234")
    pdu = decode(encode(Command.DELIVER_SM, body, sequence=1))
    for shown in (repr(pdu), repr(body), str(Bind(password="geheim"))):
        assert not any(secret in shown for secret in ("254712000001", "RCH", "geheim"))


def test_every_request_has_a_response() -> None:
    unanswered = {Command.OUTBIND, Command.ALERT_NOTIFICATION}
    assert {command | RESPONSE for command in Command if command not in unanswered} <= {*Command}
