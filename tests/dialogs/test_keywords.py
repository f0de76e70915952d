"""Words that people text: found however they are written, in every language, and never with two meanings."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from channels.layout import misfit
from channels.text_turn import text_profile
from dialogs.catalogue import declared
from dialogs.keywords import (
    BEGINNINGS,
    WORDS,
    Beginning,
    Intent,
    Keyword,
    Keywords,
    bare_number,
    keyword_faults,
    text_notices,
    words,
)
from dialogs.said import Screen
from dialogs.texts import Texts
from dialogs.words import MoneyStep
from settings import Operator

LANGUAGES = ("en", "fr", "sw", "ar", "pt", "ha")


@pytest.fixture(scope="module")
def every() -> Texts:
    return Texts(LANGUAGES, "Africa/Nairobi")


@pytest.fixture(scope="module")
def keywords(every: Texts, operator: Operator) -> Keywords:
    return Keywords(every, operator)


@pytest.mark.parametrize(
    ("typed", "intent"),
    [
        ("BAL", Intent.BALANCE),
        ("  bal. ", Intent.BALANCE),
        ("*Bal#", Intent.BALANCE),
        ("ＢＡＬ", Intent.BALANCE),
        ("My  Balance please", Intent.BALANCE),
        ("\u200fرصيد\u200f", Intent.BALANCE),
        ("رَصِيد؟", Intent.BALANCE),
        ("salio", Intent.BALANCE),
        ("Ongeza salio", Intent.RECHARGE),
        ("تعبئه", Intent.RECHARGE),
        ("top-up", Intent.RECHARGE),
        ("NUNUA", Intent.BUY),
        ("/menu", Intent.MENU),
        ("Arrêt", Intent.STOP),
        ("désabonner", Intent.STOP),
        ("stop sending me messages", Intent.STOP),
        ("إيقاف", Intent.STOP),
        ("ايقاف", Intent.STOP),
        ("ابدا", Intent.START),
    ],
)
def test_a_keyword_is_found_however_it_is_written(keywords: Keywords, typed: str, intent: Intent) -> None:
    found = keywords.read(typed)
    assert found is not None
    assert found.intent is intent


@pytest.mark.parametrize(
    "typed", ["", "   ", "1", "00", "what?", "please stop", "balloon", "R C H", "12345678901234", "🙂"]
)
def test_what_is_no_keyword_is_none(keywords: Keywords, typed: str) -> None:
    assert keywords.read(typed) is None


@pytest.mark.parametrize(
    "typed",
    [
        "RCH 12345678901234",
        "rch12345678901234",
        "RCH: 1234-5678 9012.34",
        "شحن ١٢٣٤٥٦٧٨٩٠١٢٣٤",
        "ONGEZA SALIO 12345678901234",
    ],
)
def test_the_voucher_number_stands_behind_its_keyword_in_any_shape_and_script(keywords: Keywords, typed: str) -> None:
    keyword = keywords.read(typed)
    assert keyword is not None
    assert keywords.beginning(keyword) == Beginning("recharge.number", ("12345678901234",))


@pytest.mark.parametrize(
    ("typed", "option"),
    [
        ("BUY 2", "2"),
        ("buy2", "2"),
        ("NUNUA ٢", "2"),
        ("BUY data_week_1gb", "2"),
        ("BUY 1 GB 7 days", "2"),
        ("BUY 1gb 7 DAYS", "2"),
        ("NUNUA GB 1 siku 7", "2"),
        ("BUY 77", "77"),
    ],
)
def test_a_bundle_is_named_by_position_code_or_name(keywords: Keywords, typed: str, option: str) -> None:
    keyword = keywords.read(typed)
    assert keyword is not None
    assert keywords.beginning(keyword) == Beginning("bundles.list", (option,))


@pytest.mark.parametrize("typed", ["BUY 0", "BUY 00", "BUY 98", "BUY something"])
def test_behind_buy_nothing_is_taken_for_a_navigation_key(keywords: Keywords, typed: str) -> None:
    keyword = keywords.read(typed)
    assert keyword is not None
    assert keywords.beginning(keyword) == Beginning("bundles.list", ("?",))


def test_a_keyword_without_more_opens_its_menu(keywords: Keywords) -> None:
    assert keywords.beginning(Keyword(Intent.BUY)) == Beginning("bundles.list")
    assert keywords.beginning(Keyword(Intent.RECHARGE, ("0",))) == Beginning("pay.home")
    assert keywords.beginning(Keyword(Intent.STOP)) is None


def test_no_word_of_any_language_means_two_things(every: Texts) -> None:
    assert list(keyword_faults(every)) == []


def test_a_word_with_two_meanings_is_named_with_its_language() -> None:
    class Mistaken(Texts):
        def say(self, language, said):
            return "BAL" if language == "sw" and said is WORDS[Intent.STOP] else super().say(language, said)

    faults = list(keyword_faults(Mistaken(LANGUAGES, "Africa/Nairobi")))
    assert faults == [("sw", "keyword 'bal' means balance and stop")]


def test_every_intent_begins_at_a_state_that_moves_no_money(operator: Operator) -> None:
    states = {state.name: state for dialog in declared(operator) for state in dialog.states}
    assert [name for name in BEGINNINGS.values() if isinstance(states[name], MoneyStep)] == []


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("parts", [2, 3])
def test_what_is_said_beside_the_dialogs_fits_the_parts_of_an_answer(
    every: Texts, operator: Operator, keywords: Keywords, language: str, parts: int
) -> None:
    for name, said in text_notices(operator, keywords).items():
        screen = Screen(state=name, text=every.say(language, said), ends=True)
        assert misfit(screen, text_profile(parts).budget, 1) is None, name
        assert "{" not in screen.text


def test_help_names_words_that_are_understood(every: Texts, operator: Operator, keywords: Keywords) -> None:
    for language in LANGUAGES:
        for intent in Intent:
            word = every.write(language, keywords.first(intent))
            assert keywords.read(word) == Keyword(intent)


@pytest.mark.parametrize(
    ("typed", "number"),
    [("1", "1"), (" 1. ", "1"), ("١٢", "12"), ("1234 5678", "12345678"), ("1 please", None), ("", None)],
)
def test_a_bare_number_is_nothing_but_a_number(typed: str, number: str | None) -> None:
    assert bare_number(typed) == number


@given(st.text(max_size=300))
def test_words_of_whatever_is_typed_are_plain_and_their_own_words(typed: str) -> None:
    found = words(typed)
    assert words(" ".join(found)) == found
    assert all(word and not word.isspace() for word in found)
