"""TruRoute's words as ours and back: a table of payloads, each with what is made of it."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, strategies as st

from channels.turn import Malformed, Reply
from channels.ussd.contract import Request
from channels.ussd.truroute.gateway import Gateway
from configuration.options import WrongOptions
from tests.channels.ussd.table import holds, request, table

HOPS = table(Path(__file__).with_name("hops.json"))
HOP = "<ussd><msisdn>254712345678</msisdn><sessionid>9901</sessionid><type>2</type><msg>{}</msg></ussd>"


@pytest.fixture
def gateway() -> Gateway:
    return Gateway("truroute", "123", {})


@pytest.mark.parametrize("case", HOPS)
def test_a_payload_becomes_what_it_says(gateway: Gateway, case: dict[str, Any]) -> None:
    holds(gateway, case, request(case))


@pytest.mark.parametrize(
    ("reply", "body"),
    [
        (
            Reply(text="Karibu\n1 Salio & zaidi", ends=False, label="main_menu.home"),
            "<ussd><type>2</type><msg>Karibu\n1 Salio &amp; zaidi</msg></ussd>",
        ),
        (Reply(text="رصيدك <5>", ends=True), "<ussd><type>3</type><msg>رصيدك &lt;5&gt;</msg></ussd>"),
    ],
)
def test_an_answer_is_spelled_to_the_letter(gateway: Gateway, reply: Reply, body: str) -> None:
    turn = gateway.read(request({"body": HOP.format("1")}))
    response = gateway.write(reply, turn)
    assert response.body.decode() == '<?xml version="1.0" encoding="UTF-8"?>' + body
    assert (response.status, response.content_type) == (200, "text/xml")


def test_a_refusal_ends_the_session_and_names_the_field(gateway: Gateway) -> None:
    response = gateway.write_malformed(Malformed("msg", "missing"))
    assert response.status == 400
    assert b"<type>3</type><msg>Malformed request: msg: missing</msg>" in response.body


@given(typed=st.text(alphabet=st.characters(codec="utf-8"), max_size=60))
def test_what_is_typed_is_read_whole_or_refused_without_repeating_it(typed: str) -> None:
    secret = f"{typed}12345678901234"
    try:
        turn = Gateway("truroute", "123", {}).read(Request(body=HOP.format(f"<![CDATA[{secret}]]>").encode()))
    except Malformed as refused:
        assert "12345678901234" not in str(refused)
    else:
        assert turn.text == secret.replace("\r\n", "\n").replace("\r", "\n")


@given(body=st.binary(max_size=300))
def test_whatever_is_sent_is_read_or_refused(body: bytes) -> None:
    with contextlib.suppress(Malformed):
        Gateway("truroute", "123", {}).read(Request(body=body))


def test_options_that_nobody_knows_are_refused() -> None:
    with pytest.raises(WrongOptions):
        Gateway("truroute", "123", {"secret": "x"})
