from __future__ import annotations

import pytest

from portal.simulator.glass import duration, octets
from portal.simulator.live import e164


@pytest.mark.parametrize("typed", ["0712345001", "+254 712 345 001", "254712345001"])
def test_a_number_is_read_in_the_operators_country(typed: str) -> None:
    assert e164(typed, "KE") == "+254712345001"


@pytest.mark.parametrize(
    ("amount", "shown"),
    [
        (0, "0 octets"),
        (999, "999 octets"),
        (1_500_000, "1.5 MB"),
        (1_000_000_000, "1 GB"),
        (12_345_678_901, "12.346 GB"),
    ],
)
def test_octets_are_shown_in_the_largest_unit(amount: int, shown: str) -> None:
    assert octets(amount) == shown


@pytest.mark.parametrize(("seconds", "shown"), [(0, "0 s"), (59, "59 s"), (60, "1 min"), (3_725, "62 min 5 s")])
def test_seconds_are_shown_as_minutes_and_what_is_left(seconds: int, shown: str) -> None:
    assert duration(seconds) == shown
