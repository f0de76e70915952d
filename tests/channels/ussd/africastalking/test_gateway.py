"""Africa's Talking's words as ours and back: a table of payloads, each with what is made of it."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import given, strategies as st

from channels.turn import Event, Malformed, Reply, Turn
from channels.ussd.adapters import UnknownAdapter, load
from channels.ussd.africastalking.gateway import Gateway
from channels.ussd.contract import Request
from channels.ussd.fields import FIELD_LIMIT
from tests.channels.ussd.table import holds, request, table

TURN = Turn(channel="ussd", gateway="africastalking", session_id="ATUid_1", msisdn="+254712345678", text="")
END = {
    "date": "2026-11-21 10:42:11.123",
    "sessionId": "ATUid_1",
    "serviceCode": "*123#",
    "networkCode": "63902",
    "phoneNumber": "+254712345678",
    "status": "Incomplete",
    "cost": "KES 0.10",
    "durationInMillis": "8231",
    "hopsCount": "3",
    "hopsMetadata": "main_menu.home,recharge.number",
    "input": "2*12345678901234",
    "lastAppResponse": "CON Recharge voucher 12345678901234?",
}


@pytest.fixture
def gateway() -> Gateway:
    return Gateway("africastalking", "123", {})


@pytest.mark.parametrize("case", table(Path(__file__).parent / "hops.json"))
def test_a_hop_is_read_as_sent_or_refused_by_field_and_reason(gateway: Gateway, case: dict[str, Any]) -> None:
    holds(gateway, case, request(case))


def test_every_hop_brings_all_inputs_so_far(gateway: Gateway) -> None:
    turn = gateway.read(Request(b"sessionId=ATUid_1&phoneNumber=%2B254712345678&text=1*2"))
    assert (turn.gateway, turn.text, turn.cumulative) == ("africastalking", "1*2", True)


def test_raw_bytes_that_are_no_utf8_are_refused(gateway: Gateway) -> None:
    with pytest.raises(Malformed, match="not a UTF-8 form"):
        gateway.read(Request(b"sessionId=\xff&text="))


def test_a_form_with_too_many_fields_is_refused(gateway: Gateway) -> None:
    with pytest.raises(Malformed, match=str(FIELD_LIMIT)):
        gateway.read(Request(urlencode({f"f{number}": "" for number in range(FIELD_LIMIT + 1)}).encode()))


@given(body=st.binary(max_size=300))
def test_whatever_is_sent_is_read_or_refused(body: bytes) -> None:
    with contextlib.suppress(Malformed):
        assert Gateway("africastalking", "123", {}).read(Request(body)).session_id


@given(typed=st.text(min_size=1, max_size=60))
def test_a_refusal_never_repeats_what_was_typed(typed: str) -> None:
    secret = f"{typed}12345678901234\x00"
    body = urlencode({"sessionId": secret, "phoneNumber": secret, "text": secret}).encode(errors="replace")
    with pytest.raises(Malformed) as refused:
        Gateway("africastalking", "123", {}).read(Request(body))
    assert "12345678901234" not in f"{refused.value}"


def test_a_screen_that_goes_on_starts_with_con(gateway: Gateway) -> None:
    response = gateway.write(Reply(text="Karibu\n1. Salio", ends=False, label="main_menu.home"), TURN)
    assert response.body == b"CON Karibu\n1. Salio"
    assert (response.status, response.content_type) == (200, "text/plain")
    assert response.headers == {"at-ussd-hop-metadata": "main_menu.home"}


def test_the_last_screen_starts_with_end(gateway: Gateway) -> None:
    assert gateway.write(Reply(text="شكرا", ends=True), TURN).body == "END شكرا".encode()


def test_a_malformed_request_is_answered_with_its_field_and_reason(gateway: Gateway) -> None:
    response = gateway.write_malformed(Malformed("phoneNumber", "missing"))
    assert response.status == 400
    assert response.body == b"END Malformed request: phoneNumber: missing"


@pytest.mark.parametrize(
    ("status", "outcome"),
    [("Success", "success"), ("Incomplete", "incomplete"), ("Failed", "failed"), ("Sideways", "other")],
)
def test_an_end_event_closes_the_session_and_counts_its_outcome(gateway: Gateway, status: str, outcome: str) -> None:
    ended = gateway.read_event(Request(urlencode(END | {"status": status}).encode()))
    assert ended.outcome == outcome
    assert ended.turn.event is Event.CLOSE
    assert (ended.turn.session_id, ended.hops, ended.milliseconds) == ("ATUid_1", 3, 8231)


def test_an_end_event_is_stripped_of_what_was_typed_and_read(gateway: Gateway) -> None:
    ended = gateway.read_event(Request(urlencode(END).encode()))
    assert ended.turn.text == ""
    assert "12345678901234" not in repr(ended)
    assert "254712345678" not in repr(ended)


def test_counts_that_are_no_numbers_do_not_lose_the_event(gateway: Gateway) -> None:
    ended = gateway.read_event(Request(urlencode(END | {"hopsCount": "٣", "durationInMillis": "-1"}).encode()))
    assert (ended.hops, ended.milliseconds) == (0, 0)


def test_an_end_event_without_status_is_refused(gateway: Gateway) -> None:
    with pytest.raises(Malformed, match="status"):
        gateway.read_event(Request(urlencode(END | {"status": ""}).encode()))


def test_an_adapter_is_found_by_its_folder(gateway: Gateway) -> None:
    assert isinstance(load("africastalking")("africastalking-120", "123", {}), Gateway)


@pytest.mark.parametrize("name", ["hubtell", "os.path", "..", ""])
def test_a_gateway_without_folder_is_refused_by_name(name: str) -> None:
    with pytest.raises(UnknownAdapter) as refused:
        load(name)
    assert refused.value.args == (name,)
