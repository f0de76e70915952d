"""The rules of numbers, statuses and PINs."""

from __future__ import annotations

from datetime import timedelta
from itertools import pairwise

import phonenumbers
import pytest
from hypothesis import given, strategies as st

from engine.accounts.rules import (
    MOBILE,
    StatusRefused,
    _as_gateways_write,
    _however_written,
    check_pin,
    check_status,
    guessable,
    parse_imsi,
    parse_msisdn,
    pin_locks,
)
from engine.words import BadNumber, BadPin, LineStatus
from settings import PinRules

WAYS_TO_WRITE = [
    "+254712345678",
    "254712345678",
    "00254712345678",
    "000254712345678",
    "0712345678",
    "712345678",
    " +254 712 345-678 ",
    "(0712) 345.678",
    "٠٧١٢٣٤٥٦٧٨",
]


@pytest.mark.parametrize("written", WAYS_TO_WRITE)
def test_a_number_is_the_same_however_it_is_written(written):
    assert parse_msisdn(written, "KE") == "+254712345678"


@pytest.mark.parametrize(
    ("written", "country", "reason"),
    [
        ("", "KE", "malformed"),
        ("+", "KE", "malformed"),
        ("12", "KE", "malformed"),
        ("+25471234567", "KE", "malformed"),
        ("0712CALLME", "KE", "malformed"),
        ("++254712345678", "KE", "malformed"),
        ("0712345678;drop", "KE", "malformed"),
        ("7" * 1000, "KE", "malformed"),
        ("+97433123456", "KE", "foreign"),
        ("97433123456", "KE", "foreign"),
        ("+254712345678", "QA", "foreign"),
        ("254712345678", "QA", "foreign"),
        ("0202345678", "KE", "not_mobile"),
        ("8001234", "QA", "not_mobile"),
        ("44123456", "QA", "not_mobile"),
    ],
)
def test_what_is_no_mobile_number_of_the_country_is_refused_with_its_reason(written, country, reason):
    with pytest.raises(BadNumber) as refused:
        parse_msisdn(written, country)
    assert refused.value.args == (reason,)


@given(st.text(max_size=40))
def test_whatever_is_typed_is_a_number_in_e164_or_refused(typed):
    try:
        number = parse_msisdn(typed, "QA")
    except BadNumber as error:
        number, reason = None, error.args[0]
    if number is None:
        assert reason in {"malformed", "foreign", "not_mobile"}
    else:
        assert number.startswith("+974")
        assert parse_msisdn(number, "QA") == number
        assert phonenumbers.is_valid_number(phonenumbers.parse(number))


@given(
    st.sampled_from(
        [("KE", 254), ("QA", 974), ("NG", 234), ("MZ", 258), ("IT", 39), ("RU", 7), ("MX", 52), ("AR", 54)]
    ),
    st.text(st.sampled_from("0123456789"), min_size=6, max_size=12),
)
def test_the_short_way_through_e164_ends_where_the_long_one_does(country, national):
    written = f"+{country[1]}{national}"
    short = _as_gateways_write(written, country[0], MOBILE)
    assert short is None or short == _however_written(written, country[0], MOBILE)


@pytest.mark.parametrize("number", ["+254712345678", "+97433123456"])
def test_a_number_in_e164_takes_the_short_way(number):
    assert _as_gateways_write(number, {"+2": "KE", "+9": "QA"}[number[:2]], MOBILE) == number


@pytest.mark.parametrize("imsi", ["12345", "1" * 16, "63902000000000x", ""])
def test_an_imsi_has_6_to_15_digits(imsi):
    with pytest.raises(BadNumber):
        parse_imsi(imsi)
    assert parse_imsi("639020000000001") == "639020000000001"


@given(st.sampled_from(LineStatus))
def test_a_terminated_line_stays_terminated(wanted):
    if wanted is LineStatus.TERMINATED:
        check_status(LineStatus.TERMINATED, wanted)
    else:
        with pytest.raises(StatusRefused):
            check_status(LineStatus.TERMINATED, wanted)


def test_no_line_becomes_unused_again():
    for status in set(LineStatus) - {LineStatus.PREACTIVE}:
        with pytest.raises(StatusRefused):
            check_status(status, LineStatus.PREACTIVE)


@pytest.mark.parametrize("pin", ["1111", "1212", "1234", "4321", "7890", "0987"])
def test_repeated_and_running_digits_are_guessable(pin):
    with pytest.raises(BadPin, match="guessable"):
        check_pin(pin, PinRules())


@pytest.mark.parametrize(
    ("pin", "reason"), [("25a0", "digits"), ("258", "length"), ("25801", "length"), ("", "digits")]
)
def test_a_pin_has_the_operators_number_of_digits(pin, reason):
    with pytest.raises(BadPin, match=reason):
        check_pin(pin, PinRules())


@given(st.integers(4, 8).flatmap(lambda size: st.text("0123456789", min_size=size, max_size=size)))
def test_a_guessable_pin_stays_so_when_it_is_reversed(pin):
    assert guessable(pin) == guessable(pin[::-1])


def test_digits_of_another_script_make_the_same_pin():
    assert check_pin("٢٥٨٠", PinRules()) == "2580"


@given(st.integers(1, 10), st.integers(1, 3000))
def test_locks_come_every_few_tries_and_grow_to_a_day(tries, minutes):
    locks = pin_locks(PinRules(tries=tries, lock_minutes=minutes))
    at_limit = [lock for count, lock in enumerate(locks, start=1) if count % tries == 0]
    assert all(lock == timedelta() for count, lock in enumerate(locks, start=1) if count % tries)
    assert at_limit[0] == min(timedelta(minutes=minutes), timedelta(days=1))
    assert all(after == min(before * 2, timedelta(days=1)) for before, after in pairwise(at_limit))
    assert locks[-1] == timedelta(days=1)
