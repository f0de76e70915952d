"""Logs: what names a person or opens a door never stands in them."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
import uuid
from pathlib import Path

import pytest
from hypothesis import given, strategies as st

from runtime.logs import mask, mask_event

ROOT = Path(__file__).resolve().parents[2]
LOGGER = logging.getLogger(__name__)


@pytest.mark.parametrize(
    ("key", "text", "masked"),
    [
        ("msisdn", "254712345001", "2547•••••001"),
        ("msisdn", "+254712345001", "+2547•••••001"),
        ("error", "no line +254712345001", "no line +2547•••••001"),
        ("error", "no line 254 712 345 001", "no line ••••••••••••"),
        ("voucher", "1234-5678-9012-34", "••••••••••••••"),
        ("tail", "voucher 12345678901234 is spent", "voucher •••••••••••••• is spent"),
        ("pin", "2580", "••••"),
        ("last_text", "1*2*2580", "1*2*••••"),
        ("url", "http://host/ussd/x?text=1*2580&phoneNumber=2547", "http://host/ussd/x?•"),
        ("database", "postgresql://rasid:secret@host/rasid", "postgresql://•@host/rasid"),
        ("event", "turn", "turn"),
        ("at", "2026-11-21T10:42:00Z", "2026-11-21T10:42:00Z"),
        ("operation", "01a20043-4a9c-73bc-bac7-baf85ff54e12", "01a20043-4a9c-73bc-bac7-baf85ff54e12"),
    ],
)
def test_numbers_and_secrets_are_hidden_and_nothing_else(key: str, text: str, masked: str) -> None:
    assert mask(text, key) == masked


@given(number=st.from_regex(r"[0-9]{12,18}", fullmatch=True), before=st.text(max_size=20), key=st.text(max_size=10))
def test_no_voucher_number_gets_through_under_any_key(number: str, before: str, key: str) -> None:
    assert number not in mask(f"{before}{number}", key)


def test_a_value_is_masked_however_deep_it_lies() -> None:
    event = mask_event(LOGGER, "info", {"request": {"voucher": ["1234", {"pin": 2580}]}, "to": "712345001"})
    assert event == {"request": {"voucher": ["••••", {"pin": "••••"}]}, "to": "•••••••••"}


def test_amounts_ids_and_plain_values_stay_readable() -> None:
    key = uuid.uuid4()
    event = mask_event(LOGGER, "info", {"amount": 5_000_000_000, "key": key, "seconds": 0.12345678, "replayed": True})
    assert event == {"amount": 5_000_000_000, "key": str(key), "seconds": 0.12345678, "replayed": True}


def test_an_id_in_hexadecimal_digits_stays_readable_and_a_run_of_decimal_ones_does_not() -> None:
    name = "rasid.0123456789abcdef01234567890123ab.receivables"
    assert mask(name, "name") == name
    assert mask("0" * 32, "name") == "•" * 32


def test_each_line_is_one_json_object_whoever_logs_it() -> None:
    program = """
import logging, structlog
from runtime.logs import configure_logs
configure_logs("ussd")
structlog.get_logger("ours").info("turn", msisdn="+254712345001")
logging.getLogger("theirs").warning("called by %s", "+254712345001")
try:
    raise ValueError("voucher 12345678901234")
except ValueError:
    structlog.get_logger("ours").exception("failed")
"""
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == ""
    ours, theirs, failed = [json.loads(line) for line in done.stderr.splitlines()]
    assert (ours["event"], ours["msisdn"], ours["process"]) == ("turn", "+2547•••••001", "ussd")
    assert theirs["event"] == "called by +2547•••••001"
    assert "ValueError: voucher ••••••••••••••" in failed["exception"]
