"""Hubtel's words as ours and back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from channels.turn import Event, Reply, Turn
from channels.ussd.contract import Request, SessionEnd
from channels.ussd.hubtel.gateway import LABEL_LENGTH, Gateway
from tests.channels.ussd.table import holds, request, table

TURN = Turn(channel="ussd", gateway="hubtel", session_id="8d44", msisdn="233244123456", text="", event=Event.NEW)


@pytest.fixture
def gateway() -> Gateway:
    return Gateway("hubtel", "123", {})


@pytest.mark.parametrize("case", table(Path(__file__).parent / "hops.json"))
def test_a_request_is_read_as_sent_or_refused_by_field_and_reason(gateway: Gateway, case: dict[str, Any]) -> None:
    holds(gateway, case, request(case))


def test_a_screen_that_goes_on_is_a_response(gateway: Gateway) -> None:
    response = gateway.write(Reply(text="Menu\n1 Balance", ends=False, label="main_menu.home"), TURN)
    assert (response.status, response.content_type) == (200, "application/json")
    assert json.loads(response.body) == {
        "SessionId": "8d44",
        "Type": "response",
        "Message": "Menu\n1 Balance",
        "Label": "Menu",
        "ClientState": "main_menu.home",
        "DataType": "input",
        "FieldType": "text",
    }


def test_the_last_screen_is_a_release_that_only_shows(gateway: Gateway) -> None:
    answer = json.loads(gateway.write(Reply(text="شكرا", ends=True), TURN).body)
    assert (answer["Type"], answer["DataType"], answer["Message"]) == ("release", "display", "شكرا")


def test_a_label_is_one_short_line(gateway: Gateway) -> None:
    assert len(json.loads(gateway.write(Reply(text="a" * 100, ends=False), TURN).body)["Label"]) == LABEL_LENGTH


def test_the_end_is_answered_in_the_gateways_form(gateway: Gateway) -> None:
    body = json.dumps({"SessionId": "8d44", "Type": "release", "Mobile": "233244123456"}).encode()
    ended = gateway.read(Request(body))
    assert isinstance(ended, SessionEnd)
    assert json.loads(gateway.write_event(ended).body)["SessionId"] == "8d44"
