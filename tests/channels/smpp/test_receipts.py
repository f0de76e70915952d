"""Receipts as message centres really write them, and the spellings of their ids."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from channels.smpp.names import Status, Tag
from channels.smpp.pdu import ShortMessage, Tlv
from channels.smpp.policy import VERDICTS, Verdict, read_overrides, verdict
from channels.smpp.receipts import MessageState, is_receipt, normal, read_receipt, read_text, spellings

FULL = (
    "id:0123456789 sub:001 dlvrd:001 submit date:2611212301 done date:2611212302 stat:DELIVRD err:000 text:Your balance"
)


def test_every_field_of_the_specifications_text_is_read() -> None:
    read = read_text(FULL)
    assert read.message_id == "0123456789" and read.state is MessageState.DELIVERED and read.error is None
    assert (read.submitted, read.delivered) == ("001", "001")
    assert (read.submit_date, read.done_date, read.text) == ("2611212301", "2611212302", "Your balance")


@pytest.mark.parametrize(
    ("text", "message_id", "state", "error"),
    [
        ("id:a1b2 stat:DELIVRD", "a1b2", MessageState.DELIVERED, None),
        ("stat:UNDELIV err:045 id:7", "7", MessageState.UNDELIVERABLE, "045"),
        ("ID:7 STAT:EXPIRED ERR:000", "7", MessageState.EXPIRED, None),
        ("id: 7 sub: 001 stat: REJECTD err: 12 Text: x", "7", MessageState.REJECTED, "12"),
        ("id:7 submit_date:2611212301 done_date:261121230200 stat:DELETED", "7", MessageState.DELETED, None),
        ("id:7 stat:Delivered", "7", MessageState.DELIVERED, None),
        ("id:7 stat:ACCEPTD", "7", MessageState.ACCEPTED, None),
        ("id:7 stat:ENROUTE", "7", MessageState.ENROUTE, None),
        ("id:7 stat:UNKNOWN", "7", MessageState.UNKNOWN, None),
        ("id:7 stat:UNDELIVERABLE err:0x1f", "7", MessageState.UNDELIVERABLE, "0x1f"),
        ("id:7 stat:NEWWORD", "7", None, None),
        ("id:d8c5e1b0-7d1f-4b3a-9f0e-0a1b2c3d4e5f\nstat:DELIVRD", "d8c5e1b0-7d1f-4b3a-9f0e-0a1b2c3d4e5f", 2, None),
        ("nothing of the kind", None, None, None),
        ("", None, None, None),
    ],
)
def test_texts_of_all_kinds_are_read(text: str, message_id, state, error) -> None:
    read = read_text(text)
    assert (read.message_id, read.state, read.error) == (message_id, state, error)


def test_what_was_sent_cannot_change_what_the_receipt_says() -> None:
    read = read_text("id:7 stat:UNDELIV err:001 text:id:8 stat:DELIVRD err:000")
    assert (read.message_id, read.state) == ("7", MessageState.UNDELIVERABLE)
    assert read.text == "id:8 stat:DELIVRD err:000"
    assert read_text("id:7 stat:UNDELIV stat:DELIVRD").state is MessageState.UNDELIVERABLE


@given(st.text(max_size=300))
def test_any_text_is_read_without_trouble(text: str) -> None:
    assert read_text("id:1 " + text).message_id == "1"
    read_text(text)


def test_optional_parameters_are_believed_before_the_text() -> None:
    tlvs = (
        Tlv(Tag.RECEIPTED_MESSAGE_ID, b"1f\0"),
        Tlv(Tag.MESSAGE_STATE, b"\x05"),
        Tlv(Tag.NETWORK_ERROR_CODE, b"\x03\x00\x1b"),
    )
    read = read_receipt(ShortMessage(esm_class=4, short_message=FULL.encode(), tlvs=tlvs))
    assert (read.message_id, read.state, read.error) == ("1f", MessageState.UNDELIVERABLE, "3:27")
    assert read.done_date == "2611212302"


def test_parameters_alone_are_a_receipt_and_odd_states_are_unknown() -> None:
    body = ShortMessage(tlvs=(Tlv(Tag.RECEIPTED_MESSAGE_ID, b"1f"), Tlv(Tag.MESSAGE_STATE, b"\x63")))
    assert is_receipt(body) and read_receipt(body).state is MessageState.UNKNOWN


@pytest.mark.parametrize(
    ("esm_class", "receipt"), [(0, False), (0x04, True), (0x20, True), (0x44, True), (0x40, False)]
)
def test_a_receipt_is_known_by_its_class_never_by_its_words(esm_class: int, receipt: bool) -> None:
    assert is_receipt(ShortMessage(esm_class=esm_class, short_message=FULL.encode())) is receipt


def test_a_receipt_in_a_log_does_not_show_what_was_sent() -> None:
    assert "balance" not in repr(read_text(FULL))


@pytest.mark.parametrize(
    ("answered", "receipted"),
    [
        ("1F", "31"),
        ("0000001f", "31"),
        ("31", "1f"),
        ("31", "1F"),
        ("0031", "31"),
        ("31", "0000000031"),
        ("75BCD15", "123456789"),
        ("123456789", "75bcd15"),
        ("ABC-1", "abc-1"),
        ("d8c5e1b0-7d1f-4b3a", "d8c5e1b0-7d1f-4b3a"),
        ("0", "0000"),
    ],
)
def test_an_id_is_found_under_its_other_spellings(answered: str, receipted: str) -> None:
    assert normal(answered) in spellings(receipted)


@given(st.integers(0, 2**63), st.integers(0, 12), st.booleans())
def test_hexadecimal_and_decimal_find_each_other(number: int, zeros: int, upper: bool) -> None:
    spelled = "0" * zeros + (f"{number:X}" if upper else f"{number:x}")
    assert normal(spelled) in spellings(str(number))
    assert normal(str(number)) in spellings(spelled)


@given(st.text(max_size=70))
def test_any_id_is_its_own_first_spelling(message_id: str) -> None:
    assert spellings(message_id)[0] == normal(message_id)


def test_every_named_status_has_a_verdict_or_is_tried_again() -> None:
    undecided = {status for status in Status if status not in VERDICTS} - {Status.ROK}
    assert undecided == {Status.RINVMSGID}  # nothing that we send can get it
    assert verdict(0x0402) is Verdict.RETRY and verdict(0xDEAD) is Verdict.RETRY


def test_a_centre_may_mean_its_own_things_by_statuses() -> None:
    own = read_overrides("0x402=permanent, 1043 = throttled,0x45=retry")
    assert own == {0x402: Verdict.PERMANENT, 0x413: Verdict.THROTTLED, 0x45: Verdict.RETRY}
    assert verdict(0x45, own) is Verdict.RETRY and verdict(0x58, own) is Verdict.THROTTLED
    assert read_overrides("") == {}


@pytest.mark.parametrize("spelled", ["0x402", "0x402=never", "x=retry", "=retry"])
def test_a_senseless_status_is_refused(spelled: str) -> None:
    with pytest.raises(ValueError, match="no status"):
        read_overrides(spelled)
