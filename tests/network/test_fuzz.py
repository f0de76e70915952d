"""Whatever bytes come, readers answer with a packet or with their own refusal."""

from __future__ import annotations

import hashlib

from hypothesis import example, given, strategies as st

from network.diameter.codec import Group, Refused, read_message, split
from network.diameter.gy import read_request
from network.radius.packet import (
    IMSI_3GPP,
    VENDOR_3GPP,
    Attribute,
    Malformed,
    PacketCode,
    make_request,
    make_response,
    proven,
    read_packet,
    response_proven,
)
from tests.network.diameter.wire import Wire

attributes = st.lists(st.tuples(st.sampled_from([1, 26, 31, 44, 80]), st.binary(max_size=40)), max_size=6)


@given(st.binary(max_size=300))
@example(b"\x04\x01\x00\x16" + bytes(16) + b"\x50\x02")
def test_any_datagram_is_a_packet_or_malformed(data: bytes) -> None:
    try:
        packet = read_packet(data)
        proven(packet, b"secret")
        packet.vendor(VENDOR_3GPP, IMSI_3GPP)
    except Malformed:
        return
    assert packet.raw == data[: len(packet.raw)]


@given(attributes)
def test_a_packet_with_a_message_authenticator_of_any_shape_is_looked_at(
    given_attributes: list[tuple[int, bytes]],
) -> None:
    body = b"".join(bytes((kind, len(value) + 2)) + value for kind, value in given_attributes)
    head = bytes((PacketCode.ACCOUNTING_REQUEST, 1)) + (20 + len(body)).to_bytes(2)
    proof = hashlib.md5(head + bytes(16) + body + b"secret").digest()
    packet = read_packet(head + proof + body)
    signed = any(kind == Attribute.MESSAGE_AUTHENTICATOR for kind, _ in given_attributes)
    assert proven(packet, b"secret") != signed


@given(st.binary(min_size=1, max_size=30), st.integers(0, 255), st.binary(max_size=50))
def test_what_we_make_is_proven_and_what_is_changed_is_not(secret: bytes, identifier: int, value: bytes) -> None:
    request = read_packet(
        make_request(PacketCode.COA_REQUEST, identifier, secret, [(Attribute.ACCT_SESSION_ID, value)])
    )
    assert proven(request, secret) and not proven(request, secret + b"x")
    answer = read_packet(make_response(request, PacketCode.COA_ACK, secret))
    assert response_proven(answer, request.authenticator, secret)
    assert not response_proven(answer, bytes(16), secret)


@given(st.binary(max_size=300))
def test_any_avps_are_read_or_refused(data: bytes) -> None:
    try:
        found = split(data)
    except Refused as refusal:
        assert refusal.result in (5001, 5014)
    else:
        assert isinstance(found, Group)


@given(st.integers(20, 200), st.binary(min_size=1, max_size=8))
def test_a_request_that_is_damaged_anywhere_is_read_or_refused(at: int, damage: bytes) -> None:
    raw = bytearray(Wire().made().as_bytes())
    raw[at : at + len(damage)] = damage
    try:
        read_request(read_message(bytes(raw)).avps(), 10)
    except Refused as refusal:
        assert refusal.result in (5001, 5004, 5005, 5014)
