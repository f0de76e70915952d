"""Values in people's languages: exact, and in characters that a phone has."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given, strategies as st

from channels.layout import septets, transliterate
from dialogs.refusals import refusal, refusal_samples
from dialogs.texts import Texts, currency_style, money
from dialogs.values import Clock, LastDay, Money, Names, Quantity, counted, lines, text
from engine.words import Code, Unit
from settings import Operator

LANGUAGES = ("en", "fr", "sw", "ar", "pt", "ha")
CURRENCIES = ("KES", "QAR", "XOF", "BHD", "CDF", "UGX", "NGN", "EUR")
NAIROBI = "Africa/Nairobi"


@pytest.fixture(scope="module")
def every() -> Texts:
    return Texts(LANGUAGES, NAIROBI)


@pytest.mark.parametrize(
    ("amount", "currency", "language", "written"),
    [
        (123_450, "KES", "en", "KES 1,234.50"),
        (5, "KES", "en", "KES 0.05"),
        (-500, "KES", "en", "-KES 5.00"),
        (123_450, "KES", "sw", "Ksh 1,234.50"),
        (1_500, "XOF", "fr", "1 500 F CFA"),
        (123_450, "CDF", "fr", "1 234,50 CDF"),
        (1_500, "BHD", "en", "BHD 1.500"),
        (123_450, "QAR", "ar", "1,234.50 ر.ق"),
    ],
)
def test_money_has_its_currencys_own_digits(amount: int, currency: str, language: str, written: str) -> None:
    assert money(amount, currency, language) == written


@given(st.integers(0, 10**15), st.sampled_from(CURRENCIES), st.sampled_from(LANGUAGES))
def test_no_minor_unit_is_lost_in_writing(amount: int, currency: str, language: str) -> None:
    style = currency_style(currency, language)
    digits = "".join(one for one in style.write(amount) if one in "0123456789")
    assert int(digits) == amount


@pytest.mark.parametrize("currency", CURRENCIES)
@pytest.mark.parametrize("language", ["en", "fr", "sw", "pt", "ha"])
def test_amounts_in_latin_languages_are_gsm(currency: str, language: str) -> None:
    assert septets(transliterate(money(123_456_789, currency, language))) is not None


@pytest.mark.parametrize(
    ("unit", "amount", "written"),
    [
        (Unit.OCTETS, 1_000_000_000, "1 GB"),
        (Unit.OCTETS, 1_590_000_000, "1.5 GB"),
        (Unit.OCTETS, 999_999_999, "999.9 MB"),
        (Unit.OCTETS, 2_500, "2.5 kB"),
        (Unit.OCTETS, 7, "<1 kB"),
        (Unit.OCTETS, 0, "0 kB"),
        (Unit.SECONDS, 59, "59 s"),
        (Unit.SECONDS, 3_659, "60 min"),
        (Unit.MESSAGES, 1, "1 SMS"),
        (Unit.MONEY, 5_000, "KES 50.00"),
    ],
)
def test_what_is_left_is_rounded_down(every: Texts, unit: Unit, amount: int, written: str) -> None:
    assert every.write("en", Quantity(unit, amount, "KES")) == written


def test_what_ends_at_local_midnight_is_told_as_the_day_before(every: Texts) -> None:
    assert every.write("en", LastDay(datetime(2026, 11, 30, 21, 0, tzinfo=UTC))) == "30/11/2026"
    assert every.write("en", LastDay(datetime(2026, 11, 30, 21, 1, tzinfo=UTC))) == "01/12/2026 00:01"


def test_times_are_the_operators(every: Texts) -> None:
    assert every.write("ar", Clock(datetime(2026, 11, 30, 7, 42, tzinfo=UTC))) == "10:42"


@pytest.mark.parametrize(
    ("count", "written"),
    [(0, "لا رسائل"), (1, "رسالة واحدة"), (2, "رسالتان"), (3, "3 رسائل"), (11, "11 رسالة"), (100, "100 رسالة")],
)
def test_arabic_has_six_plural_forms(every: Texts, count: int, written: str) -> None:
    assert every.say("ar", counted("{count} SMS", "{count} SMS", count)) == written


def test_a_name_missing_in_a_language_is_said_in_the_default_one(every: Texts) -> None:
    assert every.say("ar", text("{name}", name=Names({"en": "Daily", "fr": "Jour"}))) == "Daily"


@pytest.mark.parametrize(("language", "written"), [("en", "To ..5002"), ("ha", "Zuwa ..5002"), ("ar", "إلى 5002..")])
def test_what_is_hidden_of_a_number_is_seen_left_of_its_end_in_every_direction(
    every: Texts, language: str, written: str
) -> None:
    assert every.say(language, text("To {number}", number="..5002")) == written


def test_lines_stand_under_each_other(every: Texts) -> None:
    said = lines(text("Balance: {balance}", balance=Money(100, "KES")), None, text("Goodbye."))
    assert every.say("fr", said) == "Solde : 1,00 KES\nAu revoir."


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_refusal_has_a_sentence_of_its_own_language(every: Texts, operator: Operator, language: str) -> None:
    said = {one["code"]: every.say(language, refusal(one)) for one in refusal_samples(operator)}
    assert set(said) == {code.value for code in Code} - {"ok"}
    assert all(sentence.strip() and "{" not in sentence for sentence in said.values())
    if language == "ar":
        assert not any(sentence.isascii() for sentence in said.values())


@given(st.sampled_from([code for code in Code if code is not Code.OK]), st.sampled_from(LANGUAGES))
def test_a_refusal_without_details_is_still_a_sentence(every: Texts, code: Code, language: str) -> None:
    assert every.say(language, refusal({"code": code.value, "currency": "KES"}))
