"""Whatever is sent, every adapter reads it or refuses it in its own form, and never repeats what was typed."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote, urlencode

import pytest
from hypothesis import given, strategies as st

from channels.turn import Malformed
from channels.ussd.adapters import load, shipped
from channels.ussd.contract import Request
from channels.ussd.voices import load_voice
from commands.broken import fields_of, with_fields

#: over a connection of ours
NAMES = sorted({*shipped()} - {"smpp"})
PARTS = [{"session": "s-1", "step": step} for step in ("start", "response", "end", "status")]
SECRET = "12345678901234"

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=40),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


def answered(name: str, sent: Request) -> None:
    adapter = load(name)(name, "123", {})
    for parts in PARTS:
        try:
            adapter.read(sent._replace(parts=parts))
        except Malformed as error:
            refusal = adapter.write_malformed(error)
            assert 400 <= refusal.status < 500
            assert SECRET.encode() not in refusal.body
            assert SECRET not in str(error)


@pytest.mark.parametrize("name", NAMES)
@given(body=st.binary(max_size=300), query=st.binary(max_size=100))
def test_noise_is_read_or_refused(name: str, body: bytes, query: bytes) -> None:
    answered(name, Request(body, query=quote(query)))


@pytest.mark.parametrize("name", NAMES)
@given(data=st.data())
def test_fields_of_any_kind_are_read_or_refused(name: str, data: st.DataObject) -> None:
    voice = load_voice(name, {})("s-1", "+254712345678", "123")
    call = data.draw(st.sampled_from([voice.dial(), voice.say("1")]))
    fields = fields_of(call)
    if fields is None:
        # XML: its text, with something of ours in the middle.
        at = data.draw(st.integers(0, len(call.body)))
        body = call.body[:at] + data.draw(st.text(max_size=20)).encode(errors="replace") + call.body[at:]
        answered(name, Request(body, method=call.method))
        return
    changed: dict[str, Any] = {}
    for field, value in fields.items():
        what = data.draw(st.sampled_from(["as it is", "gone", "other"]))
        if what != "gone":
            changed[field] = value if what == "as it is" else data.draw(values)
    if call.query:
        answered(name, Request(method=call.method, query=urlencode({key: str(word) for key, word in changed.items()})))
        return
    if call.content_type != "application/json":
        changed = {key: str(word) for key, word in changed.items()}
    answered(name, Request(with_fields(call, changed).body if changed else b"", method=call.method))


@pytest.mark.parametrize("name", NAMES)
def test_a_refusal_never_repeats_what_was_typed(name: str) -> None:
    voice = load_voice(name, {})("s-1", "+254712345678", "123")
    call = voice.say(f"{SECRET}\x01")
    query = urlencode(dict(call.query))
    answered(name, Request(call.body, method=call.method, query=query))


def test_json_that_nests_without_end_is_refused() -> None:
    answered("hubtel", Request(b'{"Message":' * 20_000))
    answered("arkesel", Request(b"[" * 100_000))


def test_a_number_too_long_to_be_one_is_refused() -> None:
    fields = {"SessionId": "s", "Type": "response", "Message": "1", "Mobile": "9" * 5000, "Sequence": 10**400}
    with pytest.raises(Malformed):
        load("hubtel")("hubtel", "123", {}).read(Request(json.dumps(fields).encode()))
