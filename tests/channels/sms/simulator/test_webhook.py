"""Texts from the simulator's phone, read strictly."""

from __future__ import annotations

from urllib.parse import urlencode

import pytest

from channels.sms.contract import Posted
from channels.sms.simulator.webhook import Webhook
from channels.turn import Malformed

FIELDS = {"id": "0b7c-1", "from": "+254712345001", "to": "123", "text": "BAL"}


def posted(**fields: str) -> Posted:
    return Posted("http://localhost/sms/simulator", {}, urlencode({**FIELDS, **fields}).encode())


def test_a_text_is_read_as_typed() -> None:
    incoming = Webhook("simulator", {}).read_incoming(posted(text="سلام & 1+1 = 2"))
    assert (incoming.carrier, incoming.carrier_id) == ("simulator", "0b7c-1")
    assert (incoming.sender, incoming.to, incoming.text) == ("+254712345001", "123", "سلام & 1+1 = 2")


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("id", "", "missing"),
        ("id", "a b", "not well-formed"),
        ("from", "", "missing"),
        ("from", "<script>", "not well-formed"),
        ("to", "\u0661", "not well-formed"),
        ("text", "x" * 1601, "longer than 1600 characters"),
    ],
)
def test_what_is_malformed_is_refused_by_field_and_reason(name: str, value: str, reason: str) -> None:
    with pytest.raises(Malformed) as refused:
        Webhook("simulator", {}).read_incoming(posted(**{name: value}))
    assert (refused.value.field, refused.value.reason) == (name, reason)
