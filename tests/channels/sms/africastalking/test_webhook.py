"""Africa's Talking's words as ours: a table of payloads, each with what is made of it."""

from __future__ import annotations

import contextlib
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import given, strategies as st

from channels.sms.africastalking.webhook import Webhook
from channels.sms.contract import DeliveryState, Posted, WrongOptions
from channels.turn import Malformed
from tests.doubles.africastalking import API_KEY, USERNAME, report, text

SENDER = "+254712345678"
OPTIONS = {"username": USERNAME, "api_key": API_KEY}
TEXTS: list[dict[str, Any]] = json.loads((Path(__file__).parent / "texts.json").read_text(encoding="utf-8"))


def posted(fields: Any) -> Posted:
    body = fields if isinstance(fields, bytes) else urlencode(fields).encode()
    return Posted("https://rasid.example/sms/africastalking", {}, body)


@pytest.fixture
def webhook() -> Webhook:
    return Webhook("africastalking", OPTIONS)


@pytest.mark.parametrize("case", [case for case in TEXTS if "incoming" in case], ids=lambda case: case["label"])
def test_a_text_is_read_as_sent(webhook: Webhook, case: dict[str, Any]) -> None:
    incoming = webhook.read_incoming(posted(text("BAL", SENDER) | case["fields"]))
    assert {name: getattr(incoming, name) for name in case["incoming"]} == case["incoming"]
    assert (incoming.carrier, incoming.opt, incoming.answered) == ("africastalking", None, False)


@pytest.mark.parametrize("case", [case for case in TEXTS if "malformed" in case], ids=lambda case: case["label"])
def test_a_malformed_text_is_refused_by_field_and_reason(webhook: Webhook, case: dict[str, Any]) -> None:
    with pytest.raises(Malformed) as refused:
        webhook.read_incoming(posted(text("BAL", SENDER) | case["fields"]))
    assert [refused.value.field, refused.value.reason] == case["malformed"]


@pytest.mark.parametrize("date", ["2026-11-21T10:42:11Z", "2026-11-21 10:42:11", "2026-11-21T13:42:11+03:00"])
def test_both_shapes_of_a_date_are_read(webhook: Webhook, date: str) -> None:
    incoming = webhook.read_incoming(posted(text("BAL", SENDER, date=date)))
    assert incoming.at == datetime(2026, 11, 21, 10, 42, 11, tzinfo=UTC)


@pytest.mark.parametrize("date", ["", "yesterday", "2026-13-40 10:42:11"])
def test_no_text_is_lost_for_its_date(webhook: Webhook, date: str) -> None:
    incoming = webhook.read_incoming(posted(text("BAL", SENDER, date=date)))
    assert abs(incoming.at - datetime.now(UTC)) < timedelta(minutes=1)


def test_a_text_without_optional_fields_is_read(webhook: Webhook) -> None:
    fields = {"from": SENDER, "id": "1", "text": "BAL"}
    assert webhook.read_incoming(posted(fields)).text == "BAL"


def test_a_plus_sign_that_was_not_escaped_is_still_a_plus_sign(webhook: Webhook) -> None:
    assert webhook.read_incoming(posted(b"from=+254712345678&id=1&text=BAL")).sender == SENDER
    assert webhook.read_optout(posted(b"senderId=20880&phoneNumber=+254712345678")) == SENDER


def test_raw_bytes_that_are_no_utf8_are_refused(webhook: Webhook) -> None:
    for body in (b"text=\xff", b"text=%ff"):
        with pytest.raises(Malformed, match="not a UTF-8 form"):
            webhook.read_incoming(posted(body))


def test_a_field_that_comes_twice_is_refused(webhook: Webhook) -> None:
    with pytest.raises(Malformed, match="twice"):
        webhook.read_incoming(posted(b"from=%2B254712345678&from=%2B254712345679&id=1&text=BAL"))


@given(body=st.binary(max_size=300))
def test_whatever_is_sent_is_read_or_refused(body: bytes) -> None:
    webhook = Webhook("africastalking", OPTIONS)
    for read in (webhook.read_incoming, webhook.read_report, webhook.read_optout):
        with contextlib.suppress(Malformed):
            read(posted(body))


@pytest.mark.parametrize(
    ("status", "state"),
    [
        ("Sent", DeliveryState.SENT),
        ("Submitted", DeliveryState.SENT),
        ("Buffered", DeliveryState.SENT),
        ("Success", DeliveryState.DELIVERED),
        ("success", DeliveryState.DELIVERED),
        ("AbsentSubscriber", DeliveryState.UNDELIVERED),
        ("Expired", DeliveryState.EXPIRED),
        ("Rejected", DeliveryState.FAILED),
        ("Failed", DeliveryState.FAILED),
    ],
)
def test_a_status_is_a_state(webhook: Webhook, status: str, state: DeliveryState) -> None:
    read = webhook.read_report(posted(report("ATXid_1", status)))
    assert read is not None
    assert (read.carrier, read.carrier_id, read.state, read.error) == ("africastalking", "ATXid_1", state, None)


def test_a_status_added_since_tells_nothing(webhook: Webhook) -> None:
    assert webhook.read_report(posted(report("ATXid_1", "Teleported"))) is None


@pytest.mark.parametrize(
    ("reason", "error"),
    [("NotNetworkSubcriber", "NotNetworkSubcriber"), ("", None), ("a\nb", None), ("x" * 41, None)],
)
def test_why_it_failed_is_kept_as_a_code(webhook: Webhook, reason: str, error: str | None) -> None:
    read = webhook.read_report(posted(report("ATXid_1", "Failed", failureReason=reason)))
    assert read is not None
    assert read.error == error


@pytest.mark.parametrize("fields", [{"status": "Sent"}, {"id": "1"}, {"id": "1\r\n2", "status": "Sent"}])
def test_a_report_without_its_fields_is_refused(webhook: Webhook, fields: dict) -> None:
    with pytest.raises(Malformed):
        webhook.read_report(posted(fields))


def test_an_optout_names_the_number(webhook: Webhook) -> None:
    assert webhook.read_optout(posted({"senderId": "20880", "phoneNumber": SENDER})) == SENDER
    with pytest.raises(Malformed, match="phoneNumber"):
        webhook.read_optout(posted({"senderId": "20880"}))


def test_every_answer_is_200(webhook: Webhook) -> None:
    assert webhook.reply(None) == webhook.reply("never sent this way") == (200, "text/plain", b"OK")


def test_wrong_options_are_refused_by_name() -> None:
    with pytest.raises(WrongOptions) as refused:
        Webhook("africastalking", {"username": "rasid"})
    assert [option for option, _ in refused.value.problems] == ["api_key"]
