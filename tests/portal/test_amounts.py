"""Amounts are read exactly as people type them, or not at all."""

from __future__ import annotations

import pytest

from engine.words import Unit
from portal.base.amounts import read_amount, typed_amount


@pytest.mark.parametrize(
    ("typed", "currency", "minor"),
    [("5", "KES", 500), ("5.25", "KES", 525), (" 75.50", "KES", 7_550), ("0.01", "KES", 1), ("1e2", "KES", 10_000),
     ("1e3", "XOF", 1000), ("1.234", "KWD", 1_234), ("9999999999999.99", "KES", 10**15 - 1)],
)  # fmt: skip
def test_money_is_typed_in_its_main_unit(typed: str, currency: str, minor: int) -> None:
    assert read_amount(Unit.MONEY, typed, currency) == minor


@pytest.mark.parametrize(("typed", "minor"), [("12,5", 1_250), ("12,50", 1_250), ("١٢٫٥", 1_250), (",5", 50)])
def test_the_comma_of_a_keypad_without_a_point_is_one(typed: str, minor: int) -> None:
    assert read_amount(Unit.MONEY, typed, "MAD") == minor


@pytest.mark.parametrize(
    "typed",
    ["", "x", "1e999999999", "1e-999999999", "9" * 64, "NaN", "Infinity", "-1", "0", "5.255",
     "1,000", "1,2,3", "1,", "1.2,3"],
)  # fmt: skip
def test_what_is_no_amount_is_none(typed: str) -> None:
    assert read_amount(Unit.MONEY, typed, "KES") is None


def test_data_is_typed_in_megabytes_calls_in_minutes_and_texts_one_by_one() -> None:
    assert read_amount(Unit.OCTETS, "1.5", "KES") == 1_500_000
    assert read_amount(Unit.SECONDS, "2", "KES") == 120
    assert read_amount(Unit.MESSAGES, "3", "KES") == 3
    assert read_amount(Unit.MESSAGES, "3.5", "KES") is None


@pytest.mark.parametrize("unit", [Unit.MONEY, Unit.OCTETS])
@pytest.mark.parametrize("amount", [1, 50_000_000, 150, 10**15 - 1])
def test_a_field_holds_exactly_what_it_would_be_read_as(unit: Unit, amount: int) -> None:
    assert read_amount(unit, typed_amount(unit, amount, "KES"), "KES") == amount
