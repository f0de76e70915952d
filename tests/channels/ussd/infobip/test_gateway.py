"""Infobip's words as ours and back."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from channels.turn import Event, Malformed, Reply, Turn
from channels.ussd.contract import Request, SessionEnd, SessionQuery
from channels.ussd.infobip.gateway import Gateway
from tests.channels.ussd.table import holds, request, table

TURN = Turn(channel="ussd", gateway="infobip", session_id="s-1", msisdn="254712345678", text="", event=Event.RESUME)


@pytest.fixture
def gateway() -> Gateway:
    return Gateway("infobip", "123", {})


@pytest.mark.parametrize("case", table(Path(__file__).parent / "hops.json"))
def test_a_request_is_read_as_sent_or_refused_by_field_and_reason(gateway: Gateway, case: dict[str, Any]) -> None:
    holds(gateway, case, request(case, parts={"session": "s-1", "step": case["step"]}))


def test_a_session_id_that_is_no_word_is_refused(gateway: Gateway) -> None:
    with pytest.raises(Malformed, match="session"):
        gateway.read(Request(b"{}", parts={"session": "a b", "step": "start"}))


@pytest.mark.parametrize("ends", [False, True])
def test_a_screen_is_a_menu_with_an_exit_code(gateway: Gateway, ends: bool) -> None:
    response = gateway.write(Reply(text="1 Balance", ends=ends), TURN)
    assert json.loads(response.body) == {
        "ussdMenu": "1 Balance",
        "shouldClose": ends,
        "responseExitCode": 200,
        "responseMessage": "",
    }


def test_the_very_first_message_is_a_menu_even_if_it_is_the_last(gateway: Gateway) -> None:
    response = gateway.write(Reply(text="Unknown", ends=True), replace(TURN, event=Event.NEW))
    assert json.loads(response.body)["shouldClose"] is False


def test_errors_have_an_exit_code_of_400(gateway: Gateway) -> None:
    answer = json.loads(gateway.write_malformed(Malformed("text", "missing")).body)
    assert answer == {"responseExitCode": 400, "responseMessage": "Malformed request: text: missing"}


def test_the_end_is_answered_without_a_menu(gateway: Gateway) -> None:
    answer = json.loads(gateway.write_event(SessionEnd(TURN, "success")).body)
    assert answer == {"responseExitCode": 200, "responseMessage": ""}


@pytest.mark.parametrize("active", [False, True])
def test_a_status_says_whether_the_session_lives(gateway: Gateway, active: bool) -> None:
    asked = gateway.read(Request(method="GET", parts={"session": "s-1", "step": "status"}))
    assert isinstance(asked, SessionQuery)
    assert json.loads(gateway.write_status(active=active).body) == {
        "sessionActive": active,
        "responseExitCode": 200,
        "responseMessage": "",
    }
