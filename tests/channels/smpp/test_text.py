"""Encodings, long texts and their parts: nothing split, nothing lost, nothing longer than it may be."""

from __future__ import annotations

import pytest
from gsm0338 import Codec
from hypothesis import given, strategies as st

from channels.gsm import gsm_alphabet
from channels.smpp.names import Tag
from channels.smpp.parts import UDHI, Long, Segment, pack, unpack
from channels.smpp.pdu import DataMessage, ShortMessage, Tlv
from channels.smpp.text import DEFAULT, LATIN1, UCS2, Alphabet, Unreadable, decode_text, encode_text

GSM_TEXTS = st.text(st.sampled_from(sorted(gsm_alphabet())), max_size=700)
ANY_TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=400)


@given(GSM_TEXTS)
def test_what_the_gsm_alphabet_holds_goes_out_in_it_as_another_codec_writes_it(text: str) -> None:
    encoded = encode_text(text, Alphabet.GSM)
    assert encoded.data_coding == DEFAULT
    assert b"".join(encoded.parts) == Codec().encode(text)[0]


@given(st.one_of(GSM_TEXTS, ANY_TEXTS), st.sampled_from(Alphabet), st.booleans())
def test_any_text_comes_back_from_its_parts(text: str, default: Alphabet, latin1: bool) -> None:
    encoded = encode_text(text, default, latin1=latin1)
    assert "".join(decode_text(part, encoded.data_coding, default) for part in encoded.parts) == text
    assert latin1 or encoded.data_coding != LATIN1


@given(st.one_of(GSM_TEXTS, ANY_TEXTS), st.sampled_from(Alphabet))
def test_no_part_is_longer_than_the_air_lets_it_be(text: str, default: Alphabet) -> None:
    encoded = encode_text(text, default)
    for part in encoded.parts:
        read = decode_text(part, encoded.data_coding, default)
        if encoded.data_coding == DEFAULT:
            cost, whole, most = sum(len(gsm_alphabet()[one]) for one in read), 160, 153
        else:
            cost, whole, most = len(part), 140, 134
        assert cost <= (whole if len(encoded.parts) == 1 else most)


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("a" * 160, 1),
        ("a" * 161, 2),
        ("a" * 306, 2),
        ("a" * 307, 3),
        ("€" * 80, 1),
        ("€" * 81, 2),
        ("€" * 77, 1),
        ("€" * 153, 3),  # 76 whole escapes in each 153 septets
        ("ر" * 70, 1),
        ("ر" * 71, 2),
        ("ر" * 134, 2),
        ("ر" * 135, 3),
        ("😀" * 35, 1),
        ("😀" * 36, 2),
        ("😀" * 67, 3),  # 33 whole pairs in each 67 units
        ("", 1),
    ],
)
def test_texts_are_cut_where_the_standard_says(text: str, parts: int) -> None:
    assert len(encode_text(text, Alphabet.GSM).parts) == parts


@pytest.mark.parametrize(
    ("text", "default", "latin1", "coding"),
    [
        ("Solde: 5 €", Alphabet.GSM, True, DEFAULT),
        ("Forêt", Alphabet.GSM, True, LATIN1),
        ("Forêt", Alphabet.GSM, False, UCS2),
        ("Forêt", Alphabet.LATIN1, True, LATIN1),  # ê would cost more than a septet: the centre could not shorten it
        ("é", Alphabet.LATIN1, True, DEFAULT),
        ("é", Alphabet.ASCII, True, LATIN1),
        ("5 €", Alphabet.ASCII, True, UCS2),
        ("a", Alphabet.ASCII, True, DEFAULT),
        ("رصيد", Alphabet.GSM, True, UCS2),
    ],
)
def test_the_cheapest_coding_that_holds_all_is_taken(text: str, default: Alphabet, latin1: bool, coding: int) -> None:
    assert encode_text(text, default, latin1=latin1).data_coding == coding


@pytest.mark.parametrize(
    ("octets", "coding", "text"),
    [
        (b"BAL", 0x00, "BAL"),
        (b"\x00\x02\x1be", 0x00, "@$€"),
        (b"RCH 1", 0x01, "RCH 1"),
        (b"\xe9", 0x03, "é"),
        ("рубль".encode("iso8859_5"), 0x06, "рубль"),
        ("رصيد".encode("utf-16-be"), 0x08, "رصيد"),
        (b"*123#", 0x0F, "*123#"),
        ("رصيد".encode("utf-16-be"), 0x48, "رصيد"),
        (b"BAL", 0xF0, "BAL"),
        (b"BAL", 0x10, "BAL"),
        ("😀".encode("utf-16-be"), 0x18, "😀"),
        (b"\x80BAL", 0x00, "\ufffdBAL"),
        (b"\x00B\x00", 0x08, "B\ufffd"),
        (b"\xd8\x3d\x00B", 0x08, "\ufffdB"),
    ],
)
def test_what_people_send_is_read_in_any_coding(octets: bytes, coding: int, text: str) -> None:
    assert decode_text(octets, coding, Alphabet.GSM) == text


