"""Hubtel's words as ours and back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from channels.turn import Event, Reply, Turn
from channels.ussd.contract import Request, SessionEnd
from channels.ussd.hubtel.gateway import LABEL_LENGTH, Gateway
from configuration.options import WrongOptions
from dialogs.checkout import Checkout
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


CHECKOUT = Checkout(name="Rasid 7F3K2M", amount=5050, currency="GHS", reference="7F3K2M")


@pytest.mark.parametrize(
    ("options", "kind"), [({}, "AddToCart"), ({"cart": "AddToCart"}, "AddToCart"), ({"cart": "release"}, "release")]
)
def test_what_is_to_be_paid_is_an_item_of_the_cart_at_a_price_in_major_units(
    options: dict[str, str], kind: str
) -> None:
    reply = Reply(text="Approve GHS 50.50", ends=True, label="pay.asked", checkout=CHECKOUT)
    body = Gateway("hubtel", "123", options).write(reply, TURN).body
    assert body.endswith(b'"Item":{"ItemName":"Rasid 7F3K2M","Qty":1,"Price":50.50,"ItemId":"7F3K2M"}}')
    answer = json.loads(body)
    assert (answer["Type"], answer["DataType"], answer["Message"]) == (kind, "display", "Approve GHS 50.50")


def test_a_kind_of_cart_that_hubtel_does_not_know_is_refused() -> None:
    with pytest.raises(WrongOptions):
        Gateway("hubtel", "123", {"cart": "basket"})


def test_a_stored_answer_has_the_same_cart() -> None:
    reply = Reply(text="Approve", ends=True, checkout=CHECKOUT)
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(reply), type=Reply) == reply


def test_the_end_is_answered_in_the_gateways_form(gateway: Gateway) -> None:
    body = json.dumps({"SessionId": "8d44", "Type": "release", "Mobile": "233244123456"}).encode()
    ended = gateway.read(Request(body))
    assert isinstance(ended, SessionEnd)
    assert json.loads(gateway.write_event(ended).body)["SessionId"] == "8d44"
