"""Twilio's words as ours and back: signatures old and new, a table of payloads, TwiML."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given, strategies as st
from multidict import CIMultiDict
from twilio.request_validator import RequestValidator

from channels.sms.contract import DeliveryState, Posted, Unverified
from channels.sms.twilio.errors import kind_of
from channels.sms.twilio.webhook import FIELD_LIMIT, MESSAGE_LIMIT, Webhook
from channels.turn import Malformed
from tests.doubles.twilio import ACCOUNT, SHARED_KEY, TOKEN, signature, signed, signed_sha256, text

URL = "https://rasid.example/sms/twilio"
SENDER = "+254712345678"
OPTIONS = {"account_sid": ACCOUNT, "auth_token": TOKEN, "shared_key": SHARED_KEY, "shared_key_id": "key-1"}
TEXTS: list[dict[str, Any]] = json.loads((Path(__file__).parent / "texts.json").read_text(encoding="utf-8"))
SID = "SM" + "11" * 16


def posted(fields: Any, headers: dict[str, str] | None = None, url: str = URL) -> Posted:
    body = fields if isinstance(fields, bytes) else urlencode(fields, doseq=True).encode()
    return Posted(url, CIMultiDict(headers or {}), body)


@pytest.fixture
def webhook() -> Webhook:
    return Webhook("twilio", OPTIONS)


# --- signatures ---


def test_the_double_signs_as_twilio_does() -> None:
    # The example of Twilio's documentation.
    fields = {
        "CallSid": "CA1234567890ABCDE",
        "Caller": "+12349013030",
        "Digits": "1234",
        "From": "+12349013030",
        "To": "+18005551212",
    }
    url = "https://mycompany.com/myapp.php?foo=1&bar=2"
    assert signature(url, fields, "12345") == "0/KCTR6DLpKmkAf8muzZqo1nDgQ="
    assert RequestValidator("12345").compute_signature(url, fields) == "0/KCTR6DLpKmkAf8muzZqo1nDgQ="


@pytest.mark.parametrize("sign", [signed, signed_sha256])
@pytest.mark.parametrize(
    ("called", "seen"),
    [
        (URL, URL),
        ("https://rasid.example:443/sms/twilio", URL),
        (URL, "https://rasid.example:443/sms/twilio"),
        ("http://127.0.0.1:80/sms/twilio", "http://127.0.0.1/sms/twilio"),
        ("http://127.0.0.1:8080/sms/twilio", "http://127.0.0.1:8080/sms/twilio"),
        (f"{URL}/s3cret?a=1&b=%20x", f"{URL}/s3cret?a=1&b=%20x"),
    ],
)
def test_a_signed_call_is_believed_with_and_without_the_port(webhook: Webhook, sign, called: str, seen: str) -> None:
    fields = text("BAL", SENDER)
    webhook.verify(posted(fields, sign(called, fields), seen))


def test_a_field_that_comes_twice_is_signed_with_both_values(webhook: Webhook) -> None:
    fields = {"From": SENDER, "MediaUrl": ["https://b.example", "https://a.example"]}
    webhook.verify(posted(fields, signed(URL, fields)))


def test_text_in_other_scripts_and_empty_fields_are_signed(webhook: Webhook) -> None:
    fields = text("رصيد &=+%", SENDER, FromZip="")
    webhook.verify(posted(fields, signed(URL, fields)))


@pytest.mark.parametrize(
    ("headers", "reason"),
    [
        ({}, "signature_missing"),
        ({"X-Twilio-Signature": "AAAA"}, "signature_wrong"),
        ({"X-Twilio-Signature": "ä" * 28}, "signature_wrong"),
        (signed(URL, text("BAL", SENDER), "another token"), "signature_wrong"),
        (signed(URL, text("RCH 1", SENDER)), "signature_wrong"),
        (signed("https://elsewhere.example/sms/twilio", text("BAL", SENDER)), "signature_wrong"),
        (signed_sha256(URL, text("BAL", SENDER), TOKEN), "signature_wrong"),
        (signed_sha256(URL, text("BAL", SENDER), name="key-2"), "key_unknown"),
        (
            signed_sha256(URL, text("BAL", SENDER))
            | {"X-Twilio-Webhooks-Signature-Settings": "key=key-1,algorithm=HMAC_MD5"},
            "algorithm_unknown",
        ),
        # A signature by one algorithm is no signature by the other.
        (
            signed(URL, text("BAL", SENDER))
            | {"X-Twilio-Webhooks-Signature-Settings": "key=key-1,algorithm=HMAC_SHA256"},
            "signature_wrong",
        ),
        (
            {"X-Twilio-Signature": signed_sha256(URL, text("BAL", SENDER))["X-Twilio-Signature"]},
            "signature_wrong",
        ),
    ],
)
def test_a_call_that_twilio_did_not_sign_is_refused(webhook: Webhook, headers: dict, reason: str) -> None:
    with pytest.raises(Unverified) as refused:
        webhook.verify(posted(text("BAL", SENDER), headers))
    assert refused.value.args == (reason,)


def test_without_a_shared_key_the_newer_signature_is_refused() -> None:
    old = Webhook("twilio", {"account_sid": ACCOUNT, "auth_token": TOKEN})
    with pytest.raises(Unverified, match="no_shared_key"):
        old.verify(posted(text("BAL", SENDER), signed_sha256(URL, text("BAL", SENDER), "")))


def test_an_address_that_is_none_is_refused_not_raised(webhook: Webhook) -> None:
    with pytest.raises(Unverified, match="url_unreadable"):
        webhook.verify(posted(text("BAL", SENDER), {"X-Twilio-Signature": "x"}, "http://host:port/sms/twilio"))


@given(body=st.binary(max_size=200), signature=st.text(max_size=40), settings=st.text(max_size=40))
def test_whatever_is_sent_unsigned_is_refused(body: bytes, signature: str, settings: str) -> None:
    headers = {"X-Twilio-Signature": signature, "X-Twilio-Webhooks-Signature-Settings": settings}
    with pytest.raises(Unverified):
        Webhook("twilio", OPTIONS).verify(posted(body, headers))


@given(
    fields=st.dictionaries(
        st.text(st.characters(codec="utf-8"), min_size=1, max_size=10),
        st.lists(st.text(st.characters(codec="utf-8"), max_size=20), min_size=1, max_size=3),
        max_size=8,
    )
)
def test_whatever_twilio_signs_is_believed(fields: dict[str, list[str]]) -> None:
    webhook = Webhook("twilio", OPTIONS)
    webhook.verify(posted(fields, signed(URL, fields)))
    webhook.verify(posted(fields, signed_sha256(URL, fields)))


# --- texts in ---


@pytest.mark.parametrize("case", [case for case in TEXTS if "incoming" in case], ids=lambda case: case["label"])
def test_a_text_is_read_as_sent(case: dict[str, Any]) -> None:
    webhook = Webhook(case.get("carrier", "twilio"), OPTIONS, channel=case.get("channel", "sms"))
    incoming = webhook.read_incoming(posted(text("BAL", SENDER) | case["fields"]))
    assert {name: getattr(incoming, name) for name in case["incoming"]} == case["incoming"]
    assert incoming.carrier == case.get("carrier", "twilio")


@pytest.mark.parametrize("case", [case for case in TEXTS if "malformed" in case], ids=lambda case: case["label"])
def test_a_malformed_text_is_refused_by_field_and_reason(case: dict[str, Any]) -> None:
    webhook = Webhook("twilio", OPTIONS, channel=case.get("channel", "sms"))
    with pytest.raises(Malformed) as refused:
        webhook.read_incoming(posted(text("BAL", SENDER) | case["fields"]))
    assert [refused.value.field, refused.value.reason] == case["malformed"]


def test_the_text_and_the_sender_are_not_in_its_repr(webhook: Webhook) -> None:
    incoming = webhook.read_incoming(posted(text("RCH 12345678901234", SENDER)))
    assert "12345678901234" not in repr(incoming)
    assert SENDER not in repr(incoming)


def test_raw_bytes_that_are_no_utf8_are_refused(webhook: Webhook) -> None:
    for body in (b"Body=\xff", b"Body=%ff"):
        with pytest.raises(Malformed, match="not a UTF-8 form"):
            webhook.read_incoming(posted(body))


def test_a_form_with_too_many_fields_is_refused(webhook: Webhook) -> None:
    with pytest.raises(Malformed, match=str(FIELD_LIMIT)):
        webhook.read_incoming(posted({f"f{number}": "" for number in range(FIELD_LIMIT + 1)}))


@given(body=st.binary(max_size=300))
def test_whatever_is_sent_is_read_or_refused(body: bytes) -> None:
    with contextlib.suppress(Malformed):
        assert Webhook("twilio", OPTIONS).read_incoming(posted(body)).carrier_id


# --- status callbacks ---


@pytest.mark.parametrize(
    ("status", "state"),
    [
        ("accepted", DeliveryState.QUEUED),
        ("scheduled", DeliveryState.QUEUED),
        ("queued", DeliveryState.QUEUED),
        ("sending", DeliveryState.QUEUED),
        ("sent", DeliveryState.SENT),
        ("partially_delivered", DeliveryState.SENT),
        ("delivered", DeliveryState.DELIVERED),
        ("read", DeliveryState.DELIVERED),
        ("undelivered", DeliveryState.UNDELIVERED),
        ("failed", DeliveryState.FAILED),
        ("canceled", DeliveryState.FAILED),
    ],
)
def test_a_status_is_a_state(webhook: Webhook, status: str, state: DeliveryState) -> None:
    report = webhook.read_report(posted({"MessageSid": SID, "MessageStatus": status, "RawDlrDoneDate": "2611211042"}))
    assert report is not None
    assert (report.carrier, report.carrier_id, report.state, report.error) == ("twilio", SID, state, None)


def test_a_status_that_twilio_adds_tells_nothing(webhook: Webhook) -> None:
    assert webhook.read_report(posted({"MessageSid": SID, "MessageStatus": "teleported"})) is None


@pytest.mark.parametrize(
    ("code", "error"), [("30003", "30003"), ("", None), ("0", None), ("<b>", None), ("9" * 11, None)]
)
def test_an_error_code_is_kept_as_a_code(webhook: Webhook, code: str, error: str | None) -> None:
    fields = {"MessageSid": SID, "MessageStatus": "undelivered", "ErrorCode": code}
    report = webhook.read_report(posted(fields))
    assert report is not None
    assert report.error == error


@pytest.mark.parametrize("fields", [{"MessageStatus": "sent"}, {"MessageSid": SID}, {"MessageSid": "a\r\nb"}])
def test_a_callback_without_its_fields_is_refused(webhook: Webhook, fields: dict) -> None:
    with pytest.raises(Malformed):
        webhook.read_report(posted(fields))


def test_there_is_no_optout_call(webhook: Webhook) -> None:
    with pytest.raises(Malformed):
        webhook.read_optout(posted({"phoneNumber": SENDER}))


def test_every_known_code_has_a_kind_and_unknown_ones_go_elsewhere() -> None:
    assert kind_of(30008).value == "unknown"
    assert kind_of(12345678).value == "reroute"


# --- TwiML ---


def messages(body: bytes) -> list[str]:
    root = ET.fromstring(body)
    assert root.tag == "Response"
    assert {child.tag for child in root} <= {"Message"}
    return ["".join(child.itertext()) for child in root]


def test_nothing_to_say_is_an_empty_response(webhook: Webhook) -> None:
    for nothing in (None, "", "  "):
        response = webhook.reply(nothing)
        assert response.body == b'<?xml version="1.0" encoding="UTF-8"?><Response />'
        assert (response.status, response.content_type) == (200, "text/xml")


def test_an_answer_is_one_message(webhook: Webhook) -> None:
    assert messages(webhook.reply("Salio: KES 50.00\n1. Rudi").body) == ["Salio: KES 50.00\n1. Rudi"]


def test_an_answer_cannot_speak_twiml(webhook: Webhook) -> None:
    hostile = '</Message><Redirect>https://evil.example</Redirect><Message to="+1">]]>&amp;'
    assert messages(webhook.reply(hostile).body) == [hostile]


@given(said=st.text(max_size=200))
def test_any_answer_is_well_formed(said: str) -> None:
    assert len(messages(Webhook("twilio", OPTIONS).reply(said).body)) <= 1


def test_a_long_answer_is_cut_where_a_word_ends(webhook: Webhook) -> None:
    words = [f"neno{number}" for number in range(600)]
    parts = messages(webhook.reply(" ".join(words)).body)
    assert len(parts) == 3
    assert all(len(part) <= MESSAGE_LIMIT for part in parts)
    assert " ".join(parts).split() == words
