"""Layout: exact to the septet, whole options, stable numbers."""

from __future__ import annotations

import re

import pytest
from gsm0338 import Codec
from hypothesis import given, strategies as st

from channels.layout import alphabet, misfit, pages, septets, transliterate, units
from channels.turn import Budget
from dialogs.said import Option, Screen

USSD = Budget(septets=182, ucs2=80)
CODEC = Codec()
GSM = "".join(sorted(alphabet().septets)).replace("\n", "").replace("\r", "").replace("\f", "")
ARABIC = "ابتثجحخدذرزسشصضطظعغفقكلمنهوي "

words = st.one_of(st.text(GSM, max_size=400), st.text(ARABIC + "0123456789.", max_size=300), st.text(max_size=200))
labels = st.one_of(
    st.text(GSM.replace(" ", ""), min_size=1, max_size=24), st.text(ARABIC.strip(), min_size=1, max_size=12)
)
options = st.lists(labels, max_size=30).map(lambda some: tuple(Option(str(n), label) for n, label in enumerate(some)))
screens = st.builds(
    Screen,
    state=st.just("test.state"),
    text=words,
    options=options,
    back=st.sampled_from([None, "Back", "رجوع"]),
    home=st.sampled_from([None, "Home", "البداية"]),
    more=st.sampled_from(["More", "Suite", "المزيد"]),
)
budgets = st.sampled_from([USSD, Budget(septets=160, ucs2=70), Budget(septets=120, ucs2=60)])


def fits_by_codec(page: str, budget: Budget) -> bool:
    """An independent count: the codec's own octets (one per septet), or UTF-16."""
    try:
        return len(CODEC.encode(page)[0]) <= budget.septets
    except UnicodeEncodeError:
        return len(page.encode("utf-16-le", "surrogatepass")) // 2 <= budget.ucs2


def without_navigation(page: str, screen: Screen) -> list[str]:
    foot = {f"98 {screen.more}", f"0 {screen.back}", f"00 {screen.home}"}
    lines = page.split("\n")
    while lines and lines[-1] in foot:
        lines.pop()
    return lines


@given(screens, budgets)
def test_every_page_fits_by_an_independent_count(screen: Screen, budget: Budget) -> None:
    assert all(fits_by_codec(page, budget) for page in pages(screen, budget))


@given(st.lists(labels, min_size=1, max_size=40), budgets)
def test_no_option_is_lost_doubled_or_split_and_numbers_are_stable(some: list[str], budget: Budget) -> None:
    screen = Screen(
        state="t.s",
        text="",
        options=tuple(Option(str(n), label) for n, label in enumerate(some)),
        back="Back",
        home="Home",
    )
    shown = [line for page in pages(screen, budget) for line in without_navigation(page, screen)]
    wanted = [f"{number} {label}" for number, label in enumerate(some, 1)]
    assert [transliterate(line) for line in shown] == [transliterate(line) for line in wanted]


@given(st.lists(st.text("abcdefgh€{", min_size=1, max_size=30), min_size=1, max_size=80), budgets)
def test_long_text_is_broken_at_words_and_none_is_lost(said: list[str], budget: Budget) -> None:
    screen = Screen(state="t.s", text=" ".join(said), back="Back")
    shown = [
        word for page in pages(screen, budget) for line in without_navigation(page, screen) for word in line.split()
    ]
    assert shown == said


@given(screens, budgets)
def test_all_pages_but_the_last_lead_to_more(screen: Screen, budget: Budget) -> None:
    screen = Screen(state="t.s", text=screen.text, options=screen.options, back=None, home=None, more="+")
    shown = pages(screen, budget)
    assert all(page.split("\n")[-1] == "98 +" for page in shown[:-1])


@pytest.mark.parametrize("character", list("^{}\\[~]|€"))
def test_a_character_of_the_extension_table_takes_two_septets(character: str) -> None:
    assert septets(character) == 2
    full = Screen(state="t.s", text="x" * 180 + character)
    assert len(pages(full, USSD)) == 1
    assert len(pages(Screen(state="t.s", text="x" * 181 + character), USSD)) == 2


def test_a_character_outside_the_basic_plane_takes_two_units() -> None:
    assert units("😀") == 2
    assert len(pages(Screen(state="t.s", text="م" * 78 + "😀"), USSD)) == 1
    assert len(pages(Screen(state="t.s", text="م" * 79 + "😀"), USSD)) == 2


def test_letters_that_the_alphabet_lacks_do_not_halve_the_screen() -> None:
    shown = pages(Screen(state="t.s", text="Fenêtre française : l’été " + "x" * 150), USSD)
    assert shown == ["Fenetre francaise : l'été " + "x" * 150]


def test_arabic_is_left_as_it_is() -> None:
    assert pages(Screen(state="t.s", text="الرصيد «ê»"), USSD) == ["الرصيد «ê»"]


def test_a_screen_that_fits_is_one_page_without_more() -> None:
    screen = Screen(state="t.s", text="Hello", options=(Option("a", "First"),), back="Back", home="Home")
    assert pages(screen, USSD) == ["Hello\n1 First\n0 Back\n00 Home"]


def test_an_option_longer_than_a_page_is_refused_by_the_check_and_cut_on_a_phone() -> None:
    screen = Screen(state="t.s", text="", options=(Option("a", "y" * 300), Option("b", "Next")), back="Back")
    assert "longer than a page" in (misfit(screen, USSD, 9) or "")
    shown = pages(screen, USSD)
    assert re.match(r"1 y+\n98 More\n0 Back", shown[0])
    assert "2 Next" in shown[1]


def test_more_pages_than_allowed_are_named() -> None:
    assert misfit(Screen(state="t.s", text="word " * 60), USSD, 1) == "takes 2 pages, at most 1 will do"
    assert misfit(Screen(state="t.s", text="word " * 60), USSD, 2) is None


def test_navigation_that_leaves_no_room_is_refused() -> None:
    screen = Screen(state="t.s", text="x" * 50, back="Back" * 4, home="Home" * 4)
    assert "navigation leaves" in (misfit(screen, Budget(septets=45, ucs2=20), 9) or "")
