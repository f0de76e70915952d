"""Comviva's words as ours and back: a table of queries, each with what is made of it."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import given, strategies as st

from channels.turn import Malformed, Reply, Turn
from channels.ussd.comviva.gateway import Gateway
from channels.ussd.contract import Request, Response
from configuration.options import WrongOptions
from tests.channels.ussd.table import holds, request, table

HOPS = table(Path(__file__).with_name("hops.json"))
HOP = {"SessionID": "1369", "MSISDN": "254712345678", "MSC": "9876", "input": "1"}
KNOWN = {"userid": "rasid", "password": "s3cret"}


@pytest.fixture
def gateway() -> Gateway:
    return Gateway("comviva", "123", {})


def turn_of(gateway: Gateway, **fields: str) -> Turn:
    read = gateway.read(Request(method="GET", query=urlencode(HOP | fields)))
    assert isinstance(read, Turn)
    return read


@pytest.mark.parametrize("case", HOPS)
def test_a_query_becomes_what_it_says(gateway: Gateway, case: dict[str, Any]) -> None:
    holds(gateway, case, request(case))


@pytest.mark.parametrize(("ends", "flow"), [(False, "FC"), (True, "FB")])
def test_the_flow_stands_in_the_headers_and_the_screen_alone_in_the_body(
    gateway: Gateway, ends: bool, flow: str
) -> None:
    response = gateway.write(Reply(text="Karibu\n1 Salio", ends=ends, label="main_menu.home"), turn_of(gateway))
    assert response.headers == {"Freeflow": flow, "charge": "N", "amount": "0"}
    assert (response.status, response.content_type, response.body) == (200, "text/plain", b"Karibu\n1 Salio")


def test_what_a_session_costs_is_said_with_each_screen() -> None:
    gateway = Gateway("comviva", "123", {"amount": 100})
    headers = gateway.write(Reply(text="x", ends=True), turn_of(gateway)).headers
    assert (headers["charge"], headers["amount"]) == ("Y", "100")


@pytest.mark.parametrize("wrong", [{}, {"userid": "rasid"}, KNOWN | {"password": "guess"}, KNOWN | {"userid": "who"}])
def test_who_has_not_the_credentials_is_refused(wrong: dict[str, str]) -> None:
    gateway = Gateway("comviva", "123", dict(KNOWN))
    read = gateway.read(Request(method="GET", query=urlencode(HOP | wrong)))
    assert isinstance(read, Response) and read.status == 403
    assert turn_of(gateway, **KNOWN).text == "1"


def test_the_end_of_a_session_is_answered_with_nothing(gateway: Gateway) -> None:
    ended = gateway.read(Request(query="SessionID=1369&msisdn=254712345678&clean=x&error=1"))
    assert not isinstance(ended, (Turn, Response))
    assert gateway.write_event(ended) == Response(200, "text/plain", b"")


def test_a_refusal_breaks_the_flow_and_names_the_field(gateway: Gateway) -> None:
    response = gateway.write_malformed(Malformed("input", "missing"))
    assert (response.status, response.body) == (400, b"Malformed request: input: missing")
    assert response.headers == {"Freeflow": "FB"}


@given(query=st.text(max_size=200))
def test_whatever_is_sent_is_read_or_refused(query: str) -> None:
    with contextlib.suppress(Malformed):
        Gateway("comviva", "123", {}).read(Request(query=query.encode(errors="replace").decode()))


@given(typed=st.text(min_size=1, max_size=60))
def test_a_refusal_never_repeats_what_was_typed(typed: str) -> None:
    secret = f"{typed}12345678901234\x00"
    fields = HOP | {"input": secret, "SessionID": secret, "MSISDN": secret}
    with pytest.raises(Malformed) as refused:
        Gateway("comviva", "123", {}).read(Request(query=urlencode(fields, errors="replace")))
    assert "12345678901234" not in f"{refused.value}"


def test_options_that_nobody_knows_are_refused() -> None:
    with pytest.raises(WrongOptions):
        Gateway("comviva", "123", {"secret": "x"})
