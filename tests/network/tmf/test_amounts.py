"""Quantities are exact in both directions, whatever the currency."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given, strategies as st

from engine.words import Unit
from network.http import Problem
from network.tmf.amounts import USAGE_TYPES, amount_of, quantity
from network.tmf.wire import Quantity


@given(st.integers(-(2**53), 2**53), st.sampled_from(list(Unit)), st.sampled_from(["KES", "JPY", "KWD"]))
def test_what_is_written_is_read_back_to_the_unit(amount: int, unit: Unit, currency: str) -> None:
    written = quantity(amount, unit, currency)
    assert amount_of(written, USAGE_TYPES[unit], currency) == (amount, unit)


@given(st.decimals(allow_nan=True, allow_infinity=True), st.sampled_from(["B", "GiB", "KES", None]))
def test_any_number_is_an_amount_or_refused_by_name(amount: Decimal, units: str | None) -> None:
    for usage_type in USAGE_TYPES.values():
        try:
            whole, _ = amount_of(Quantity(amount=amount, units=units), usage_type, "KES")
        except Problem as problem:
            assert problem.status == 400 and set(problem.invalid) <= {"amount.amount", "amount.units"}
        else:
            assert isinstance(whole, int) and abs(whole) <= 2**53


@pytest.mark.parametrize(
    ("currency", "minor", "written"), [("KES", 150, "1.50"), ("JPY", 150, "150"), ("KWD", 1, "0.001")]
)
def test_a_currency_has_its_own_places(currency: str, minor: int, written: str) -> None:
    assert quantity(minor, Unit.MONEY, currency) == Quantity(amount=Decimal(written), units=currency)
