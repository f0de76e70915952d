"""Signatures, filters, retries, and who may be called."""

from __future__ import annotations

import hashlib
import hmac
import re
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
from hypothesis import given, strategies as st
from pydantic import ValidationError

from engine.events.rules import (
    TOPICS,
    CallbackRefused,
    Retries,
    check_address,
    check_callback,
    event_type,
    sign,
    signature_holds,
    topics_of,
)
from settings import WebhookSettings

ENGINE = Path(__file__).resolve().parents[3] / "engine"
NOBODY = WebhookSettings()
NOW = 1_800_000_000


def test_the_signature_is_hmac_sha_256_over_time_and_body():
    expected = hmac.new(b"secret", b"1800000000.{}", hashlib.sha256).hexdigest()
    assert sign("secret", b"{}", NOW) == f"t=1800000000,v1={expected}"


def test_a_signature_holds_for_five_minutes_for_this_body_and_this_secret():
    header = sign("secret", b"{}", NOW)
    assert signature_holds("secret", b"{}", header, now=NOW + 299)
    assert not signature_holds("secret", b"{}", header, now=NOW + 301)
    assert not signature_holds("secret", b"{}", header, now=NOW - 301)
    assert not signature_holds("secret", b"{ }", header, now=NOW)
    assert not signature_holds("other", b"{}", header, now=NOW)
    # While a secret is changed, two signatures may stand in one header.
    assert signature_holds("secret", b"{}", header.replace("v1=", "v1=00,v1="), now=NOW)


@pytest.mark.parametrize("header", ["", "t=,v1=", "v1=00", "t=1", f"t={NOW},t={NOW},v1=0", "t=²,v1=é", "x" * 9999])
def test_what_is_no_signature_does_not_hold(header):
    assert not signature_holds("secret", b"{}", header, now=NOW)


def test_a_filter_in_tm_forums_words_means_our_topics():
    assert topics_of("") == ()
    assert topics_of("eventType=SettlementCompletedEvent") == ("settlement.completed",)
    assert topics_of("?eventType=SettlementCompletedEvent,ProvisioningChangedEvent") == (
        "settlement.completed",
        "provisioning.changed",
    )
    assert topics_of("eventType=SettlementCompletedEvent", ["settlement"]) == ("settlement", "settlement.completed")
    assert event_type("settlement.charged_back") == "SettlementChargedBackEvent"


@pytest.mark.parametrize(
    ("query", "topics", "field"),
    [
        ("eventType=Nonsense", (), "query"),
        ("color=red", (), "query"),
        ("nonsense", (), "query"),
        ("", ("x",), "topics"),
    ],
)
def test_a_filter_that_is_not_known_is_refused_by_its_field(query, topics, field):
    with pytest.raises(ValueError, match=f"^{field}"):
        topics_of(query, topics)


def test_every_topic_that_a_rule_announces_can_be_subscribed_to():
    said = "".join(path.read_text() for path in ENGINE.glob("*/*.py"))
    plain = set(re.findall(r'\.announce\(\s*"([a-z_.]+)"', said))
    assert plain and plain <= set(TOPICS)
    # Those made of a word and a variable: all that begin so.
    begun = set(re.findall(r'\.announce\(\s*f"([a-z_]+)\.\{', said))
    assert begun <= {topic.partition(".")[0] for topic in TOPICS}


@given(st.integers(1, 200))
def test_waits_double_up_to_an_hour_and_end_after_three_days(attempts):
    now = datetime.now(UTC)
    wait = Retries().again(attempts, now, now) - now
    full = min(timedelta(seconds=10) * 2 ** min(attempts - 1, 20), timedelta(hours=1))
    assert full / 2 <= wait <= full
    assert Retries().again(attempts, now - timedelta(days=3), now) is None


@pytest.mark.parametrize(
    "callback",
    [
        "http://example.com/hook",
        "https://",
        "ftp://example.com/",
        "https://user:password@example.com/",
        "https://example.com/#here",
        "https://exa mple.com/",
        "https://example.com:0/",
        "https://example.com:99999/",
        "javascript:alert(1)",
        "",
        "https://127.0.0.1/",
        "https://10.1.2.3/",
        "https://169.254.169.254/latest/meta-data/",
        "https://0.0.0.0/",
        "https://100.64.0.1/",
        "https://224.0.0.1/",
        "https://[::1]/",
        "https://[::ffff:127.0.0.1]/",
        "https://[fd00::1]/",
        "https://[fe80::1]/",
        "https://[64:ff9b::7f00:1]/",
        "https://[2002:7f00:1::]/",
        "https://example.com/" + "x" * 2000,
        "https://" + "x" * 64 + ".example.com/",
        "https://example..com/",
    ],
)
def test_what_must_not_be_called_is_refused(callback):
    with pytest.raises(CallbackRefused, match=r"^callback"):
        check_callback(callback, NOBODY)


@pytest.mark.parametrize(
    "callback", ["https://example.com/hook", "https://8.8.8.8/", "https://[2606:4700::1]:8443/x?y=z"]
)
def test_public_https_may_be_called(callback):
    check_callback(callback, NOBODY)


@pytest.mark.parametrize("allow", ["10.0.0.0/99", "https://crm.internal", "10.1.2.3/8", "a b"])
def test_what_is_neither_host_nor_network_is_refused_in_the_settings(allow):
    with pytest.raises(ValidationError, match="allow"):
        WebhookSettings(allow=(allow,))


def test_the_settings_allow_hosts_and_networks():
    allowed = WebhookSettings(allow=("crm.internal", "10.1.0.0/16"))
    check_callback("http://crm.internal/hook", allowed)
    check_callback("http://CRM.internal./hook", allowed)
    check_callback("http://10.1.2.3/hook", allowed)
    check_address("crm.internal", ip_address("192.168.1.1"), allowed)
    check_address("names.example", ip_address("10.1.9.9"), allowed)
    for refused in ("http://10.2.0.1/", "https://10.2.0.1/", "http://other.internal/"):
        with pytest.raises(CallbackRefused):
            check_callback(refused, allowed)
    with pytest.raises(CallbackRefused):
        check_address("other.internal", ip_address("192.168.1.1"), allowed)
