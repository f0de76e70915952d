"""RestComm's dialogues as our turns and back: a table of payloads, each with what is made of it."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, strategies as st

from channels.turn import Malformed, Reply, Turn
from channels.ussd.contract import Request, SessionEnd
from channels.ussd.restcomm.gateway import Gateway
from configuration.options import WrongOptions
from tests.channels.ussd.table import holds, request, table

HOPS = table(Path(__file__).with_name("hops.json"))
DECLARED = '<?xml version="1.0" encoding="UTF-8"?>'
FIRST = HOPS[1].values[0]
ANSWER = HOPS[4].values[0]


@pytest.fixture
def gateway() -> Gateway:
    return Gateway("restcomm", "123", {})


def turn_of(gateway: Gateway, row: dict[str, Any], **known: str) -> Turn:
    """The turn of a row, completed as the pointers do it."""
    read = gateway.read(request(row))
    assert isinstance(read, Turn)
    return replace(read, **known)


@pytest.mark.parametrize("case", HOPS)
def test_a_payload_becomes_what_it_says(gateway: Gateway, case: dict[str, Any]) -> None:
    holds(gateway, case, request(case))


def test_a_screen_goes_on_as_a_request_and_the_first_one_sets_the_cookie(gateway: Gateway) -> None:
    turn = turn_of(gateway, FIRST, session_id="8d44")
    response = gateway.write(Reply(text='1. Balance\n2. Texts & "more"', ends=False), turn)
    assert response.body.decode() == (
        f'{DECLARED}<dialog mapMessagesSize="1"><unstructuredSSRequest_Request dataCodingScheme="15" '
        'string="1. Balance&#10;2. Texts &amp; &quot;more&quot;"/></dialog>'
    )
    assert (response.status, response.content_type) == (200, "text/xml")
    assert response.headers["Set-Cookie"].startswith("JSESSIONID=8d44;")


def test_the_last_screen_answers_the_first_request_under_its_invoke_id(gateway: Gateway) -> None:
    turn = turn_of(gateway, ANSWER, session_id="8d44", kept="1")
    response = gateway.write(Reply(text="Bye", ends=True), turn)
    assert response.body.decode() == (
        f'{DECLARED}<dialog mapMessagesSize="1" prearrangedEnd="false"><processUnstructuredSSRequest_Response '
        'invokeId="1" dataCodingScheme="15" string="Bye"/></dialog>'
    )
    assert response.headers == {}


def test_a_screen_that_the_alphabet_lacks_is_said_to_be_ucs2(gateway: Gateway) -> None:
    body = gateway.write(Reply(text="رصيدك 5", ends=False), turn_of(gateway, ANSWER)).body.decode()
    assert 'dataCodingScheme="72" string="رصيدك 5"' in body


def test_nobody_reads_the_answer_to_an_end(gateway: Gateway) -> None:
    ended = gateway.read(Request(body=b'<dialog localId="1" remoteId="2" mapMessagesSize="0" dialogTimedOut="true"/>'))
    assert isinstance(ended, SessionEnd)
    assert gateway.write_event(ended).status == 200


@given(body=st.binary(max_size=300))
def test_whatever_is_sent_is_read_or_refused(body: bytes) -> None:
    with contextlib.suppress(Malformed):
        Gateway("restcomm", "123", {}).read(Request(body=body))


ATTRIBUTES = st.dictionaries(
    st.sampled_from(["localId", "remoteId", "networkId", "invokeId", "string", "number", "nai", "dialogTimedOut"]),
    st.sampled_from(["", "0", "12", "true", "12345678901234", "x" * 99, "&#0;", "&#10;", "é"]),
)


@given(outer=ATTRIBUTES, inner=ATTRIBUTES, message=st.sampled_from(["unstructuredSSRequest_Response", "errComponents"]))
def test_dialogs_of_any_make_are_read_or_refused(outer: dict[str, str], inner: dict[str, str], message: str) -> None:
    def spelled(attributes: dict[str, str]) -> str:
        return " ".join(f'{name}="{value}"' for name, value in attributes.items())

    body = f"<dialog {spelled(outer)}><{message} {spelled(inner)}><msisdn {spelled(inner)}/></{message}></dialog>"
    try:
        read = Gateway("restcomm", "123", {}).read(Request(body=body.encode()))
    except Malformed as refused:
        assert "12345678901234" not in str(refused)
    else:
        assert isinstance(read, Turn | SessionEnd)


@pytest.mark.parametrize("options", [{"push_url": "ftp://x"}, {"answer_seconds": 1}, {"url": "http://x"}])
def test_wrong_options_are_refused_by_name(options: dict[str, Any]) -> None:
    with pytest.raises(WrongOptions) as refused:
        Gateway("restcomm", "123", options)
    assert refused.value.problems[0][0] in options