@pytest.mark.parametrize("coding", [0x02, 0x04, 0x0A, 0x0E, 0x44, 0xF5, 0xC0])
def test_what_is_no_text_is_refused(coding: int) -> None:
    with pytest.raises(Unreadable):
        decode_text(b"\x01\x02", coding, Alphabet.GSM)


@given(st.binary(max_size=200), st.integers(0, 255), st.sampled_from(Alphabet))
def test_any_octets_in_any_coding_are_read_or_refused(octets: bytes, coding: int, default: Alphabet) -> None:
    try:
        text = decode_text(octets, coding, default)
    except Unreadable as error:
        assert error.args
    else:
        text.encode()  # no surrogates: it can be stored


@given(ANY_TEXTS, st.sampled_from([Long.UDH, Long.SAR]), st.integers(0, 0xFFFF))
def test_parts_that_are_sent_are_the_segments_that_are_read(text: str, way: Long, reference: int) -> None:
    contents = encode_text(text, Alphabet.GSM).parts
    parts = pack(contents, way, reference)
    segments = [unpack(ShortMessage(esm_class=p.esm_class, short_message=p.short_message, tlvs=p.tlvs)) for p in parts]
    assert [one.content for one in segments] == list(contents)
    assert [(one.number, one.total) for one in segments] == [(place, len(parts)) for place in range(1, len(parts) + 1)]
    assert len({one.reference for one in segments}) == 1
    assert all(len(part.short_message) <= 140 or way is Long.SAR or len(part.short_message) <= 159 for part in parts)


@given(ANY_TEXTS)
def test_a_payload_carries_the_whole_text(text: str) -> None:
    encoded = encode_text(text, Alphabet.GSM, whole=True)
    (part,) = pack(encoded.parts, Long.PAYLOAD, 1)
    segment = unpack(ShortMessage(short_message=part.short_message, tlvs=part.tlvs))
    assert (segment.total, decode_text(segment.content, encoded.data_coding, Alphabet.GSM)) == (1, text)


def test_more_parts_than_the_header_can_count_are_refused() -> None:
    with pytest.raises(ValueError, match="parts"):
        pack(encode_text("a" * 153 * 256, Alphabet.GSM).parts, Long.UDH, 1)


@pytest.mark.parametrize(
    ("header", "segment"),
    [
        (b"\x05\x00\x03\x2a\x02\x01", Segment(0x2A, 2, 1, b"abc")),
        (b"\x06\x08\x04\x01\x2a\x03\x02", Segment(0x012A, 3, 2, b"abc")),
        # ports before it, as some applications send them
        (b"\x0b\x05\x04\x0b\x84\x00\x00\x00\x03\x2a\x02\x02", Segment(0x2A, 2, 2, b"abc")),
        (b"\x06\x05\x04\x0b\x84\x00\x00", Segment(0, 1, 1, b"abc")),
        # numbers without sense are ignored, the text is not
        (b"\x05\x00\x03\x2a\x00\x01", Segment(0, 1, 1, b"abc")),
        (b"\x05\x00\x03\x2a\x02\x03", Segment(0, 1, 1, b"abc")),
        (b"\x05\x00\x03\x2a\x02\x00", Segment(0, 1, 1, b"abc")),
        (b"\x00", Segment(0, 1, 1, b"abc")),
    ],
)
def test_user_data_headers_are_read(header: bytes, segment: Segment) -> None:
    body = ShortMessage(esm_class=UDHI, short_message=header + b"abc")
    assert unpack(body) == segment
    payload = DataMessage(esm_class=UDHI, tlvs=(Tlv(Tag.MESSAGE_PAYLOAD, header + b"abc"),))
    assert unpack(payload) == segment


@pytest.mark.parametrize("content", [b"", b"\x05", b"\x05\x00\x03\x2a\x02", b"\x02\x00\x09abc", b"\x01\x00abc"])
def test_a_broken_header_is_refused(content: bytes) -> None:
    with pytest.raises(Unreadable):
        unpack(ShortMessage(esm_class=UDHI, short_message=content))


@given(st.binary(max_size=60), st.integers(0, 255), st.lists(st.tuples(st.sampled_from(Tag), st.binary(max_size=4))))
def test_any_content_is_a_segment_or_refused(content: bytes, esm_class: int, tlvs) -> None:
    body = ShortMessage(esm_class=esm_class, short_message=content, tlvs=tuple(Tlv(*tlv) for tlv in tlvs))
    try:
        segment = unpack(body)
    except Unreadable as error:
        assert error.args
    else:
        assert 1 <= segment.number <= segment.total <= 255
