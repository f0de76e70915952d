"""Amounts as providers write them."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given, strategies as st

from engine.recharge.gateways.amounts import LARGEST, major, read_amount, whole


@pytest.mark.parametrize(
    ("text", "currency", "minor"),
    [
        ("1,000.50", "KES", 100_050),
        (" -50.00 ", "KES", -5000),
        ("+7", "KES", 700),
        ("1500", "UGX", 1500),
        ("1.234", "BHD", 1234),
        ("0.00", "KES", 0),
    ],
)
def test_amounts_are_read_exactly(text: str, currency: str, minor: int) -> None:
    assert read_amount(text, currency) == minor


@pytest.mark.parametrize(
    "text", ["", "-", "1e3", "NaN", "Infinity", "1.005", "1,00", "1,0000", "0x10", "١٢", "1 000", "1" * 19, "9" * 18]
)
def test_what_is_no_amount_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"not an amount|finer|larger"):
        read_amount(text, "KES")


@pytest.mark.parametrize("value", ["NaN", "Infinity", "-Infinity", "1e999", str(LARGEST + 1)])
def test_what_no_payment_reaches_is_refused(value: str) -> None:
    with pytest.raises(ValueError, match="larger"):
        whole(Decimal(value), "KES")


@given(st.integers(-LARGEST, LARGEST), st.sampled_from(["KES", "UGX", "BHD"]))
def test_an_amount_that_is_written_is_read_again(minor: int, currency: str) -> None:
    assert read_amount(f"{major(minor, currency):f}", currency) == minor
